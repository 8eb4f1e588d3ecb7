"""The chip's clock in Unix seconds. It runs on through deep sleep and starts anew when power was lost."""

import time

from machine import RTC

# MicroPython counts from 2000 on an ESP32 and from 1970 on other ports.
_EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0


def now_s() -> int:
    """Unix seconds by this clock; only as good as what it was last set to."""
    return time.time() + _EPOCH_S


def set_now(unix_s: int) -> None:
    """Set the clock."""
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(unix_s - _EPOCH_S)
    RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
