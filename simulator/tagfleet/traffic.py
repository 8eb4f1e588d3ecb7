"""What the tags of a run do, step by step: samples into the ledger, and each hub's share of the air. Pure.

State: the flock, its air, and what goes wrong with tags. Hubs that are off are told to `off`; what reaches them is
theirs to miss, and the ledger knows.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np

from tagfleet.air.heard import Heard
from tagfleet.flock import Flock, Samples
from tagfleet.ledger import Ledger
from tagfleet.oracle import NonceReuse
from tagfleet.radio import addresses
from tagfleet.scenario.faults import Intruders, ReplayAttack
from tagfleet.tag_faults import TagFaults, chosen_samples
from tagfleet.world.noise import Ints, uniform
from tagfleet.world.world import World
from tagwire import fields
from tagwire.air import FULL_BYTES, encode_advertisements
from tagwire.bulk import NOT_AVAILABLE, advertisements, pack_bodies, seal_beacons, to_codes
from tagwire.table import COLUMNS

_STREAM_CLONE = 950
_CLONE_RSSI_DBM = -70


class AnyAir(Protocol):
    """`tagfleet.air.Air`, or a cheaper one."""

    @property
    def waiting(self) -> int: ...

    def hear(self, samples: Samples | None, until_us: int) -> Heard: ...


class Step(NamedTuple):
    """What happened up to a moment: for each of some hubs the air records its radio reports (or, for batches, its
    samples' columns), and how many samples were made."""

    hubs: list[int]
    pieces: list[bytes]
    made: int


class Attacker(Protocol):
    """Somebody beside hubs who listens to what they hear, and sends. Hubs count from 0. sent: advertisements so far."""

    sent: int

    def overhear(self, hub: int, heard: Heard) -> None: ...

    def records(self, hub: int, t_us: int, count: float) -> bytes: ...


class Attack(NamedTuple):
    """A fault of a scenario, the hubs at which it happens, from 0, and who does it."""

    fault: ReplayAttack | Intruders
    hubs: list[int]
    attacker: Attacker


class Traffic:
    """`step` it from the run's start to its end, and on until nothing is `waiting`."""

    def __init__(
        self,
        flock: Flock,
        air: AnyAir,
        world: World,
        hub_of_place: Ints,
        ledger: Ledger,
        faults: TagFaults,
        attacks: Iterable[Attack],
        seed: int,
        start_us: int,
        traced: bool,
    ) -> None:
        """traced: hubs tell what they do with what they hear."""
        self.reports = 0
        self.unmade = 0  # samples that dead batteries did not make
        self.off: set[int] = set()
        self._flock = flock
        self._air = air
        self._world = world
        self._hub_of_place = hub_of_place
        self._ledger = ledger
        self._faults = faults
        self._attacks = list(attacks)
        self._seed = seed
        self._start_us = start_us
        self._last_us = start_us
        self._traced = traced
        self._last_counters = flock.first_counters - 1
        self._clones: list[tuple[int, int, bytes]] = []  # (time, hub, record) still to come

    @property
    def hostile(self) -> int:
        """Advertisements that attackers have sent: they must reach nobody."""
        return sum(attack.attacker.sent for attack in self._attacks)

    @property
    def waiting(self) -> int:
        """Reports that are still to come."""
        return self._air.waiting + len(self._clones)

    def step(self, until_us: int, now_us: int, making: bool = True) -> Step:
        """Everything up to `until_us` of the run's own time; `now_us`: real time. Raises NonceReuse, LedgerFull."""
        samples = self._make(until_us) if making else None
        heard = self._air.hear(samples, until_us)
        step = self._report(heard, until_us, now_us)
        self._last_us = until_us
        return step._replace(made=0 if samples is None else len(samples.tags))

    def _make(self, until_us: int) -> Samples:
        samples, advertised, unmade = self._faults.survivors(self._flock.step(until_us / 1e6))
        self.unmade += unmade
        if not len(samples.tags):
            return samples
        # One key and nonce seal one frame: the flock's keys are its tags' own, and under one a counter only rises.
        if (samples.counters <= self._last_counters[samples.tags]).any():
            raise NonceReuse("a flock tag has sealed two samples under one counter")
        self._last_counters[samples.tags] = samples.counters
        self._ledger.made(samples.tag_ids, samples.counters, samples.readings, samples.t_us, advertised)
        if self._faults.clones:
            self._clone(samples)
        return samples if advertised.all() else chosen_samples(samples, advertised)

    def _report(self, heard: Heard, until_us: int, now_us: int) -> Step:
        hubs: list[int] = []
        pieces: list[bytes] = []
        self.reports += len(heard.hubs)
        if len(heard.hubs):
            off = np.isin(heard.hubs, list(self.off)) if self.off else np.zeros(len(heard.hubs), bool)
            for mask, is_off in ((~off, False), (off, True)):
                if mask.any():
                    self._ledger.reported(
                        heard.tag_ids[mask], heard.counters[mask], heard.hubs[mask], now_us, self._traced, is_off
                    )
            order = np.argsort(heard.hubs.astype(np.uint16), kind="stable")  # by radix, as there are few hubs
            records = encode_advertisements(
                heard.t_us[order], heard.rssi_dbm[order], heard.addresses[order], heard.adv_data[order]
            )
            present, starts = np.unique(heard.hubs[order], return_index=True)
            ends = [*(starts[1:] * FULL_BYTES).tolist(), len(records)]
            for hub, start, end in zip(present.tolist(), (starts * FULL_BYTES).tolist(), ends, strict=True):
                if hub not in self.off:
                    hubs.append(hub)
                    pieces.append(records[start:end])
        for hub, records in self._hostile(heard, until_us):
            if hub in hubs:
                pieces[hubs.index(hub)] += records
            else:
                hubs.append(hub)
                pieces.append(records)
        return Step(hubs, pieces, 0)

    def _hostile(self, heard: Heard, until_us: int) -> list[tuple[int, bytes]]:
        """What clones and attackers add."""
        found = []
        due = [clone for clone in self._clones if clone[0] <= until_us]
        if due:
            self._clones = [clone for clone in self._clones if clone[0] > until_us]
            found += [(hub, record) for _, hub, record in due if hub not in self.off]
        moment_s = (until_us - self._start_us) / 1e6
        span_s = (until_us - self._last_us) / 1e6
        for fault, hubs, attacker in self._attacks:
            end_s = math.inf if fault.end_s is None else fault.end_s
            if moment_s < fault.at or moment_s >= end_s + span_s:
                continue
            for hub in hubs:
                if hub in self.off:
                    continue
                records = attacker.records(hub, until_us, fault.per_s * span_s)
                if records:
                    found.append((hub, records))
        if self._attacks and len(heard.hubs):
            parts = heard.of_hubs()
            for _, hubs, attacker in self._attacks:
                for hub in hubs:
                    if hub in parts:
                        attacker.overhear(hub, parts[hub])
        return found

    def _clone(self, samples: Samples) -> None:
        rows, readings = self._faults.cloned(samples)
        if not len(rows):
            return
        tag_ids, counters = samples.tag_ids[rows], samples.counters[rows]
        self._ledger.cloned(tag_ids, counters, readings)
        keys = [self._flock.keys[tag] for tag in samples.tags[rows].tolist()]
        beacons = seal_beacons(keys, tag_ids, counters, pack_bodies(to_codes(readings)))
        adv_data = advertisements(0xFFFF, beacons)
        # A second earlier or later than the genuine one: who is first, wins the counter.
        shift_us = np.rint(2e6 * (uniform(self._seed, _STREAM_CLONE, tag_ids, counters) - 0.5)).astype(np.int64)
        when_us = samples.t_us[rows] + np.maximum(shift_us, 0)
        places = self._world.places_of(samples.world_tags[rows], samples.t_us[rows] / 1e6)
        hubs = np.where(places < 0, -1, self._hub_of_place[places])
        records = encode_advertisements(when_us, np.full(len(rows), _CLONE_RSSI_DBM), addresses(tag_ids), adv_data)
        for i, (t_us, hub) in enumerate(zip(when_us.tolist(), hubs.tolist(), strict=True)):
            if hub >= 0:
                self._clones.append((t_us, hub, records[i * FULL_BYTES : (i + 1) * FULL_BYTES]))


class DirectTraffic:
    """The same without radio: every sample goes to its hub as the columns of a batch, in the order of COLUMNS."""

    def __init__(
        self, flock: Flock, world: World, hub_of_place: Ints, ledger: Ledger, faults: TagFaults, traced: bool
    ) -> None:
        self.reports = 0
        self.unmade = 0
        self.off: set[int] = set()
        self.waiting = self.hostile = 0
        self._flock = flock
        self._world = world
        self._hub_of_place = hub_of_place
        self._ledger = ledger
        self._faults = faults
        self._traced = traced

    def step(self, until_us: int, now_us: int, making: bool = True) -> Step:
        """See Traffic.step."""
        if not making:
            return Step([], [], 0)
        samples, _, unmade = self._faults.survivors(self._flock.step(until_us / 1e6))
        self.unmade += unmade
        if not len(samples.tags):
            return Step([], [], 0)
        self._ledger.made(samples.tag_ids, samples.counters, samples.readings, samples.t_us)
        made = len(samples.tags)
        places = self._world.places_of(samples.world_tags, samples.t_us / 1e6)
        samples = chosen_samples(samples, places >= 0)  # who lies by the road is heard by nobody
        hubs = self._hub_of_place[places[places >= 0]]
        if not len(hubs):
            return Step([], [], made)
        self._ledger.reported(samples.tag_ids, samples.counters, hubs, now_us, self._traced)
        self.reports += len(hubs)
        order = np.argsort(hubs.astype(np.uint16), kind="stable")  # by radix, as there are few hubs
        table = np.stack([column[order] for column in _columns(samples)])
        present, starts = np.unique(hubs[order], return_index=True)
        ends = [*starts[1:].tolist(), len(hubs)]
        pieces = [table[:, start:end].tobytes() for start, end in zip(starts.tolist(), ends, strict=True)]
        return Step(present.tolist(), pieces, made)


def _columns(samples: Samples) -> list[Ints]:
    codes = to_codes(samples.readings)
    time_s = np.asarray(samples.readings.time_s)
    heard_s = samples.t_us // 1_000_000
    full_s = np.where(
        time_s == NOT_AVAILABLE, heard_s, (time_s + fields.TIME_STEP_S // 2) // fields.TIME_STEP_S * fields.TIME_STEP_S
    )
    values = {
        "tag": samples.tag_ids,
        "counter": samples.counters,
        "time": full_s,
        "latitude": codes.latitude,
        "longitude": codes.longitude,
        "temperature": codes.temperature,
        "humidity": codes.humidity,
        "battery": codes.battery,
        "fix": codes.fix,
        "motion": codes.motion,
        "quality": np.where(time_s == NOT_AVAILABLE, fields.TIME_ESTIMATED, codes.time_quality),
        "heard": np.maximum(heard_s - full_s, 0),
        "rssi": np.full(len(heard_s), -18),
        "flags": np.zeros(len(heard_s), np.int64),
    }
    return [np.asarray(values[name], np.int64) for name in COLUMNS]
