"""Maxim DS18B20, alone on its wire: temperature of a probe (datasheet 19-7487)."""

from onewire import OneWire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import Pin

BUS = "pin"
MEASURE_MS = 760  # 12 bits take 750 ms
_SKIP_ROM = 0xCC
_POWER_ON = 0x0550  # 85 C: no conversion has been made, because it lost power on the way


def crc8(data: bytes) -> int:
    """Maxim's checksum: polynomial 0x31 reflected, start 0 (application note 27)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


def convert(scratchpad: bytes) -> "tuple[int | None, int | None]":
    """The nine bytes to (milli-degree Celsius, None): None too where the checksum is wrong or nothing was converted."""
    if crc8(scratchpad[:8]) != scratchpad[8]:
        return None, None
    sixteenths = scratchpad[0] | scratchpad[1] << 8
    if sixteenths == _POWER_ON:
        return None, None
    if sixteenths & 0x8000:
        sixteenths -= 0x10000
    return (sixteenths * 125 + 1) >> 1, None


def start(pin: "Pin") -> None:
    """Start a conversion. Raises OSError."""
    _command(pin, 0x44)


def finish(pin: "Pin") -> "tuple[int | None, int | None]":
    """The conversion's result. Raises OSError."""
    wire = _command(pin, 0xBE)
    scratchpad = bytearray(9)
    wire.readinto(scratchpad)
    return convert(bytes(scratchpad))


def _command(pin: "Pin", command: int) -> OneWire:
    wire = OneWire(pin)
    if not wire.reset():
        raise OSError(19)
    wire.write(bytes([_SKIP_ROM, command]))
    return wire
