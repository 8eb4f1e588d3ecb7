"""What wakes a tag besides its timer: the accelerometer's interrupt, and the tamper switch. I/O."""

import esp32
from machine import Pin

from tag.measure import ACCELEROMETER, open_i2c
from tag.sensors import lis2dh12

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.boards import Board
    from tag.config import Settings


def felt(board: "Board", settings: "Settings") -> "tuple[bool | None, bool, int]":
    """(whether the accelerometer felt motion since it was asked last, None where it cannot tell; a shock; faults)."""
    try:
        found = lis2dh12.felt(open_i2c(board), settings.motion_threshold_mg, settings.shock_threshold_mg)
    except OSError as error:
        print("lis2dh12: %r" % error)
        return None, False, ACCELEROMETER
    return (None, False, 0) if found is None else (found[0], found[1], 0)


def arm(board: "Board", settings: "Settings", motion: bool, shock: bool, tamper: bool) -> None:
    """Let what shall wake the tag do so: a level that is there already would end the sleep at once."""
    pins = []
    if settings.accelerometer != "none":
        shock = shock and settings.shock_threshold_mg > 0
        if settings.shock_threshold_mg:
            try:
                lis2dh12.show(open_i2c(board), motion, shock)
            except OSError:  # it was said when it was read
                motion = shock = False
        if motion or shock:
            pins.append(Pin(board.motion, Pin.IN))
    if tamper and settings.tamper:
        pins.append(Pin(board.tamper, Pin.IN, Pin.PULL_UP))
    if pins:
        wake_on = esp32.wake_on_ext1 if board.wake == "ext1" else esp32.wake_on_gpio
        wake_on(pins, esp32.WAKEUP_ANY_HIGH)
