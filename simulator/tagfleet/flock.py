"""The flock: many tags as numpy arrays, which make the same bytes as a tag's firmware for the same readings. Pure.

What a tag does next depends on what it has met before, as with the firmware: whether it moves, has sky, is too warm. It
does not matter in how many steps a run asks for it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tagfleet.alarms import NO_ALARM, Alarms, limits_of
from tagfleet.diary import Diary
from tagfleet.duty import Duty, duty_of
from tagfleet.journals import Journals
from tagfleet.sensing import MOVING_MPS, Fixes, fixed_positions, last_sky_s, sense
from tagfleet.world import gnss
from tagfleet.world.noise import Floats, Ints, uniform
from tagfleet.world.world import Environments, World
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

SEALERS_MAX = 200_000  # tags whose ciphers are kept, 560 bytes each; larger flocks make one anew for each beacon
INTERVAL_JITTER = 0.05  # of the interval, either way: a sleeping tag's RC oscillator

_STREAM_PHASE, _STREAM_JITTER = 30, 31


class Samples(NamedTuple):
    """Some samples, one a row, ordered by time: the tags' indices in the flock, their ids, the samples' counters, when
    they were made (Unix microseconds), what the sensors said, the bytes (uint8[n, 24] and uint8[n, 31]), the tags'
    indices in the world, and in how many microseconds, about, each tag means to take its next sample."""

    tags: Ints
    tag_ids: Ints
    counters: Ints
    t_us: Ints
    readings: ReadingColumns
    beacons: Bytes2D
    adv_data: Bytes2D
    world_tags: Ints
    intervals_us: Ints


Alter = Callable[[Ints, Ints, Floats, ReadingColumns], ReadingColumns]
"""What becomes of the readings of some tags (indices in the flock), sequences, times, before they are sealed."""


class _Made(NamedTuple):
    """Samples before they are sealed: of each tag in their order."""

    tags: Ints
    sequences: Ints
    t_s: Floats
    intervals_s: Floats
    readings: ReadingColumns
    codes: CodeColumns
    reasons: Ints


class Flock:
    """Tags that take a sample each `interval_s`, each at its own phase, the first one within `interval_s` of `start_s`.

    Tag i of the flock is tag `first_index + i` of the world. alter: for sensors that fail. journals: what hubs have
    settled, which beacons then hint at; None: nobody connects to these tags, and they hint at nothing. The first
    provision's settings hold for all: `private_ids`, the limits whose passing makes an alarm (see `alarms`), and when
    to search for a fix and to take a sample (see `duty`).
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
        self.keys = [beacon_key(p.root_key, p.generation) for p in provisions]
        self._sealers = [sealer(key) for key in self.keys] if len(provisions) <= SEALERS_MAX else None
        settings = provisions[0].settings if provisions else {}
        private = settings.get("private_ids") is True
        self._id_keys = [id_key(p.root_key, p.generation) for p in provisions] if private else None
        self._names = np.zeros(len(provisions), np.uint32) if private else None
        limits = limits_of(settings)
        self._alarms = None if limits is None else Alarms(limits, len(provisions))
        self._diary = None if journals is None else Diary(len(provisions), journals.settings.samples)
        self._company_id = provisions[0].company_id if provisions else 0xFFFF
        self._world = world
        self._start_s = start_s
        self._settings = duty_of(settings, interval_s)
        ids = np.array([p.tag_id for p in provisions], np.int64)
        self._begin(ids, np.array([make_counter(p.generation, 0) for p in provisions], np.int64), first_index)
        self._nothing: Samples | None = None  # what most of a run's short steps return

    def _begin(self, tag_ids: Ints, first_counters: Ints, first_index: int) -> None:
        count = len(tag_ids)
        self.tag_ids = tag_ids
        self._first_counters = first_counters
        self._world_index = np.arange(first_index, first_index + count, dtype=np.int64)
        self._duty = Duty(self._settings, count)
        self._sequences = np.zeros(count, np.int64)  # of each tag's next sample
        self._made_s = np.zeros(count)  # when each tag made its last one
        phase = uniform(self._world.seed, _STREAM_PHASE, self._world_index)
        phase = phase * (1 - 2 * INTERVAL_JITTER) + INTERVAL_JITTER
        self._due_s = np.asarray(self._start_s + self._settings.interval_s * phase)

    @property
    def first_counters(self) -> Ints:
        """The counter of each tag's first sample."""
        return self._first_counters

    def step(self, until_s: float) -> Samples:
        """The samples that fall due up to `until_s` and were not returned before."""
        parts = []
        while len(due := np.flatnonzero(self._due_s <= until_s)):
            parts.append(self._make(due))
        if not parts:
            if self._nothing is None:
                self._nothing = self._sealed_samples(self._make(np.empty(0, np.int64)))
            return self._nothing
        return self._sealed_samples(_joined(parts))

    def made(self, tag: int) -> int:
        """How many samples a tag has made: the sequence of the next one."""
        return int(self._sequences[tag])

    def window_is_open(self, tag: int, t_s: float) -> bool:
        """Whether a hub can connect to a tag now, by what its latest beacon showed."""
        if self.journals is None or not self._sequences[tag]:
            return False
        latest_s = float(self._made_s[tag])
        return self.journals.window_is_open(tag, t_s - latest_s, float(self._due_s[tag]) - latest_s)

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
        if self._diary is None:
            return []
        sequences = np.arange(first, last + 1)
        made_s, fix_s, reasons = self._diary.read(tag, sequences)
        tags = np.full(len(sequences), tag)
        world_tags = self._world_index[tags]
        fixes = Fixes(fix_s == made_s, fix_s, *fixed_positions(self._world, world_tags, fix_s, made_s))
        readings = self._sensed(tags, sequences, made_s, self._world.environments(world_tags, made_s), fixes)
        codes, _ = _with_reasons(to_codes(readings), reasons)
        known = codes.time_quality != TIME_UNKNOWN
        time_4s = np.where(known, (readings.time_s + TIME_STEP_S // 2) // TIME_STEP_S, 0)
        counters = self._first_counters[tags] + sequences
        columns = (counters, time_4s, *codes[:7], codes.time_quality, reasons != NO_ALARM)
        return [Record._make(row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _make(self, tags: Ints) -> _Made:
        """The next sample of each of these tags."""
        sequences, t_s = self._sequences[tags], self._due_s[tags]
        around = self._world.environments(self._world_index[tags], t_s)
        readings = self._sensed(tags, sequences, t_s, around, self._searched(tags, t_s, around))
        codes = to_codes(readings)
        reasons, alarmed, urgent = np.full(len(tags), NO_ALARM), _NOBODY, _NOBODY
        if self._alarms is not None:
            reasons = self._alarms.judge(tags, codes)
            alarmed, urgent = self._alarms.out_of_limits(tags), self._alarms.has_more(tags)
        intervals_s = self._duty.intervals_s(tags, alarmed, urgent)
        if self._diary is not None and len(tags):
            self._diary.write(tags, sequences, t_s, self._duty.fix_s[tags], reasons)
        jitter = 2 * uniform(self._world.seed, _STREAM_JITTER, self._world_index[tags], sequences) - 1
        self._duty.slept(tags, intervals_s)
        self._made_s[tags] = t_s
        self._sequences[tags] += 1
        self._due_s[tags] = t_s + intervals_s * (1 + INTERVAL_JITTER * jitter)
        return _Made(tags, sequences, t_s, intervals_s, readings, codes, reasons)

    def _searched(self, tags: Ints, t_s: Floats, around: Environments) -> Fixes:
        """Who has searched for a fix found it or not; the rest remember their last one."""
        duty, world, world_tags = self._duty, self._world, self._world_index[tags]
        new = np.isnan(duty.fix_s[tags])
        if new.any():  # before the run, too, these tags were somewhere
            fix_s = last_sky_s(world, world_tags[new], t_s[new])
            duty.remember(tags[new], fix_s, *fixed_positions(world, world_tags[new], fix_s, t_s[new])[:2])
        timeout_s = duty.timeouts_s(tags, t_s)
        fixed = gnss.gets_fix(world.seed, world_tags, t_s, around.sky, duty.is_cold(tags, t_s), timeout_s)
        searching = timeout_s > 0
        duty.searched(tags[searching], fixed[searching], (around.speed_mps >= MOVING_MPS)[searching])
        at = np.flatnonzero(fixed)
        latitude_deg, longitude_deg, found = gnss.measured(
            world.seed, world_tags[at], t_s[at], around.latitude_deg[at], around.longitude_deg[at], around.sky[at]
        )
        duty.remember(tags[at], t_s[at], latitude_deg, longitude_deg)
        classes = np.zeros(len(tags), np.int64)
        classes[at] = found
        return Fixes(fixed, duty.fix_s[tags], duty.latitude_deg[tags], duty.longitude_deg[tags], classes)

    def _sensed(self, tags: Ints, sequences: Ints, t_s: Floats, around: Environments, fixes: Fixes) -> ReadingColumns:
        hold_s = 3600 * self._settings.clock_hold_h
        readings = sense(self._world, self._world_index[tags], sequences, t_s, around, fixes, hold_s)
        return readings if self._alter is None else self._alter(tags, sequences, t_s, readings)

    def _sealed_samples(self, made: _Made) -> Samples:
        """Samples as they go on the air, in order of time."""
        tags, sequences, t_s, intervals_s, readings, codes, reasons = made
        kinds: Ints | int = KIND_SAMPLE
        if self._alarms is not None:
            kinds = np.where(reasons == NO_ALARM, KIND_SAMPLE, KIND_ALARM)
            codes, cells = _with_reasons(codes, reasons)
            readings = in_cells(readings, cells, reasons != NO_ALARM)
        counters = self._first_counters[tags] + sequences
        hints = 0 if self.journals is None else self.journals.hints(tags, sequences)
        # As they were made, tag after tag: in order of time each cipher would come out of cold memory.
        beacons = self._sealed(tags, counters, codes, kinds, hints, t_s)
        order = np.argsort(t_s, kind="stable")
        tags, beacons = tags[order], beacons[order]
        return Samples(
            tags,
            self.tag_ids[tags],
            counters[order],
            (t_s[order] * 1e6).astype(np.int64),
            ReadingColumns(*(column[order] for column in readings)),
            beacons,
            advertisements(self._company_id, beacons),
            self._world_index[tags],
            (intervals_s[order] * 1e6).astype(np.int64),
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


_NOBODY: "np.ndarray[tuple[int], np.dtype[np.bool_]]" = np.zeros(1, np.bool_)
"""For everybody that something is not so."""


def _joined(parts: list[_Made]) -> _Made:
    """All of some parts, one after the other."""

    def joined(columns: Iterable[Any]) -> Any:
        return np.concatenate(list(columns))

    tags, sequences, t_s, intervals_s = (joined(part[i] for part in parts) for i in range(4))
    readings = ReadingColumns(*(joined(columns) for columns in zip(*(part.readings for part in parts), strict=True)))
    codes = CodeColumns(*(joined(columns) for columns in zip(*(part.codes for part in parts), strict=True)))
    return _Made(tags, sequences, t_s, intervals_s, readings, codes, joined(part.reasons for part in parts))


def _with_reasons(codes: CodeColumns, reasons: Ints) -> tuple[CodeColumns, ReadingColumns]:
    """The codes with those of alarms in their places, and what they all say."""
    alarms = reasons != NO_ALARM
    told = with_reasons(codes, np.where(alarms, reasons, 0))
    mixed = codes._replace(
        latitude=np.where(alarms, told.latitude, codes.latitude),
        longitude=np.where(alarms, told.longitude, codes.longitude),
    )
    return mixed, from_codes(mixed, alarms)


def in_cells(
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
        self._begin(tag_ids, np.zeros(len(tag_ids), np.int64), 0)

    def _sealed(
        self, tags: Ints, counters: Ints, codes: CodeColumns, kinds: Ints | int, hints: Ints | int, t_s: Floats
    ) -> Bytes2D:
        return np.zeros((len(tags), BEACON_BYTES), np.uint8)
