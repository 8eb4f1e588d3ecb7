"""Which rows of a spool file can be what was written to it. Pure.

SQLite checks its own pages only in part, and the values in them not at all: a flipped bit makes text of a number.
"""

import zlib
from typing import Any

from taghub.spool.schema import LANES_BY_LOSS

COUNT_MAX = 1 << 62  # of anything: what is added to it still fits SQLite's 64 bits


def are_counts(*values: Any) -> bool:
    """Whether all are numbers that counts, counters, times and ids can have."""
    return all(type(value) is int and 0 <= value < COUNT_MAX for value in values)


def is_meta(item: tuple[Any, Any]) -> bool:
    """Whether it is the name and the value of a count."""
    return type(item[0]) is str and are_counts(item[1])


def is_errand(row: tuple[Any, ...]) -> bool:
    """Whether it is a row of `errand`."""
    return are_counts(*row[:4]) and type(row[4]) is bytes


def is_payload(crc: Any, payload: Any) -> bool:
    """Whether these are the bytes with that checksum."""
    return type(payload) is bytes and zlib.crc32(payload) == crc


def is_batch(row: tuple[Any, ...]) -> bool:
    """Whether it is a row of `batch`: sequence, lane, created_s, count, crc, payload."""
    sequence, lane, created_s, count, crc, payload = row
    return lane in LANES_BY_LOSS and are_counts(sequence, created_s, count) and is_payload(crc, payload)
