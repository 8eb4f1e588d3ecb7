"""The journal as a hub asks for it. Loaded on demand."""

from tag.pending import WRITE_RECORDS
from tag.records import counter_of, is_alarm, time_high_of
from tag.room import count_unsettled, read_settled, write_settled
from tag.segments import last_counter, list_segments, read_segment
from tag.settled import SETTLED_RANGES_MAX, Settled, bounded
from tagwire.fields import TIME_UNKNOWN, unpack_body
from tagwire.history import Record
from tagwire.messages import STATUS_OK, STATUS_STORAGE
from tagwire.ranges import difference, intersection, union
from tagwire.tagend import Hole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tag.journal import Journal
    from tag.segments import Segment
    from tagwire.ranges import Ranges

ABSORBED_MAX = 64  # a gap in the counters that is looked into, to join two settled ranges


class History:
    """A tag's journal as `tagwire.tagend.Tag` wants it. Store the journal's `pending` after `settle`.

    next_counter: of the sample to come.
    """

    def __init__(self, journal: "Journal", next_counter: int) -> None:
        self._folder = journal.folder
        self._pending = journal.pending
        self._next_counter = next_counter

    def newest(self) -> int:
        """The counter of the latest sample, the one below the next while the journal holds none."""
        pending = self._pending
        if pending.newest is None:
            pending.newest = self._next_counter - 1
            for segment in reversed(list_segments(self._folder)):
                last = last_counter(self._folder, segment)
                if last >= segment.base:
                    pending.newest = last
                    break
        return pending.newest

    def unsettled(self) -> int:
        """How many samples of the journal no broker has acknowledged."""
        if self._pending.unsettled is None:
            self._pending.unsettled = count_unsettled(self._folder, self._pending)
        return self._pending.unsettled

    def read(self, ranges: "Ranges") -> "Iterator[Record | Hole]":
        """All about these counters, none above the newest, in rising order. May raise OSError.

        Counters of a hole are *gone* where they were settled, or are older than all that is held, or may have been in
        RTC memory when power was lost (the eight behind a sample); else no sample was ever made of them.
        """
        settled = read_settled(self._folder).ranges
        files = list_segments(self._folder)
        oldest = files[0].base if files else self._pending.base if self._pending.records else self._next_counter
        known = union(settled, [(0, oldest - 1)] if oldest else [])
        for first, last in ranges:
            at = first
            before = None
            for base, record in self._from(files, first):
                counter = counter_of(base, record)
                if counter > last:
                    break
                if counter >= first:
                    if counter > at:
                        yield from _holes(at, counter - 1, before, known)
                    yield _to_record(counter, record)
                    at = counter + 1
                before = counter
            if at <= last:
                yield from _holes(at, last, before, known)

    def settle(self, ranges: "Ranges") -> int:
        """Mark these samples as settled: a STATUS_*. What is settled already costs no write."""
        try:
            files = list_segments(self._folder)
            oldest = files[0].base if files else self._pending.base
            settled = read_settled(self._folder)
            within = [(oldest, max(self.newest(), oldest))]
            marked = union(settled.ranges, intersection(ranges, within))
            if marked != settled.ranges:
                marked = intersection(marked, within)  # what is older has gone, and needs no mark
                if len(marked) > SETTLED_RANGES_MAX // 4:
                    marked = self._joined(files, marked)
                marked = bounded(marked)
                write_settled(self._folder, Settled(marked, settled.lost))
                self._pending.unsettled = count_unsettled(self._folder, self._pending, marked)
        except OSError as error:
            print("settled: %r" % error)
            return STATUS_STORAGE
        return STATUS_OK

    def _from(self, files: "list[Segment]", first: int) -> "Iterator[tuple[int, bytes]]":
        """(base, record) in rising order, from the file on that may hold `first`."""
        last = -1
        for index, segment in enumerate(files):
            if index + 1 == len(files) or files[index + 1].base > first:
                for record in read_segment(self._folder, segment.base):
                    last = counter_of(segment.base, record)
                    yield segment.base, record
        for record in self._pending.after(last):
            yield self._pending.base, record

    def _joined(self, files: "list[Segment]", ranges: "Ranges") -> "Ranges":
        """The ranges, those made one between which the journal has no sample."""
        joined: "Ranges" = []
        for first, last in ranges:
            if joined and self._has_none(files, joined[-1][1] + 1, first - 1):
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        return joined

    def _has_none(self, files: "list[Segment]", first: int, last: int) -> bool:
        if last - first >= ABSORBED_MAX:
            return False
        for base, record in self._from(files, first):
            counter = counter_of(base, record)
            if counter >= first:
                return counter > last
        return True


def _to_record(counter: int, data: bytes) -> Record:
    codes = unpack_body(data[:11])
    time_4s = 0 if codes.time_quality == TIME_UNKNOWN else time_high_of(data) << 10 | codes.time
    return Record(counter, time_4s, *codes[:7], codes.time_quality, is_alarm(data))


def _holes(first: int, last: int, before: "int | None", known: "Ranges") -> "Iterator[Hole]":
    gone = intersection([(first, last)], known)
    if before is not None and first <= before + WRITE_RECORDS:
        gone = union(gone, [(first, min(last, before + WRITE_RECORDS))])
    never = difference([(first, last)], gone)
    holes = [Hole(a, b, True) for a, b in gone] + [Hole(a, b, False) for a, b in never]
    yield from sorted(holes)
