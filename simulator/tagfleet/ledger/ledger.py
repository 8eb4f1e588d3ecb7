"""What happened to each sample, as it happens. Pure but for the file its rows may lie in.

Two clocks: a sample is *made* in the run's own time, which may be compressed; everything after is in real time, Unix
microseconds of this machine. Events may come in any order (a trace lags behind an arrival).
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from tagfleet.ledger import classes
from tagfleet.ledger.account import EXAMPLES, Account, counted, pieces
from tagfleet.ledger.comparison import Comparison
from tagfleet.ledger.duplicates import Duplicates, FurtherHubs, Senders
from tagfleet.ledger.latency import Histogram
from tagfleet.ledger.rows import Rows, Tags, write_head
from tagfleet.ledger.values import narrowed
from tagfleet.world.noise import Ints
from tagwire.bulk import ReadingColumns
from tagwire.fields import TIME_ESTIMATED
from tagwire.trace import ACCEPTED, ACKNOWLEDGED, HEARD, SPOOLED

_EARLY_MAX = 10_000
_STRANGERS_MAX = 10_000
_AHEAD = 1_024  # sequences beyond the room there is, that something may be heard of before it is made

_STATE_OF_EVENT = {
    HEARD: classes.HEARD,
    ACCEPTED: classes.HEARD | classes.ACCEPTED,
    SPOOLED: classes.SPOOLED,
    ACKNOWLEDGED: classes.ACKNOWLEDGED,
}

Index = npt.NDArray[np.intp]


class Ledger:
    """Feed it events; ask for the running figures at any time, and for an `account` at the end.

    tag_ids: everybody who may make a sample, with the counter of each one's first. start_us: when the run's own time
    begins; start_real_us: when the run begins in real time. depth: samples of each tag to have room for at first.
    """

    def __init__(
        self,
        tag_ids: Ints,
        first_counters: Ints,
        start_us: int,
        start_real_us: int,
        depth: int = 64,
        folder: Path | None = None,
    ) -> None:
        order = np.argsort(tag_ids)
        tags = Tags(np.asarray(tag_ids, np.int64)[order], np.asarray(first_counters, np.int64)[order])
        self.latency = Histogram()
        """From a sample's first radio report to its first arrival."""
        self.made_count = 0
        self.reported_count = 0
        self.accepted_count = 0
        self.acknowledged_count = 0
        self.arrived_count = 0  # samples, each once
        self.last_arrival_us = 0  # Unix microseconds, of a sample's first arrival
        self._rows = Rows(tags, depth, folder)
        self.comparison = Comparison(self._rows, start_us)
        self._folder = folder
        self._start_us, self._start_real_us = start_us, start_real_us
        self._start_s = start_us // 1_000_000
        self._used = 0  # rows that were ever touched lie before this one
        self._arrived_of_reported = 0
        self._early: dict[int, list[tuple[int, ...]]] = {}  # what arrived before it was made, to be compared then
        self._early_left = _EARLY_MAX
        self._reporters = FurtherHubs()
        self._senders = Senders()
        self._strangers: set[tuple[int, int]] = set()
        self._misled: set[int] = set()  # hubs whose clock was wrong at some time

    @property
    def tags(self) -> Tags:
        """Who is in the ledger."""
        return self._rows.tags

    @classmethod
    def for_tags(cls, tag_ids: ArrayLike, start_us: int) -> Self:
        """In memory, for tags whose counters begin at 0, and a run in real time that starts at `start_us`."""
        ids = np.asarray(tag_ids, np.int64)
        return cls(ids, np.zeros(len(ids), np.int64), start_us, start_us)

    def begin(self, start_real_us: int) -> None:
        """The run begins now, and nothing has happened before."""
        self._start_real_us = start_real_us

    def clocks_are_wrong(self, hubs: Iterable[int]) -> None:
        """From now on these may withdraw times: after a restart a hub does not trust what it has stamped before."""
        self._misled |= set(hubs)

    @property
    def duplicates(self) -> Duplicates:
        """Arrivals beyond the first, so far."""
        return self._senders.duplicates

    @property
    def pending(self) -> int:
        """How many samples were reported by a radio and have not arrived yet."""
        return self.reported_count - self._arrived_of_reported

    @property
    def never_made_count(self) -> int:
        """Samples that arrived or that hubs accepted, and that no tag can have made: there is no row for them."""
        return len(self._strangers)

    def made(
        self,
        tag_ids: Ints,
        counters: Ints,
        readings: ReadingColumns,
        t_us: Ints,
        advertised: npt.NDArray[np.bool_] | bool = True,
    ) -> None:
        """Samples came into being at `t_us` of the run's own time, and went on the air where `advertised`; one that
        did so before, with other values, is wrong. Raises LedgerFull."""
        index, known = self._find(tag_ids, counters, grow=True)
        if not known.all():
            raise ValueError("a sample of a tag that is not in the ledger")
        rows = self._rows.array
        new = rows["state"][index] & classes.MADE == 0
        first = index[new]
        once = _leading(rows["made_ms"], first)
        values = narrowed(readings, self._start_s)
        for name, column in values.items():
            rows[name][first] = column[new]
        rows["made_ms"][first] = np.clip((t_us[new] - self._start_us) // 1000, 0, 0xFFFFFFFF)
        bits = np.where(np.broadcast_to(advertised, len(index)), classes.MADE | classes.ADVERTISED, classes.MADE)
        rows["state"][index] |= bits.astype(np.uint16)
        differs = np.zeros(len(index), bool)
        if not new.all() or not once.all():
            for name, column in values.items():
                differs |= rows[name][index] != column
            self.comparison.spoil(index[differs], "made twice, with different values")
        self.made_count += int(once.sum())
        for row in index.tolist() if self._early else ():
            for early in self._early.pop(row, ()):
                self._early_left += 1
                self.comparison.compare(
                    np.array([row]), ReadingColumns(*(np.array([v], np.int64) for v in early)), True
                )

    def cloned(self, tag_ids: Ints, counters: Ints, readings: ReadingColumns) -> None:
        """A clone has sent these values under identities of genuine tags."""
        index, known = self._find(tag_ids, counters, grow=True)
        table = np.stack([np.asarray(column, np.int64) for column in readings], axis=1)
        for row, values in zip(index[known].tolist(), table[known].tolist(), strict=True):
            self.comparison.add_clone(row, values)

    def reported(
        self, tag_ids: Ints, counters: Ints, hubs: Ints | int, t_us: Ints | int, traced: bool = True, off: bool = False
    ) -> None:
        """Radios of hubs reported samples at `t_us` (repeats included, in order of time). traced: the hub tells what
        it does with them; off: the hub was not running."""
        index, known = self._find(tag_ids, counters)
        hub = np.broadcast_to(hubs, len(index))[known]
        times = self._real(np.broadcast_to(t_us, len(index))[known])
        index = index[known]
        if (times[1:] < times[:-1]).any():
            order = np.argsort(times, kind="stable")
            index, hub, times = index[order], hub[order], times[order]
        rows = self._rows.array
        state = rows["state"][index]
        rows["state"][index] = state | (classes.REPORTED | classes.TRACED * traced)
        if off:
            fresh = state & (classes.REPORTED | classes.HEARD) == 0
            rows["state"][index[fresh]] |= classes.HUB_OFF
        elif (was_off := state & classes.HUB_OFF != 0).any():
            rows["state"][index[was_off]] &= ~np.uint16(classes.HUB_OFF)  # another hub heard it, and was running
        # Of several hubs that report a sample in one call, the earliest is its first.
        first = _stamp(rows["reported"], index, times)
        first_index = index[first]
        rows["hub"][first_index] = hub[first]
        rows["hubs"][first_index] = 1
        self.reported_count += len(first_index)
        self._arrived_of_reported += int((rows["arrivals"][first_index] > 0).sum())
        again = np.flatnonzero(rows["hub"][index] != hub)
        if len(again):
            pairs = index[again] << 16 | hub[again]
            again = again[np.sort(np.unique(pairs, return_index=True)[1])]
            index, hub = index[again], hub[again]
            added, counts = np.unique(index[self._reporters.add(rows["hub2"], index, hub)], return_counts=True)
            rows["hubs"][added] = np.minimum(rows["hubs"][added] + counts, 255)

    def traced(self, hubs: Ints | int, events: Ints, tag_ids: Ints, counters: Ints, t_us: Ints) -> None:
        """What hubs' traces say, with their times corrected to this machine's clock."""
        index, known = self._find(tag_ids, counters)
        if not known.all():
            self._meet(tag_ids[~known], counters[~known], "a hub accepted a sample that was never made")
        rows = self._rows.array
        for event, bits in _STATE_OF_EVENT.items():
            chosen = known & (events == event)
            at = index[chosen]
            if not len(at):
                continue
            rows["state"][at] |= np.uint16(bits)
            times = self._real(np.broadcast_to(t_us, len(events))[chosen])
            if event == HEARD and not (rows["reported"][at] > 0).all():  # a radio's report as well
                hub = np.broadcast_to(hubs, len(events))[chosen]
                self.reported(tag_ids[chosen], counters[chosen], hub, np.broadcast_to(t_us, len(events))[chosen])
            elif event == ACCEPTED:
                self.accepted_count += len(_stamp(rows["accepted"], at, times))
            elif event == ACKNOWLEDGED:
                self.acknowledged_count += len(_stamp(rows["acknowledged"], at, times))

    def arrived(
        self,
        tag_ids: Ints,
        counters: Ints,
        readings: ReadingColumns,
        t_us: int,
        hub: int = 0,
        sequence: int = -1,
        certain_clock: bool = True,
        backlog: bool = False,
    ) -> None:
        """One batch of a hub reached the consumer at `t_us`. sequence: its number, -1 where it has none.
        certain_clock: whether the batch says that the hub knew the time."""
        repeated = sequence >= 0 and self._senders.seen_batch(hub, sequence)
        index, known = self._find(tag_ids, counters)
        if not known.all():
            self._meet(tag_ids[~known], counters[~known], "never made")
            readings = ReadingColumns(*(np.asarray(column)[known] for column in readings))
            index = index[known]
        if not len(index):
            return
        if hub in self._misled and (np.asarray(readings.time_quality) <= TIME_ESTIMATED).all():
            certain_clock = False  # each of its samples says so itself
        rows = self._rows.array
        first = np.zeros(len(index), bool)  # the others came before, or are in this batch twice
        first[_stamp(rows["arrived"], index, self._real(np.full(len(index), t_us)))] = True
        self._senders.count(rows, index[~first], hub, repeated)
        fresh = index[first]
        bits = classes.ARRIVED | (classes.RECOVERED if backlog else 0)
        rows["state"][fresh] |= bits
        rows["from_hub"][fresh] = hub
        each, counts = np.unique(index, return_counts=True)
        rows["arrivals"][each] = np.minimum(rows["arrivals"][each] + counts, 255)
        self.arrived_count += len(fresh)
        if len(fresh):
            self.last_arrival_us = max(self.last_arrival_us, t_us)
        reported = rows["reported"][fresh]
        timed = reported > 0
        self._arrived_of_reported += int(timed.sum())
        self.latency.add((rows["arrived"][fresh][timed].astype(np.int64) - reported[timed]) / 10.0)
        made = rows["state"][index] & classes.MADE != 0
        if made.all():
            self.comparison.compare(index, readings, certain_clock)
            return
        self.comparison.compare(
            index[made], ReadingColumns(*(np.asarray(column)[made] for column in readings)), certain_clock
        )
        for i in np.flatnonzero(~made).tolist():
            if self._early_left:
                self._early_left -= 1
                early = self._early.setdefault(int(index[i]), [])
                early.append(tuple(int(column[i]) for column in readings))
            else:
                self.comparison.spoil(index[i : i + 1], "not compared: too many arrived before they were made")

    def waiting(self, tag_ids: ArrayLike, counters: ArrayLike) -> None:
        """These are in a hub's spool at the end."""
        index, known = self._find(np.asarray(tag_ids, np.int64), np.asarray(counters, np.int64))
        self._rows.array["state"][index[known]] |= classes.WAITING

    def dropped(self, hub: int, count: int) -> int:
        """A hub says that it has given up so many: they are what it accepted and is neither acknowledged nor waiting.
        Returns how many those are; where they are more than `count`, some have vanished, and all count as that."""
        rows = self._rows.array[: self._used]
        lost = (rows["state"] & (classes.ACCEPTED | classes.ACKNOWLEDGED | classes.WAITING | classes.ARRIVED)) == (
            classes.ACCEPTED
        )
        found = np.flatnonzero(lost & (rows["hub"] == hub))
        if len(found) <= count:
            rows["state"][found] |= classes.DROPPED
        return len(found)

    def missing(self, made_before_us: int, accepted: bool) -> int:
        """How many samples that were made before a moment of the run's own time have not arrived, of those that hubs
        have accepted, or else of those that radios reported."""
        limit = max(0, (made_before_us - self._start_us) // 1000)
        bits = classes.MADE | (classes.ACCEPTED if accepted else classes.REPORTED)
        count = 0
        for _, rows in pieces(self._rows.array, self._used, max(1, len(self.tags.ids)), None):
            waits = rows["state"] & (bits | classes.ARRIVED) == bits
            count += int((waits & (rows["made_ms"] < limit)).sum())
        return count

    def account(self, tag_ids: Iterable[int] | None = None) -> Account:
        """The verdict on every sample, over all tags or over some."""
        rows, columns = self._rows, None
        if tag_ids is not None:
            columns = np.flatnonzero(np.isin(self.tags.ids, np.array(list(tag_ids), np.int64)))
        total, examples = counted(rows.array, self._used, rows.tags, columns)
        examples["wrong"] = self.comparison.examples or examples["wrong"]
        if columns is not None:
            return Account(total, 0, 0, 0, Duplicates(), Histogram(), examples)
        total = total._replace(never_made=total.never_made + len(self._strangers))
        strangers = sorted(self._strangers)[:EXAMPLES]
        examples["wrong"] += [f"tag {tag} counter {counter}: never made" for tag, counter in strangers]
        return Account(
            total,
            self.reported_count,
            self.accepted_count,
            self.acknowledged_count,
            self.duplicates,
            self.latency,
            examples,
        )

    def forget_before(self, us: int) -> None:
        """The rows of what was made before are hardly needed any more; those of a file leave memory."""
        per_sequence = max(1, len(self.tags.ids))
        made = self._rows.array["made_ms"][: self._used : per_sequence]  # the first tag's samples stand for all
        old = int(np.searchsorted(made, max(0, us - self._start_us) // 1000)) if len(made) else 0
        self._rows.forget(max(0, old - 2) * per_sequence)

    def save(self, head: dict[str, Any]) -> None:
        """Keep what a reader of the rows needs beside them, in the ledger's folder. Nothing may be told after it."""
        if self._folder is None:
            return
        width = max(1, len(self.tags.ids))
        self._rows.end(max(1, -(-self._used // width)) * width)
        np.save(self._folder / "ledger.reporters.npy", self._reporters.pairs())
        np.save(self._folder / "ledger.senders.npy", self._senders.hubs.pairs())
        times = {"start_us": self._start_us, "start_real_us": self._start_real_us}
        write_head(self._folder, head | times | {"wrong": self.comparison.examples})

    # What follows is how.

    def _find(self, tag_ids: Ints, counters: Ints, grow: bool = False) -> tuple[Index, npt.NDArray[np.bool_]]:
        """The row of each sample, and whether there is one."""
        places, sequences = self.tags.places(np.asarray(tag_ids, np.int64), np.asarray(counters, np.int64))
        known = places >= 0
        room = self._rows.depth
        deepest = int(sequences[known].max(initial=-1))
        if deepest >= room:
            if grow:
                self._rows.grow(deepest + 1)
            elif deepest < room + _AHEAD:
                with contextlib.suppress(Exception):
                    self._rows.grow(deepest + 1)
            known = known & (sequences < self._rows.depth)
        index = sequences * max(1, len(self.tags.ids)) + places
        if known.all():
            self._used = max(self._used, int(index.max(initial=-1)) + 1)
        elif known.any():
            self._used = max(self._used, int(index[known].max()) + 1)
        return index, known

    def _real(self, t_us: npt.NDArray[Any]) -> Ints:
        """Unix microseconds as the rows hold them: never 0."""
        return np.clip((np.asarray(t_us, np.int64) - self._start_real_us) // 100 + 1, 1, 0xFFFFFFFF)

    def _meet(self, tag_ids: Ints, counters: Ints, why: str) -> None:
        for sample in zip(tag_ids.tolist(), counters.tolist(), strict=True):
            if len(self._strangers) < _STRANGERS_MAX:
                self._strangers.add(sample)


def _stamp(column: npt.NDArray[Any], index: Index, times: Ints) -> Index:
    """Put times, the earliest first, into those rows of a column that have none. Returns the places in `index` of those
    that were put in."""
    new = np.flatnonzero(column[index] == 0)
    first = new[_leading(column, index[new])]
    column[index[first]] = times[first]
    return first


def _leading(column: npt.NDArray[Any], index: Index) -> npt.NDArray[np.bool_]:
    """Of each entry of `index`, whether it is the first of its row. It takes the rows' values in `column`, 32 bits that
    are still free, as its scratch: a third of what sorting takes."""
    places = np.arange(1, len(index) + 1, dtype=column.dtype)
    column[index[::-1]] = places[::-1]  # of several values for one row, numpy leaves the last
    leads: npt.NDArray[np.bool_] = column[index] == places
    return leads
