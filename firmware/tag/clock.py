"""The chip's clock in Unix seconds. It runs on through deep sleep and starts anew when power was lost."""

import time

from machine import RTC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.state import State

EPOCH_2000_S = 946684800  # where an ESP32's clock starts when power comes
# MicroPython counts from 2000 on an ESP32 and from 1970 on other ports.
_EPOCH_S = EPOCH_2000_S if time.gmtime(0)[0] == 2000 else 0


def now_s() -> int:
    """Unix seconds by this clock; only as good as what it was last set to."""
    return time.time() + _EPOCH_S


def set_now(state: "State", unix_s: int, quality: int) -> None:
    """Set the clock, by a source of that TIME_* quality; the tag's own count of seconds is not disturbed."""
    state.seen_s += unix_s - now_s()
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(unix_s - _EPOCH_S)
    RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
    state.clock_s = unix_s
    state.time_quality = quality
