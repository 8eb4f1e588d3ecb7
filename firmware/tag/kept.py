"""Small files that are whole or not there: owner (5 bytes), content, CRC-32. I/O.

The owner is the tag's id and the generation that it was provisioned with: what a board kept for another identity, or
under earlier keys, is not there for this one.
"""

import os
from binascii import crc32

from tagwire.errors import REASON_FORMAT, DecodeError

OWNER_BYTES = 5


def owner(tag_id: int, generation: int) -> bytes:
    """Who files belong to. generation: the one in the provisioning file."""
    return tag_id.to_bytes(4, "little") + bytes([generation])


def load(name: str, whose: bytes) -> "bytes | None":
    """The content, None when there is none for this owner. Raises DecodeError("format") when it is damaged."""
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) < OWNER_BYTES + 4 or crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
        raise DecodeError(REASON_FORMAT, name)
    return data[OWNER_BYTES:-4] if data[:OWNER_BYTES] == whose else None


def save(name: str, whose: bytes, content: bytes) -> None:
    """Return when it is durable: the old content or the new one, at every instant. Raises OSError."""
    data = whose + content
    with open(name + ".new", "wb") as file:
        file.write(data + crc32(data).to_bytes(4, "little"))
    os.rename(name + ".new", name)  # atomic on LittleFS
