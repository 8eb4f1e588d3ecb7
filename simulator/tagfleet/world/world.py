"""The world as tags meet it: `World.environments` for many at once, `World.view` for one twin. Pure.

The same seed gives the same world, and every value is a function of (seed, tag, time) alone: it does not matter in
which steps, in which order or on how many machines a run asks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.world import gnss
from tagfleet.world.cargo import Cargo, load_cargo
from tagfleet.world.environment import Environment
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.roads import Tours, plan_tours

TAGS_PER_TRUCK = 8
DEPOT_SHARE = 0.2  # of the places


@dataclass(frozen=True)
class WorldSettings:
    """A world to build. tags_per_place: on average; depot_share: of the places."""

    seed: int
    tags: int
    tags_per_place: float = TAGS_PER_TRUCK
    depot_share: float = DEPOT_SHARE


class Environments(NamedTuple):
    """`Environment` as columns, one entry a row."""

    temperature_c: Floats
    humidity_pct: Floats
    battery_mv: Floats
    latitude_deg: Floats
    longitude_deg: Floats
    speed_mps: Floats
    has_sky: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """A seeded world with a number of tags in it; tags are known by their index."""

    seed: int
    tours: Tours
    truck_of_tag: Ints
    cargo: Cargo

    @property
    def places(self) -> int:
        """How many places tags can be at: the trucks, then the depots."""
        return len(self.tours.period_s)

    @property
    def trucks(self) -> int:
        """How many of the places are trucks: the first ones."""
        return int((np.diff(self.tours.distances_m, axis=1) > 0).any(axis=1).sum())

    def docked(self, t_s: float) -> Ints:
        """For each truck the depot (a place) at which it loads at that time, -1 for one that does not."""
        return np.full(self.trucks, -1)

    def places_of(self, tags: Ints, t_s: Floats) -> Ints:
        """The place of each of `tags` at its time: a truck's or depot's index, -1 where no hub will ever come by."""
        return self.truck_of_tag[tags]

    def environments(self, tags: Ints, t_s: Floats) -> Environments:
        """What surrounds each of `tags` (indices, in any order, repeats allowed) at its time in Unix seconds."""
        place = self.tours.place(self.truck_of_tag[tags], t_s)
        temperature_c, humidity_pct = self.cargo.climate(tags, t_s, place, self.seed)
        return Environments(
            temperature_c,
            humidity_pct,
            self.cargo.battery_mv(tags, t_s, temperature_c),
            place.latitude_deg,
            place.longitude_deg,
            place.speed_mps,
            gnss.has_sky(self.seed, tags, gnss.sky_slot(t_s)),
        )

    def view(self, tag: int, always_sky: bool = False) -> Callable[[float], Environment]:
        """The world of one tag, as a function of Unix seconds. `always_sky` keeps it out of halls and tunnels."""
        tags = np.array([tag], np.int64)

        def environment(t_s: float) -> Environment:
            row = self.environments(tags, np.array([t_s], np.float64))
            return Environment(
                float(row.temperature_c[0]),
                float(row.humidity_pct[0]),
                float(row.battery_mv[0]),
                float(row.latitude_deg[0]),
                float(row.longitude_deg[0]),
                float(row.speed_mps[0]),
                always_sky or bool(row.has_sky[0]),
            )

        return environment


def build_world(seed: int, tags: int) -> World:
    """A world for `tags` tags: about eight share a truck or a depot."""
    return make_world(WorldSettings(seed, tags))


def make_world(settings: WorldSettings) -> World:
    """The world of these settings."""
    rng = np.random.default_rng(settings.seed)
    vehicles = max(1, round(settings.tags / settings.tags_per_place + 0.499))
    depots = round(vehicles * settings.depot_share)
    tours = plan_tours(rng, vehicles - depots, depots)
    tags = settings.tags
    return World(settings.seed, tours, rng.integers(vehicles, size=tags), load_cargo(rng, tags))
