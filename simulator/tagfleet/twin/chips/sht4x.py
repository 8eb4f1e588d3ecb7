"""An SHT4x sensor, byte by byte as its datasheet says (section 4). Pure: `now_s` comes in."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told, crc8, damaged

ADDRESS = 0x44
SOFT_RESET = 0x94
READ_SERIAL = 0x89
# command: the longest duration of the measurement in seconds (datasheet, table 5)
MEASUREMENTS_S = {0xFD: 0.0083, 0xF6: 0.0045, 0xE0: 0.0016}
SERIAL = 0x1A2B3C4D


class Sht4x:
    """Answers I2C writes and reads. `measure` gives (temperature in C, relative humidity in %) at a time.

    present: False makes it silent. damaged: XORed onto each answer's bytes, for checksum faults.
    """

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.damaged = bytes(6)
        self.told: Told | None = None
        self._measure = measure
        self._words: tuple[int, int] | None = None
        self._is_measurement = False
        self._ready_s = 0.0

    def write(self, data: bytes, now_s: float) -> None:
        """A write transaction. Raises Nack."""
        if not self.present or len(data) != 1 or now_s < self._ready_s:
            raise Nack
        command = data[0]
        self._is_measurement = command in MEASUREMENTS_S
        if command in MEASUREMENTS_S:
            temperature_c, humidity_pct = self._measure(now_s)
            self._words = word((temperature_c + 45) / 175), word((humidity_pct + 6) / 125)
            self._ready_s = now_s + MEASUREMENTS_S[command]
        elif command == READ_SERIAL:
            self._words = SERIAL >> 16, SERIAL & 0xFFFF
        elif command == SOFT_RESET:
            self._words = None
        else:
            raise Nack

    def read(self, length: int, now_s: float) -> bytes:
        """A read transaction; a measurement can be read once. Raises Nack while there is nothing to read."""
        if not self.present or self._words is None or now_s < self._ready_s:
            raise Nack
        words, self._words = self._words, None
        answer = damaged(with_checksums(words), self.damaged)
        self.told = None
        if self._is_measurement:
            humidity_mpct = value(answer[3:6], -6_000, 125_000)
            self.told = Told(
                value(answer[0:3], -45_000, 175_000),
                None if humidity_mpct is None else min(max(humidity_mpct, 0), 100_000),
            )
        return (answer + bytes(length))[:length]


def word(share: float) -> int:
    """A share of the full scale as 16 bits."""
    return min(max(round(share * 65535), 0), 65535)


def with_checksums(words: tuple[int, ...]) -> bytes:
    """Each word and its checksum."""
    return b"".join(one.to_bytes(2, "big") + bytes([crc8(one.to_bytes(2, "big"))]) for one in words)


def value(answer: bytes, offset: int, span: int) -> int | None:
    """What a word and its checksum say, of a linear scale from `offset` on; None where the checksum is wrong."""
    if crc8(answer[:2]) != answer[2]:
        return None
    return round(offset + span * int.from_bytes(answer[:2], "big") / 65_535)
