"""A Maxim MAX31865 with a PT100 and a reference of 430 ohms (datasheet 19-6478). Pure."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Told

REFERENCE_OHM = 430.0
BIAS, ONE_SHOT, FAULT_CLEAR = 0x80, 0x20, 0x02
CONVERSION_S = 0.0625 + 0.0035  # one shot with the 50 Hz filter, the longest
BIAS_S = 0.01
A, B, C = 3.9083e-3, -5.775e-7, -4.183e-12  # IEC 60751


def resistance_ohm(temperature_c: float) -> float:
    """A PT100's resistance by Callendar and Van Dusen."""
    cold = C * (temperature_c - 100) * temperature_c**3 if temperature_c < 0 else 0.0
    return 100 * (1 + A * temperature_c + B * temperature_c**2 + cold)


def temperature_c(ohm: float) -> float:
    """The inverse, by bisection."""
    low, high = -250.0, 300.0
    for _ in range(60):
        middle = (low + high) / 2
        if resistance_ohm(middle) < ohm:
            low = middle
        else:
            high = middle
    return low


class Max31865:
    """Registers behind SPI. present: False leaves MISO low. broken_wire: the element is open."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.broken_wire = False
        self.told: Told | None = None
        self._measure = measure
        self._config = 0
        self._raw = 0
        self._fault = 0
        self._pending: tuple[int, float] | None = None
        self._biased_s: float | None = None
        self._address: int | None = None

    def select(self, low: bool) -> None:
        """CS goes low or high."""
        self._address = None

    def write(self, data: bytes, now_s: float) -> None:
        """Bytes on MOSI."""
        for byte in data:
            if self._address is None:
                self._address = byte
            elif self._address == 0x80:
                self._configure(byte, now_s)

    def read(self, length: int, now_s: float) -> bytes:
        """Registers from the addressed one on."""
        self.told = None
        if not self.present or self._address is None or self._address & 0x80:
            return bytes(length)
        if self._pending and now_s >= self._pending[1]:
            self._raw, self._pending = self._pending[0], None
        fault = self._fault or (0x80 if self._raw == 0x7FFF else 0)
        word = self._raw << 1 | (1 if fault else 0)
        registers = bytes([self._config, word >> 8, word & 0xFF, 0xFF, 0xFF, 0, 0, fault])
        if self._address == 1 and length == 2:
            good = not fault and self._raw
            mc = round(temperature_c(self._raw * REFERENCE_OHM / 32768) * 1000) if good else None
            self.told = Told(mc, None)
        return registers[self._address : self._address + length].ljust(length, b"\0")

    def _configure(self, value: int, now_s: float) -> None:
        if value & FAULT_CLEAR:
            self._fault = 0
        if value & BIAS and self._biased_s is None:
            self._biased_s = now_s
        elif not value & BIAS:
            self._biased_s = None
        if value & ONE_SHOT and self._biased_s is not None and now_s - self._biased_s >= BIAS_S - 1e-6:
            ohm = 1e9 if self.broken_wire else resistance_ohm(self._measure(now_s)[0])
            raw = min(round(ohm / REFERENCE_OHM * 32768), 0x7FFF)
            self._pending = raw, now_s + CONVERSION_S
        self._config = value & ~(FAULT_CLEAR | ONE_SHOT)
