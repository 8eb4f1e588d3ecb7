"""The sums of a ledger's rows. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.ledger import classes
from tagfleet.ledger.classes import CLASSES, LOST, NOTHING, Verdict, add, classify, verdict
from tagfleet.ledger.duplicates import Duplicates
from tagfleet.ledger.latency import Histogram
from tagfleet.ledger.rows import Tags
from tagfleet.world.noise import Ints

EXAMPLES = 5  # per class, for the report
_SCAN_ROWS = 1 << 20

RowArray = npt.NDArray[Any]


class Account(NamedTuple):
    """The sums of a ledger: `verdict` counts every sample made once."""

    verdict: Verdict
    reported: int
    accepted: int  # by hubs, as their traces say
    acknowledged: int  # by the broker, as hubs' traces say
    duplicates: Duplicates
    latency: Histogram
    """From a sample's first radio report to its first arrival."""
    examples: dict[str, list[str]]

    @property
    def made(self) -> int:
        return self.verdict.made

    @property
    def delivered(self) -> int:
        return self.verdict.of(*classes.GOOD)

    @property
    def wrong(self) -> int:
        """With another value, of a clone, or never made at all."""
        return self.verdict.of("wrong", "cloned") + self.verdict.never_made

    @property
    def lost(self) -> int:
        return self.verdict.of(*LOST)

    @property
    def unheard(self) -> int:
        return self.verdict.of("radio", "battery")

    @property
    def duplicated(self) -> int:
        return sum(self.duplicates)


def counted(rows: RowArray, used: int, tags: Tags, columns: Ints | None) -> tuple[Verdict, dict[str, list[str]]]:
    """The verdict on all rows before `used`, or on those of some tags (their places in `tags`), with examples."""
    total, examples = NOTHING, {name: list[str]() for name in CLASSES}
    for numbers, piece in pieces(rows, used, max(1, len(tags.ids)), columns):
        total = add(total, verdict(piece["state"]))
        found = classify(piece["state"])
        for index, name in enumerate(CLASSES):
            room = EXAMPLES - len(examples[name])
            if room and total.counts[name]:
                for row in np.flatnonzero(found == index)[:room].tolist():
                    examples[name].append(_name(tags, piece[row], numbers[row]))
    return total, examples


def pieces(rows: RowArray, used: int, width: int, columns: Iterable[int] | None) -> Iterator[tuple[range, RowArray]]:
    """Pieces of the rows, each with the rows' numbers. width: how many tags there are."""
    if columns is None:
        for start in range(0, used, _SCAN_ROWS):
            end = min(start + _SCAN_ROWS, used)
            yield range(start, end), rows[start:end]
        return
    for column in columns:
        yield range(int(column), used, width), rows[column:used:width]


def identity(tags: Tags, row: int) -> tuple[int, int]:
    """Tag id and counter of a row."""
    sequence, place = divmod(row, max(1, len(tags.ids)))
    return int(tags.ids[place]), int(tags.first_counters[place]) + sequence


def _name(tags: Tags, row: Any, number: int) -> str:
    tag, counter = identity(tags, number)
    reported = f", first reported by hub {int(row['hub']) + 1}" if row["reported"] else ""
    return f"tag {tag} counter {counter}{reported}"
