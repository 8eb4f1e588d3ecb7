"""Aosong DHT22 (AM2302): temperature and humidity on one wire; not more often than every 2 s."""

import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import Pin

BUS = "pin"
MEASURE_MS = 0


def convert(answer: bytes) -> "tuple[int | None, int | None]":
    """The five bytes to (milli-degree Celsius, milli-percent), both None where the sum is wrong."""
    if (answer[0] + answer[1] + answer[2] + answer[3]) & 0xFF != answer[4]:
        return None, None
    temperature_mc = ((answer[2] & 0x7F) << 8 | answer[3]) * 100
    return -temperature_mc if answer[2] & 0x80 else temperature_mc, (answer[0] << 8 | answer[1]) * 100


def start(pin: "Pin") -> None:
    """Nothing: it measures when it is read."""


def finish(pin: "Pin") -> "tuple[int | None, int | None]":
    """The measurement. Raises OSError."""
    answer = bytearray(5)
    machine.dht_readinto(pin, answer)  # type: ignore[attr-defined]  # what MicroPython's own `dht` builds on
    return convert(bytes(answer))
