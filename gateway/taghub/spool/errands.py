"""The home of what a hub has to do at each tag when it connects to it: tell it what the broker has, and ask for what
was before the hub first heard it. Pure.

It is kept in the event loop, and goes to the disk with the commit of what it is about: an acknowledged batch leaves
the file in the transaction that notes what its tags have to be told.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from taghub.spool.seen import runs

OWED_WIDTH = 16_384  # counters that a tag can be told of: as many as its journal could hold


class Row(NamedTuple):
    """One tag's errand as the file has it. owed: a bitmap of acknowledged counters, little-endian; bit 0 is `base`."""

    tag_id: int
    lowest: int
    adopting: int
    base: int
    owed: bytes


class Notes(NamedTuple):
    """What a commit takes along. filled: (tag id, first, last) that have no sample to arrive; reopened: (tag id, first,
    lowest) that are missing from now on, see Seen.reopen; rows: errands as they stand now."""

    filled: Sequence[tuple[int, int, int]] = ()
    reopened: Sequence[tuple[int, int, int]] = ()
    rows: Sequence[Row] = ()


class Errand:
    """lowest: the first counter that counts as missing when it is not there. adopting: whether what lies before it is
    still to be asked for."""

    __slots__ = ("adopting", "base", "bits", "lowest")

    def __init__(self, lowest: int, adopting: bool, base: int = 0, bits: int = 0) -> None:
        self.lowest = lowest
        self.adopting = adopting
        self.base = base
        self.bits = bits

    def add(self, counter: int) -> int:
        """Note that the broker has a sample; how many others had to be forgotten for it: they stay unsettled at the
        tag, which costs it room and nobody a sample."""
        if not self.bits:
            self.base = counter
        if counter < self.base:
            if self.base + self.bits.bit_length() - counter > OWED_WIDTH:
                return 1
            self.bits <<= self.base - counter
            self.base = counter
        forgotten = 0
        if counter - self.base >= OWED_WIDTH:
            shift = counter - self.base - OWED_WIDTH + 1
            gone = min(shift, self.bits.bit_length())  # a new generation is 2^24 counters away, or 2^32
            forgotten = (self.bits & (1 << gone) - 1).bit_count()
            self.bits >>= gone
            self.base += shift
        self.bits |= 1 << counter - self.base
        return forgotten

    def remove(self, ranges: Iterable[tuple[int, int]]) -> None:
        """The tag knows of these."""
        for first, last in ranges:
            first = max(first, self.base)
            if first <= last:
                self.bits &= ~(((1 << last - first + 1) - 1) << first - self.base)


class Errands:
    """An Errand for each tag that this hub may connect to and has heard."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.forgotten = 0
        """Acknowledged samples of which the tag is never told, because too many waited."""
        self._tags: dict[int, Errand] = {}
        self._changed: set[int] = set()
        for row in rows:
            bits = int.from_bytes(row.owed, "little") & (1 << OWED_WIDTH) - 1
            self._tags[row.tag_id] = Errand(row.lowest, bool(row.adopting), row.base, bits)

    def first_heard(self, tag_id: int, counter: int) -> None:
        """A tag's first sample ever; what it has made before may be asked for."""
        if tag_id not in self._tags:
            self._tags[tag_id] = Errand(counter, adopting=True)
            self._changed.add(tag_id)

    def acknowledged(self, keys: Iterable[tuple[int, int]]) -> None:
        """The broker has these (tag id, counter)."""
        for tag_id, counter in keys:
            errand = self._tags.get(tag_id)
            if errand is None:
                errand = self._tags[tag_id] = Errand(counter, adopting=False)
            self.forgotten += errand.add(counter)
            self._changed.add(tag_id)

    def told(self, tag_id: int, ranges: Iterable[tuple[int, int]]) -> None:
        """The tag has settled these."""
        errand = self._tags.get(tag_id)
        if errand is not None:
            errand.remove(ranges)
            self._changed.add(tag_id)

    def owed(self, tag_id: int) -> list[tuple[int, int]]:
        """What the tag has to be told, as ranges."""
        errand = self._tags.get(tag_id)
        return [] if errand is None else runs(errand.base, errand.bits)

    def owed_count(self, tag_id: int) -> int:
        """How many samples the tag has to be told of."""
        errand = self._tags.get(tag_id)
        return 0 if errand is None else errand.bits.bit_count()

    def adopting_below(self, tag_id: int) -> int | None:
        """The counter below which history is still to be asked for; None where it is not."""
        errand = self._tags.get(tag_id)
        return errand.lowest if errand is not None and errand.adopting else None

    def adopted(self, tag_id: int, lowest: int, done: bool) -> None:
        """What is missing counts from `lowest` on; `done`: nothing before it will be asked for."""
        errand = self._tags.get(tag_id)
        if errand is not None:
            errand.lowest, errand.adopting = min(lowest, errand.lowest), not done
            self._changed.add(tag_id)

    def take_changed(self) -> list[Row]:
        """The rows that have changed since the last call; `put_back` what could not be written."""
        changed, self._changed = self._changed, set()
        return [_row(tag_id, self._tags[tag_id]) for tag_id in changed]

    def put_back(self, rows: Iterable[Row]) -> None:
        """These rows were not written: they count as changed."""
        self._changed |= {row.tag_id for row in rows}

    def all_changed(self) -> None:
        """The file is a new one: everything has to be written to it."""
        self._changed = set(self._tags)

    @property
    def has_changed(self) -> bool:
        """Whether there is something to write."""
        return bool(self._changed)

    @property
    def owed_total(self) -> int:
        """Acknowledged samples of which a tag has still to be told."""
        return sum(errand.bits.bit_count() for errand in self._tags.values())


def _row(tag_id: int, errand: Errand) -> Row:
    owed = errand.bits.to_bytes((errand.bits.bit_length() + 7) // 8, "little")
    return Row(tag_id, errand.lowest, int(errand.adopting), errand.base, owed)
