"""Blinks. Loaded for the first minutes after power-on, for service and for whoever looks for the tag."""

import time

from machine import Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.boards import Board

SAMPLE_BLINKS = 1
ALARM_BLINKS = 2
SERVICE_BLINKS = 3
SHOWN_S = 600  # after power-on a person may be looking
ON_MS = 20
OFF_MS = 180


def blink(board: "Board", count: int) -> None:
    """Blink so often; nothing on a board without an LED."""
    if board.led is None:
        return
    led = Pin(board.led, Pin.OUT, value=0)
    for _ in range(count):
        led.value(1)
        time.sleep_ms(ON_MS)
        led.value(0)
        time.sleep_ms(OFF_MS)
