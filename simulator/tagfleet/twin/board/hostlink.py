"""The board's end of the socket pair to its host. MicroPython."""

import struct
import sys

_socket = open(int(sys.argv[1]), "r+b")

on_radio_event = None  # called after an answer that says that radio events wait; `bluetooth` sets it
wait_ms = None  # how to sleep while there is a GATT server; `bluetooth` sets it


def call(op, payload=b""):
    """The host's answer. Raises OSError with the host's error number; never returns when the host is gone."""
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
