"""What a tag's sensors say, sample by sample: noise, faults, a fix or the memory of one. Pure.

A reading is a function of (seed, tag, sequence, time, time of the last fix): a journal need not be stored, it can be
made again.
"""

from typing import NamedTuple

import numpy as np

from tagfleet.world import gnss
from tagfleet.world.noise import Floats, Ints, bits, normal_of
from tagfleet.world.world import Environments, World
from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

TEMPERATURE_NOISE_MC = 20.0  # one sigma; SHT4x data sheet: repeatability 0.04 C (3 sigma) in high precision
HUMIDITY_NOISE_MPCT = 80.0  # the same: 0.15 %RH
BATTERY_NOISE_MV = 6.0
SENSOR_FAULT_SHARE = 0.003  # of the samples: a bus error, so neither temperature nor humidity
MOVING_MPS = 1.0  # as firmware/tag/decide.py
DOCK_SKY_SHARE = 0.85  # of the loadings: the tag took a sample while it stood outside
SLOTS_BACK = 3  # a truck's tag without sky for longer remembers where it was loaded
_AGES = ((600.0, fields.FIX_10MIN), (3600.0, fields.FIX_1H), (86_400.0, fields.FIX_1D))

_STREAM_SAMPLE, _STREAM_DOCK = 20, 23


class Fixes(NamedTuple):
    """Of each row: whether there is a fix now, when the last one was (minus infinity: never), what it said, and the
    class of a fix of now."""

    fixed: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    fix_s: Floats
    latitude_deg: Floats
    longitude_deg: Floats
    classes: Ints


def sense(
    world: World, tags: Ints, sequences: Ints, t_s: Floats, around: Environments, fixes: Fixes, hold_s: float
) -> ReadingColumns:
    """What the sensors of world tags `tags` say at `t_s`. around: what surrounds them there. hold_s: how long a tag's
    clock, and so the age of its position, is trusted after a fix."""
    word = bits(world.seed, _STREAM_SAMPLE, tags, sequences)
    temperature_mc = 1000 * around.temperature_c + TEMPERATURE_NOISE_MC * normal_of(word, 0)
    humidity_mpct = 1000 * around.humidity_pct + HUMIDITY_NOISE_MPCT * normal_of(word, 12)
    battery_mv = around.battery_mv + BATTERY_NOISE_MV * normal_of(word, 24)
    fault = word >> np.uint64(48) < np.uint64(SENSOR_FAULT_SHARE * (1 << 16))

    fixed, age_s = fixes.fixed, t_s - fixes.fix_s
    timed = age_s <= hold_s
    fix = np.full(len(tags), fields.FIX_NONE)
    for limit_s, code in reversed(_AGES):
        fix[age_s <= limit_s] = code
    fix = np.where(fixed, fixes.classes, fix)
    placed = timed & (fix != fields.FIX_NONE)
    longitude_deg = (fixes.longitude_deg + 180.0) % 360.0 - 180.0
    moving = np.where(around.speed_mps >= MOVING_MPS, fields.MOTION_MOVING, fields.MOTION_STILL)
    return ReadingColumns(
        np.where(placed, _rounded(1e7 * fixes.latitude_deg), NOT_AVAILABLE),
        np.where(placed, _rounded(1e7 * longitude_deg), NOT_AVAILABLE),
        np.where(fault, NOT_AVAILABLE, _rounded(temperature_mc)),
        np.where(fault, NOT_AVAILABLE, _rounded(np.clip(humidity_mpct, 0, 100_000))),
        _rounded(battery_mv),
        np.where(placed, fix, fields.FIX_NONE),
        np.where(fixed, moving, fields.MOTION_UNKNOWN),
        np.where(timed, t_s.astype(np.int64), NOT_AVAILABLE),
        np.where(fixed, fields.TIME_GNSS, np.where(timed, fields.TIME_ESTIMATED, fields.TIME_UNKNOWN)),
    )


def fixed_positions(world: World, tags: Ints, fix_s: Floats, t_s: Floats) -> tuple[Floats, Floats, Ints]:
    """What fixes at these times, before `t_s`, said: latitude, longitude, class. Where there was none, it means
    nothing."""
    known_s = np.where(np.isfinite(fix_s), fix_s, t_s)
    place, sky = world.positions(tags, known_s), world.sky(tags, known_s)
    seen = np.where(sky == gnss.NO_SKY, gnss.OPEN_SKY, sky)  # on a dock, before the run
    return gnss.measured(world.seed, tags, known_s, place.latitude_deg, place.longitude_deg, seen)


def last_sky_s(world: World, tags: Ints, t_s: Floats) -> Floats:
    """When each tag last saw the sky before the present ten minutes: on its truck not long ago, or as it was loaded;
    minus infinity where it did not."""
    stay = world.stays(tags, t_s)
    on_dock = bits(world.seed, _STREAM_DOCK, tags, stay.since_s.astype(np.int64)) >> np.uint64(48)
    result = np.where(on_dock < np.uint64(DOCK_SKY_SHARE * (1 << 16)), np.minimum(stay.since_s, t_s), -np.inf)
    slot = np.floor(t_s * (1 / gnss.SKY_SLOT_S))
    open_ = np.arange(len(tags))
    for back in range(SLOTS_BACK):
        if back == 1:  # in a depot the view does not change
            open_ = open_[stay.places[open_] < world.trucks]
        open_ = open_[(slot[open_] - back) * gnss.SKY_SLOT_S - 1.0 >= stay.since_s[open_]]
        at_s = (slot[open_] - back) * gnss.SKY_SLOT_S - 1.0
        sees = world.sky(tags[open_], at_s) != gnss.NO_SKY
        result[open_[sees]] = at_s[sees]
        open_ = open_[~sees]
    return result


def _rounded(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
