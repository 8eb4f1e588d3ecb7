"""Bursts of legacy advertising."""

import gc
import time

from bluetooth import BLE

SPREAD_MS = 10  # advDelay: the controller adds 0 to 10 ms to each interval (Vol 6, Part B, 4.4.2.2.1)


def advertise(adv_data: bytes, events: int, interval_ms: int) -> None:
    """Advertise for about `events` advertising events, not connectable, then switch the radio off.

    Raises OSError when the Bluetooth controller does not start.
    """
    gc.collect()  # the controller takes its memory from what Python's heap has not grown into
    ble = BLE()
    ble.active(True)
    try:
        ble.gap_advertise(interval_ms * 1000, adv_data, connectable=False)
        time.sleep_ms(events * (interval_ms + SPREAD_MS // 2))
        ble.gap_advertise(None)  # type: ignore[arg-type]  # the documented way to stop
    finally:
        ble.active(False)  # it must be off before deep sleep
