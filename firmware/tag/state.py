"""What a tag remembers through deep sleep, as bytes for RTC memory. Pure."""

import struct
from binascii import crc32

from tag.pending import PENDING_HEADER_BYTES, Pending, decode_pending, encode_pending, pending_bytes

MAGIC = b"TAG2"  # changes with the layout
_FORMAT = "<4sIIIBIii24s"
_BYTES = struct.calcsize(_FORMAT)


class State:
    """What has to survive deep sleep, and may be lost with power.

    next_counter, limit: see `counter`. repeats: bursts of `frame` that are still to come before the next sample.
    fix_time_s, latitude_e7, longitude_e7: the last fix, which also set the clock; fix_time_s is 0 when there was none.
    pending: the journal's part.
    """

    def __init__(
        self,
        tag_id: int,
        next_counter: int,
        limit: int,
        repeats: int = 0,
        fix_time_s: int = 0,
        latitude_e7: int = 0,
        longitude_e7: int = 0,
        frame: bytes = b"",
        pending: "Pending | None" = None,
    ) -> None:
        self.tag_id = tag_id
        self.next_counter = next_counter
        self.limit = limit
        self.repeats = repeats
        self.fix_time_s = fix_time_s
        self.latitude_e7 = latitude_e7
        self.longitude_e7 = longitude_e7
        self.frame = frame
        self.pending = pending or Pending()


def encode_state(state: State) -> bytes:
    """A state to bytes, with magic and CRC-32."""
    data = struct.pack(
        _FORMAT,
        MAGIC,
        state.tag_id,
        state.next_counter,
        state.limit,
        state.repeats,
        state.fix_time_s,
        state.latitude_e7,
        state.longitude_e7,
        state.frame,
    ) + encode_pending(state.pending)
    return data + struct.pack("<I", crc32(data))


def decode_state(data: bytes, tag_id: int) -> "State | None":
    """The state in these bytes; None when they hold none, a damaged one, or that of another tag."""
    if len(data) < _BYTES + PENDING_HEADER_BYTES + 4 or data[:4] != MAGIC:
        return None
    end = _BYTES + pending_bytes(data[_BYTES:])
    if len(data) < end + 4 or struct.unpack("<I", data[end : end + 4])[0] != crc32(data[:end]):
        return None
    state = State(*struct.unpack(_FORMAT, data[:_BYTES])[1:])
    state.pending = decode_pending(data[_BYTES:end])
    return state if state.tag_id == tag_id else None
