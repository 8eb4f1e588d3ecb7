"""An ST LIS2DH12 as far as its motion interrupt goes (datasheet DocID025056, section 8). Pure."""

from tagfleet.twin.chips.bus import Nack, Told

ADDRESS = 0x18
IDENTITY = 0x33


class Lis2dh12:
    """Registers; `move` is felt once it was set up. present: as `Sht4x`. int1: the level of its interrupt pin.
    answered: whether it had felt anything, if that was what the last read asked a chip that was set up; else None."""

    def __init__(self) -> None:
        self.present = True
        self.told: Told | None = None
        self.answered: bool | None = None
        self.power_on()

    def power_on(self) -> None:
        """Everything as after power-on."""
        self._registers = {0x0F: IDENTITY, 0x20: 0x07}
        self._address = 0
        self._is_asked = False
        self.int1 = False

    def move(self, mg: float) -> None:
        """An acceleration, gravity aside, of so many milli-g on some axis."""
        r = self._registers
        awake = r.get(0x20, 0) & 0xF0 and r.get(0x20, 0) & 7
        if awake and r.get(0x30, 0) & 0x2A and r.get(0x22, 0) & 0x40 and mg > (r.get(0x32, 0) & 0x7F) * 16:
            r[0x31] = 0x6A
            self.int1 = True

    def write(self, data: bytes, now_s: float) -> None:
        """A register's address, bit 7 for counting up, and values. Raises Nack."""
        if not self.present or not data:
            raise Nack
        self._address = data[0] & 0x7F
        for i, value in enumerate(data[1:]):
            self._registers[self._address + (i if data[0] & 0x80 else 0)] = value

    def read(self, length: int, now_s: float) -> bytes:
        """From the addressed register on. Reading INT1_SRC ends a latched interrupt. Raises Nack."""
        if not self.present:
            raise Nack
        answer = bytes(self._registers.get(self._address + i, 0) for i in range(length))
        self.answered = None
        if self._address == 0x31:
            # The first answer after it was set up says nothing about the time before.
            self.answered = bool(answer[0] & 0x40) if self._is_asked else None
            self._is_asked = True
            self._registers[0x31] = 0
            self.int1 = False
        return answer
