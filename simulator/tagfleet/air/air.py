"""The air of a run. State: bursts that go on, and each hub's radio. Pure."""

import numpy as np

from tagfleet.air.heard import Heard
from tagfleet.air.settings import AirSettings
from tagfleet.flock import Samples
from tagfleet.world.noise import Ints
from tagfleet.world.world import World


class Air:
    """Who hears whom. The same seed and samples give the same reports, however a run is cut into steps.

    hub_of_place: for each place of the world (its trucks, then its depots) the index of the hub there, -1 where there
    is none; None: hub i is in place i. Several places may share a hub: then its radio hears all of them as one room.
    """

    def __init__(self, settings: AirSettings, world: World, hub_of_place: Ints | None = None) -> None:
        self._settings = settings
        self._world = world
        self._hub_of_place = np.arange(world.places) if hub_of_place is None else hub_of_place
        self.refused: dict[str, int] = {}
        """Advertising events that a hub in reach did not report, by reason: away (no hub there), scan (none of its PDUs
        fell into a scan window on its channel), quiet, collision, interference, dead_time."""

    def hear(self, samples: Samples | None, until_us: int) -> Heard:
        """The bursts of `samples` begin (all that the flock made up to `until_us`); what hubs report up to about then.

        Each report comes once, in order of time, at the latest one millisecond of air after its event; `until_us` must
        not go back.
        """
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """Advertising events that are still to come."""
        raise NotImplementedError
