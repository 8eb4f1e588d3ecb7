"""`onewire` as frozen into MicroPython, byte by byte. MicroPython."""

import struct

from hostlink import call
from ops import ONE_WIRE_READ, ONE_WIRE_RESET, ONE_WIRE_WRITE


class OneWireError(Exception):
    pass


class OneWire:
    def __init__(self, pin):
        pass

    def reset(self, required=False):
        present = bool(call(ONE_WIRE_RESET)[0])
        if required and not present:
            raise OneWireError
        return present

    def writebyte(self, value):
        call(ONE_WIRE_WRITE, bytes([value]))

    def write(self, data):
        call(ONE_WIRE_WRITE, data)

    def readbyte(self):
        return call(ONE_WIRE_READ, struct.pack("<H", 1))[0]

    def readinto(self, buffer):
        buffer[:] = call(ONE_WIRE_READ, struct.pack("<H", len(buffer)))
