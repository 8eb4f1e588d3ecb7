"""Maxim MAX31865 with a PT100 of two or four wires and 430 ohms as reference: deep cold (datasheet 19-6478)."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.sensors.spi import SpiDevice

BUS = "spi"
MEASURE_MS = 68  # one shot with the 50 Hz filter: 66 ms
REFERENCE_MOHM = 430000
_BIAS = 0x80
_ONE_SHOT = 0x20
_CLEAR_FAULT = 0x02
_FILTER_50_HZ = 0x01
_BIAS_MS = 11

# IEC 60751: milliohms of a PT100 each 10 degrees from -200 C on. Straight lines between are right to 0.004 degrees.
_FIRST_MC = -200000
_STEP_MC = 10000
_MOHM = (
    18520, 22826, 27096, 31335, 35543, 39723, 43876, 48005, 52110, 56193, 60256, 64300, 68325, 72335, 76328, 80306,
    84271, 88222, 92160, 96086, 100000, 103903, 107794, 111673, 115541, 119397, 123242, 127075, 130897, 134707, 138506,
    142293, 146068, 149832,
)  # fmt: skip


def temperature_mc(mohm: int) -> "int | None":
    """Milli-degree Celsius of a PT100's resistance; None beyond -200 to 130 C: a wire is open, or both touch."""
    for index in range(1, len(_MOHM)):
        if mohm <= _MOHM[index]:
            below = _MOHM[index - 1]
            if mohm < below:
                return None
            span = _MOHM[index] - below
            return _FIRST_MC + (index - 1) * _STEP_MC + ((mohm - below) * _STEP_MC + span // 2) // span
    return None


def convert(data: bytes) -> "tuple[int | None, int | None]":
    """The two bytes of the ratio to (milli-degree Celsius, None); None too where the chip reports a fault."""
    if data[1] & 1:
        return None, None
    ratio = (data[0] << 8 | data[1]) >> 1
    return temperature_mc((ratio * REFERENCE_MOHM + 16384) >> 15), None


def start(spi: "SpiDevice") -> None:
    """Put current through the element, let it settle, start one conversion."""
    spi.write(0, _BIAS | _CLEAR_FAULT | _FILTER_50_HZ)
    time.sleep_ms(_BIAS_MS)
    spi.write(0, _BIAS | _ONE_SHOT | _FILTER_50_HZ)


def finish(spi: "SpiDevice") -> "tuple[int | None, int | None]":
    """The conversion's result; the current is switched off. Raises OSError when no chip answers."""
    if not spi.read(0, 1)[0] & _BIAS:
        raise OSError(19)
    data = spi.read(1, 2)
    spi.write(0, _FILTER_50_HZ)
    return convert(data)
