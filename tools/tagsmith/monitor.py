"""A board's console, line by line, through unplugging and plugging in again. It only listens: the tag goes on."""

import contextlib
import threading
import time
from collections.abc import Callable

import serial

from tagsmith.errors import PortError
from tagsmith.ports import claimed
from tagsmith.rawrepl import BAUD

LINE_BYTES_MAX = 1000
POLL_S = 0.2


def clean_line(data: bytes) -> str:
    """A line as text that cannot play with a terminal: control characters and bytes that are no text as `·`."""
    text = data.decode("utf-8", errors="replace").rstrip("\r\n")
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def follow(
    device: str,
    stop: threading.Event,
    on_line: Callable[[str], None],
    on_state: Callable[[str], None],
    baud: int = BAUD,
) -> None:
    """Calls on_line with each line until `stop` is set, on_state with "open" and "unplugged" as it changes.

    Raises PortError when the port is not there at the start, or cannot be used.
    """
    was_open = False
    while not stop.is_set():
        try:
            with claimed(device):
                port = serial.Serial(baudrate=baud, timeout=POLL_S, exclusive=True)
                port.port = device
                port.rts = port.dtr = False  # both are wired to the chip's reset
                port.open()
                on_state("open")
                was_open = True
                try:
                    _read_lines(port, stop, on_line)
                finally:
                    with contextlib.suppress(OSError):
                        port.close()
        except PortError:
            if not was_open:
                raise
            stop.wait(POLL_S)
        except OSError:
            on_state("unplugged")
            stop.wait(POLL_S)


def _read_lines(port: serial.Serial, stop: threading.Event, on_line: Callable[[str], None]) -> None:
    line = bytearray()
    last_s = time.monotonic()
    while not stop.is_set():
        data = port.read(max(port.in_waiting, 1))
        now_s = time.monotonic()
        for byte in data:
            if byte == 0x0A or len(line) >= LINE_BYTES_MAX:
                on_line(clean_line(bytes(line)))
                line.clear()
            if byte != 0x0A:
                line.append(byte)
        if data:
            last_s = now_s
        elif line and now_s - last_s > 1.0:  # a prompt has no end of line
            on_line(clean_line(bytes(line)))
            line.clear()
