"""What goes wrong with tags in a run: sensors, batteries, clones. Pure: who, when and how follows from the seed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tagfleet.flock import Samples
from tagfleet.scenario.faults import BrokenSensor, ClonedTags, DyingBatteries, Fault
from tagfleet.world.noise import Floats, Ints, uniform
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

Bools = npt.NDArray[np.bool_]

_STREAM_WHO, _STREAM_WHEN = 900, 901
_EMPTY_MV = 2_400.0  # of a cell whose regulator gives up
_SAG_S = 0.5  # of the time left until death, in which the voltage falls
CLONE_WARMER_MC = 7_000  # a clone lies somewhere else


class TagFaults:
    """The faults of a scenario that concern tags. Times are seconds of the run; `start_s` is its Unix time."""

    def __init__(self, faults: Sequence[Fault], tags: int, seed: int, start_s: float) -> None:
        self.dead_s = np.full(tags, np.inf)
        """When each tag's battery ends."""
        self._dead_before = np.zeros(tags, bool)
        self._start_s = start_s
        self._sensors: list[tuple[BrokenSensor, Bools]] = []
        self._dying: list[tuple[DyingBatteries, Bools]] = []
        self._clones: list[tuple[ClonedTags, Bools]] = []
        everybody = np.arange(tags, dtype=np.int64)
        for number, fault in enumerate(faults):
            if not isinstance(fault, (BrokenSensor, DyingBatteries, ClonedTags)):
                continue
            chosen = everybody[uniform(seed, _STREAM_WHO + 2 * number, everybody) < fault.tags]
            if isinstance(fault, BrokenSensor):
                self._sensors.append((fault, _marks(tags, chosen)))
            elif isinstance(fault, DyingBatteries):
                when = fault.at + fault.lasts * uniform(seed, _STREAM_WHEN + 2 * number, chosen)
                self.dead_s[chosen] = np.minimum(self.dead_s[chosen], when)
                self._dying.append((fault, _marks(tags, chosen)))
            else:
                self._clones.append((fault, _marks(tags, chosen)))

    @property
    def some(self) -> bool:
        """Whether readings have to be altered at all."""
        return bool(self._sensors or self._dying)

    @property
    def clones(self) -> bool:
        """Whether there are clones at some time."""
        return bool(self._clones)

    def alter(self, tags: Ints, sequences: Ints, t_s: Floats, readings: ReadingColumns) -> ReadingColumns:
        """What broken sensors and empty cells make of readings (a flock's Alter)."""
        moment_s = t_s - self._start_s
        temperature, humidity, battery = readings.temperature_mc, readings.humidity_mpct, readings.battery_mv
        for fault, marks in self._sensors:
            broken = marks[tags] & (moment_s >= fault.at) & (moment_s < fault.end_s)
            if fault.symptom == "silent":
                temperature = np.where(broken, NOT_AVAILABLE, temperature)
                humidity = np.where(broken, NOT_AVAILABLE, humidity)
            elif fault.symptom == "stuck":
                temperature = np.where(broken, 1_000 * (tags % 20), temperature)
                humidity = np.where(broken, 50_000, humidity)
            else:
                wrong = temperature + round(1_000 * fault.offset_c)
                temperature = np.where(broken & (temperature != NOT_AVAILABLE), wrong, temperature)
        for dying, marks in self._dying:
            left_s = self.dead_s[tags] - moment_s
            part = np.clip(left_s / (_SAG_S * max(dying.end_s, 1.0)), 0.0, 1.0)
            sagging = marks[tags] & (part < 1.0)
            sagged = np.rint(_EMPTY_MV + (battery - _EMPTY_MV) * part).astype(np.int64)
            battery = np.where(sagging, sagged, battery)
        return readings._replace(temperature_mc=temperature, humidity_mpct=humidity, battery_mv=battery)

    def survivors(self, samples: Samples) -> tuple[Samples, Bools, int]:
        """The samples that are made at all; which of them go on the air; how many were not made. A cell that ends gives
        its last for a reading, and has nothing left to advertise it."""
        moment_s = samples.t_us / 1e6 - self._start_s
        dead = moment_s >= self.dead_s[samples.tags]
        if not dead.any():
            return samples, np.ones(len(samples.tags), bool), 0
        last = np.zeros(len(dead), bool)
        rows = np.flatnonzero(dead & ~self._dead_before[samples.tags])
        last[rows[np.unique(samples.tags[rows], return_index=True)[1]]] = True
        self._dead_before[samples.tags[dead]] = True
        made = ~dead | last
        return chosen_samples(samples, made), ~last[made], int((~made).sum())

    def cloned(self, samples: Samples) -> tuple[Ints, ReadingColumns]:
        """The rows of `samples` that clones send as well, and the readings that they give them."""
        moment_s = samples.t_us / 1e6 - self._start_s
        chosen = np.zeros(len(samples.tags), bool)
        for fault, marks in self._clones:
            chosen |= marks[samples.tags] & (moment_s >= fault.at) & (moment_s < fault.end_s)
        rows = np.flatnonzero(chosen)
        readings = ReadingColumns(*(np.asarray(column)[rows] for column in samples.readings))
        temperature = readings.temperature_mc
        warmer = np.where(temperature == NOT_AVAILABLE, 20_000, temperature + CLONE_WARMER_MC)
        return rows, readings._replace(temperature_mc=warmer)


def chosen_samples(samples: Samples, rows: Bools | Ints) -> Samples:
    """Some of `samples`."""
    readings = ReadingColumns(*(np.asarray(column)[rows] for column in samples.readings))
    others = {name: getattr(samples, name)[rows] for name in Samples._fields if name != "readings"}
    return Samples(readings=readings, **others)


def _marks(tags: int, chosen: Ints) -> Bools:
    marks = np.zeros(tags, bool)
    marks[chosen] = True
    return marks
