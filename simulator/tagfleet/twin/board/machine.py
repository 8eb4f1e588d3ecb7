"""`machine` as on an ESP32, as far as a tag uses it. MicroPython."""

import struct
import time

from hostlink import call
from ops import (
    ADC_READ,
    DEEPSLEEP,
    I2C_READ,
    I2C_WRITE,
    PIN_WRITE,
    RESET,
    RTC_LOAD,
    RTC_SET,
    RTC_STORE,
    UART_READ,
    UART_WRITE,
)

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_reset_cause = PWRON_RESET
_unique_id = b""


def reset_cause():
    return _reset_cause


def unique_id():
    return _unique_id


def deepsleep(time_ms=None):
    call(DEEPSLEEP, struct.pack("<q", -1 if time_ms is None else time_ms))


def reset():
    call(RESET)


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self.id = id
        self._level = 0
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return self._level
        self._level = 1 if level else 0
        call(PIN_WRITE, bytes([self.id, self._level]))


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._pin = pin.id if isinstance(pin, Pin) else pin

    def read_uv(self):
        return struct.unpack("<I", call(ADC_READ, bytes([self._pin])))[0]


class I2C:
    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        pass

    def writeto(self, address, data, stop=True):
        call(I2C_WRITE, bytes([address]) + data)
        return len(data)

    def readfrom(self, address, length, stop=True):
        return call(I2C_READ, struct.pack("<BH", address, length))


class UART:
    def __init__(self, id, baudrate=115200, *, rx=None, tx=None, rxbuf=256, timeout=0):
        self._id = id
        self._rxbuf = rxbuf

    def read(self, length=None):
        data = call(UART_READ, struct.pack("<BH", self._id, self._rxbuf if length is None else length))
        return data or None

    def deinit(self):
        pass

    def write(self, data):
        call(UART_WRITE, bytes([self._id]) + data)
        return len(data)


class RTC:
    def memory(self, data=None):
        if data is None:
            return call(RTC_LOAD)
        if len(data) > 2048:
            raise ValueError("buffer too long")
        call(RTC_STORE, data)

    def datetime(self, fields=None):
        if fields is None:
            year, month, day, hour, minute, second, weekday = time.gmtime()[:7]
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second, microsecond = fields
        seconds = time.mktime((year, month, day, hour, minute, second)) + 946684800
        call(RTC_SET, struct.pack("<q", seconds * 1000000 + microsecond))
