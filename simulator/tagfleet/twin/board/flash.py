"""NOR flash in a host file, for LittleFS. MicroPython.

Reads are local. The host is asked before each program and erase, because it decides when power fails: then
the operation is done in part, and the board is dead.
"""

import struct

from hostlink import call
from ops import FLASH, FLASH_ERASE, FLASH_PROGRAM, POWER_FAILED

BLOCK_BYTES = 4096


class Flash:
    """MicroPython's extended block device (ioctl 4: blocks, 5: block size, 6: erase). reads: since this wake began."""

    reads = 0

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // BLOCK_BYTES
        self._erased = b"\xff" * BLOCK_BYTES

    def readblocks(self, block, buffer, offset=0):
        Flash.reads += 1
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._operate(FLASH_PROGRAM, block, offset, buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self._operate(FLASH_ERASE, argument, 0, self._erased)
        return 0

    def _operate(self, operation, block, offset, data):
        todo, fails = struct.unpack("<IB", call(FLASH, struct.pack("<BII", operation, block, len(data))))
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.write(memoryview(data)[:todo])
        self._file.flush()
        if fails:
            call(POWER_FAILED)
