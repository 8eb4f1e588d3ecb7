"""A sample as the journal holds it: 16 bytes. Pure.

0-10   the body of its beacon, the very bytes that are sealed
11-14  bits 0-19: Unix time / 4 s above the 10 bits that the body has; 20: alarm; 21-31: counter less a base
15     CRC: the low byte of the CRC-32 of bytes 0-14 and the base

A run of records shares one base: the counter of its first record. So the body needs no second codec, and what history
sends is what the beacon said, bit by bit.
"""

import struct
from binascii import crc32

RECORD_BYTES = 16
DELTA_MAX = 2047  # 11 bits: how far a run reaches; a larger gap (a new generation) begins another one
TIME_LOW_BITS = 10  # of the body's time code
_ALARM = 1 << 20


def encode_record(base: int, counter: int, body: bytes, time_4s: int, alarm: bool) -> bytes:
    """The 16 bytes. `time_4s` is the whole Unix time / 4 s, as `history.Record` has it, below 2**30."""
    word = time_4s >> TIME_LOW_BITS | (_ALARM if alarm else 0)
    # Shifted as bytes: on 32 bits an integer of 31 bits would be allocated.
    delta = counter - base
    data = body + struct.pack("<HH", word & 0xFFFF, word >> 16 | delta << 5)
    return data + bytes([_check(base, data)])


def is_intact(base: int, record: bytes) -> bool:
    """Whether the record is one of a run of this base, and undamaged."""
    return len(record) == RECORD_BYTES and record[15] == _check(base, record[:15])


def counter_of(base: int, record: bytes) -> int:
    """The counter of an intact record."""
    return base + ((record[13] | record[14] << 8) >> 5)


def rebased(old_base: int, new_base: int, record: bytes) -> bytes:
    """The same sample in a run of another base."""
    delta = counter_of(old_base, record) - new_base
    data = record[:13] + struct.pack("<H", record[13] & 31 | delta << 5)
    return data + bytes([_check(new_base, data)])


def time_high_of(record: bytes) -> int:
    """Unix time / 4,096 s: what stands above the body's time code."""
    return record[11] | record[12] << 8 | (record[13] & 15) << 16


def is_alarm(record: bytes) -> bool:
    """Whether its beacon was an alarm."""
    return bool(record[13] & 16)


def _check(base: int, data: bytes) -> int:
    return crc32(data + base.to_bytes(4, "little")) & 0xFF
