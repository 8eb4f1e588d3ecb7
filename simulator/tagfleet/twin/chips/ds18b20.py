"""A Maxim DS18B20 alone on its wire (datasheet 19-7487): skip ROM, convert, read the scratchpad. Pure."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told, damaged

SKIP_ROM, CONVERT, READ_SCRATCHPAD = 0xCC, 0x44, 0xBE
CONVERSION_S = 0.75  # 12 bits
POWER_ON = 0x0550  # 85 C: what it holds before the first conversion


def crc8(data: bytes) -> int:
    """Polynomial x^8 + x^5 + x^4 + 1, start 0, least significant bit first (application note 27)."""
    crc = 0
    for byte in data:
        for bit in range(8):
            mixed = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x8C if mixed else 0)
    return crc


class Ds18b20:
    """present, damaged: as `Sht4x`. loses_power: it forgets each conversion, as with a bad contact."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.loses_power = False
        self.damaged = bytes(9)
        self.told: Told | None = None
        self._measure = measure
        self._raw = POWER_ON
        self._converting: tuple[int, float] | None = None
        self._commands = b""

    def reset(self, now_s: float) -> bool:
        """A reset pulse: whether a presence pulse followed."""
        self._commands = b""
        if self._converting and now_s >= self._converting[1]:
            self._raw = POWER_ON if self.loses_power else self._converting[0]
            self._converting = None
        return self.present

    def write(self, data: bytes, now_s: float) -> None:
        """Bytes from the master."""
        self._commands += data
        if self._commands == bytes([SKIP_ROM, CONVERT]):
            sixteenths = round(self._measure(now_s)[0] * 16)
            self._converting = sixteenths & 0xFFFF, now_s + CONVERSION_S

    def read(self, length: int, now_s: float) -> bytes:
        """The scratchpad; ones where nobody answers."""
        self.told = None
        if not self.present or self._commands != bytes([SKIP_ROM, READ_SCRATCHPAD]):
            return b"\xff" * length
        content = self._raw.to_bytes(2, "little") + b"\x4b\x46\x7f\xff\x0c\x10"
        answer = damaged(content + bytes([crc8(content)]), self.damaged)
        temperature_mc = None
        if crc8(answer[:8]) == answer[8] and self._raw != POWER_ON:
            sixteenths = int.from_bytes(answer[:2], "little", signed=True)
            temperature_mc = round(sixteenths * 62.5)
        self.told = Told(temperature_mc, None)
        return answer[:length]


__all__ = ["CONVERSION_S", "Ds18b20", "Nack", "crc8"]
