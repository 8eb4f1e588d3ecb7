"""Sensirion SHT40, SHT41 and SHT45: temperature and humidity over I2C (datasheet of October 2024, section 4)."""

from tag.sensors.crc8 import crc8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

BUS = "i2c"
ADDRESS = 0x44
MEASURE_HIGH_PRECISION = b"\xfd"
MEASURE_MS = 10  # the datasheet's maximum is 8.3 ms


def convert(answer: bytes) -> "tuple[int | None, int | None]":
    """The six bytes of a measurement to (milli-degree Celsius, milli-percent); None for a word whose checksum is wrong.

    Humidity beyond 0 to 100 %, which the linear formula gives at its ends, is clamped as the datasheet asks.
    """
    temperature_mc = humidity_mpct = None
    if crc8(answer[0:2]) == answer[2]:
        temperature_mc = (175000 * (answer[0] << 8 | answer[1]) + 32767) // 65535 - 45000
    if crc8(answer[3:5]) == answer[5]:
        humidity_mpct = (125000 * (answer[3] << 8 | answer[4]) + 32767) // 65535 - 6000
        humidity_mpct = min(max(humidity_mpct, 0), 100000)
    return temperature_mc, humidity_mpct


def start(i2c: "I2C") -> None:
    """Start a measurement; its answer is ready `MEASURE_MS` later. Raises OSError when the sensor does not answer."""
    i2c.writeto(ADDRESS, MEASURE_HIGH_PRECISION)


def finish(i2c: "I2C") -> "tuple[int | None, int | None]":
    """The measurement that `start` began, as `convert` gives it. Raises OSError when the sensor does not answer."""
    return convert(i2c.readfrom(ADDRESS, 6))
