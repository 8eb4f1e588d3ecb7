"""Waits for the receiver's fix on a UART."""

import time

from tag.sensors.nmea import NmeaReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from machine import UART

    from tag.sensors.nmea import Fix

POLL_MS = 100  # the UART's buffer holds what comes meanwhile at any speed, and the processor waits in idle
GOOD_CM = 1500  # no point in waiting for a better fix than this


def locate(
    uart: "UART", timeout_ms: int, settle_ms: int, dark_ms: int, feed: "Callable[[], None]"
) -> "tuple[Fix | None, bool]":
    """(The receiver's fix, None when there was none within `timeout_ms`; whether it said anything readable).

    A fix that is worse than `GOOD_CM` or of unknown accuracy is given `settle_ms` to become better. Where the receiver
    tells of its satellites, and has had a signal from none within `dark_ms` (0: not looked at), there is no sky to wait
    for. `feed` is called all the time.
    """
    reader = NmeaReader()
    best = None
    started_ms = time.ticks_ms()
    limit_ms = timeout_ms
    while True:
        feed()
        for fix in reader.feed(uart.read() or b""):
            if fix.accuracy_cm is not None and fix.accuracy_cm <= GOOD_CM:
                return fix, True
            if best is None:
                limit_ms = min(timeout_ms, time.ticks_diff(time.ticks_ms(), started_ms) + settle_ms)
            best = fix
        passed_ms = time.ticks_diff(time.ticks_ms(), started_ms)
        if passed_ms >= limit_ms or (reader.is_dark and 0 < dark_ms <= passed_ms):
            if best is None and reader.rejected > reader.sentences:
                print("gnss: %d of its lines were unreadable; baud rate?" % reader.rejected)
            return best, reader.sentences > 0
        time.sleep_ms(POLL_MS)
