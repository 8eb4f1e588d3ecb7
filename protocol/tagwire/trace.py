"""What a gateway did with each sample, as fixed records for the simulator's ledger. Host only, no I/O.

A record is event u8, tag id u32, counter u32, t_us u64, little-endian: 17 bytes. A trace file is nothing but records.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

HEARD = 1  # an authentic frame arrived for the first time; its repeats are not traced
ACCEPTED = 2  # taken into the hub's care: it will be acknowledged, or dropped by a named and counted policy
SPOOLED = 3  # reserved: committed to the hub's disk
ACKNOWLEDGED = 4  # the broker has acknowledged the batch that holds it

_RECORD = struct.Struct("<BIIQ")
RECORD_BYTES = _RECORD.size  # 17
_COLUMNS = np.dtype([("event", "u1"), ("tag_id", "<u4"), ("counter", "<u4"), ("t_us", "<u8")])


class TraceRecord(NamedTuple):
    """One event: HEARD, ACCEPTED, SPOOLED or ACKNOWLEDGED, the sample it is about, and the hub's Unix time in
    microseconds when it happened (for HEARD: the radio's own time of the report)."""

    event: int
    tag_id: int
    counter: int
    t_us: int


def encode(event: int, tag_id: int, counter: int, t_us: int) -> bytes:
    """One record: 17 bytes."""
    return _RECORD.pack(event, tag_id, counter, t_us)


def encode_many(event: int, samples: Iterable[tuple[int, int]], t_us: int) -> bytes:
    """One record for each (tag id, counter), all with the same event and time."""
    pack = _RECORD.pack
    return b"".join([pack(event, tag_id, counter, t_us) for tag_id, counter in samples])


def encode_columns(event: int, tag_ids: ArrayLike, counters: ArrayLike, t_us: ArrayLike) -> bytes:
    """One record for each row of the columns, all with the same event; t_us: of each, or one for all."""
    ids = np.asarray(tag_ids)
    records = np.empty(len(ids), _COLUMNS)
    records["event"], records["tag_id"], records["counter"], records["t_us"] = event, ids, counters, t_us
    return records.tobytes()


def iter_records(data: bytes) -> Iterator[TraceRecord]:
    """The whole records of `data`. A last piece of `len(data) % RECORD_BYTES` bytes is left: a reader that follows a
    growing file keeps it for the next time."""
    whole = len(data) - len(data) % RECORD_BYTES
    return map(TraceRecord._make, _RECORD.iter_unpack(data[:whole]))
