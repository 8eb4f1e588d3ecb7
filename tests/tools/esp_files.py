"""Small flash images with the structure of MicroPython's: a bootloader, a partition table, an application."""

import hashlib
import struct

CHIP_IDS = {"esp32": 0, "esp32c3": 5, "esp32s3": 9, "esp32c6": 13, "esp32h2": 16}
# MicroPython's ports/esp32/partitions-4MiBplus.csv: the file system is what follows the application.
PARTITIONS = (("nvs", 1, 2, 0x9000, 0x6000), ("phy_init", 1, 1, 0xF000, 0x1000), ("factory", 0, 0, 0x10000, 0x1F0000))
FILE_SYSTEM_OFFSET = 0x200000


def esp_image(chip: str, content: bytes) -> bytes:
    """One segment with checksum and SHA-256, as ESP-IDF's tools write it."""
    data = struct.pack("<4BI", 0xE9, 1, 2, 0x20, 0x40080000)
    data += struct.pack("<4xHBHH4xB", CHIP_IDS[chip], 0, 0, 0xFFFF, 1)
    data += struct.pack("<II", 0x3F400020, len(content)) + content
    checksum = 0xEF
    for byte in content:
        checksum ^= byte
    data += bytes(15 - len(data) % 16) + bytes((checksum,))
    return data + hashlib.sha256(data).digest()


def partition_table(partitions: tuple[tuple[str, int, int, int, int], ...] = PARTITIONS) -> bytes:
    rows = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0)
        for name, kind, subtype, offset, size in partitions
    )
    return (rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()).ljust(0xC00, b"\xff")


def micropython_file(
    chip: str = "esp32",
    application: bytes = bytes(range(256)) * 64,
    partitions: tuple[tuple[str, int, int, int, int], ...] = PARTITIONS,
) -> bytes:
    """What micropython.org offers for a chip, with 16 KB of application instead of 1.7 MB."""
    offset = 0x1000 if chip == "esp32" else 0
    data = esp_image(chip, b"bootloader " * 100).ljust(0x8000 - offset, b"\xff")
    data = (data + partition_table(partitions)).ljust(0x10000 - offset, b"\xff")
    return data + esp_image(chip, application)
