"""`time` as on an ESP32: it counts from 2000, and the clock is the host's, so it runs on in deep sleep. MicroPython."""

import struct

import hostlink
import utime
from hostlink import call
from ops import RTC_READ
from utime import ticks_add, ticks_cpu, ticks_diff  # noqa: F401  (what this module does not change)

_EPOCH_S = 946684800  # 2000-01-01T00:00:00Z


def sleep_ms(ms):
    """While there is a GATT server, its events are delivered meanwhile."""
    if hostlink.wait_ms is not None:
        hostlink.wait_ms(ms)
    elif hostlink.slept_us is not None:
        hostlink.sleep_us(ms * 1000)
    else:
        utime.sleep_ms(ms + (ms > 0))  # the unix port's is up to a millisecond short, which no chip's is


def sleep_us(us):
    if hostlink.slept_us is not None:
        hostlink.sleep_us(us)
    else:
        utime.sleep_us(us)


def ticks_us():
    return utime.ticks_us() if hostlink.slept_us is None else hostlink.ticks_us


def ticks_ms():
    return utime.ticks_ms() if hostlink.slept_us is None else hostlink.ticks_us // 1000


def sleep(seconds):
    sleep_ms(int(seconds * 1000))


def time_ns():
    return struct.unpack("<q", call(RTC_READ))[0] * 1000 - _EPOCH_S * 1000000000


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
