"""Waits for the receiver's fix on a UART."""

import time

from tag.sensors.nmea import NmeaReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import UART

    from tag.sensors.nmea import Fix

POLL_MS = 20
GOOD_CM = 1500  # no point in waiting for a better fix than this


def locate(uart: "UART", timeout_ms: int, settle_ms: int) -> "Fix | None":
    """The receiver's fix; None when there was none within `timeout_ms`.

    A fix that is worse than `GOOD_CM` or of unknown accuracy is given `settle_ms` to become better.
    """
    reader = NmeaReader()
    best = None
    started_ms = time.ticks_ms()
    limit_ms = timeout_ms
    while True:
        data = uart.read()
        for fix in reader.feed(data or b""):
            if fix.accuracy_cm is not None and fix.accuracy_cm <= GOOD_CM:
                return fix
            if best is None:
                limit_ms = min(timeout_ms, time.ticks_diff(time.ticks_ms(), started_ms) + settle_ms)
            best = fix
        if time.ticks_diff(time.ticks_ms(), started_ms) >= limit_ms:
            if best is None and reader.rejected > reader.sentences:
                print("gnss: %d of its lines were unreadable; baud rate?" % reader.rejected)
            return best
        if not data:
            time.sleep_ms(POLL_MS)
