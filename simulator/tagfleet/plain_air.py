"""A plain air for large fleets: every event is received by chance, by the hub of the tag's place. Pure.

It has the face of `tagfleet.air.Air`, and costs a tenth: no collisions, scan windows, interference. Loudness and
distance are as `tagfleet.radio` draws them.
"""

import numpy as np

from tagfleet.air.heard import Heard
from tagfleet.flock import Samples
from tagfleet.radio import RadioSettings, addresses, advertised_ids, hear
from tagfleet.world.noise import Ints
from tagfleet.world.world import World


class PlainAir:
    """first_only: of each burst, only the first event that is received."""

    def __init__(self, settings: RadioSettings, world: World, hub_of_place: Ints, first_only: bool) -> None:
        self._settings = settings
        self._world = world
        self._hub_of_place = hub_of_place
        self._first_only = first_only
        self._waiting: Heard | None = None

    @property
    def waiting(self) -> int:
        """Reports that are still to come."""
        return 0 if self._waiting is None else len(self._waiting.hubs)

    def hear(self, samples: Samples | None, until_us: int) -> Heard:
        """See `tagfleet.air.Air.hear`."""
        if samples is not None and len(samples.tags):
            self._add(samples)
        waiting = self._waiting
        if waiting is None:
            return Heard.empty()
        due = int(np.searchsorted(waiting.t_us, until_us, "right"))
        self._waiting = None if due == len(waiting.t_us) else waiting.select(np.arange(due, len(waiting.t_us)))
        return waiting.select(np.arange(due))

    def _add(self, samples: Samples) -> None:
        rows, t_us, rssi_dbm = hear(
            self._settings, self._world.seed, samples.tag_ids, samples.counters, samples.t_us, self._first_only
        )
        places = self._world.places_of(samples.world_tags[rows], t_us / 1e6)
        hubs = np.where(places < 0, -1, self._hub_of_place[places])
        here = np.flatnonzero(hubs >= 0)
        rows = rows[here]
        new = Heard(
            hubs[here],
            samples.tags[rows],
            samples.tag_ids[rows],
            samples.counters[rows],
            t_us[here],
            rssi_dbm[here],
            addresses(advertised_ids(samples)[rows]),
            samples.adv_data[rows],
        )
        if self._waiting is not None:
            joined = Heard.joined([self._waiting, new])
            new = joined.select(np.argsort(joined.t_us, kind="stable"))
        self._waiting = new
