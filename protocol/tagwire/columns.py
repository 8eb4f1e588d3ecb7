"""One column of integers to bytes and back, as SPEC.md, "Batch", lays it down. Host only, no I/O.

An encoded column is one coding byte and a payload. The coding byte says how the payload was made: bit 0, the values
are differences to the one before; bit 1, they are bit-packed (else LEB128 varints of their zigzag); bit 2, the
payload is one zstd frame. Which of the codings is shortest depends on the column and on the number of samples (ten
random values want bit-packing, a thousand repetitive ones zstd), so the encoder tries them.
"""

import numpy as np
import zstandard
from numpy.typing import NDArray

from tagwire.errors import REASON_FORMAT, DecodeError

Int64s = NDArray[np.int64]
Uint8s = NDArray[np.uint8]

DELTA = 1
PACKED = 2
ZSTD = 4

VALUE_BITS = 40  # any difference of two values of a column, as zigzag, stays within 41 bits
VARINT_BYTES_MAX = 6
ZSTD_FROM_BYTES = 48  # below, zstd's own header has always eaten what it saved


def _format_error(detail: str) -> DecodeError:
    return DecodeError(REASON_FORMAT, detail)


def _zigzag(values: Int64s) -> Int64s:
    return values << 1 ^ values >> 63


def _unzigzag(codes: Int64s) -> Int64s:
    return codes >> 1 ^ -(codes & 1)


def encode_varints(values: Int64s) -> bytes:
    """Zigzag, then LEB128: 7 bits a byte, least significant first, bit 7 set on all but a value's last byte."""
    codes = _zigzag(values)
    shifts = np.arange(0, max(int(codes.max(initial=0)).bit_length(), 1), 7)
    shifted = codes[:, None] >> shifts
    present = shifted != 0
    present[:, 0] = True
    octets = (shifted & 0x7F).astype(np.uint8)
    octets[:, :-1] |= present[:, 1:].astype(np.uint8) << 7
    kept: Uint8s = octets[present]
    return kept.tobytes()


def decode_varints(data: bytes, count: int) -> Int64s:
    """Exactly `count` values that fill `data`. Raises DecodeError("format")."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if len(ends) != count or (count and ends[-1] != len(octets) - 1) or (not count and len(octets)):
        raise _format_error(f"{len(ends)} varints where {count} belong")
    starts = np.concatenate(([0], ends[:-1] + 1)) if count else ends
    lengths = ends - starts + 1
    longest = int(lengths.max(initial=0))
    if longest > VARINT_BYTES_MAX:
        raise _format_error(f"a varint of {longest} bytes")
    codes = np.zeros(count, np.int64)
    for k in range(longest):
        more = lengths > k
        codes[more] |= (octets[starts[more] + k].astype(np.int64) & 0x7F) << 7 * k
    return _unzigzag(codes)


def encode_packed(values: Int64s) -> bytes:
    """The smallest value as a varint, a width in bits, then each value less the smallest in that many bits."""
    base = int(values.min())
    offsets = values - base
    width = int(offsets.max()).bit_length()
    head = encode_varints(np.array([base], np.int64)) + bytes([width])
    if width == 0:
        return head
    octets = offsets.astype("<u8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(octets, axis=1, count=width, bitorder="little")
    packed = np.packbits(bits.ravel(), bitorder="little")
    return head + packed.tobytes()


def decode_packed(data: bytes, count: int) -> Int64s:
    """The opposite of `encode_packed`. Raises DecodeError("format")."""
    base_bytes = next((i + 1 for i, octet in enumerate(data[:VARINT_BYTES_MAX]) if octet < 0x80), 0)
    if base_bytes == 0 or base_bytes >= len(data):
        raise _format_error("a bit-packed column without its base or width")
    base = int(decode_varints(data[:base_bytes], 1)[0])
    width = data[base_bytes]
    octets = np.frombuffer(data, np.uint8, offset=base_bytes + 1)
    if width > VALUE_BITS + 1 or len(octets) != (count * width + 7) // 8:
        raise _format_error(f"{len(octets)} bytes for {count} values of {width} bits")
    bits = np.unpackbits(octets, bitorder="little")
    if bits[count * width :].any():
        raise _format_error("padding bits are not zero")
    rows = np.zeros((count, 64), np.uint8)
    rows[:, :width] = bits[: count * width].reshape(count, width)
    offsets = np.packbits(rows, axis=1, bitorder="little").view("<u8").ravel().astype(np.int64)
    return offsets + base


def encode_column(values: Int64s) -> bytes:
    """The shortest coding of one or more values, each within 40 bits and its sign."""
    packed = encode_packed(values)
    # Half the columns of a live batch have one value throughout; nothing is shorter for them.
    if len(values) > len(packed) and values.min() == values.max():
        return bytes([PACKED]) + packed
    deltas = np.diff(values, prepend=0)
    candidates = [
        (PACKED, packed),
        (DELTA | PACKED, encode_packed(deltas)),
        (0, encode_varints(values)),
        (DELTA, encode_varints(deltas)),
    ]
    if min(len(payload) for _, payload in candidates) >= ZSTD_FROM_BYTES:
        compressor = zstandard.ZstdCompressor(write_content_size=True, write_checksum=False)
        candidates += [(coding | ZSTD, compressor.compress(payload)) for coding, payload in candidates[2:]]
    coding, payload = min(candidates, key=lambda candidate: len(candidate[1]))
    return bytes([coding]) + payload


def decode_column(data: bytes, count: int) -> Int64s:
    """`count` values from an encoded column. Work and memory are bounded by `count`, whatever the bytes say.

    Raises DecodeError("format").
    """
    if not data or data[0] > DELTA | PACKED | ZSTD:
        raise _format_error("an unknown column coding")
    coding, payload = data[0], data[1:]
    if coding & ZSTD:
        payload = _decompressed(payload, count * VARINT_BYTES_MAX + 16)
    values = decode_packed(payload, count) if coding & PACKED else decode_varints(payload, count)
    return np.cumsum(values) if coding & DELTA else values


def _decompressed(frame: bytes, size_max: int) -> bytes:
    """One zstd frame, with its content size in its header: the library allocates what the header says."""
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= size_max:
            raise _format_error(f"a zstd frame of {size} bytes where at most {size_max} belong")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _format_error(f"zstd: {error}") from None
