"""Aosong AHT20: temperature and humidity over I2C (datasheet A0 of May 2021, section 5.4)."""

from tag.sensors.crc8 import crc8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

BUS = "i2c"
ADDRESS = 0x38
MEASURE_MS = 85  # 80 ms, and a little
_BUSY = 0x80
_CALIBRATED = 0x08


def convert(answer: bytes) -> "tuple[int | None, int | None]":
    """The seven bytes of an answer to (milli-degree Celsius, milli-percent), both None where the checksum is wrong, or
    no new measurement is in it."""
    if answer[0] & _BUSY or not answer[0] & _CALIBRATED or crc8(answer[:6]) != answer[6]:
        return None, None
    humidity = answer[1] << 12 | answer[2] << 4 | answer[3] >> 4
    temperature = (answer[3] & 15) << 16 | answer[4] << 8 | answer[5]
    return ((temperature * 200000 + 524288) >> 20) - 50000, (humidity * 100000 + 524288) >> 20


def start(i2c: "I2C") -> None:
    """Start a measurement, after power-on with the initialization that it needs. Raises OSError."""
    i2c.writeto(ADDRESS, b"\x71")
    if not i2c.readfrom(ADDRESS, 1)[0] & _CALIBRATED:
        i2c.writeto(ADDRESS, b"\xbe\x08\x00")
    i2c.writeto(ADDRESS, b"\xac\x33\x00")


def finish(i2c: "I2C") -> "tuple[int | None, int | None]":
    """The measurement. Raises OSError."""
    return convert(i2c.readfrom(ADDRESS, 7))
