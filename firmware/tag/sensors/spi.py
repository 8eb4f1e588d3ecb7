"""An SPI bus with its chip select."""

from machine import SPI, Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.boards import Pins


class SpiDevice:
    """Registers of a chip whose address has bit 7 set for writing."""

    def __init__(self, spi: SPI, select: Pin) -> None:
        self._spi = spi
        self._select = select

    def read(self, register: int, count: int) -> bytes:
        """`count` bytes from a register on."""
        self._select.value(0)
        self._spi.write(bytes([register & 0x7F]))
        data = self._spi.read(count)
        self._select.value(1)
        return data

    def write(self, register: int, value: int) -> None:
        """One byte into a register."""
        self._select.value(0)
        self._spi.write(bytes([register | 0x80, value]))
        self._select.value(1)


def open_spi(pins: "Pins") -> SpiDevice:
    """(bus, SCK, MOSI, MISO, CS) to a device in mode 1, as a MAX31865 wants it."""
    bus, sck, mosi, miso, select = pins
    spi = SPI(bus, baudrate=500000, polarity=0, phase=1, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso))
    return SpiDevice(spi, Pin(select, Pin.OUT, value=1))
