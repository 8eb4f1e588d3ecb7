"""The air of a run: who hears whom, when and how loud. State: bursts that go on, and each hub's radio. Pure.

Every draw is a function of (seed, tag, counter, burst, event), and an event is decided when all that may overlap it is
known: it does not matter in which steps a run asks.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.air.bursts import BurstQueue, Bursts, first_bursts
from tagfleet.air.collisions import collided
from tagfleet.air.heard import Heard
from tagfleet.air.propagation import faded_dbm, too_quiet
from tagfleet.air.reach import Places, Reach, reach
from tagfleet.air.scanner import deaf, interfered, listening, phases_us
from tagfleet.air.settings import ADV_DELAY_US, PDU_US, AirSettings
from tagfleet.flock import Samples
from tagfleet.world.noise import Ints, Words, bits, further_bits

Bools = npt.NDArray[np.bool_]

REASONS = ("scan", "quiet", "collision", "interference", "dead_time")
DOORS_US = 60_000_000  # how long an answer of World.docked holds
_BURSTS_AT_ONCE = 8_192  # some 100,000 events: columns of that size stay in a processor's cache
_REPEATS_MAX = 64
_STREAM_EVENTS = 64


class _Running(NamedTuple):
    """Bursts that go on, the hubs in reach, and of each pair its events' random words and starts [pairs, events]."""

    bursts: Bursts
    pairs: Reach
    words: Words
    start_us: Ints

    @property
    def ends_us(self) -> int:
        return int(self.start_us.max())


class Air:
    """Who hears whom. The same seed and samples give the same reports, however a run is cut into steps.

    hub_of_place: for each place of the world (its trucks, then its depots) the index of the hub there, -1 where there
    is none; None: hub i is in place i. Several places may share a hub: then its radio hears all of them as one room.
    """

    def __init__(self, settings: AirSettings, world: Places, hub_of_place: Ints | None = None) -> None:
        self.events = 0
        """Pairs of an advertising event and a hub in reach that were decided."""
        self.unheard = dict.fromkeys(REASONS, 0)
        """Those that the hub did not report, by the first reason that applies: scan (none of its PDUs fell into a scan
        window on its channel), quiet, collision, interference, dead_time."""
        self._settings = settings
        self._world = world
        self._hub_of_place = np.arange(world.places) if hub_of_place is None else np.asarray(hub_of_place, np.int64)
        hubs = int(self._hub_of_place.max(initial=-1)) + 1
        self._phases_us = phases_us(settings, world.seed, hubs)
        self._busy_until_us = np.zeros(hubs, np.int64)
        self._queue = BurstQueue(settings.burst_repeats, round(settings.burst_s * 1e6))
        self._running: list[_Running] = []
        self._decided_us = 0

    @property
    def waiting(self) -> int:
        """Bursts that are still to come or going on."""
        return self._queue.waiting + sum(len(one.bursts.tags) for one in self._running)

    def hear(self, samples: Samples | None, until_us: int) -> Heard:
        """The bursts of `samples` begin (all that the flock made up to `until_us`); what hubs report up to about then.

        Reports come in order of time, each once, for events that began at least one PDU's length ago. A report's time
        is when its event's first PDU ended. `until_us` must not go back.
        """
        if samples is not None:
            self._queue.add(first_bursts(samples), samples.intervals_us)
        bursts = self._queue.take(until_us)
        parts = []
        if bursts is not None:
            start = 0
            while start < len(bursts.tags):
                minute_ends_us = (int(bursts.start_us[start]) // DOORS_US + 1) * DOORS_US
                end = int(np.searchsorted(bursts.start_us, minute_ends_us, "left"))
                end = min(end, start + _BURSTS_AT_ONCE)
                piece = bursts.select(slice(start, end))
                self._begin(piece)
                if end < len(bursts.tags):
                    parts.append(self._decide(int(bursts.start_us[end])))
                start = end
        parts.append(self._decide(until_us))
        return Heard.joined(parts)

    def _begin(self, bursts: Bursts) -> None:
        settings, seed = self._settings, self._world.seed
        pairs = reach(settings, self._world, self._hub_of_place, bursts.world_tags, bursts.tag_ids, bursts.start_us)
        if not len(pairs.rows):
            return
        first = bits(seed, _STREAM_EVENTS, bursts.tag_ids, bursts.counters * _REPEATS_MAX + bursts.repeats)
        words = further_bits(first, settings.burst_events)
        delays_us = (words & np.uint64(0xFFFF)).astype(np.int64) * ADV_DELAY_US >> 16
        steps_us = delays_us + round(settings.burst_interval_ms * 1000)
        start_us = bursts.start_us[:, None] + np.cumsum(steps_us, axis=1) - steps_us[:, :1]
        self._running.append(_Running(bursts, pairs, words[pairs.rows], start_us[pairs.rows]))

    def _decide(self, until_us: int) -> Heard:
        """Decide all events that began a PDU's length before `until_us`; bursts are known up to then."""
        settings = self._settings
        after_us, upto_us = self._decided_us, max(until_us - PDU_US, self._decided_us)
        self._decided_us = upto_us
        if not self._running or upto_us == after_us:
            return Heard.empty()
        bursts = Bursts.joined([one.bursts for one in self._running])
        near = [
            np.nonzero((one.start_us > after_us - PDU_US) & (one.start_us <= upto_us + PDU_US)) for one in self._running
        ]
        both = list(zip(self._running, near, strict=True))
        start_us = np.concatenate([one.start_us[at] for one, at in both])
        word = np.concatenate([one.words[at] for one, at in both])
        hub = np.concatenate([one.pairs.hubs[at[0]] for one, at in both])
        mean_dbm = np.concatenate([one.pairs.mean_dbm[at[0]] for one, at in both])
        before = np.cumsum([0] + [len(one.bursts.tags) for one in self._running])
        row = np.concatenate([one.pairs.rows[at[0]] + n for (one, at), n in zip(both, before, strict=False)])
        self._running = [one for one in self._running if one.ends_us > upto_us - PDU_US]

        listens, channel = listening(settings, self._phases_us[hub], start_us)
        rssi_dbm = faded_dbm(settings, mean_dbm[np.arange(len(hub)), channel], word)
        fate = collided(hub, start_us, rssi_dbm, settings.capture_db)

        open_ = (start_us > after_us) & (start_us <= upto_us)
        self.events += int(np.count_nonzero(open_))
        open_ = self._refuse("scan", open_, ~listens)
        open_ = self._refuse("quiet", open_, too_quiet(settings, rssi_dbm, word))
        open_ = self._refuse("collision", open_, fate)
        left = np.flatnonzero(open_)
        drowned = interfered(settings, self._world.seed, hub[left], start_us[left])
        self.unheard["interference"] += int(np.count_nonzero(drowned))
        left = left[~drowned]
        left = left[np.lexsort((bursts.tag_ids[row[left]], start_us[left], hub[left]))]
        late = deaf(self._busy_until_us, hub[left], start_us[left], settings.dead_time_us)
        self.unheard["dead_time"] += int(np.count_nonzero(late))
        left = left[~late]
        left = left[np.argsort(start_us[left], kind="stable")]
        burst = row[left]
        return Heard(
            hub[left],
            bursts.tags[burst],
            bursts.tag_ids[burst],
            bursts.counters[burst],
            start_us[left] + PDU_US,
            np.clip(np.rint(rssi_dbm[left]), -127, 20).astype(np.int64),
            bursts.addresses[burst],
            bursts.adv_data[burst],
        )

    def _refuse(
        self,
        reason: str,
        still: Bools,
        failed: Bools,
    ) -> Bools:
        lost = still & failed
        self.unheard[reason] += int(np.count_nonzero(lost))
        return still & ~lost
