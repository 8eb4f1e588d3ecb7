"""`time` as on an ESP32: it counts from 2000 and is kept by the host through deep sleep. MicroPython."""

import utime
from utime import (  # noqa: F401  (what this module does not change)
    sleep,
    sleep_ms,
    sleep_us,
    ticks_add,
    ticks_cpu,
    ticks_diff,
    ticks_ms,
    ticks_us,
)

_EPOCH_S = 946684800  # 2000-01-01T00:00:00Z
_offset_us = 0  # of this clock's Unix time to the interpreter's


def set_unix_us(unix_us):
    """Set the clock; for `machine.RTC` and the start of the board."""
    global _offset_us
    _offset_us = unix_us - utime.time_ns() // 1000


def time_ns():
    return utime.time_ns() + _offset_us * 1000 - _EPOCH_S * 1000000000


def time():
    return time_ns() // 1000000000


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else seconds) + _EPOCH_S)[:8]


localtime = gmtime


def mktime(fields):
    """As if in UTC, which is all that a chip knows."""
    year, month, day, hour, minute, second = fields[:6]
    shifted = year - (month < 3)
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 730425  # days from 2000-01-01
    return days * 86400 + hour * 3600 + minute * 60 + second
