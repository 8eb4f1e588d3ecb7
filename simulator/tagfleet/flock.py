"""The flock: many tags as numpy arrays, which make the same bytes as a tag's firmware for the same readings. Pure.

A sample is a function of (seed, tag, sequence): it does not matter in how many steps a run asks for it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tagfleet.alarms import NO_ALARM, Alarms, limits_of
from tagfleet.journals import Journals
from tagfleet.sensing import sense
from tagfleet.world.noise import Floats, Ints, uniform
from tagfleet.world.world import World
from tagwire.beacon import BEACON_BYTES, EPOCH_S, KIND_ALARM, KIND_SAMPLE
from tagwire.bulk import (
    Bytes2D,
    CodeColumns,
    ReadingColumns,
    advertisements,
    from_codes,
    pack_bodies,
    private_names,
    seal_with,
    sealer,
    to_codes,
    with_reasons,
)
from tagwire.counter import make_counter
from tagwire.fields import TIME_STEP_S, TIME_UNKNOWN
from tagwire.history import Record
from tagwire.keys import beacon_key, id_key
from tagwire.provision import Provision

SEALERS_MAX = 30_000  # of larger flocks a kept cipher is slower than a new one: each beacon finds it in cold memory
INTERVAL_JITTER = 0.05  # of the interval, either way: a sleeping tag's RC oscillator

_STREAM_PHASE, _STREAM_JITTER = 30, 31


class Samples(NamedTuple):
    """Some samples, one a row, ordered by time: the tags' indices in the flock, their ids, the samples' counters, when
    they were made (Unix microseconds), what the sensors said, the bytes (uint8[n, 24] and uint8[n, 31]), and the tags'
    indices in the world."""

    tags: Ints
    tag_ids: Ints
    counters: Ints
    t_us: Ints
    readings: ReadingColumns
    beacons: Bytes2D
    adv_data: Bytes2D
    world_tags: Ints


Alter = Callable[[Ints, Ints, Floats, ReadingColumns], ReadingColumns]
"""What becomes of the readings of some tags (indices in the flock), sequences, times, before they are sealed."""


class Flock:
    """Tags that take a sample each `interval_s`, each at its own phase, the first one within `interval_s` of `start_s`.

    Tag i of the flock is tag `first_index + i` of the world. alter: for sensors that fail. journals: what hubs have
    settled, which beacons then hint at; None: nobody connects to these tags, and they hint at nothing. The first
    provision's settings hold for all: `private_ids`, and the limits whose passing makes an alarm (see `alarms`).
    """

    def __init__(
        self,
        provisions: Sequence[Provision],
        world: World,
        interval_s: float,
        start_s: float,
        first_index: int = 0,
        alter: Alter | None = None,
        journals: Journals | None = None,
    ) -> None:
        self.journals = journals
        self._alter = alter
        self.tag_ids = np.array([p.tag_id for p in provisions], np.int64)
        self.keys = [beacon_key(p.root_key, p.generation) for p in provisions]
        settings = provisions[0].settings if provisions else {}
        private = settings.get("private_ids") is True
        self._sealers = [sealer(key) for key in self.keys] if len(provisions) <= SEALERS_MAX else None
        self._id_keys = [id_key(p.root_key, p.generation) for p in provisions] if private else None
        self._names = np.zeros(len(provisions), np.uint32) if private else None
        limits = limits_of(settings)
        self._alarms = None if limits is None else Alarms(limits, len(provisions))
        self._reasons_of: tuple[int, Ints] = (-1, np.empty(0, np.int64))  # of the tag whose journal was read last
        self._first_counters = np.array([make_counter(p.generation, 0) for p in provisions], np.int64)
        self._company_id = provisions[0].company_id if provisions else 0xFFFF
        self._world = world
        self._interval_s = interval_s
        self._start_s = start_s
        self._world_index = np.arange(first_index, first_index + len(provisions), dtype=np.int64)
        self._sequences = np.zeros(len(provisions), np.int64)  # of each tag's next sample
        self._due_s = self._due(np.arange(len(provisions), dtype=np.int64), self._sequences)
        self._nothing: Samples | None = None  # what most of a run's short steps return

    @property
    def first_counters(self) -> Ints:
        """The counter of each tag's first sample."""
        return self._first_counters

    def step(self, until_s: float) -> Samples:
        """The samples that fall due up to `until_s` and were not returned before."""
        tags: list[Ints] = []
        sequences: list[Ints] = []
        due_s: list[Floats] = []
        while len(due := np.flatnonzero(self._due_s <= until_s)):
            tags.append(due)
            sequences.append(self._sequences[due])
            due_s.append(self._due_s[due])
            self._sequences[due] += 1
            self._due_s[due] = self._due(due, self._sequences[due])
        if not tags:
            if self._nothing is None:
                self._nothing = self._samples(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
            return self._nothing
        times_s = np.concatenate(due_s)
        order = np.argsort(times_s, kind="stable")
        return self._samples(np.concatenate(tags)[order], np.concatenate(sequences)[order], times_s[order])

    def made(self, tag: int) -> int:
        """How many samples a tag has made: the sequence of the next one."""
        return int(self._sequences[tag])

    def window_is_open(self, tag: int, t_s: float) -> bool:
        """Whether a hub can connect to a tag now, by what its latest beacon showed."""
        made = self._sequences[tag]
        if self.journals is None or not made:
            return False
        latest_s = float(self._due(np.array([tag]), np.array([made - 1]))[0])
        return self.journals.window_is_open(tag, t_s - latest_s, self._interval_s)

    def tag_called(self, name: int) -> int | None:
        """The tag (its index) whose latest beacon bore these 4 bytes as its id."""
        names = self.tag_ids if self._names is None else self._names
        found = np.flatnonzero(names == name)
        return int(found[0]) if len(found) else None

    def world_tag(self, tag: int) -> int:
        """The tag's index in the world."""
        return int(self._world_index[tag])

    def records(self, tag: int, first: int, last: int) -> list[Record]:
        """The samples of a tag from one sequence to another, made anew, as its journal would hold them."""
        sequences = np.arange(first, last + 1)
        tags = np.full(len(sequences), tag)
        readings = self._readings(tags, sequences, self._due(tags, sequences))
        codes = to_codes(readings)
        alarms = np.zeros(len(sequences), np.bool_)
        if self._alarms is not None:
            reasons = self._all_reasons(tag, last, self._alarms)[first : last + 1]
            alarms = reasons != NO_ALARM
            codes, _ = _with_reasons(codes, reasons)
        known = codes.time_quality != TIME_UNKNOWN
        time_4s = np.where(known, (readings.time_s + TIME_STEP_S // 2) // TIME_STEP_S, 0)
        columns = (self._first_counters[tags] + sequences, time_4s, *codes[:7], codes.time_quality, alarms)
        return [Record._make(row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _all_reasons(self, tag: int, last: int, alarms: Alarms) -> Ints:
        """Why each of a tag's samples is an alarm, from its first one on."""
        who, reasons = self._reasons_of
        if who != tag or len(reasons) <= last:
            sequences = np.arange(self.made(tag))
            tags = np.full(len(sequences), tag)
            codes = to_codes(self._readings(tags, sequences, self._due(tags, sequences)))
            reasons = alarms.reasons_from_the_first(codes)
            self._reasons_of = tag, reasons
        return reasons

    def _due(self, tags: Ints, sequences: Ints) -> Floats:
        """When each of `tags` takes the sample of that sequence."""
        index = self._world_index[tags]
        phase = uniform(self._world.seed, _STREAM_PHASE, index) * (1 - 2 * INTERVAL_JITTER) + INTERVAL_JITTER
        jitter = (2 * uniform(self._world.seed, _STREAM_JITTER, index, sequences) - 1) * INTERVAL_JITTER
        return np.asarray(self._start_s + self._interval_s * (phase + sequences + jitter))

    def _readings(self, tags: Ints, sequences: Ints, t_s: Floats) -> ReadingColumns:
        readings = sense(self._world, self._world_index[tags], sequences, t_s)
        return readings if self._alter is None else self._alter(tags, sequences, t_s, readings)

    def _samples(self, tags: Ints, sequences: Ints, t_s: Floats) -> Samples:
        readings = self._readings(tags, sequences, t_s)
        codes = to_codes(readings)
        kinds: Ints | int = KIND_SAMPLE
        if self._alarms is not None:
            reasons = self._alarms.judge(tags, codes)
            kinds = np.where(reasons == NO_ALARM, KIND_SAMPLE, KIND_ALARM)
            codes, cells = _with_reasons(codes, reasons)
            readings = _in_cells(readings, cells, reasons != NO_ALARM)
        counters = self._first_counters[tags] + sequences
        hints = 0 if self.journals is None else self.journals.hints(tags, sequences)
        beacons = self._sealed(tags, counters, codes, kinds, hints, t_s)
        return Samples(
            tags,
            self.tag_ids[tags],
            counters,
            (t_s * 1e6).astype(np.int64),
            readings,
            beacons,
            advertisements(self._company_id, beacons),
            self._world_index[tags],
        )

    def _sealed(
        self, tags: Ints, counters: Ints, codes: CodeColumns, kinds: Ints | int, hints: Ints | int, t_s: Floats
    ) -> Bytes2D:
        rows = tags.tolist()
        if self._sealers is None:
            sealers = map(sealer, map(self.keys.__getitem__, rows))
        else:
            sealers = map(self._sealers.__getitem__, rows)
        bodies = pack_bodies(codes)
        if self._id_keys is None or self._names is None:
            return seal_with(sealers, self.tag_ids[tags], counters, bodies, hints, kinds)
        epochs = t_s.astype(np.int64) // EPOCH_S
        names = private_names([self._id_keys[tag] for tag in rows], epochs)
        self._names[tags] = np.ascontiguousarray(names[:, :4]).view("<u4").ravel()
        return seal_with(sealers, self.tag_ids[tags], counters, bodies, hints, kinds, names, epochs)


def _with_reasons(codes: CodeColumns, reasons: Ints) -> tuple[CodeColumns, ReadingColumns]:
    """The codes with those of alarms in their places, and what they all say."""
    alarms = reasons != NO_ALARM
    told = with_reasons(codes, np.where(alarms, reasons, 0))
    mixed = codes._replace(
        latitude=np.where(alarms, told.latitude, codes.latitude),
        longitude=np.where(alarms, told.longitude, codes.longitude),
    )
    return mixed, from_codes(mixed, alarms)


def _in_cells(
    readings: ReadingColumns, said: ReadingColumns, alarms: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> ReadingColumns:
    """What a delivered value is to be held against: of an alarm the middle of its cell, as no more of it is sent."""
    return readings._replace(
        latitude_e7=np.where(alarms, said.latitude_e7, readings.latitude_e7),
        longitude_e7=np.where(alarms, said.longitude_e7, readings.longitude_e7),
    )


class UnsealedFlock(Flock):
    """Tags without keys, whose beacons are zeros: for runs that only want samples. A million of them take 100 MB."""

    def __init__(
        self,
        tag_ids: Ints,
        world: World,
        interval_s: float,
        start_s: float,
        alter: Alter | None = None,
    ) -> None:
        super().__init__([], world, interval_s, start_s, alter=alter)
        self.tag_ids = tag_ids
        self._first_counters = np.zeros(len(tag_ids), np.int64)
        self._world_index = np.arange(len(tag_ids), dtype=np.int64)
        self._sequences = np.zeros(len(tag_ids), np.int64)
        self._due_s = self._due(np.arange(len(tag_ids), dtype=np.int64), self._sequences)

    def _sealed(
        self, tags: Ints, counters: Ints, codes: CodeColumns, kinds: Ints | int, hints: Ints | int, t_s: Floats
    ) -> Bytes2D:
        return np.zeros((len(tags), BEACON_BYTES), np.uint8)
