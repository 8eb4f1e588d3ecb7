"""Sets of counters as sorted, disjoint, non-touching ranges (first, last), both ends included. Portable.

On the wire: the number of ranges (u8), then for each two varints (LEB128): the distance of its first counter from the
earliest one it could have (0, then two above the range before), and last - first.
"""

from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Ranges = list[tuple[int, int]]
else:
    Ranges = list

RANGES_MAX = 32  # in one message: what a tag holds in memory for one request
LARGEST = 0xFFFFFFFF


def normalized(pairs: "Iterable[tuple[int, int]]") -> "Ranges":
    """Any (first, last) pairs, overlapping or not, as ranges. Raises EncodeError beyond 32 bits or first > last."""
    ranges: "Ranges" = []
    for first, last in sorted(pairs):
        if not 0 <= first <= last <= LARGEST:
            raise EncodeError("a range from %d to %d" % (first, last))
        if ranges and first <= ranges[-1][1] + 1:
            if last > ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return ranges


def total(ranges: "Ranges") -> int:
    """How many counters the ranges hold."""
    return sum([last - first + 1 for first, last in ranges])


def union(a: "Ranges", b: "Ranges") -> "Ranges":
    """The counters in either."""
    return normalized(a + b)


def difference(a: "Ranges", b: "Ranges") -> "Ranges":
    """The counters in `a` that are not in `b`."""
    left: "Ranges" = []
    i = 0
    for first, last in a:
        while i < len(b) and b[i][1] < first:
            i += 1
        j = i  # the last range that touches this one may touch the next one too
        while j < len(b) and b[j][0] <= last:
            if b[j][0] > first:
                left.append((first, b[j][0] - 1))
            first = b[j][1] + 1
            j += 1
        if first <= last:
            left.append((first, last))
    return left


def intersection(a: "Ranges", b: "Ranges") -> "Ranges":
    """The counters in both."""
    both: "Ranges" = []
    i = j = 0
    while i < len(a) and j < len(b):
        first = max(a[i][0], b[j][0])
        last = min(a[i][1], b[j][1])
        if first <= last:
            both.append((first, last))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return both


def encode_ranges(ranges: "Ranges", limit_bytes: int = 255) -> "tuple[bytes, Ranges]":
    """As many of the ranges as fit into `limit_bytes` and RANGES_MAX, and the ranges that are left for later."""
    body = b""
    count = 0
    least = 0
    for first, last in ranges:
        code = _varint(first - least) + _varint(last - first)
        if count == RANGES_MAX or 1 + len(body) + len(code) > limit_bytes:
            break
        body += code
        count += 1
        least = last + 2
    return bytes([count]) + body, ranges[count:]


def decode_ranges(data: bytes) -> "Ranges":
    """What `encode_ranges` wrote. Raises DecodeError("format") for anything else, so also for trailing bytes."""
    if not data or data[0] > RANGES_MAX:
        raise DecodeError(REASON_FORMAT, "no ranges, or too many")
    ranges: "Ranges" = []
    least = 0
    at = 1
    for _ in range(data[0]):
        distance, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        first = least + distance
        last = first + length
        if last > LARGEST:
            raise DecodeError(REASON_FORMAT, "a range beyond 32 bits")
        ranges.append((first, last))
        least = last + 2
    if at != len(data):
        raise DecodeError(REASON_FORMAT, "%d bytes after the ranges" % (len(data) - at))
    return ranges


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def _read_varint(data: bytes, at: int) -> "tuple[int, int]":
    value = shift = 0
    while at < len(data) and shift < 35:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if byte == 0 and shift:
                break  # a longer form of a number that has a shorter one
            return value, at
        shift += 7
    raise DecodeError(REASON_FORMAT, "no varint")
