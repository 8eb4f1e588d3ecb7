"""The board's end of the socket pair to its host. MicroPython."""

import struct
import sys

_socket = open(int(sys.argv[1]), "r+b")


def call(op, payload=b""):
    """The host's answer. Raises OSError with the host's error number; never returns when the host is gone."""
    _socket.write(struct.pack("<BH", op, len(payload)))
    _socket.write(payload)
    header = _read(6)
    error, length = struct.unpack("<iH", header)
    answer = _read(length)
    if error:
        raise OSError(error)
    return answer


def _read(length):
    data = _socket.read(length) if length else b""
    if len(data) < length:
        sys.exit(1)  # the host died, and a board without its host has no power
    return data
