"""Sensirion SHT30, SHT31 and SHT35: temperature and humidity over I2C (datasheet of December 2022, section 4)."""

from tag.sensors.crc8 import crc8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

BUS = "i2c"
ADDRESS = 0x44  # ADDR to ground
SINGLE_SHOT_HIGH = b"\x24\x00"  # no clock stretching
MEASURE_MS = 16  # the datasheet's maximum is 15.5 ms


def convert(answer: bytes) -> "tuple[int | None, int | None]":
    """The six bytes of a measurement to (milli-degree Celsius, milli-percent); None where a checksum is wrong."""
    temperature_mc = humidity_mpct = None
    if crc8(answer[0:2]) == answer[2]:
        temperature_mc = (175000 * (answer[0] << 8 | answer[1]) + 32767) // 65535 - 45000
    if crc8(answer[3:5]) == answer[5]:
        humidity_mpct = (100000 * (answer[3] << 8 | answer[4]) + 32767) // 65535
    return temperature_mc, humidity_mpct


def start(i2c: "I2C") -> None:
    """Start a measurement. Raises OSError."""
    i2c.writeto(ADDRESS, SINGLE_SHOT_HIGH)


def finish(i2c: "I2C") -> "tuple[int | None, int | None]":
    """The measurement. Raises OSError."""
    return convert(i2c.readfrom(ADDRESS, 6))
