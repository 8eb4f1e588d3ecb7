"""Bursts of legacy advertising."""

import gc
import time

from bluetooth import BLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SPREAD_MS = 10  # advDelay: the controller adds 0 to 10 ms to each interval (Vol 6, Part B, 4.4.2.2.1)
ALARM_INTERVAL_MS = 100
NON_RESOLVABLE = 3  # address mode: a new random address each time it is set
STEP_MS = 5000  # the watchdog is fed that often


def advertise(
    adv_data: bytes, events: int, interval_ms: int, fast_s: int, new_address: bool, feed: "Callable[[], None]"
) -> None:
    """Advertise for about `events` advertising events and then for `fast_s` seconds at 100 ms, not connectable; then
    switch the radio off. new_address: under a random address that nobody has heard before.

    Raises OSError when the Bluetooth controller does not start.
    """
    gc.collect()  # the controller takes its memory from what Python's heap has not grown into
    ble = BLE()
    ble.active(True)
    try:
        if new_address:
            ble.config(addr_mode=NON_RESOLVABLE)
        ble.gap_advertise(interval_ms * 1000, adv_data, connectable=False)
        time.sleep_ms(events * (interval_ms + SPREAD_MS // 2))
        if fast_s:
            ble.gap_advertise(ALARM_INTERVAL_MS * 1000, adv_data, connectable=False)
            left_ms = fast_s * 1000
            while left_ms > 0:
                feed()
                time.sleep_ms(min(left_ms, STEP_MS))
                left_ms -= STEP_MS
        ble.gap_advertise(None)  # type: ignore[arg-type]  # the documented way to stop
    finally:
        ble.active(False)  # it must be off before deep sleep
