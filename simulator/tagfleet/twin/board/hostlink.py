"""The board's end of the socket pair to its host. MicroPython."""

import struct
import sys

from ops import SLEPT

_socket = open(int(sys.argv[1]), "r+b")

on_radio_event = None  # called after an answer that says that radio events wait; `bluetooth` sets it
wait_ms = None  # how to sleep while there is a GATT server; `bluetooth` sets it

# Virtual time: what the program has slept since it last asked the host for anything, and in all; None: real time.
slept_us = None
ticks_us = 0


def sleep_us(us):
    """Virtual time passes."""
    global slept_us, ticks_us
    slept_us += us
    ticks_us += us


def call(op, payload=b""):
    """The host's answer. Raises OSError with the host's error number; never returns when the host is gone."""
    global slept_us
    if slept_us:
        _socket.write(struct.pack("<BHI", SLEPT, 4, slept_us))
        slept_us = 0
    _socket.write(struct.pack("<BH", op, len(payload)))
    _socket.write(payload)
    error, length, radio = struct.unpack("<iHB", _read(7))
    answer = _read(length)
    if radio and on_radio_event is not None:
        on_radio_event()
    if error:
        raise OSError(error)
    return answer


def _read(length):
    data = _socket.read(length) if length else b""
    if len(data) < length:
        sys.exit(1)  # the host died, and a board without its host has no power
    return data
