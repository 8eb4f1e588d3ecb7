"""Outside air and closed boxes at every place, each half hour; in between, a straight line. Pure.

State: the last few half hours. A straight line is within 0.02 K of the waves that climate is made of.
"""

import numpy as np
import numpy.typing as npt

from tagfleet.world import climate
from tagfleet.world.cargo import KINDS
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.places import Places

SLOT_S = 1800.0
AIR, DEW = len(KINDS), len(KINDS) + 1  # columns: inside of each kind, then these
_COLUMNS = len(KINDS) + 2
_KEPT = 4


class Weather:
    """`at` any place and time."""

    def __init__(self, places: Places, seed: int) -> None:
        self._places = places
        self._seed = seed
        self._slots: dict[int, npt.NDArray[np.float32]] = {}

    def at(self, places: Ints, t_s: Floats, *columns: Ints | int) -> list[Floats]:
        """Some columns' values (a kind's number, AIR or DEW; one for all rows, or one each) for each row, in C."""
        part = t_s * (1 / SLOT_S)
        slot = np.floor(part)
        part -= slot
        flats = [places * _COLUMNS + column for column in columns]
        if not len(slot):
            return [np.empty(0) for _ in columns]
        first, last = slot.min(), slot.max()
        if first == last:
            return [self._between(int(first), flat, part) for flat in flats]
        results = [np.empty(len(slot)) for _ in columns]
        for one in np.unique(slot).tolist():
            rows = np.flatnonzero(slot == one)
            for result, flat in zip(results, flats, strict=True):
                result[rows] = self._between(int(one), flat[rows], part[rows])
        return results

    def _between(self, slot: int, flat: Ints, part: Floats) -> Floats:
        begin, end = self._table(slot).take(flat), self._table(slot + 1).take(flat)
        return np.asarray(begin + part * (end - begin))

    def _table(self, slot: int) -> npt.NDArray[np.float32]:
        found = self._slots.get(slot)
        if found is None:
            everywhere = np.arange(self._places.count)
            place = self._places.position(everywhere, np.full(len(everywhere), slot * SLOT_S))
            found = weather_c(slot * SLOT_S, place.latitude_deg, place.longitude_deg, self._seed).astype(np.float32)
            self._slots[slot] = found
            if len(self._slots) > _KEPT:
                del self._slots[next(iter(self._slots))]
        return found


def weather_c(t_s: Floats | float, latitude_deg: Floats, longitude_deg: Floats, seed: int) -> Floats:
    """All columns, float64[n, 5]."""
    lags_s = (*(kind.lag_s for kind in KINDS), 0.0)
    lagged_c = climate.lagged_c(t_s, latitude_deg, longitude_deg, seed, lags_s)
    for column, kind in enumerate(KINDS):
        lagged_c[:, column] = kind.set_c + kind.share * (lagged_c[:, column] - kind.set_c)
    dew_c = climate.dew_point_c(t_s, latitude_deg, longitude_deg, seed)
    return np.concatenate([lagged_c, dew_c[:, None]], axis=1)
