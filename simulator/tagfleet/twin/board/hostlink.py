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

# Virtual time: what the program has slept since it last told the host, and in all; None: real time.
slept_us = None
ticks_us = 0
is_visited = False  # in virtual time: whether the radio has to be listened to at all

# What goes to the host next. One buffer for ever: what each request would allocate brings the next collection nearer.
_out = bytearray(2048)
_out_bytes = 0


def sleep_us(us):
    """Virtual time passes."""
    global slept_us, ticks_us
    slept_us += us
    ticks_us += us


def tell(op, payload):
    """One of UNANSWERED. In virtual time, which stands still meanwhile, it goes out with the next call."""
    _put(op, payload)
    if slept_us is None:
        _flush()


def call(op, payload=b""):
    """The host's answer. Raises OSError with the host's error number; never returns when the host is gone."""
    global _awaits
    if _awaits:
        _take_answer()
    _put(op, payload)
    _flush()
    _awaits = True
    error, radio, answer = _take_answer()
    if radio and on_radio_event is not None:
        on_radio_event()
    if error:
        raise OSError(error)
    return answer


def _put(op, payload):
    global slept_us, _out_bytes
    length = len(payload)
    if _out_bytes + 10 + length > len(_out):
        _flush()
    at = _out_bytes
    if slept_us:
        struct.pack_into("<BHI", _out, at, SLEPT, 4, slept_us)
        slept_us = 0
        at += 7
    struct.pack_into("<BH", _out, at, op, length)
    at += 3
    if at + length > len(_out):
        _socket.write(_out, at)
        _socket.write(payload)
        _out_bytes = 0
        return
    _out[at : at + length] = payload
    _out_bytes = at + length


def _flush():
    global _out_bytes
    if _out_bytes:
        _socket.write(_out, _out_bytes)
        _out_bytes = 0


def _take_answer():
    global _awaits, _header
    if not _header:
        _header = _socket.read(7)
    _must_be_whole(_header, 7)
    error, length, radio = struct.unpack("<iHB", _header)
    answer = _socket.read(length) if length else b""
    _awaits = False
    _header = b""
    _must_be_whole(answer, length)
    return error, radio, answer


def _must_be_whole(data, length):
    if len(data) < length:
        sys.exit(1)  # the host died, and a board without its host has no power
