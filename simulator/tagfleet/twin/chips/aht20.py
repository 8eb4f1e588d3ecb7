"""An Aosong AHT20 (datasheet A0 of May 2021, section 5.4). Pure."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told, crc8, damaged

ADDRESS = 0x38
INITIALIZE = b"\xbe\x08\x00"
MEASURE = b"\xac\x33\x00"
STATUS = b"\x71"
MEASUREMENT_S = 0.08
BUSY, CALIBRATED = 0x80, 0x08


class Aht20:
    """Answers I2C writes and reads; present, damaged: as `Sht4x`. calibrated: False until it was initialized."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.damaged = bytes(7)
        self.calibrated = False
        self.told: Told | None = None
        self._measure = measure
        self._codes: tuple[int, int] | None = None
        self._ready_s = 0.0
        self._asks_status = False

    def write(self, data: bytes, now_s: float) -> None:
        """A write transaction. Raises Nack."""
        if not self.present:
            raise Nack
        self._asks_status = data == STATUS
        if data == INITIALIZE:
            self.calibrated = True
        elif data == MEASURE:
            temperature_c, humidity_pct = self._measure(now_s)
            self._codes = _code(humidity_pct / 100), _code((temperature_c + 50) / 200)
            self._ready_s = now_s + MEASUREMENT_S
        elif data != STATUS:
            raise Nack

    def read(self, length: int, now_s: float) -> bytes:
        """The status, and behind it the last measurement with its checksum. Raises Nack when it is not there."""
        if not self.present:
            raise Nack
        busy = now_s < self._ready_s
        status = (BUSY if busy else 0) | (CALIBRATED if self.calibrated else 0)
        self.told = None
        if self._asks_status or self._codes is None or busy or not self.calibrated:
            return bytes([status]).ljust(length, b"\0")[:length]
        humidity, temperature = self._codes
        content = bytes([status]) + (humidity << 20 | temperature).to_bytes(5, "big")
        answer = damaged(content + bytes([crc8(content)]), self.damaged)
        if crc8(answer[:6]) == answer[6]:
            codes = int.from_bytes(answer[1:6], "big")
            temperature_mc = round((codes & 0xFFFFF) * 200_000 / 0x100000 - 50_000)
            self.told = Told(temperature_mc, round((codes >> 20) * 100_000 / 0x100000))
        else:
            self.told = Told(None, None)
        return answer.ljust(length, b"\0")[:length]


def _code(share: float) -> int:
    return min(max(round(share * 0x100000), 0), 0xFFFFF)
