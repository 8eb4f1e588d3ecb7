"""The board's end of the socket pair to its host. MicroPython."""

import struct
import sys

from ops import SLEPT

_socket = open(int(sys.argv[1]), "r+b")

# Ctrl-C may end a call that waits for its answer. The next call takes that answer first, as it would take it for its
# own: every later one would be about something else. (A Ctrl-C within the few instructions between the socket and
# these notes still puts them out of step; what it hits is the wait.)
_awaits = False
_header = b""  # of the answer that is awaited, once it has come

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
    global slept_us, _awaits
    if _awaits:
        _take_answer()
    if slept_us:
        _socket.write(struct.pack("<BHI", SLEPT, 4, slept_us))
        slept_us = 0
    _socket.write(struct.pack("<BH", op, len(payload)) + payload)
    _awaits = True
    error, radio, answer = _take_answer()
    if radio and on_radio_event is not None:
        on_radio_event()
    if error:
        raise OSError(error)
    return answer


def _take_answer():
    global _awaits, _header
    if not _header:
        _header = _socket.read(7)
    _must_be_whole(_header, 7)
    error, length, radio = struct.unpack("<iHB", _header)
    answer = _socket.read(length)
    _awaits = False
    _header = b""
    _must_be_whole(answer, length)
    return error, radio, answer


def _must_be_whole(data, length):
    if len(data) < length:
        sys.exit(1)  # the host died, and a board without its host has no power
