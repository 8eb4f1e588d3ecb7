"""What differs from board to board. One file per board; its name with `-` for `_` is what a tag is provisioned with."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Board(NamedTuple):
        """GPIO numbers, as the board's maker prints them.

        gnss_power: high while the receiver shall run. battery_divider: (battery volts, pin volts).
        """

        i2c_scl: int
        i2c_sda: int
        gnss_uart: int
        gnss_rx: int
        gnss_tx: int
        gnss_baud: int
        gnss_power: int
        battery_adc: int
        battery_divider: tuple[int, int]

else:
    from collections import namedtuple

    Board = namedtuple(
        "Board",
        (
            "i2c_scl",
            "i2c_sda",
            "gnss_uart",
            "gnss_rx",
            "gnss_tx",
            "gnss_baud",
            "gnss_power",
            "battery_adc",
            "battery_divider",
        ),
    )


def load_board(name: str) -> "Board":
    """The board of that name ("esp32-devkit"). Raises ImportError when there is none."""
    module = __import__("tag.boards." + name.replace("-", "_"), None, None, ("BOARD",))
    board: Board = module.BOARD
    return board
