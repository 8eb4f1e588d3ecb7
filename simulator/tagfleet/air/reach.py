"""Which hubs a burst can reach: the one of its place, and through open doors those on the other side. Pure."""

from typing import NamedTuple, Protocol

import numpy as np

from tagfleet.air.propagation import Floats32, place_dbm
from tagfleet.air.settings import AirSettings
from tagfleet.world.noise import Floats, Ints

NO_HUB = -1


class Places(Protocol):
    """What the air asks of a world."""

    @property
    def seed(self) -> int: ...

    @property
    def trucks(self) -> int: ...

    @property
    def places(self) -> int: ...

    def places_of(self, tags: Ints, t_s: Floats) -> Ints: ...

    def docked(self, t_s: float) -> Ints: ...


class Reach(NamedTuple):
    """Pairs of a burst's row and a hub within its reach, with RSSI without fading on each channel, float32[n, 3]."""

    rows: Ints
    hubs: Ints
    mean_dbm: Floats32


def reach(
    settings: AirSettings, world: Places, hub_of_place: Ints, world_tags: Ints, tag_ids: Ints, start_us: Ints
) -> Reach:
    """The pairs of bursts that start within one minute of the world's clock (`World.docked` holds for it)."""
    places = world.places_of(world_tags, start_us / 1e6)
    rows = np.flatnonzero(places >= 0)
    places = places[rows]
    radius_m = np.where(places < world.trucks, settings.truck_m, settings.depot_m)
    mean_dbm = place_dbm(settings, world.seed, tag_ids[rows], places, radius_m)
    home = Reach(rows, hub_of_place[places], mean_dbm)
    parts = (
        [home, *_through_doors(settings, world, hub_of_place, home, places, int(start_us[0]))] if len(rows) else [home]
    )
    pairs = Reach(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    heard = np.flatnonzero(pairs.hubs != NO_HUB)
    return Reach(pairs.rows[heard], pairs.hubs[heard], pairs.mean_dbm[heard])


def _through_doors(
    settings: AirSettings, world: Places, hub_of_place: Ints, home: Reach, places: Ints, start_us: int
) -> list[Reach]:
    """While a truck loads, its depot's hub hears its tags, and its own hub those of the depot."""
    depot_of_truck = world.docked(start_us / 1e6)
    docked = np.flatnonzero(depot_of_truck >= 0)
    if not len(docked):
        return []
    loss_db = np.float32(settings.dock_loss_db + 10 * settings.path_loss_exponent * np.log10(1 + settings.dock_m / 10))
    in_truck = np.flatnonzero(places < world.trucks)
    depots = depot_of_truck[places[in_truck]]
    in_truck, depots = in_truck[depots >= 0], depots[depots >= 0]
    out = Reach(home.rows[in_truck], hub_of_place[depots], home.mean_dbm[in_truck] - loss_db)

    order = docked[np.argsort(depot_of_truck[docked], kind="stable")]
    in_depot = np.flatnonzero(places >= world.trucks)
    first = np.searchsorted(depot_of_truck[order], places[in_depot], "left")
    count = np.searchsorted(depot_of_truck[order], places[in_depot], "right") - first
    which = np.repeat(np.arange(len(in_depot)), count)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    trucks = order[first[which] + nth]
    into = Reach(home.rows[in_depot[which]], hub_of_place[trucks], home.mean_dbm[in_depot[which]] - loss_db)
    # Where both share one hub, the tag is heard in its own place already.
    return [_select(out, out.hubs != home.hubs[in_truck]), _select(into, into.hubs != home.hubs[in_depot[which]])]


def _select(pairs: Reach, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Reach:
    return Reach(pairs.rows[chosen], pairs.hubs[chosen], pairs.mean_dbm[chosen])
