"""How much of the outside has come to a tag's goods: on the dock, through open doors, past a dead cooler. Pure.

`cargo` has the equation; here are its openings. A tag that changes places takes along what it has caught.
"""

import numpy as np
import numpy.typing as npt

from tagfleet.world import cargo
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.places import Places, Surroundings

_FORGOTTEN_S = cargo.FORGOTTEN * float(cargo.DOOR_S.max())
_DAYS_KEPT = 4


class Exposure:
    """failures_per_week: of each place's cooler; failures: further ones, as (place, begin, end) in Unix seconds."""

    def __init__(
        self, places: Places, seed: int, failures_per_week: float, failures: tuple[tuple[int, float, float], ...]
    ) -> None:
        self._places = places
        self._seed = seed
        self._per_week = failures_per_week
        self._failures = failures
        self._days: dict[int, npt.NDArray[np.bool_]] = {}

    def at(
        self, places: Ints, since_s: Floats, carried: Floats, kinds: Ints, t_s: Floats, around: Surroundings
    ) -> Floats:
        """0 to 1 for goods of some kinds that came to their place at `since_s`, and brought `carried` with them."""
        result = np.zeros(len(places))
        loaded_s = t_s - since_s
        # First the dock, then what doors do: what was open before a tag came does not concern it.
        rows = np.flatnonzero(loaded_s < _FORGOTTEN_S)
        if len(rows):
            here_s, tau_s = loaded_s[rows], cargo.DOOR_S.take(kinds[rows])
            result[rows] = cargo.opened(here_s, here_s - cargo.DOCK_S, tau_s) + carried[rows] * np.exp(-here_s / tau_s)
        for opened_s, closed_s in zip(around.opened_s, around.closed_s, strict=True):
            some = np.flatnonzero((closed_s < _FORGOTTEN_S) & (opened_s > 0))
            rows = around.rows[some]
            inside_s = loaded_s[rows] - cargo.DOCK_S
            result[rows] += cargo.opened(
                np.minimum(opened_s[some], inside_s),
                np.minimum(closed_s[some], inside_s),
                cargo.DOOR_S.take(kinds[rows]),
            )
        self._add_failures(result, places, loaded_s, kinds, t_s)
        return np.minimum(result, 1.0)

    def _add_failures(self, result: Floats, places: Ints, loaded_s: Floats, kinds: Ints, t_s: Floats) -> None:
        if self._per_week and len(t_s):
            rows = np.flatnonzero(self._failing(t_s)[places])
            began_s, ended_s = cargo.failures(self._seed, places[rows], t_s[rows], self._per_week)
            began_s, ended_s = np.minimum(began_s, loaded_s[rows]), np.minimum(ended_s, loaded_s[rows])
            result[rows] += cargo.opened(began_s, ended_s, cargo.LEAK_S.take(kinds[rows]))
        for place, begin_s, end_s in self._failures:
            rows = np.flatnonzero(places == place)
            began_s = np.minimum(t_s[rows] - begin_s, loaded_s[rows])
            ended_s = np.minimum(t_s[rows] - end_s, loaded_s[rows])
            result[rows] += cargo.opened(began_s, ended_s, cargo.LEAK_S.take(kinds[rows]))

    def _failing(self, t_s: Floats) -> npt.NDArray[np.bool_]:
        """Places whose cooler may have failed lately, in any of these days."""
        first, last = int(t_s.min() // 86_400), int(t_s.max() // 86_400)
        result = self._failing_on(first)
        for day in range(first + 1, last + 1):
            result = result | self._failing_on(day)
        return result

    def _failing_on(self, day: int) -> npt.NDArray[np.bool_]:
        found = self._days.get(day)
        if found is None:
            everywhere = np.arange(self._places.count)
            night_s = np.full(len(everywhere), day * 86_400.0 + 86_399.99)
            found = self._days[day] = cargo.failures(self._seed, everywhere, night_s, self._per_week)[0] < 2 * 86_400.0
            if len(self._days) > _DAYS_KEPT:
                del self._days[next(iter(self._days))]
        return found
