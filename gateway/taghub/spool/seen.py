"""Which counters of one tag have arrived: a floor, and a bitmap above it. Pure.

Beacons alone would need the last counter only. The bitmap says where the gaps are, which a tag's history can fill; a
list of intervals would say the same, but under loss it takes gigabytes where this takes at most WIDTH bits a tag.
"""

WIDTH = 16_384  # counters above the floor; at one sample in five minutes eight weeks: longer than a tag's journal


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
        self._settle()
        return True

    def fill(self, first: int, last: int) -> None:
        """The counters from `first` to `last` are missing no more: there is nothing to arrive. Beyond the last counter
        nothing is filled: that would look as if it had arrived."""
        first, last = max(first, self.floor + 1), min(last, self.last)
        if first > last:
            return
        self.bits |= ((1 << last - first + 1) - 1) << first - self.floor - 1
        self._settle()

    def reopen(self, first: int, lowest: int) -> None:
        """The counters from `first` to `lowest` - 1 are missing from now on, where all below `lowest` counted as
        settled. Nothing happens where the bitmap has no room for it, or `lowest` is missing itself."""
        if not first < lowest <= self.floor or self.last - first >= WIDTH:
            return
        known = self.bits << self.floor + 1 - lowest | (1 << self.floor + 1 - lowest) - 1
        self.floor, self.bits = first - 1, known << lowest - first
        self._settle()

    def lose(self, first: int, last: int) -> None:
        """The counters from `first` to `last` had arrived, and were dropped since: they are missing again, those that
        are within the bitmap."""
        last = min(last, self.last - 1)  # the last counter stays: what replays are told by rests on it
        if first > last or self.last - first >= WIDTH:
            return
        if first <= self.floor:
            self.bits = self.bits << self.floor + 1 - first | (1 << self.floor + 1 - first) - 1
            self.floor = first - 1
        self.bits &= ~(((1 << last - first + 1) - 1) << first - self.floor - 1)

    def missing(self) -> list[tuple[int, int]]:
        """The gaps between the floor and the last counter: (first, last) of each, the oldest first."""
        return runs(self.floor + 1, ~self.bits & (1 << self.bits.bit_length()) - 1)

    def _settle(self) -> None:
        arrived = (~self.bits & self.bits + 1).bit_length() - 1  # ones from bit 0 on
        self.floor += arrived
        self.bits >>= arrived

    def to_bytes(self) -> bytes:
        """The bitmap as bytes, little-endian, as short as it goes."""
        return self.bits.to_bytes((self.bits.bit_length() + 7) // 8, "little")


def runs(counter: int, bits: int) -> list[tuple[int, int]]:
    """A bitmap as ranges: (first, last) of each run of ones, where bit 0 is `counter`."""
    ranges = []
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & bits + 1).bit_length() - 1
        bits >>= ones
        counter += zeros + ones
        ranges.append((counter - ones, counter - 1))
    return ranges


def from_bytes(floor: int, bitmap: bytes) -> Seen:
    """What `Seen.to_bytes` has written. Bits beyond WIDTH are no bitmap: raises ValueError."""
    bits = int.from_bytes(bitmap, "little")
    if bits.bit_length() > WIDTH:
        raise ValueError(f"a bitmap of {bits.bit_length()} bits")
    return Seen(floor, bits)
