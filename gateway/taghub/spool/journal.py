"""Accepted samples as bytes, for the time until their batch is closed. Pure.

A journal row is nothing but records, in the order in which the samples were accepted.
"""

import struct
from collections.abc import Iterable

from taghub.intake import Accepted

_RECORD = struct.Struct("<II11sqh?B")  # as Accepted: tag, counter, body, t_us, RSSI, unconfirmed, first byte
RECORD_BYTES = _RECORD.size  # 31


def pack(samples: Iterable[Accepted]) -> bytes:
    """The records of some samples."""
    pack_record = _RECORD.pack
    return b"".join([pack_record(*sample) for sample in samples])


def unpack(records: bytes) -> list[Accepted]:
    """The samples of a row. Raises ValueError when the bytes are no whole records."""
    if len(records) % RECORD_BYTES:
        raise ValueError(f"{len(records)} bytes are no whole records")
    return list(map(Accepted._make, _RECORD.iter_unpack(records)))
