"""A Bosch BME280 (datasheet BST-BME280-DS001-23): forced mode, temperature and humidity. Pure.

What it puts into its registers is found by inverting the datasheet's *floating-point* formulas (appendix 8.1), so the
firmware's integer ones have something to agree with.
"""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told

ADDRESS = 0x76
IDENTITY = 0x60
MEASUREMENT_S = 0.0064  # temperature and humidity once, no pressure: 1.25 + 2.3 + 2.3 + 0.575 ms (9.1)
T1, T2, T3 = 27504, 26435, -1000  # the datasheet's own example (section 3.12 of the BMP280's)
H1, H2, H3, H4, H5, H6 = 75, 367, 0, 313, 50, 30
SKIPPED = 0x80000


def temperature_of(adc: int) -> tuple[float, float]:
    """(degrees Celsius, t_fine) of a raw temperature, appendix 8.1."""
    var1 = (adc / 16384 - T1 / 1024) * T2
    var2 = (adc / 131072 - T1 / 8192) ** 2 * T3
    return (var1 + var2) / 5120, var1 + var2


def humidity_of(adc: int, t_fine: float) -> float:
    """Percent of a raw humidity, appendix 8.1."""
    h = t_fine - 76800
    h = (adc - (H4 * 64 + H5 / 16384 * h)) * (H2 / 65536 * (1 + H6 / 67108864 * h * (1 + H3 / 67108864 * h)))
    h = h * (1 - H1 * h / 524288)
    return min(max(h, 0), 100)


class Bme280:
    """Answers I2C writes and reads; present: as `Sht4x`."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.told: Told | None = None
        self._measure = measure
        self._register = 0
        self._raw = SKIPPED, 0x8000
        self._ready_s = 0.0
        self._humidity_on = False

    def write(self, data: bytes, now_s: float) -> None:
        """A register's address, or pairs of address and value. Raises Nack."""
        if not self.present or not data:
            raise Nack
        self._register = data[0]
        if len(data) < 2:
            return
        if data[0] == 0xF2:
            self._humidity_on = bool(data[1] & 7)
        elif data[0] == 0xF4 and data[1] & 3 in (1, 2):
            temperature_c, humidity_pct = self._measure(now_s)
            raw = _inverted(lambda adc: temperature_of(adc)[0], temperature_c, 20)
            t_fine = temperature_of(raw)[1]
            humidity = _inverted(lambda adc: humidity_of(adc, t_fine), humidity_pct, 16)
            self._raw = raw if data[1] >> 5 else SKIPPED, humidity if self._humidity_on else 0x8000
            self._ready_s = now_s + MEASUREMENT_S

    def read(self, length: int, now_s: float) -> bytes:
        """Registers from the one that was named on. Raises Nack."""
        if not self.present:
            raise Nack
        registers = self._registers(now_s < self._ready_s)
        answer = bytes(registers.get(self._register + i, 0) for i in range(length))
        self.told = None
        if self._register == 0xFA and length == 5 and now_s >= self._ready_s and self._raw[0] != SKIPPED:
            temperature_c, t_fine = temperature_of(self._raw[0])
            self.told = Told(round(temperature_c * 1000), round(humidity_of(self._raw[1], t_fine) * 1000))
        return answer

    def _registers(self, busy: bool) -> dict[int, int]:
        temperature, humidity = (SKIPPED, 0x8000) if busy else self._raw
        registers = {0xD0: IDENTITY, 0xF3: 8 if busy else 0, 0xA1: H1}
        calibration = b"".join((number & 0xFFFF).to_bytes(2, "little") for number in (T1, T2, T3))
        registers |= {0x88 + i: byte for i, byte in enumerate(calibration)}
        humidities = H2.to_bytes(2, "little") + bytes([H3, H4 >> 4, H4 & 15 | (H5 & 15) << 4, H5 >> 4, H6])
        registers |= {0xE1 + i: byte for i, byte in enumerate(humidities)}
        data = (temperature << 4).to_bytes(3, "big") + humidity.to_bytes(2, "big")
        return registers | {0xFA + i: byte for i, byte in enumerate(data)}


def _inverted(function: Callable[[int], float], target: float, bits: int) -> int:
    """The code at which a rising function comes to the target."""
    low, high = 0, (1 << bits) - 1
    while low < high:
        middle = (low + high) // 2
        if function(middle) < target:
            low = middle + 1
        else:
            high = middle
    return low
