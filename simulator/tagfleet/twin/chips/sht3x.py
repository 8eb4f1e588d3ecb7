"""An SHT30, SHT31 or SHT35: single shots without clock stretching (datasheet of December 2022, section 4.3). Pure."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told, damaged
from tagfleet.twin.chips.sht4x import value, with_checksums, word

ADDRESS = 0x44
# command: the longest duration in seconds (table 4)
MEASUREMENTS_S = {0x2400: 0.0155, 0x240B: 0.0065, 0x2416: 0.0045}


class Sht3x:
    """Answers I2C writes and reads; present, damaged: as `Sht4x`."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.damaged = bytes(6)
        self.told: Told | None = None
        self._measure = measure
        self._words: tuple[int, int] | None = None
        self._ready_s = 0.0

    def write(self, data: bytes, now_s: float) -> None:
        """A write transaction. Raises Nack."""
        command = int.from_bytes(data, "big")
        if not self.present or len(data) != 2 or command not in MEASUREMENTS_S or now_s < self._ready_s:
            raise Nack
        temperature_c, humidity_pct = self._measure(now_s)
        self._words = word((temperature_c + 45) / 175), word(humidity_pct / 100)
        self._ready_s = now_s + MEASUREMENTS_S[command]

    def read(self, length: int, now_s: float) -> bytes:
        """A read transaction; a measurement can be read once. Raises Nack while there is nothing to read."""
        if not self.present or self._words is None or now_s < self._ready_s:
            raise Nack
        words, self._words = self._words, None
        answer = damaged(with_checksums(words), self.damaged)
        self.told = Told(value(answer[0:3], -45_000, 175_000), value(answer[3:6], 0, 100_000))
        return (answer + bytes(length))[:length]
