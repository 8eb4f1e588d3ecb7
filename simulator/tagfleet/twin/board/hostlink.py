"""The board's end of the socket pair to its host. MicroPython."""

import struct
import sys

from ops import IN_STEP, SLEPT

_socket = open(int(sys.argv[1]), "r+b")

# Ctrl-C may end a call anywhere, and its answer, or a part of it, would be taken for the next one's: every later one
# would be about something else. So the call after it asks for a mark and skips what comes before.
_is_in_step = True
_marks = 0

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
    global _is_in_step
    if not _is_in_step:
        _get_in_step()
    _is_in_step = False
    _put(op, payload)
    _flush()
    error, length, radio = struct.unpack("<iHB", _read(7))
    answer = _read(length) if length else b""
    _is_in_step = True
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


def _get_in_step():
    global _marks, _out_bytes
    _marks += 1
    mark = struct.pack("<8sI", b"in step:", _marks)
    _out_bytes = 0  # what was interrupted is not asked again
    _put(IN_STEP, mark)
    _flush()
    heard = b""
    while heard != mark:
        heard = (heard + _read(1))[-len(mark) :]


def _read(length):
    data = _socket.read(length)
    if len(data) < length:
        sys.exit(1)  # the host died, and a board without its host has no power
    return data
