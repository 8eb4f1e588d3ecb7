"""`machine` as on an ESP32, as far as a tag uses it. MicroPython."""

import struct
import time

import hostlink
from hostlink import call, tell
from ops import (
    ADC_READ,
    DEEPSLEEP,
    DHT_READ,
    FREQUENCY,
    I2C_READ,
    I2C_WRITE,
    PIN_READ,
    PIN_WRITE,
    RESET,
    RTC_LOAD,
    RTC_SET,
    RTC_STORE,
    SPI_READ,
    SPI_WRITE,
    UART_READ,
    UART_WRITE,
    WATCHDOG,
)

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_reset_cause = PWRON_RESET
_wake_reason = 0
_unique_id = b""
_frequency_hz = 160_000_000


def reset_cause():
    return _reset_cause


def wake_reason():
    return _wake_reason


def unique_id():
    return _unique_id


def freq(hz=None):
    global _frequency_hz
    if hz is None:
        return _frequency_hz
    if hz not in (20_000_000, 40_000_000, 80_000_000, 160_000_000, 240_000_000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    tell(FREQUENCY, struct.pack("<I", hz))
    _frequency_hz = hz


def deepsleep(time_ms=None):
    call(DEEPSLEEP, struct.pack("<q", -1 if time_ms is None else time_ms))


def reset():
    call(RESET, bytes([HARD_RESET]))


def soft_reset():
    call(RESET, bytes([SOFT_RESET]))


class Pin:
    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self.id = id
        self._input = mode == Pin.IN
        self._level = 0
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return call(PIN_READ, bytes([self.id]))[0] if self._input else self._level
        self._level = 1 if level else 0
        tell(PIN_WRITE, bytes([self.id, self._level]))


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._pin = pin.id if isinstance(pin, Pin) else pin
        self._converted_us = None  # when it was asked last, in virtual time
        self._uv = 0

    def read_uv(self):
        """In virtual time a voltage stands still as everything does: the host is asked once for each moment."""
        now_us = None if hostlink.slept_us is None else hostlink.ticks_us
        if now_us is None or now_us != self._converted_us:
            self._uv = struct.unpack("<I", call(ADC_READ, bytes([self._pin])))[0]
            self._converted_us = now_us
        return self._uv


class I2C:
    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        pass

    def writeto(self, address, data, stop=True):
        call(I2C_WRITE, bytes([address]) + data)
        return len(data)

    def readfrom(self, address, length, stop=True):
        return call(I2C_READ, struct.pack("<BH", address, length))

    def readfrom_mem(self, address, register, length):
        self.writeto(address, bytes([register]), False)
        return self.readfrom(address, length)

    def writeto_mem(self, address, register, data):
        self.writeto(address, bytes([register]) + data)


class SPI:
    def __init__(self, id, baudrate=1000000, *, polarity=0, phase=0, sck=None, mosi=None, miso=None):
        pass

    def write(self, data):
        call(SPI_WRITE, data)

    def read(self, length, write=0):
        return call(SPI_READ, struct.pack("<H", length))


def dht_readinto(pin, buffer):
    buffer[:] = call(DHT_READ)


class WDT:
    def __init__(self, *, id=0, timeout=5000):
        self._timeout = timeout
        self.feed()

    def feed(self):
        tell(WATCHDOG, struct.pack("<I", self._timeout))


class Timer:
    """There, and never due: no twin is left at its prompt."""

    def __init__(self, id):
        pass

    def init(self, *, mode=1, period=-1, callback=None):
        pass


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
        tell(RTC_STORE, data)

    def datetime(self, fields=None):
        if fields is None:
            year, month, day, hour, minute, second, weekday = time.gmtime()[:7]
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second, microsecond = fields
        seconds = time.mktime((year, month, day, hour, minute, second)) + 946684800
        call(RTC_SET, struct.pack("<q", seconds * 1000000 + microsecond))
