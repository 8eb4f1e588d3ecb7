"""Each tag's present stay, so that a run that goes on in time need not search the week. Only saves time. Pure."""

from typing import NamedTuple

import numpy as np

from tagfleet.world.consignments import CARRIED_STEPS, Consignments
from tagfleet.world.line import WEEK_S
from tagfleet.world.noise import Floats, Ints, bits
from tagfleet.world.places import MONDAY_S, week_number

_STREAM_SPOT = 2
_BEGINS, _ENDS, _PLACE, _CARRIED, _SPOT = range(5)  # columns of a table whose row is one look into memory


class Stay(NamedTuple):
    """Where tags are, one a row: the place (-1: lost), since when (Unix seconds), how much of the outside their goods
    brought along (0 to 1), and where in the place they stand (0 to 1: near its gate or doors, to far inside)."""

    places: Ints
    since_s: Floats
    carried: Floats
    spot: Floats


class Present:
    """`stays` at any time: fast while time goes on within a week."""

    def __init__(self, consignments: Consignments, seed: int, tags: int) -> None:
        self._consignments = consignments
        self._seed = seed
        self._week = -1
        self._table = np.zeros((tags, 5), np.float32)

    def stays(self, tags: Ints, t_s: Floats) -> Stay:
        """The stay of each of `tags` (in any order, repeats allowed) at its time."""
        weeks = week_number(t_s)
        if not len(weeks) or (weeks == weeks[0]).all():
            return self._of_week(int(weeks[0]) if len(weeks) else 0, tags, t_s)
        result = Stay(np.empty(len(tags), np.int64), *(np.empty(len(tags)) for _ in range(3)))
        for week in np.unique(weeks).tolist():
            rows = np.flatnonzero(weeks == week)
            for column, piece in zip(result, self._of_week(week, tags[rows], t_s[rows]), strict=True):
                column[rows] = piece
        return result

    def _of_week(self, week: int, tags: Ints, t_s: Floats) -> Stay:
        if week != self._week:
            self._week = week
            self._table[:, _ENDS] = -np.inf
        start_s = week * WEEK_S + MONDAY_S
        at_s = t_s - start_s
        row = self._table.take(tags, axis=0)
        stale = np.flatnonzero((at_s >= row[:, _ENDS]) | (at_s < row[:, _BEGINS]))
        if len(stale):
            found = self._looked_up(week, tags[stale], at_s[stale])
            row[stale] = found
            self._table[tags[stale]] = found
        return Stay(
            row[:, _PLACE].astype(np.int64),
            row[:, _BEGINS].astype(np.float64) + start_s,
            row[:, _CARRIED].astype(np.float64),
            row[:, _SPOT].astype(np.float64),
        )

    def _looked_up(self, week: int, tags: Ints, at_s: Floats) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        stays = self._consignments.stays(week)
        begins_s = stays.begins_s[tags]
        stay = np.maximum((begins_s <= at_s[:, None]).sum(axis=1) - 1, 0)
        every = np.arange(len(tags))
        found = np.empty((len(tags), 5), np.float32)
        found[:, _BEGINS] = begins_s[every, stay]
        following = np.minimum(stay + 1, begins_s.shape[1] - 1)
        found[:, _ENDS] = np.where(stay + 1 < begins_s.shape[1], begins_s[every, following], np.inf)
        found[:, _PLACE] = places = stays.places[tags, stay]  # whole numbers up to 16 million
        found[:, _CARRIED] = stays.carried[tags, stay] / CARRIED_STEPS
        found[:, _SPOT] = (bits(self._seed, _STREAM_SPOT, tags, places) >> np.uint64(40)).astype(np.float64) / (1 << 24)
        return found
