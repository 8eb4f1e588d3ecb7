"""Whether what arrived is what was measured: marks the rows of a ledger, and counts. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tagfleet.fidelity import wrong_fields
from tagfleet.ledger import classes
from tagfleet.ledger.account import EXAMPLES, identity
from tagfleet.ledger.rows import Rows
from tagfleet.ledger.values import truth_of
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

CLONES_MAX = 10_000
_TIMES = ("time_s", "time_quality")

Index = npt.NDArray[np.intp]


class Comparison:
    """State: samples that are wrong, with examples in words; and what clones have said under genuine identities."""

    def __init__(self, rows: Rows, start_us: int) -> None:
        self.wrong_count = 0
        self.examples: list[str] = []
        self.repeated_s = 0.0
        """How long a sample is advertised again, and may first be heard: where its tag did not know the time, the time
        that it was then given may be late by so much."""
        self._rows = rows
        self._start_us = start_us
        self._start_s = start_us // 1_000_000
        self._clones: dict[int, tuple[int, ...]] = {}

    def add_clone(self, row: int, values: Sequence[int]) -> None:
        """A clone has sent these values, in the order of ReadingColumns, in the place of a row's."""
        if len(self._clones) < CLONES_MAX:
            self._clones[row] = tuple(values)

    def compare(self, index: Index, delivered: ReadingColumns, certain_clock: bool) -> None:
        """Readings of samples that were made have arrived. certain_clock: whether their hub knew the time."""
        rows = self._rows.array[index]
        truth = truth_of(rows, self._start_s)
        made_us = rows["made_ms"].astype(np.int64) * 1000 + self._start_us
        wrong = wrong_fields(truth, delivered, made_us, self.repeated_s)
        differs = np.zeros(len(index), bool)
        for name, mask in wrong.items():
            if not mask.any():
                continue
            if name in _TIMES and not certain_clock:  # the batch says so: that is honest
                self._rows.array["state"][index[mask]] |= classes.MISTIMED
                continue
            differs |= mask
            expected = getattr(truth, name)
            for i in np.flatnonzero(mask)[: max(0, EXAMPLES - len(self.examples))].tolist():
                value = int(getattr(delivered, name)[i])
                if int(index[i]) not in self._clones:
                    self._say(int(index[i]), f"{name} is {_said(value)}, was {_said(int(expected[i]))}")
        for i in np.flatnonzero(differs).tolist():
            row = index[i : i + 1]
            clone = self._clones.get(int(row[0]))
            if clone is not None:
                other = ReadingColumns(*(np.array([value]) for value in clone))
                one = ReadingColumns(*(np.asarray(column)[i : i + 1] for column in delivered))
                unlike = wrong_fields(other, one, made_us[i : i + 1], self.repeated_s)
                if not any(mask.any() for name, mask in unlike.items() if certain_clock or name not in _TIMES):
                    self._rows.array["state"][row] |= classes.CLONED
                    continue
            self._mark_wrong(row)

    def spoil(self, index: Index, why: str) -> None:
        """Samples that are wrong, whatever still comes."""
        for row in index.tolist():
            self._say(row, why)
        self._mark_wrong(index)

    def _mark_wrong(self, index: Index) -> None:
        state = self._rows.array["state"]
        self.wrong_count += int((state[np.unique(index)] & classes.WRONG == 0).sum())
        state[index] |= classes.WRONG

    def _say(self, row: int, why: str) -> None:
        if len(self.examples) < EXAMPLES:
            tag, counter = identity(self._rows.tags, row)
            self.examples.append(f"tag {tag} counter {counter}: {why}")


def _said(value: int) -> str:
    return "n/a" if value == NOT_AVAILABLE else str(value)
