"""An SHT4x sensor, byte by byte as its datasheet says (section 4). Pure: `now_s` comes in."""

from collections.abc import Callable

ADDRESS = 0x44
SOFT_RESET = 0x94
READ_SERIAL = 0x89
# command: the longest duration of the measurement in seconds (datasheet, table 5)
MEASUREMENTS_S = {0xFD: 0.0083, 0xF6: 0.0045, 0xE0: 0.0016}
SERIAL = 0x1A2B3C4D


class Nack(Exception):
    """The device does not acknowledge: not there, busy, or asked for what it does not know."""


def crc8(word: bytes) -> int:
    """Polynomial x^8 + x^5 + x^4 + 1, start 0xFF, most significant bit first; by long division over the whole word."""
    # Start value 0xFF acts on the first byte only.
    remainder = (int.from_bytes(word, "big") ^ 0xFF00) << 8
    for bit in range(23, 7, -1):
        if remainder >> bit & 1:
            remainder ^= 0x131 << bit - 8
    return remainder


class Sht4x:
    """Answers I2C writes and reads. `measure` gives (temperature in C, relative humidity in %) at a time.

    present: False makes it silent. damaged: XORed onto each answer's bytes, for checksum faults.
    """

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.damaged = bytes(6)
        self._measure = measure
        self._words: tuple[int, int] | None = None
        self._ready_s = 0.0

    def write(self, data: bytes, now_s: float) -> None:
        """A write transaction. Raises Nack."""
        if not self.present or len(data) != 1 or now_s < self._ready_s:
            raise Nack
        command = data[0]
        if command in MEASUREMENTS_S:
            temperature_c, humidity_pct = self._measure(now_s)
            self._words = _word((temperature_c + 45) / 175), _word((humidity_pct + 6) / 125)
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
        answer = b"".join(word.to_bytes(2, "big") + bytes([crc8(word.to_bytes(2, "big"))]) for word in words)
        answer = bytes(a ^ b for a, b in zip(answer, self.damaged, strict=True))
        return (answer + bytes(length))[:length]


def _word(share: float) -> int:
    return min(max(round(share * 65535), 0), 65535)
