"""What a broker has acknowledged of the journal, as the bytes of one small file. Pure."""

import struct
from binascii import crc32

from tagwire.ranges import difference, total

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    from tagwire.ranges import Ranges

    class Settled(NamedTuple):
        """ranges: the settled counters, of those that the journal holds. lost: unsettled samples that gave way to
        newer ones since the tag was provisioned."""

        ranges: Ranges
        lost: int

else:
    from collections import namedtuple

    Settled = namedtuple("Settled", ("ranges", "lost"))

SETTLED_RANGES_MAX = 64  # a file of up to 15 ranges costs no block of its own, as LittleFS keeps it in the folder's


def encode_settled(settled: "Settled") -> bytes:
    """lost u32, then first and last u32 of each range, then the CRC-32 of these."""
    data = struct.pack("<I", settled.lost)
    for first, last in settled.ranges:
        data += struct.pack("<II", first, last)
    return data + struct.pack("<I", crc32(data))


def decode_settled(data: bytes) -> "Settled | None":
    """What `encode_settled` wrote; None for anything else."""
    if len(data) < 8 or len(data) % 8 or struct.unpack("<I", data[-4:])[0] != crc32(data[:-4]):
        return None
    ranges = [struct.unpack("<II", data[at : at + 8]) for at in range(4, len(data) - 4, 8)]
    return Settled(ranges, struct.unpack("<I", data[:4])[0])  # type: ignore[arg-type]


def bounded(ranges: "Ranges") -> "Ranges":
    """As many ranges as are kept. The shortest are forgotten: their samples count as unsettled again, and a hub that
    is told so settles them anew."""
    if len(ranges) <= SETTLED_RANGES_MAX:
        return ranges
    lengths = sorted([last - first for first, last in ranges])
    shortest = lengths[len(ranges) - SETTLED_RANGES_MAX]
    kept = [pair for pair in ranges if pair[1] - pair[0] > shortest]
    equal = [pair for pair in ranges if pair[1] - pair[0] == shortest]
    return sorted(kept + equal[: SETTLED_RANGES_MAX - len(kept)])


def unsettled_parts(first: int, last: int, settled: "Ranges") -> "tuple[Ranges, bool]":
    """The counters from first to last that are not settled, and whether that is all of them."""
    left = difference([(first, last)], settled)
    return left, total(left) == last - first + 1
