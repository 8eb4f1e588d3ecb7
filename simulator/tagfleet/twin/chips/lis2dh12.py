"""An ST LIS2DH12 as far as its two interrupts go (datasheet DocID025056, section 8). Pure."""

from tagfleet.twin.chips.bus import Nack, Told

ADDRESS = 0x18
IDENTITY = 0x33
LSB_MG = (16, 32, 62, 186)  # of a threshold, by the full scale
# First register of an interrupt (configuration, source, threshold, duration), how it is latched and shown, its filter.
INTERRUPTS = ((0x30, 0x08, 0x40, 0x01), (0x34, 0x02, 0x20, 0x02))
RATES_HZ = (0, 1, 10, 25, 50, 100, 200, 400, 1620, 5376)
HIT_S = 0.003  # a hard floor


class Lis2dh12:
    """Registers; `move` and `hit` are felt once it was set up. present: as `Sht4x`. int1: the level of its interrupt
    pin. answered: whether it had felt motion, if that was what the last read asked a chip that was set up; else None.
    """

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

    def _register(self, address: int) -> int:
        return self._registers.get(address, 0)

    @property
    def int1(self) -> bool:
        return any(
            self._register(0x22) & shown and self._register(first + 1) & 0x40 for first, _, shown, _ in INTERRUPTS
        )

    def move(self, mg: float) -> None:
        """An acceleration, gravity aside, of so many milli-g on some axis, for as long as a sample takes."""
        rate, axes = self._register(0x20) >> 4, self._register(0x20) & 7
        if not rate or not axes:
            return
        lsb_mg = LSB_MG[self._register(0x23) >> 4 & 3]
        for first, latched, _, filtered in INTERRUPTS:
            is_set_up = self._register(first) & 0x2A and self._register(0x24) & latched
            if is_set_up and self._register(0x21) & filtered and mg > (self._register(first + 2) & 0x7F) * lsb_mg:
                self._registers[first + 1] = 0x6A

    def hit(self, mg: float) -> None:
        """The same for some milliseconds: what comes and goes between two samples is not felt."""
        rate_hz = RATES_HZ[self._register(0x20) >> 4]
        if rate_hz * HIT_S >= 1:
            self.move(mg)

    def write(self, data: bytes, now_s: float) -> None:
        """A register's address, bit 7 for counting up, and values. Raises Nack."""
        if not self.present or not data:
            raise Nack
        self._address = data[0] & 0x7F
        for i, value in enumerate(data[1:]):
            self._registers[self._address + (i if data[0] & 0x80 else 0)] = value

    def read(self, length: int, now_s: float) -> bytes:
        """From the addressed register on. Reading INT1_SRC or INT2_SRC ends that latched interrupt. Raises Nack."""
        if not self.present:
            raise Nack
        answer = bytes(self._register(self._address + i) for i in range(length))
        self.answered = None
        if self._address == 0x31:
            # The first answer after it was set up says nothing about the time before.
            self.answered = bool(answer[0] & 0x40) if self._is_asked else None
            self._is_asked = True
        if self._address in (0x31, 0x35):
            self._registers[self._address] = 0
        return answer
