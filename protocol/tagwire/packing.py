"""Lists of integers to bytes and back, as SPEC.md, "Lists", lays it down. Host only, no I/O.

A list's length is known from elsewhere. Four forms: bit-packed, split (low bits packed, the rest as varints), split
with zstd around the varints, and runs. Which one is shortest depends on how many values there are and how they spread:
ten random values want bit-packing, a thousand noisy ones the entropy coder in zstd, a state that hardly changes runs.
"""

from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from tagwire.errors import REASON_FORMAT, DecodeError

Int64s = NDArray[np.int64]

FORM_PACKED = 0
FORM_SPLIT = 1
FORM_SPLIT_ZSTD = 2
FORM_RUNS = 3

WIDTH_MAX = 41  # bits; no column's values, nor their differences, span more
VARINT_BYTES_MAX = 6  # 42 bits
SPLIT_FROM = 16  # shorter lists are bit-packed: nothing else pays for a handful of values
ZSTD_FROM = 256  # of fewer values zstd's table of symbols costs about what it saves
RUNS_WIDTH_MAX = 8  # values that spread wider are measured ones, which hardly ever repeat
ZSTD_LEVEL = 1  # on Huffman-coded noise not longer than level 3, in half the time
_WORD_BYTES = 8
# The same as values.min() and so on, without the detour through Python that costs more than 2,000 values do.
_smallest, _largest, _total = np.minimum.reduce, np.maximum.reduce, np.add.reduce


def format_error(detail: str) -> DecodeError:
    return DecodeError(REASON_FORMAT, detail)


class Codecs(NamedTuple):
    """zstd's contexts, made once for each batch, as each costs as much as a column. Not for two threads at once."""

    compressor: zstandard.ZstdCompressor
    decompressor: zstandard.ZstdDecompressor


def make_codecs() -> Codecs:
    """Fresh contexts."""
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True, write_checksum=False)
    return Codecs(compressor, zstandard.ZstdDecompressor())


class Cursor:
    """Reads an encoded column from its start to its end. Every method raises DecodeError("format") at a wrong byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        if end > len(self._data):
            raise format_error("a column that is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def octet(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def unsigned(self) -> int:
        """An LEB128 number of at most 42 bits."""
        number = 0
        for shift in range(0, 7 * VARINT_BYTES_MAX, 7):
            octet = self.octet()
            number |= (octet & 0x7F) << shift
            if octet < 0x80:
                return number
        raise format_error("a varint of seven bytes")

    def signed(self) -> int:
        """The same with the sign in bit 0."""
        code = self.unsigned()
        return code >> 1 ^ -(code & 1)

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise format_error("bytes behind a column")


def encode_unsigned(value: int) -> bytes:
    """LEB128: 7 bits a byte, least significant first, bit 7 set on all but the last byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_signed(value: int) -> bytes:
    """Zigzag (0, -1, 1, -2 are 0, 1, 2, 3), then LEB128."""
    return encode_unsigned(value << 1 ^ value >> 63)


def pack_bits(values: Int64s, width: int) -> bytes:
    """Values below 2 ** width (0 to 41), the first one in the lowest bits of the first byte, padded with zeros."""
    count = len(values)
    if width == 0:
        return b""
    # Eight values fill `width` whole bytes, so every eighth value starts at a byte.
    lanes = np.zeros((-(-count // 8), 8), np.uint64)
    lanes.ravel()[:count] = values
    if width <= 8:
        weights = np.uint64(1) << np.arange(0, 8 * width, width, dtype=np.uint64)
        words = (lanes @ weights)[:, None]
    else:
        words = np.zeros((len(lanes), -(-width // 8)), np.uint64)
        for lane in range(8):
            word, shift = divmod(lane * width, 64)
            words[:, word] |= lanes[:, lane] << np.uint64(shift)
            if shift + width > 64:
                words[:, word + 1] |= lanes[:, lane] >> np.uint64(64 - shift)
    octets = words.astype("<u8", copy=False).view(np.uint8)[:, :width]
    return octets.tobytes()[: packed_bytes(count, width)]


def packed_bytes(count: int, width: int) -> int:
    """How many bytes `count` values of `width` bits take."""
    return (count * width + 7) // 8


def unpack_bits(data: bytes, count: int, width: int) -> Int64s:
    """The opposite of `pack_bits`; `data` has packed_bytes(count, width) bytes. Raises DecodeError("format")."""
    if width == 0:
        return np.zeros(count, np.int64)
    used = count * width % 8
    if used and data[-1] >> used:
        raise format_error("padding bits are not zero")
    # The eight bytes that start at each byte, as one number: a value and its shift fit in 7 + 41 bits.
    padded = data + bytes(_WORD_BYTES)
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    at = np.arange(0, count * width, width, dtype=np.int64)
    unpacked: Int64s = (words[at >> 3].astype(np.int64) >> (at & 7)) & ((1 << width) - 1)
    return unpacked


def _encode_varints(codes: Int64s, largest: int) -> bytes:
    if largest < 0x80:
        return codes.astype(np.uint8).tobytes()
    shifted = codes[:, None] >> np.arange(0, largest.bit_length(), 7)
    present = shifted != 0
    present[:, 0] = True
    octets = (shifted & 0x7F).astype(np.uint8)
    octets[:, :-1] |= present[:, 1:].astype(np.uint8) << 7
    kept: NDArray[np.uint8] = octets[present]
    return kept.tobytes()


def _decode_varints(data: bytes, count: int) -> Int64s:
    octets = np.frombuffer(data, np.uint8)
    if len(octets) == count and (not count or octets.max() < 0x80):
        return octets.astype(np.int64)
    ends = np.flatnonzero(octets < 0x80)
    if len(ends) != count or not count or ends[-1] != len(octets) - 1:
        raise format_error(f"{len(ends)} varints where {count} belong")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > VARINT_BYTES_MAX:
        raise format_error(f"a varint of {longest} bytes")
    codes = np.zeros(count, np.int64)
    for k in range(longest):
        more = lengths > k
        codes[more] |= (octets[starts[more] + k].astype(np.int64) & 0x7F) << 7 * k
    return codes


def encode_list(values: Int64s, codecs: Codecs, span: tuple[int, int] | None = None) -> bytes:
    """The shortest form of a list whose values span at most 41 bits; nothing for an empty one.

    span: its smallest and its largest value, where the caller has them.
    """
    count = len(values)
    if not count:
        return b""
    base, largest = span or (int(_smallest(values)), int(_largest(values)))
    width = (largest - base).bit_length()
    packed_size = 1 + len(encode_signed(base)) + packed_bytes(count, width)
    best = b""
    if width and count >= SPLIT_FROM:
        if width <= RUNS_WIDTH_MAX:
            changes = np.flatnonzero(values[1:] != values[:-1])
            if 4 * len(changes) < count:
                best = _encode_runs(values, changes)
        if width > 1:  # zstd spends a whole bit on each symbol
            split = _encode_split(values, width, codecs)
            best = min(filter(None, (best, split)), key=len, default=b"")
    return best if best and len(best) < packed_size else _encode_packed(values, base, width)


def _encode_packed(values: Int64s, base: int, width: int) -> bytes:
    return bytes([FORM_PACKED | width << 2]) + encode_signed(base) + pack_bits(values - base, width)


def _encode_split(values: Int64s, width: int, codecs: Codecs) -> bytes:
    """Nothing where it would not be shorter than bit-packing in `width` bits."""
    some = values[:: max(len(values) // 256, 1)]
    centre = int(_total(some)) // len(some)
    distances = values - centre
    codes = distances << 1 ^ distances >> 63
    mean = int(_total(codes)) // len(codes)
    if len(codes) < ZSTD_FROM and width <= mean.bit_length() + 3:
        return b""  # too few to count symbols, and no outliers among them: bit-packing is as short
    # Down to an eighth of the spread the low bits are noise, which nothing shortens; what is left has some 30 symbols.
    low_bits = max(mean.bit_length() - 3, 0)
    high = codes >> low_bits if low_bits else codes
    rest = _encode_varints(high, int(_largest(high)))
    form = FORM_SPLIT
    if len(codes) >= ZSTD_FROM:
        frame = codecs.compressor.compress(rest)
        if len(frame) < len(rest):
            form, rest = FORM_SPLIT_ZSTD, frame
    low = pack_bits(codes & ((1 << low_bits) - 1), low_bits) if low_bits else b""
    return bytes([form | low_bits << 2]) + encode_signed(centre) + low + encode_unsigned(len(rest)) + rest


def _encode_runs(values: Int64s, changes: NDArray[np.intp]) -> bytes:
    """changes: the indices of the values that another one follows."""
    ends = np.empty(len(changes) + 1, np.int64)
    ends[:-1], ends[-1] = changes, len(values) - 1
    lengths = ends.copy()
    lengths[1:] -= ends[:-1] + 1
    parts = []
    for part in (lengths, values[ends]):
        base = int(_smallest(part))
        parts.append(_encode_packed(part, base, (int(_largest(part)) - base).bit_length()))
    return bytes([FORM_RUNS]) + encode_unsigned(len(lengths)) + b"".join(parts)


def decode_list(cursor: Cursor, count: int, codecs: Codecs) -> Int64s:
    """`count` values. Work and memory are bounded by `count`, whatever the bytes say. Raises DecodeError("format")."""
    if not count:
        return np.zeros(0, np.int64)
    octet = cursor.octet()
    form, bits = octet & 3, octet >> 2
    if form == FORM_RUNS:
        if bits:
            raise format_error("runs with a width")
        return _decode_runs(cursor, count)
    if bits > WIDTH_MAX:
        raise format_error(f"a width of {bits} bits")
    centre = cursor.signed()
    low = unpack_bits(cursor.take(packed_bytes(count, bits)), count, bits)
    if form == FORM_PACKED:
        return low + centre
    rest = cursor.take(cursor.unsigned())
    if form == FORM_SPLIT_ZSTD:
        rest = _decompressed(rest, count * VARINT_BYTES_MAX, codecs)
    high = _decode_varints(rest, count)
    if int(high.max()) >> WIDTH_MAX + 1 - bits:
        raise format_error("a split value of more than 42 bits")
    codes = high << bits | low
    return (codes >> 1 ^ -(codes & 1)) + centre


def _decode_runs(cursor: Cursor, count: int) -> Int64s:
    runs = cursor.unsigned()
    if not 1 <= runs <= count:
        raise format_error(f"{runs} runs of {count} values")
    parts = []
    for _ in range(2):
        octet = cursor.octet()
        width = octet >> 2
        if octet & 3 != FORM_PACKED or width > WIDTH_MAX:
            raise format_error("runs that are not bit-packed")
        base = cursor.signed()
        parts.append(unpack_bits(cursor.take(packed_bytes(runs, width)), runs, width) + base)
    lengths, values = parts
    if lengths.min() < 0 or int(lengths.sum()) + runs != count:
        raise format_error(f"runs that do not make {count} values")
    return np.repeat(values, lengths + 1)


def _decompressed(frame: bytes, size_max: int, codecs: Codecs) -> bytes:
    """One zstd frame, with its content size in its header: the library allocates what the header says."""
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= size_max:
            raise format_error(f"a zstd frame of {size} bytes where at most {size_max} belong")
        return codecs.decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise format_error(f"zstd: {error}") from None
