"""The ledger: every sample that was ever made, and what became of it. Pure; all times are Unix microseconds.

For each (tag, counter) it holds what the sensors said, the first radio report, the hub's trace, and every arrival at
the subscriber. At the end each sample is in one class:

delivered   arrived, and said what was measured
wrong       arrived with another value, was made twice with different ones, or was heard or arrived without ever
            having been made
lost        a radio reported it, and it never arrived
unheard     no radio ever reported it

and *duplicated* counts the arrivals of a (tag, counter) beyond its first, for whatever reason.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.fidelity import wrong_fields
from tagfleet.world.noise import Floats, Ints
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns
from tagwire.trace import ACCEPTED, ACKNOWLEDGED, HEARD, TraceRecord

MAX_SAMPLES = 4_000_000
EXAMPLES = 5  # per class, for the report
_EARLY_MAX = 10_000

_ROW = np.dtype(
    [
        ("tag", "u4"),
        ("counter", "u4"),
        ("made", "?"),
        ("trace", "u1"),  # bit per event
        ("wrong", "?"),
        ("arrivals", "u2"),
        ("made_us", "i8"),
        ("reported_us", "i8"),  # 0: never
        ("arrived_us", "i8"),  # the first time; 0: never
        ("latitude_e7", "i4"),
        ("longitude_e7", "i4"),
        ("temperature_mc", "i4"),
        ("humidity_mpct", "i4"),
        ("battery_mv", "i4"),
        ("fix", "i1"),
        ("motion", "i1"),
        ("time_s", "i8"),
        ("time_quality", "i1"),
    ]
)
_TRACE_BIT = {HEARD: 1, ACCEPTED: 2, ACKNOWLEDGED: 4}
_STAGES = {HEARD: "heard by the hub", ACCEPTED: "accepted by the hub", ACKNOWLEDGED: "acknowledged by the broker"}
_NARROW_NA = np.iinfo(np.int32).min


class LedgerFull(Exception):
    """More samples than a ledger may hold: the run is too long for it."""


class Account(NamedTuple):
    """The sums of a ledger; `latency_ms` from a sample's first radio report to its first arrival, sorted."""

    made: int
    delivered: int
    lost: int
    duplicated: int
    wrong: int
    unheard: int
    accepted: int  # by the hub, as its trace says
    acknowledged: int  # by the broker, as the hub's trace says
    latency_ms: Floats
    examples: dict[str, list[str]]


class Ledger:
    """Feed it events in any order (a trace may lag behind an arrival); ask for an `account` at any time.

    Memory: about 200 bytes a sample, at most `max_samples`; then `made` raises LedgerFull.
    """

    def __init__(self, max_samples: int = MAX_SAMPLES) -> None:
        self._max_samples = max_samples
        self._index: dict[int, int] = {}  # tag << 32 | counter -> row
        self._rows = np.zeros(1024, _ROW)
        self._early: dict[int, list[tuple[int, ...]]] = {}  # what arrived before it was made, to be compared then
        self._early_left = _EARLY_MAX
        self._wrong_examples: list[str] = []

    def made(self, tag_ids: Ints, counters: Ints, readings: ReadingColumns, t_us: Ints) -> None:
        """Samples came into being; one that did so before, with other values, is wrong. Raises LedgerFull."""
        index = self._find(tag_ids, counters)
        rows = self._rows
        new = ~rows["made"][index]
        rows["made"][index] = True
        rows["made_us"][index[new]] = t_us[new]
        differs = np.zeros(len(index), bool)
        for name, column in zip(ReadingColumns._fields, readings, strict=True):
            narrow = rows.dtype[name] == np.dtype("i4")
            values = np.where(column == NOT_AVAILABLE, _NARROW_NA, column) if narrow else column
            rows[name][index[new]] = values[new]
            differs |= rows[name][index] != values
        self._spoil(index[differs], "made twice, with different values")
        for row in index.tolist() if self._early else ():
            for early in self._early.pop(_key(int(rows["tag"][row]), int(rows["counter"][row])), ()):
                self._early_left += 1
                self._compare(np.array([row]), ReadingColumns(*(np.array([v], np.int64) for v in early)))

    def reported(self, tag_ids: Ints, counters: Ints, t_us: Ints) -> None:
        """A radio reported samples at `t_us`; the earliest report counts."""
        index = self._find(tag_ids, counters)
        column = self._rows["reported_us"]
        column[index] = np.where(column[index] == 0, np.iinfo(np.int64).max, column[index])
        np.minimum.at(column, index, t_us)

    def traced(self, records: Iterable[TraceRecord]) -> None:
        """What the hub's trace says. A HEARD is a radio's report as well."""
        table = np.array(list(records), np.int64).reshape(-1, 4)
        for event in (HEARD, ACCEPTED, ACKNOWLEDGED):
            _, tag_ids, counters, t_us = table[table[:, 0] == event].T
            index = self._find(tag_ids, counters)
            self._rows["trace"][index] |= _TRACE_BIT[event]
            if event == HEARD:
                self.reported(tag_ids, counters, t_us)

    def arrived(self, tag_ids: Ints, counters: Ints, readings: ReadingColumns, t_us: int) -> None:
        """One batch reached the subscriber at `t_us`."""
        index = self._find(tag_ids, counters)
        rows = self._rows
        first = rows["arrived_us"][index] == 0
        rows["arrived_us"][index[first]] = t_us
        np.add.at(rows["arrivals"], index, 1)
        made = rows["made"][index]
        self._compare(index[made], ReadingColumns(*(np.asarray(column)[made] for column in readings)))
        for i in np.flatnonzero(~made).tolist():
            if self._early_left:
                self._early_left -= 1
                early = self._early.setdefault(_key(int(tag_ids[i]), int(counters[i])), [])
                early.append(tuple(int(column[i]) for column in readings))
            else:
                self._spoil(index[i : i + 1], "not compared: too many arrived before they were made")

    @property
    def pending(self) -> int:
        """How many samples were reported by a radio and have not arrived yet."""
        rows = self._rows[: len(self._index)]
        return int((rows["made"] & (rows["reported_us"] > 0) & (rows["arrivals"] == 0)).sum())

    def account(self, tag_ids: Iterable[int] | None = None) -> Account:
        """The sums over all tags, or over some."""
        rows = self._rows[: len(self._index)]
        if tag_ids is not None:
            rows = rows[np.isin(rows["tag"], np.array(list(tag_ids), np.int64))]
        made, arrived = rows["made"], rows["arrivals"] > 0
        reported = rows["reported_us"] > 0
        wrong = rows["wrong"] | ~made & (arrived | reported)
        lost = made & reported & ~arrived
        unheard = made & ~reported & ~arrived
        timed = rows[made & arrived & reported]
        return Account(
            made=int(made.sum()),
            delivered=int((made & arrived & ~wrong).sum()),
            lost=int(lost.sum()),
            duplicated=int(np.maximum(rows["arrivals"].astype(np.int64) - 1, 0).sum()),
            wrong=int(wrong.sum()),
            unheard=int(unheard.sum()),
            accepted=int((rows["trace"] & _TRACE_BIT[ACCEPTED] > 0).sum()),
            acknowledged=int((rows["trace"] & _TRACE_BIT[ACKNOWLEDGED] > 0).sum()),
            latency_ms=np.sort((timed["arrived_us"] - timed["reported_us"]) / 1000.0),
            examples={
                "lost": _examples(rows[lost], last_seen=True),
                "duplicated": _examples(rows[rows["arrivals"] > 1]),
                "wrong": self._wrong_examples + _examples(rows[~made & (arrived | reported)]),
                "unheard": _examples(rows[unheard]),
            },
        )

    def _find(self, tag_ids: Ints, counters: Ints) -> npt.NDArray[np.intp]:
        """The rows of samples; new ones where there are none."""
        keys = (tag_ids.astype(np.uint64) << np.uint64(32) | counters.astype(np.uint64)).tolist()
        index = self._index
        known = len(index)
        found = np.array([index.setdefault(key, len(index)) for key in keys], np.intp)
        if len(index) > known:
            if len(index) > self._max_samples:
                raise LedgerFull(f"a ledger holds {self._max_samples:,} samples")
            while len(index) > len(self._rows):
                self._rows = np.concatenate([self._rows, np.zeros(len(self._rows), _ROW)])
            self._rows["tag"][found] = tag_ids
            self._rows["counter"][found] = counters
        return found

    def _compare(self, index: npt.NDArray[np.intp], delivered: ReadingColumns) -> None:
        rows = self._rows[index]
        truth = []
        for name in ReadingColumns._fields:
            column = rows[name].astype(np.int64)
            truth.append(np.where(column == _NARROW_NA, NOT_AVAILABLE, column))
        wrong = wrong_fields(ReadingColumns(*truth), delivered, rows["made_us"])
        for name, mask in wrong.items():
            expected = dict(zip(ReadingColumns._fields, truth, strict=True))[name]
            for i in np.flatnonzero(mask).tolist():
                value = int(getattr(delivered, name)[i])
                self._spoil(index[i : i + 1], f"{name} is {_said(value)}, was {_said(int(expected[i]))}")

    def _spoil(self, index: npt.NDArray[np.intp], why: str) -> None:
        """Samples that are wrong, whatever still comes."""
        self._rows["wrong"][index] = True
        for row in self._rows[index[: max(0, EXAMPLES - len(self._wrong_examples))]]:
            self._wrong_examples.append(f"tag {row['tag']} counter {row['counter']}: {why}")


def _key(tag_id: int, counter: int) -> int:
    return tag_id << 32 | counter


def _said(value: int) -> str:
    return "n/a" if value == NOT_AVAILABLE else str(value)


def _examples(rows: "np.ndarray[tuple[int], np.dtype[np.void]]", last_seen: bool = False) -> list[str]:
    texts = []
    for row in rows[:EXAMPLES]:
        stages = [stage for event, stage in _STAGES.items() if row["trace"] & _TRACE_BIT[event]]
        seen = f", last seen {(stages or ['reported by a radio'])[-1]}" if last_seen else ""
        texts.append(f"tag {row['tag']} counter {row['counter']}{seen}")
    return texts
