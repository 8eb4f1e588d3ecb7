"""What differs from board to board. One file per board; its name with `-` for `_` is what a tag is provisioned with."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    Pins = tuple[int, int, int, int, int]


class Board:
    """GPIO numbers, as the board's maker prints them.

    number: BOARD_* code of the service beacon. gnss_power: high while the receiver shall run. battery_divider:
    (battery volts, pin volts). one_wire: data of a DS18B20 or a DHT22. spi: (bus, SCK, MOSI, MISO, CS) of a MAX31865.
    wake: how the chip is woken by a pin, "ext1" or "gpio". motion: INT1 of the accelerometer. tamper: a switch to
    ground that is closed while the box is. led: high lights it; None: the board has none of that kind.
    """

    def __init__(
        self,
        number: int,
        i2c_scl: int,
        i2c_sda: int,
        gnss_uart: int,
        gnss_rx: int,
        gnss_tx: int,
        gnss_power: int,
        battery_adc: int,
        battery_divider: "tuple[int, int]",
        one_wire: int,
        spi: "Pins",
        wake: str,
        motion: int,
        tamper: int,
        led: "int | None",
    ) -> None:
        self.number = number
        self.i2c_scl = i2c_scl
        self.i2c_sda = i2c_sda
        self.gnss_uart = gnss_uart
        self.gnss_rx = gnss_rx
        self.gnss_tx = gnss_tx
        self.gnss_power = gnss_power
        self.battery_adc = battery_adc
        self.battery_divider = battery_divider
        self.one_wire = one_wire
        self.spi = spi
        self.wake = wake
        self.motion = motion
        self.tamper = tamper
        self.led = led


def load_board(name: str) -> Board:
    """The board of that name ("esp32-devkit"). Raises ImportError when there is none."""
    module = __import__("tag.boards." + name.replace("-", "_"), None, None, ("BOARD",))
    board: Board = module.BOARD
    return board
