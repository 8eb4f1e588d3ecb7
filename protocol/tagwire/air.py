"""Simulated radio between an air and a gateway: a byte stream of records each way. Host only, no I/O.

A record is type u8, t_us u64, rssi i8, address 6 bytes, length u8 (little-endian), then `length` bytes of data. Every
type has this header, so a reader steps over types that it does not know. The hub listens; whoever has the air connects.
Advertisements go to the hub; the types of connections (SPEC.md, "Air records") go both ways.
"""

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagwire.errors import EncodeError

RECORD_ADVERTISEMENT = 1  # to the hub: the AdvData of a legacy advertisement, at most 31 bytes
RECORD_CONNECT = 2  # from the hub: connect to this address; no data
RECORD_CONNECTED = 3  # to the hub: frame bytes (MTU - 3), u16
RECORD_DISCONNECT = 4  # from the hub: end the connection, or the attempt; no data
RECORD_DISCONNECTED = 5  # to the hub: a DISCONNECTED_*, u8
RECORD_WRITE = 6  # from the hub: one frame to the tag's control characteristic
RECORD_NOTIFY = 7  # to the hub: one frame from the tag's data characteristic

DISCONNECTED_AS_ASKED = 0
DISCONNECTED_REFUSED = 1  # no such device, or not connectable now
DISCONNECTED_LOST = 2  # supervision timeout: out of range, or without power
DISCONNECTED_BY_TAG = 3

RSSI_NONE_DBM = 127  # where it has no meaning

HEADER = struct.Struct("<BQb6sB")
HEADER_BYTES = HEADER.size  # 17
ADDRESS_BYTES = 6

_ADV_DATA_BYTES = 31
_FULL = struct.Struct("<BQb6sB31s")  # a record around a full advertisement: by far the most common one
FULL_BYTES = _FULL.size
_RUN_MAX = 1024  # bounds what a stream of mixed lengths costs: each short record looks this far ahead at most


class Record(NamedTuple):
    """One record: a RECORD_* type, Unix time in microseconds, RSSI in dBm, the sender's address as it goes over the
    air (least significant byte first), and the data."""

    type: int
    t_us: int
    rssi_dbm: int
    address: bytes
    data: bytes


def encode_advertisement(t_us: int, rssi_dbm: int, address: bytes, adv_data: bytes) -> bytes:
    """One advertisement as a record. Raises EncodeError for values that the header cannot carry."""
    if len(address) != ADDRESS_BYTES or len(adv_data) > _ADV_DATA_BYTES:
        raise EncodeError(f"an address of {len(address)} bytes or AdvData of {len(adv_data)} bytes")
    if not 0 <= t_us < 1 << 64 or not -128 <= rssi_dbm <= 127:
        raise EncodeError(f"t_us {t_us} or RSSI {rssi_dbm} out of range")
    return HEADER.pack(RECORD_ADVERTISEMENT, t_us, rssi_dbm, address, len(adv_data)) + adv_data


def encode_record(kind: int, t_us: int, address: bytes, data: bytes = b"", rssi_dbm: int = RSSI_NONE_DBM) -> bytes:
    """One record of a connection, in either direction. Raises EncodeError for what the header cannot carry."""
    if len(address) != ADDRESS_BYTES or len(data) > 255:
        raise EncodeError(f"an address of {len(address)} bytes or {len(data)} bytes of data")
    if not 0 <= t_us < 1 << 64 or not -128 <= rssi_dbm <= 127 or not 0 <= kind <= 255:
        raise EncodeError(f"type {kind}, t_us {t_us} or RSSI {rssi_dbm} out of range")
    return HEADER.pack(kind, t_us, rssi_dbm, address, len(data)) + data


def encode_connected(t_us: int, address: bytes, frame_bytes: int, rssi_dbm: int = RSSI_NONE_DBM) -> bytes:
    """The air's answer to a connect: what one write or notification carries. Raises EncodeError."""
    if not 0 <= frame_bytes <= 0xFFFF:
        raise EncodeError(f"frames of {frame_bytes} bytes")
    return encode_record(RECORD_CONNECTED, t_us, address, frame_bytes.to_bytes(2, "little"), rssi_dbm)


def encode_disconnected(t_us: int, address: bytes, reason: int) -> bytes:
    """The end of a connection or of an attempt, with a DISCONNECTED_*. Raises EncodeError."""
    if not 0 <= reason <= 255:
        raise EncodeError(f"reason {reason}")
    return encode_record(RECORD_DISCONNECTED, t_us, address, bytes([reason]))


def frame_bytes(record: Record) -> int:
    """What a CONNECTED record announces; 0 where it announces nothing, which is too little for any session."""
    return int.from_bytes(record.data[:2], "little") if len(record.data) >= 2 else 0


def disconnect_reason(record: Record) -> int:
    """The DISCONNECTED_* of a record; one that gives none is a loss."""
    return record.data[0] if record.data else DISCONNECTED_LOST


def encode_advertisements(
    t_us: npt.NDArray[np.integer],
    rssi_dbm: npt.NDArray[np.integer],
    addresses: npt.NDArray[np.uint8],
    adv_data: npt.NDArray[np.uint8],
) -> bytes:
    """Many full advertisements as one run of records: t_us [n], rssi_dbm [n], addresses [n, 6], adv_data [n, 31].

    Raises EncodeError where the shapes do not fit each other.
    """
    count = len(t_us)
    if rssi_dbm.shape != (count,) or addresses.shape != (count, ADDRESS_BYTES):
        raise EncodeError(f"{count} times, RSSI of shape {rssi_dbm.shape}, addresses of shape {addresses.shape}")
    if adv_data.shape != (count, _ADV_DATA_BYTES):
        raise EncodeError(f"{count} times, AdvData of shape {adv_data.shape}")
    records = np.empty((count, FULL_BYTES), np.uint8)
    records[:, 0] = RECORD_ADVERTISEMENT
    records[:, 1:9] = np.ascontiguousarray(t_us, "<u8").view(np.uint8).reshape(count, 8)
    records[:, 9] = rssi_dbm.astype(np.int8).view(np.uint8)
    records[:, 10:16] = addresses
    records[:, 16] = _ADV_DATA_BYTES
    records[:, 17:] = adv_data
    return records.tobytes()


class Decoder:
    """A byte stream, in pieces of any size, to records. Every byte string is some sequence of records: never raises.

    What it keeps between two calls is less than one record (272 bytes).
    """

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an unfinished record are waiting for the rest."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Record]:
        """The records that `data` completes, unknown types included, in order."""
        buffer = self._rest + data if self._rest else data
        records: list[Record] = []
        new = tuple.__new__  # what Record(...) comes to, at a third of its cost
        end = len(buffer)
        start = 0
        while start + HEADER_BYTES <= end:
            run = _full_run(buffer, start)
            if run:
                stop = start + run * FULL_BYTES
                records += [
                    new(Record, (type_, t_us, rssi_dbm, address, adv_data))
                    for type_, t_us, rssi_dbm, address, _, adv_data in _FULL.iter_unpack(buffer[start:stop])
                ]
                start = stop
                continue
            type_, t_us, rssi_dbm, address, length = HEADER.unpack_from(buffer, start)
            stop = start + HEADER_BYTES + length
            if stop > end:
                break
            records.append(Record(type_, t_us, rssi_dbm, address, buffer[start + HEADER_BYTES : stop]))
            start = stop
        self._rest = buffer[start:]
        return records

    def feed_run(self, data: bytes) -> bytes:
        """The full advertisements that the stream stands at, FULL_BYTES each and undecoded; none where another record
        is among them. `feed(b"")` gives what follows. For readers of a flock, to which a Record each is too much."""
        buffer = self._rest + data if self._rest else data
        stop = _full_run(buffer, 0) * FULL_BYTES
        self._rest = buffer[stop:]
        return buffer[:stop]


def _full_run(buffer: bytes, start: int) -> int:
    """How many records in a row, from `start`, are known to be full advertisements; 0 where the next one is not.

    It is all or nothing, which is right for a flock's stream and cheap for any other. Type and length are both looked
    at: records of other types may have 31 bytes of data too.
    """
    count = min((len(buffer) - start) // FULL_BYTES, _RUN_MAX)
    stop = start + count * FULL_BYTES
    lengths = buffer[start + HEADER_BYTES - 1 : stop : FULL_BYTES]
    if lengths.count(_ADV_DATA_BYTES) != count:
        return 0
    return count if buffer[start:stop:FULL_BYTES].count(RECORD_ADVERTISEMENT) == count else 0
