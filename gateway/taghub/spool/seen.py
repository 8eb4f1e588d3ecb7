"""Which counters of one tag have arrived: a floor, and a bitmap above it. Pure.

Beacons alone would need the last counter only. The bitmap says where the gaps are, which a tag's history can fill; a
list of intervals would say the same, but under loss it takes gigabytes where this takes at most WIDTH bits a tag.
"""

WIDTH = 4_096  # counters above the floor; at one sample in five minutes, two weeks


class Seen:
    """All counters up to `floor` are settled: they have arrived, are from before the first one, or were given up
    because WIDTH was passed. Bit i of `bits` says whether counter floor + 1 + i has arrived; bit 0 is never set."""

    __slots__ = ("bits", "floor")

    def __init__(self, floor: int, bits: int = 0) -> None:
        self.floor = floor
        self.bits = bits

    @property
    def last(self) -> int:
        """The highest counter that has arrived."""
        return self.floor + self.bits.bit_length()

    def add(self, counter: int) -> bool:
        """Take note of a counter. False when it had arrived before, or lies at or below the floor."""
        offset = counter - self.floor - 1
        if offset < 0 or self.bits >> offset & 1:
            return False
        if not offset and not self.bits:  # by far the most frequent: the next one
            self.floor = counter
            return True
        if offset >= WIDTH:
            shift = offset - WIDTH + 1
            self.floor += shift
            self.bits >>= shift
            offset -= shift
        self.bits |= 1 << offset
        arrived = (~self.bits & self.bits + 1).bit_length() - 1  # ones from bit 0 on
        self.floor += arrived
        self.bits >>= arrived
        return True

    def missing(self) -> list[tuple[int, int]]:
        """The gaps between the floor and the last counter: (first, last) of each, the oldest first."""
        gaps = []
        counter, bits = self.floor + 1, self.bits
        while bits:
            zeros = (bits & -bits).bit_length() - 1
            if zeros:
                gaps.append((counter, counter + zeros - 1))
            bits >>= zeros
            ones = (~bits & bits + 1).bit_length() - 1
            bits >>= ones
            counter += zeros + ones
        return gaps

    def to_bytes(self) -> bytes:
        """The bitmap as bytes, little-endian, as short as it goes."""
        return self.bits.to_bytes((self.bits.bit_length() + 7) // 8, "little")


def from_bytes(floor: int, bitmap: bytes) -> Seen:
    """What `Seen.to_bytes` has written. Bits beyond WIDTH are no bitmap: raises ValueError."""
    bits = int.from_bytes(bitmap, "little")
    if bits.bit_length() > WIDTH:
        raise ValueError(f"a bitmap of {bits.bit_length()} bits")
    return Seen(floor, bits)
