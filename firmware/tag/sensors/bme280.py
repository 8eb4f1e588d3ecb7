"""Bosch BME280: temperature and humidity over I2C (datasheet BST-BME280-DS001-23). It offers no checksum."""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

BUS = "i2c"
ADDRESS = 0x76  # SDO to ground
MEASURE_MS = 10  # 6.4 ms at the longest, with both oversamplings 1 and no pressure (9.1)
_SKIPPED = 0x80000
_MEASURING = 0x08


def convert(calibration: bytes, humidity_1: int, humidities: bytes, data: bytes) -> "tuple[int | None, int | None]":
    """(milli-degree Celsius, milli-percent) by the integer formulas of section 4.2.3.

    calibration: registers 0x88 to 0x8D. humidity_1: 0xA1. humidities: 0xE1 to 0xE7. data: 0xFA to 0xFE.
    """
    t1, t2, t3 = struct.unpack("<Hhh", calibration)
    h2, h3, h4, middle, h5, h6 = struct.unpack("<hBbBbb", humidities)
    h4 = h4 << 4 | middle & 15
    h5 = h5 << 4 | middle >> 4
    raw = data[0] << 12 | data[1] << 4 | data[2] >> 4
    if raw == _SKIPPED:
        return None, None
    one = (((raw >> 3) - (t1 << 1)) * t2) >> 11
    two = (((((raw >> 4) - t1) * ((raw >> 4) - t1)) >> 12) * t3) >> 14
    fine = one + two
    temperature_mc = (fine * 25 + 64) >> 7  # t_fine is in 1/5120 of a degree
    h = fine - 76800
    raw = data[3] << 8 | data[4]
    h = ((((raw << 14) - (h4 << 20) - h5 * h) + 16384) >> 15) * (
        (((((h * h6) >> 10) * (((h * h3) >> 11) + 32768)) >> 10) + 2097152) * h2 + 8192 >> 14
    )
    h -= ((((h >> 15) * (h >> 15)) >> 7) * humidity_1) >> 4
    h = min(max(h, 0), 419430400)
    return temperature_mc, (h >> 12) * 1000 >> 10


def start(i2c: "I2C") -> None:
    """Start one measurement of both, without pressure. Raises OSError."""
    i2c.writeto_mem(ADDRESS, 0xF2, b"\x01")
    i2c.writeto_mem(ADDRESS, 0xF4, b"\x21")


def finish(i2c: "I2C") -> "tuple[int | None, int | None]":
    """The measurement; None while it is not done. Raises OSError."""
    if i2c.readfrom_mem(ADDRESS, 0xF3, 1)[0] & _MEASURING:
        return None, None
    return convert(
        i2c.readfrom_mem(ADDRESS, 0x88, 6),
        i2c.readfrom_mem(ADDRESS, 0xA1, 1)[0],
        i2c.readfrom_mem(ADDRESS, 0xE1, 7),
        i2c.readfrom_mem(ADDRESS, 0xFA, 5),
    )
