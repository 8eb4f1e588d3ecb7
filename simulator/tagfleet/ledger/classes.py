"""What became of a sample: the bits that the ledger gathers, and the one class that follows from them. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.uint16]

MADE = 1  # the sensors have delivered it
ADVERTISED = 2
REPORTED = 4  # a hub's radio heard it
HUB_OFF = 8  # it reached a hub that was not running
HEARD = 16  # the hub's own trace from here on
ACCEPTED = 32
SPOOLED = 64
ACKNOWLEDGED = 128  # by the broker
ARRIVED = 256  # at the consumer
WRONG = 512
MISTIMED = 1024  # arrived with another time, and says itself that the time is not certain
CLONED = 2048  # what arrived are the values that a clone made under the same identity
RECOVERED = 4096  # arrived in a backlog, as a part of the tag's history
WAITING = 8192  # in the hub's spool at the end
TRACED = 16384  # reported to a hub whose trace is known, so its silence means something
DROPPED = 32768  # given up by the hub's policy, which counted it

# Of samples that were made: the first row that fits. (name, bits that are set, bits that are not, what it means)
_TABLE: tuple[tuple[str, int, int, str], ...] = (
    ("wrong", WRONG, 0, "arrived with another value, or was made twice with different ones"),
    ("cloned", ARRIVED | CLONED, 0, "a clone's values arrived in its place"),
    ("mistimed", ARRIVED | MISTIMED, 0, "delivered, with a time that is wrong and says that it is not certain"),
    ("recovered", ARRIVED | RECOVERED, REPORTED, "no radio reported it; it came with the tag's history"),
    ("delivered", ARRIVED, 0, "arrived, and says what was measured"),
    ("broker", ACKNOWLEDGED, 0, "the broker acknowledged it, and it never arrived"),
    ("waiting", WAITING, 0, "safe in its hub's spool when the run ended"),
    ("dropped", DROPPED, 0, "given up by its hub's policy (a full or an old spool), and counted there"),
    ("vanished", ACCEPTED, 0, "the hub accepted it, and has it no more"),
    ("uncommitted", HEARD, ACCEPTED, "the hub opened it and died before it was committed"),
    ("hub_off", REPORTED | HUB_OFF, HEARD, "it reached a hub that was not running"),
    ("refused", REPORTED | TRACED, HEARD, "a hub's radio reported it, and the hub did not take it"),
    ("lost", REPORTED, 0, "a radio reported it, and it never arrived; where it went cannot be seen from here"),
    ("radio", ADVERTISED, REPORTED, "advertised, and no hub's radio reported it"),
    ("battery", MADE, ADVERTISED, "made, and the battery ended before it was advertised"),
)
CLASSES = tuple(name for name, _, _, _ in _TABLE)
MEANINGS = {name: meaning for name, _, _, meaning in _TABLE}
GOOD = ("delivered", "recovered", "mistimed")
LOST = ("broker", "dropped", "vanished", "uncommitted", "hub_off", "refused", "lost")
"""What a gateway or a broker has to answer for. Not `waiting`: it will come."""


class Verdict(NamedTuple):
    """All samples by class. never_made: arrived or accepted, and no tag made them. counts: of CLASSES; their sum is
    `made`."""

    made: int
    counts: dict[str, int]
    never_made: int

    def of(self, *names: str) -> int:
        """The sum of some classes."""
        return sum(self.counts[name] for name in names)


def classify(states: States) -> npt.NDArray[np.int8]:
    """The index in CLASSES of each sample; -1 where nothing was made."""
    result = np.full(len(states), -1, np.int8)
    open_rows = (states & MADE) != 0
    for index, (_, present, absent, _) in enumerate(_TABLE):
        fits = open_rows & ((states & (present | absent)) == present)
        result[fits] = index
        open_rows &= ~fits
    return result


def verdict(states: States) -> Verdict:
    """Count some samples by class."""
    classes = classify(states)
    counts = np.bincount(classes[classes >= 0], minlength=len(CLASSES))
    strangers = ((states & MADE) == 0) & ((states & (ARRIVED | HEARD | ACCEPTED)) != 0)
    named = dict(zip(CLASSES, counts.tolist(), strict=True))
    return Verdict(int(counts.sum()), named, int(strangers.sum()))


def add(first: Verdict, second: Verdict) -> Verdict:
    """The sum of two verdicts about different samples."""
    counts = {name: first.counts[name] + second.counts[name] for name in CLASSES}
    return Verdict(first.made + second.made, counts, first.never_made + second.never_made)


NOTHING = Verdict(0, dict.fromkeys(CLASSES, 0), 0)
