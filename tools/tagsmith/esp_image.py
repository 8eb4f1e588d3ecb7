"""Espressif's flash images: is a MicroPython file whole, for which chip is it, and where do its partitions lie? Pure.

Formats: ESP-IDF programming guide, "App Image Format" and "Partition Tables".
"""

import hashlib
import struct
from typing import NamedTuple

from tagsmith.errors import FileError

CHECKSUM_SEED = 0xEF
IMAGE_MAGIC = 0xE9
HEADER = struct.Struct("<4BI")  # magic, segments, SPI mode, SPI speed and size, entry point
EXTENDED_HEADER = struct.Struct("<4xHBHH4xB")  # chip id, minimum revisions, maximum revision, SHA-256 appended
SEGMENT_HEADER = struct.Struct("<II")  # load address, length
PARTITION_TABLE_OFFSET = 0x8000
PARTITION_TABLE_BYTES = 0xC00
PARTITION = struct.Struct("<2sBBII16sI")  # magic, type, subtype, offset, size, name, flags
PARTITION_MAGIC = b"\xaa\x50"
PARTITION_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
TYPE_APP = 0
VFS_NAMES = ("vfs", "ffat")
SECTOR_BYTES = 4096


class Chip(NamedTuple):
    """name: as esptool says it, in lower case. flash_offset: where its ROM expects the bootloader."""

    name: str
    flash_offset: int


# The chip id of an image header, for the chips that the firmware has boards for.
CHIPS = {0: Chip("esp32", 0x1000), 5: Chip("esp32c3", 0x0), 9: Chip("esp32s3", 0x0), 13: Chip("esp32c6", 0x0)}
# Only so that a refusal can name what it was given.
OTHER_CHIPS = {2: "esp32s2", 12: "esp32c2", 16: "esp32h2", 18: "esp32p4", 23: "esp32c5"}

GET_ANOTHER = "download the image again (`tagsmith images` lists them) and compare its SHA-256"


class Partition(NamedTuple):
    """One row of the partition table; offsets and sizes in bytes of flash."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int


class MicroPythonImage(NamedTuple):
    """A MicroPython file that is whole: bootloader, partition table and application for one chip."""

    chip: Chip
    partitions: tuple[Partition, ...]
    sha256: str


class Region(NamedTuple):
    """A stretch of flash, in bytes."""

    offset: int
    size: int


def parse_micropython(data: bytes) -> MicroPythonImage:
    """Checks every checksum that the file carries. Raises FileError."""
    if len(data) < HEADER.size + EXTENDED_HEADER.size or data[0] != IMAGE_MAGIC:
        raise FileError("The MicroPython file is not an ESP32 flash image.", GET_ANOTHER)
    chip_id = EXTENDED_HEADER.unpack_from(data, HEADER.size)[0]
    if chip_id not in CHIPS:
        name = OTHER_CHIPS.get(chip_id, f"an unknown chip (id {chip_id})")
        known = " and ".join(chip.name for chip in CHIPS.values())
        raise FileError(f"The MicroPython file is for {name}; the firmware has boards for {known}.", GET_ANOTHER)
    chip = CHIPS[chip_id]
    _check_image(data, 0, "bootloader")
    partitions = parse_partitions(data[PARTITION_TABLE_OFFSET - chip.flash_offset :][:PARTITION_TABLE_BYTES])
    apps = [partition for partition in partitions if partition.type == TYPE_APP]
    if not apps:
        raise FileError("The MicroPython file has no application in its partition table.", GET_ANOTHER)
    start = apps[0].offset - chip.flash_offset
    length = _check_image(data, start, "application")
    if length > apps[0].size:
        raise FileError("The MicroPython file's application is larger than its partition.", GET_ANOTHER)
    return MicroPythonImage(chip, partitions, hashlib.sha256(data).hexdigest())


def parse_partitions(table: bytes) -> tuple[Partition, ...]:
    """The rows of a partition table, whose MD5 must fit. Raises FileError."""
    partitions: list[Partition] = []
    for start in range(0, len(table) - PARTITION.size + 1, PARTITION.size):
        entry = table[start : start + PARTITION.size]
        if entry.startswith(PARTITION_MD5_MAGIC):
            if hashlib.md5(table[:start]).digest() != entry[len(PARTITION_MD5_MAGIC) :]:
                break
            return tuple(partitions)
        magic, kind, subtype, offset, size, name, _ = PARTITION.unpack(entry)
        if magic != PARTITION_MAGIC:
            break
        partitions.append(Partition(name.rstrip(b"\0").decode("ascii", "replace"), kind, subtype, offset, size))
    raise FileError("The MicroPython file's partition table is damaged.", GET_ANOTHER)


def file_system_region(partitions: tuple[Partition, ...], flash_bytes: int) -> Region:
    """Where MicroPython will look for its files on a chip with so much flash. Raises FileError if there is no room.

    A partition named vfs or ffat; without one, MicroPython 1.26 and later takes all that follows the last partition
    (ports/esp32/main.c, boardctrl_startup).
    """
    named = [partition for partition in partitions if partition.name in VFS_NAMES]
    if named:
        region = Region(named[0].offset, named[0].size)
    else:
        end = max(partition.offset + partition.size for partition in partitions)
        region = Region(end, flash_bytes - end)
    if region.size < SECTOR_BYTES or region.offset + region.size > flash_bytes:
        raise FileError(
            f"This MicroPython needs more flash than the chip's {flash_bytes // 1024} KB.",
            "use a module with 4 MB of flash, or a MicroPython built for this one",
        )
    return Region(region.offset, region.size - region.size % SECTOR_BYTES)


def _check_image(data: bytes, start: int, part: str) -> int:
    """The length of the image at `start`, whose checksum and SHA-256 must fit."""
    damaged = FileError(f"The MicroPython file is damaged: its {part} fails its checksum.", GET_ANOTHER)
    try:
        magic, segments, *_ = HEADER.unpack_from(data, start)
        hash_appended = EXTENDED_HEADER.unpack_from(data, start + HEADER.size)[-1]
        position = start + HEADER.size + EXTENDED_HEADER.size
        checksum = CHECKSUM_SEED
        for _ in range(segments):
            _, length = SEGMENT_HEADER.unpack_from(data, position)
            position += SEGMENT_HEADER.size
            content = data[position : position + length]
            if len(content) != length:
                raise damaged
            checksum ^= _xor(content)
            position += length
    except struct.error:
        raise damaged from None
    position += 15 - (position - start) % 16  # the checksum ends a line of 16 bytes
    if magic != IMAGE_MAGIC or data[position : position + 1] != bytes((checksum,)):
        raise damaged
    position += 1
    if hash_appended:
        if hashlib.sha256(data[start:position]).digest() != data[position : position + 32]:
            raise damaged
        position += 32
    return position - start


def _xor(content: bytes) -> int:
    """XOR of all bytes, by folding halves: a megabyte in a few big-integer steps."""
    value, size = int.from_bytes(content, "little"), len(content)
    while size > 1:
        half = (size + 1) // 2
        value, size = (value >> (8 * half)) ^ (value & ((1 << (8 * half)) - 1)), half
    return value
