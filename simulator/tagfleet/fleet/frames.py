"""What the director of a run and its workers say to each other: a byte stream of frames. Pure.

A frame is type u8, length u32 (little-endian), then so many bytes. JSON where it is rare, arrays where it is often.
"""

import json
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

SETUP = 1  # JSON: which hubs to host, and how
TICK = 2  # time, and what each hub's radio reports up to it
SAMPLES = 3  # time, and samples for each hub to publish as they are, without radio and intake
COMMAND = 4  # JSON: a fault begins or ends; stop
PING = 5  # the director's clock, answered by PONG: that clock, and the worker's
READY = 16
HANDLED = 17  # the time of the last tick that was taken in
TRACE = 18  # what hubs did with samples
STATUS = 19  # JSON: figures
PONG = 20
DONE = 21  # JSON: the last figures; nothing follows
FAILED = 22  # text: the worker cannot go on

_HEADER = struct.Struct("<BI")
HEADER_BYTES = _HEADER.size
_TICK = struct.Struct("<QI")
FRAME_BYTES_MAX = 1 << 30

TRACE_ROW = np.dtype([("hub", "<u2"), ("event", "u1"), ("tag", "<u4"), ("counter", "<u4"), ("t_us", "<u8")])
_SLICE = np.dtype([("hub", "<u4"), ("bytes", "<u4")])


def encode(frame_type: int, data: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(frame_type, len(data)) + data


def encode_json(frame_type: int, value: Any) -> bytes:
    """One frame with JSON in it."""
    return encode(frame_type, json.dumps(value).encode())


def decode_json(data: bytes) -> Any:
    """What a JSON frame holds."""
    return json.loads(data)


def header(data: bytes) -> tuple[int, int]:
    """Type and length of the frame that begins with these HEADER_BYTES. Raises ValueError."""
    frame_type, length = _HEADER.unpack(data)
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return frame_type, length


def encode_tick(t_us: int, hubs: Iterable[int], pieces: Iterable[bytes], frame_type: int = TICK) -> bytes:
    """The run's own time, and for each of some hubs what it gets up to then."""
    pieces = list(pieces)
    slices = np.empty(len(pieces), _SLICE)
    slices["hub"] = list(hubs)
    slices["bytes"] = [len(piece) for piece in pieces]
    return encode(frame_type, _TICK.pack(t_us, len(pieces)) + slices.tobytes() + b"".join(pieces))


def decode_tick(data: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """The run's own time, and (hub, what it gets)."""
    t_us, count = _TICK.unpack_from(data)
    start = _TICK.size + count * _SLICE.itemsize
    found = []
    for hub, length in np.frombuffer(data, _SLICE, count, _TICK.size).tolist():
        found.append((hub, data[start : start + length]))
        start += length
    return t_us, found


def trace_rows(data: bytes) -> npt.NDArray[np.void]:
    """A TRACE frame's rows."""
    return np.frombuffer(data, TRACE_ROW)
