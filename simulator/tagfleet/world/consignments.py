"""Where each tag is: waiting in a depot, on a truck, in the next depot; now and then lost on the way. Pure.

A tag waits in a depot, goes with one of the next trucks, one to three stops far, and waits again. Every fourth Monday
each tag starts anew from a depot of its own: that keeps any moment within four weeks' planning of an answer.
"""

from typing import NamedTuple

import numpy as np

from tagfleet.world.exposure import Exposure
from tagfleet.world.line import WEEK_S
from tagfleet.world.noise import Floats, Ints, bits
from tagfleet.world.places import MONDAY_S, Places

SEASON_WEEKS = 4
ROUNDS = 6  # rides in a week; who waits less than a day after each stays where the last one ended
WAIT_S = (2 * 3600.0, 24 * 3600.0)
LEGS_MAX = 3
LOST = -1
CARRIED_STEPS = 255
_LEAVES = 0.8  # loading ends before departure
_STREAM_HOME, _STREAM_RIDE, _STREAM_LOST = 80, 81, 82


class Stays(NamedTuple):
    """One week of all tags: place and begin of each stay [tags, 2 ROUNDS + 1], begin in seconds of the week (below 0:
    since an earlier one; infinite: none), how much of the outside the goods brought there (CARRIED_STEPS: all), and
    where the lost ones lie: tags, degrees [n, 2]."""

    places: "np.ndarray[tuple[int, int], np.dtype[np.int32]]"
    begins_s: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
    carried: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]"
    lost_tags: Ints
    lost_deg: Floats


class Consignments:
    """`stays` of any week: the last few are kept."""

    def __init__(self, places: Places, seed: int, kinds: Ints, lost_share: float, exposure: Exposure) -> None:
        """kinds: of each tag's cargo."""
        self._places = places
        self._seed = seed
        self._tags = len(kinds)
        self._kinds = kinds
        self._lost_share = lost_share
        self._exposure = exposure
        self._weeks: dict[int, Stays] = {}
        self._keys = places.stop_depot * WEEK_S + places.stop_arrives_s
        self._order = np.argsort(self._keys)
        self._keys = self._keys[self._order]
        trucks = np.arange(places.trucks)
        self._last_stop = np.searchsorted(places.stop_truck, trucks, "right") - 1

    def stays(self, week: int) -> Stays:
        """The week of that number (weeks since 5 January 1970)."""
        found = self._weeks.get(week)
        if found is None:
            before = self.stays(week - 1) if week % SEASON_WEEKS else None
            found = self._plan(week, before)
            self._weeks[week] = found
            while len(self._weeks) > 2:
                del self._weeks[next(iter(self._weeks))]
        return found

    def lost(self, tags: Ints, weeks: Ints) -> Floats:
        """Where tags lie that are lost in their weeks: degrees [n, 2]."""
        found = np.empty((len(tags), 2))
        for week in np.unique(weeks).tolist():
            stays = self.stays(week)
            rows = np.flatnonzero(weeks == week)
            found[rows] = stays.lost_deg[np.searchsorted(stays.lost_tags, tags[rows])]
        return found

    def _plan(self, week: int, before: Stays | None) -> Stays:
        tags = np.arange(self._tags)
        depots = len(self._places.depot_cities)
        columns = 2 * ROUNDS + 1
        places = np.zeros((self._tags, columns), np.int32)
        begins_s = np.full((self._tags, columns), np.inf, np.float32)
        carried = np.zeros((self._tags, columns), np.uint8)
        lost_tags: list[Ints] = []
        lost_deg: list[Floats] = []
        if before is None:
            home = bits(self._seed, _STREAM_HOME, tags, week) >> np.uint64(32)
            at = self._places.trucks + (home * np.uint64(depots) >> np.uint64(32)).astype(np.int64)
            since_s = np.full(self._tags, -WEEK_S / 7)
        else:
            stay = np.isfinite(before.begins_s).sum(axis=1) - 1
            at = before.places[tags, stay].astype(np.int64)
            since_s = before.begins_s[tags, stay].astype(np.float64) - WEEK_S
            carried[:, 0] = before.carried[tags, stay]
            lost_tags, lost_deg = [before.lost_tags], [before.lost_deg]
        places[:, 0], begins_s[:, 0] = at, since_s
        on_ground = np.flatnonzero(at >= 0)
        at, since_s = at[on_ground], since_s[on_ground]
        for ride in range(ROUNDS):
            tag, boards_s, alights_s, truck, depot, draw = self._ride(on_ground, at, since_s, week, ride)
            for column, place, ends_s in ((2 * ride + 1, truck, boards_s), (2 * ride + 2, depot, alights_s)):
                places[tag, column], begins_s[tag, column] = place, ends_s
                carried[tag, column] = self._caught(week, tag, places[tag, column - 1], begins_s, carried, column)
            falls = (draw & np.uint64(0xFFFFFF)) < np.uint64(self._lost_share * (1 << 24))
            if falls.any():
                fallen = tag[falls]
                share = (draw[falls] >> np.uint64(24) & np.uint64(0xFFFF)).astype(np.float64) / (1 << 16)
                lost_s = boards_s[falls] + share * (alights_s[falls] - boards_s[falls])
                fell = self._places.position(truck[falls], week * WEEK_S + MONDAY_S + lost_s)
                places[fallen, 2 * ride + 2], begins_s[fallen, 2 * ride + 2] = LOST, lost_s
                carried[fallen, 2 * ride + 2] = CARRIED_STEPS
                lost_tags.append(fallen)
                lost_deg.append(np.stack([fell.latitude_deg, fell.longitude_deg], axis=1))
            on_ground, at, since_s = tag[~falls], depot[~falls], alights_s[~falls]
            if not len(on_ground):
                break
        who = np.concatenate([np.empty(0, np.int64), *lost_tags])
        where = np.concatenate([np.empty((0, 2)), *lost_deg])
        order = np.argsort(who)
        return Stays(places, begins_s, carried, who[order], where[order])

    def _caught(
        self,
        week: int,
        tags: Ints,
        places: "np.ndarray[tuple[int], np.dtype[np.int32]]",
        begins_s: "np.ndarray[tuple[int, int], np.dtype[np.float32]]",
        carried: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]",
        column: int,
    ) -> Ints:
        """What goods have caught by the end of the stay before `column`, in CARRIED_STEPS."""
        start_s = week * WEEK_S + MONDAY_S
        since_s, t_s = (start_s + begins_s[tags, c].astype(np.float64) for c in (column - 1, column))
        at = places.astype(np.int64)
        around = self._places.surroundings(at, t_s)
        before = carried[tags, column - 1] / CARRIED_STEPS
        caught = self._exposure.at(at, since_s, before, self._kinds[tags], t_s, around)
        return np.rint(caught * CARRIED_STEPS).astype(np.int64)

    def _ride(
        self, tags: Ints, at: Ints, since_s: Floats, week: int, ride: int
    ) -> "tuple[Ints, Floats, Floats, Ints, Ints, np.ndarray[tuple[int], np.dtype[np.uint64]]]":
        """The next ride of those that get one this week: tag, when it boards and alights, truck, depot, random bits."""
        draw = bits(self._seed, _STREAM_RIDE, tags, week * ROUNDS + ride)
        waits_s = WAIT_S[0] + (WAIT_S[1] - WAIT_S[0]) * (draw >> np.uint64(48)).astype(np.float64) / (1 << 16)
        ready_s = np.maximum(since_s, 0.0) + waits_s
        following = (draw >> np.uint64(40) & np.uint64(0xFF)).astype(np.int64)
        slot = np.searchsorted(self._keys, at * WEEK_S + np.minimum(ready_s, WEEK_S))
        ends = np.searchsorted(self._keys, (at + 1) * WEEK_S)
        choices = np.minimum(ends - slot, 3)  # one of the next three trucks
        goes = choices > 0
        stop = (
            self._order[np.where(goes, slot + following % np.maximum(choices, 1), 0)] if len(self._keys) else slot * 0
        )
        if not len(self._keys):
            goes = np.zeros(len(tags), np.bool_)
            none = np.empty(0)
            return tags[goes], none, none, tags[goes], tags[goes], draw[goes]
        truck = self._places.stop_truck[stop]
        target = np.minimum(stop + 1 + following // 4 % LEGS_MAX, self._last_stop[truck])
        goes &= target > stop
        tags, stop, target, truck, draw = tags[goes], stop[goes], target[goes], truck[goes], draw[goes]
        when = bits(self._seed, _STREAM_LOST, tags, week * ROUNDS + ride)
        first = (when >> np.uint64(32)).astype(np.float64) / (1 << 32)
        second = (when & np.uint64(0xFFFFFFFF)).astype(np.float64) / (1 << 32)
        arrives_s, departs_s = self._places.stop_arrives_s, self._places.stop_departs_s
        boards_s = arrives_s[stop] + _LEAVES * first * (departs_s - arrives_s)[stop]
        alights_s = arrives_s[target] + _LEAVES * second * (departs_s - arrives_s)[target]
        return tags, boards_s, alights_s, truck, self._places.stop_depot[target], draw
