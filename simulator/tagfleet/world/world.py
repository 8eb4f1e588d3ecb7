"""The world as tags meet it: `World.environments` for many at once, `World.view` for one twin. Pure.

The same seed gives the same world, and every value is a function of (seed, tag, time) alone: it does not matter in
which steps, in which order or on how many machines a run asks. What is kept between two questions only saves time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.memory import keep_freed_memory
from tagfleet.world import battery, cargo, climate, gnss
from tagfleet.world.consignments import LOST, Consignments
from tagfleet.world.environment import Environment
from tagfleet.world.exposure import Exposure
from tagfleet.world.network import Network, great_circles, shipped_network
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.places import DOCK_MINUTE_S, NO_DEPOT, Place, plan_places, week_number
from tagfleet.world.present import Present, Stay
from tagfleet.world.visits import visits
from tagfleet.world.weather import AIR, DEW, Weather, weather_c

TAGS_PER_PLACE = 8
DEPOT_SHARE = 0.2
DEPOTS_MIN = 2
_ROWS_AT_ONCE = 20_480  # columns of 160 kB stay in a processor's cache


@dataclass(frozen=True)
class WorldSettings:
    """A world to build. Raises ValueError for what no world has.

    tags_per_place: on average. depot_share: of the places, but there are at least two depots. network: what trucks
    drive on; None: the roads that come with this package. straight: great circles between the network's cities instead.
    cargo_shares: of parcels, chilled and frozen goods. lost_share: of the rides on which a tag falls off and stays
    behind.
    cooler_failures_per_week: of each place; cooler_failures: further ones, as (place, begin, end) in Unix seconds.
    battery_life_days: of a full cell; batteries differ in age.
    """

    seed: int
    tags: int
    tags_per_place: float = TAGS_PER_PLACE
    depot_share: float = DEPOT_SHARE
    network: Network | None = None
    straight: bool = False
    cargo_shares: tuple[float, float, float] = (0.6, 0.3, 0.1)
    lost_share: float = 0.0005
    cooler_failures_per_week: float = 0.01
    cooler_failures: tuple[tuple[int, float, float], ...] = ()
    battery_life_days: float = 200.0

    def __post_init__(self) -> None:
        for wrong, what in (
            (self.tags < 0 or self.seed < 0, "tags or seed is negative"),
            (self.tags_per_place <= 0, "tags_per_place is not above 0"),
            (not 0 <= self.depot_share <= 1, "depot_share is not within 0 to 1"),
            (min(self.cargo_shares) < 0 or sum(self.cargo_shares) <= 0, "cargo_shares are negative or all 0"),
            (not 0 <= self.lost_share <= 1, "lost_share is not within 0 to 1"),
            (not 0 <= self.cooler_failures_per_week <= 7, "cooler_failures_per_week is not within 0 to 7"),
            (any(end < begin for _, begin, end in self.cooler_failures), "a cooler failure ends before it begins"),
            (self.battery_life_days <= 0, "battery_life_days is not above 0"),
        ):
            if wrong:
                raise ValueError(what)


class Environments(NamedTuple):
    """`Environment` as columns, one entry a row; and the place (-1: lost) and how much sky is seen (gnss.*_SKY)."""

    temperature_c: Floats
    humidity_pct: Floats
    battery_mv: Floats
    latitude_deg: Floats
    longitude_deg: Floats
    speed_mps: Floats
    has_sky: npt.NDArray[np.bool_]
    places: Ints
    sky: Ints


class World:
    """A seeded world with a number of tags in it; tags are known by their index. Build it by `make_world`."""

    def __init__(self, settings: WorldSettings) -> None:
        keep_freed_memory()
        self.settings = settings
        self.seed = settings.seed
        network = settings.network or shipped_network()
        if settings.straight:
            network = great_circles(network.cities)
        rng = np.random.default_rng(settings.seed)
        wanted = max(1, round(settings.tags / settings.tags_per_place + 0.499))
        depots = max(DEPOTS_MIN, round(wanted * settings.depot_share))
        self.map = plan_places(network, rng, max(wanted - depots, 0 if settings.depot_share == 1 else 1), depots)
        self.cargo = cargo.load_cargo(rng, settings.tags, settings.cargo_shares)
        self._exposure = Exposure(self.map, settings.seed, settings.cooler_failures_per_week, settings.cooler_failures)
        self._consignments = Consignments(
            self.map, settings.seed, self.cargo.kinds, settings.lost_share, self._exposure
        )
        self._life_s = settings.battery_life_days * 86_400.0
        self._weather = Weather(self.map, settings.seed)
        self._present = Present(self._consignments, settings.seed, settings.tags)
        self._docked: tuple[int, Ints] | None = None

    @property
    def trucks(self) -> int:
        """How many of the places are trucks: the first ones."""
        return self.map.trucks

    @property
    def places(self) -> int:
        """How many places tags can be at: the trucks, then the depots."""
        return self.map.count

    def position(self, places: Ints, t_s: Floats) -> Place:
        """Where trucks and depots are (indices, in any order, repeats allowed) at their times in Unix seconds."""
        return self.map.position(places, t_s)

    def docked(self, t_s: float) -> Ints:
        """For each truck the depot (a place) at which it loads in this minute, -1 for one that does not."""
        minute = int(t_s // DOCK_MINUTE_S)
        if self._docked is None or self._docked[0] != minute:
            self._docked = minute, self.map.docked(minute * DOCK_MINUTE_S)
        return self._docked[1]

    def places_of(self, tags: Ints, t_s: Floats) -> Ints:
        """The place of each of `tags` at its time: a truck's or depot's index, -1 for a lost one."""
        return self.stays(tags, t_s).places

    def stays(self, tags: Ints, t_s: Floats) -> Stay:
        """The place of each of `tags` at its time, and since when it is there."""
        return self._present.stays(tags, t_s)

    def visits(self, start_s: float, end_s: float) -> tuple[Ints, Ints]:
        """Pairs of a tag and a place, each once, ordered by place and tag: where tags are from `start_s` to `end_s`
        (Unix seconds), and whom they meet while a truck loads. A hub needs the keys of whom it hears."""
        return visits(self.map, self._consignments, start_s, end_s)

    def environments(self, tags: Ints, t_s: Floats) -> Environments:
        """What surrounds each of `tags` (indices, in any order, repeats allowed) at its time in Unix seconds."""
        pieces = [
            self._environments(tags[start : start + _ROWS_AT_ONCE], t_s[start : start + _ROWS_AT_ONCE])
            for start in range(0, max(len(tags), 1), _ROWS_AT_ONCE)
        ]
        result = pieces[0]
        if len(pieces) > 1:
            result = Environments(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))
        lost = np.flatnonzero(result.places == LOST)
        if len(lost):
            for column, values in zip(result, self._by_the_road(tags[lost], t_s[lost]), strict=True):
                column[lost] = values
        return result

    def sky(self, tags: Ints, t_s: Floats) -> Ints:
        """How much of the sky each tag sees (gnss.*_SKY)."""
        stay = self.stays(tags, t_s)
        around = self.map.surroundings(np.maximum(stay.places, 0), t_s)
        seen = gnss.sky(self.seed, tags, stay.places, self.trucks, t_s, stay.spot, around)
        seen[stay.places == LOST] = gnss.OPEN_SKY
        return seen

    def positions(self, tags: Ints, t_s: Floats) -> Place:
        """Where each of `tags` is."""
        places = self.places_of(tags, t_s)
        place = self.map.position(np.maximum(places, 0), t_s)
        lost = np.flatnonzero(places == LOST)
        if len(lost):
            found = self._consignments.lost(tags[lost], week_number(t_s[lost]))
            place.latitude_deg[lost], place.longitude_deg[lost] = found.T
            place.speed_mps[lost] = 0.0
        return place

    def view(self, tag: int, always_sky: bool = False) -> Callable[[float], Environment]:
        """The world of one tag, as a function of Unix seconds, which changes once a second. `always_sky` keeps it out
        of halls and tunnels."""
        tags = np.array([tag], np.int64)

        @lru_cache(maxsize=2)  # a wake asks often within the same second
        def in_second(second: int) -> Environment:
            row = self.environments(tags, np.array([second], np.float64))
            return Environment(
                float(row.temperature_c[0]),
                float(row.humidity_pct[0]),
                float(row.battery_mv[0]),
                float(row.latitude_deg[0]),
                float(row.longitude_deg[0]),
                float(row.speed_mps[0]),
                always_sky or bool(row.has_sky[0]),
            )

        return lambda t_s: in_second(int(t_s))

    def _environments(self, tags: Ints, t_s: Floats) -> Environments:
        stay = self.stays(tags, t_s)
        at = np.maximum(stay.places, 0)
        around = self.map.surroundings(at, t_s)
        kinds = self.cargo.kinds.take(tags)
        phase = self.cargo.phase.take(tags)
        inside_c, dew_c = self._weather.at(at, t_s, kinds, DEW)
        exchanged = self._exposure.at(at, stay.since_s, stay.carried, kinds, t_s, around)
        open_ = np.flatnonzero(exchanged)
        (outside_c,) = self._weather.at(at.take(open_), t_s.take(open_), AIR)
        temperature_c = inside_c + cargo.ripple_c(kinds, phase, t_s)
        temperature_c[open_] += exchanged.take(open_) * (outside_c - inside_c.take(open_))
        seen = gnss.sky(self.seed, tags, stay.places, self.trucks, t_s, stay.spot, around)
        return Environments(
            temperature_c,
            cargo.humidity_pct(kinds, temperature_c, dew_c, exchanged),
            battery.voltage_mv(t_s, phase, temperature_c, self._life_s),
            *around.place,
            seen != gnss.NO_SKY,
            stay.places,
            seen,
        )

    def _by_the_road(self, tags: Ints, t_s: Floats) -> Environments:
        """The environments of lost tags: nothing between them and the weather."""
        latitude_deg, longitude_deg = self._consignments.lost(tags, week_number(t_s)).T
        outside_c = weather_c(t_s, latitude_deg, longitude_deg, self.seed)
        temperature_c = outside_c[:, AIR]
        return Environments(
            temperature_c,
            climate.relative_humidity_pct(temperature_c, np.minimum(outside_c[:, DEW], temperature_c - 0.5)),
            battery.voltage_mv(t_s, self.cargo.phase[tags], temperature_c, self._life_s),
            latitude_deg,
            longitude_deg,
            np.zeros(len(tags)),
            np.ones(len(tags), np.bool_),
            np.full(len(tags), LOST),
            np.full(len(tags), gnss.OPEN_SKY),
        )


def build_world(seed: int, tags: int) -> World:
    """A world for `tags` tags: about eight share a truck or a depot."""
    return make_world(WorldSettings(seed, tags))


def make_world(settings: WorldSettings) -> World:
    """The world of these settings."""
    return World(settings)


__all__ = ["NO_DEPOT", "Environments", "Stay", "World", "WorldSettings", "build_world", "make_world"]
