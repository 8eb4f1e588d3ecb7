"""What a tag's sensors say, sample by sample: noise, faults, a fix or the memory of one. Pure.

A reading is a function of (seed, tag, sequence, time): a journal need not be stored, it can be made again. What the tag
remembers of earlier fixes is looked up in the world: the last moment at which it saw the sky.
"""

import numpy as np

from tagfleet.world import gnss
from tagfleet.world.noise import Floats, Ints, bits, normal_of
from tagfleet.world.world import World
from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

TEMPERATURE_NOISE_MC = 20.0  # one sigma; SHT4x data sheet: repeatability 0.04 C (3 sigma) in high precision
HUMIDITY_NOISE_MPCT = 80.0  # the same: 0.15 %RH
BATTERY_NOISE_MV = 6.0
SENSOR_FAULT_SHARE = 0.003  # of the samples: a bus error, so neither temperature nor humidity
MOVING_MPS = 0.5
CLOCK_HOLD_S = 12 * 3600.0  # the firmware's setting clock_hold_h: then neither time nor the position's age is known
DOCK_SKY_SHARE = 0.85  # of the loadings: the tag took a sample while it stood outside
SLOTS_BACK = 3  # a truck's tag without sky for longer remembers where it was loaded
_AGES = ((600.0, fields.FIX_10MIN), (3600.0, fields.FIX_1H), (86_400.0, fields.FIX_1D))

_STREAM_SAMPLE, _STREAM_DOCK = 20, 23


def sense(world: World, tags: Ints, sequences: Ints, t_s: Floats) -> ReadingColumns:
    """What the sensors of world tags `tags` say at `t_s`."""
    environments = world.environments(tags, t_s)
    word = bits(world.seed, _STREAM_SAMPLE, tags, sequences)
    temperature_mc = 1000 * environments.temperature_c + TEMPERATURE_NOISE_MC * normal_of(word, 0)
    humidity_mpct = 1000 * environments.humidity_pct + HUMIDITY_NOISE_MPCT * normal_of(word, 12)
    battery_mv = environments.battery_mv + BATTERY_NOISE_MV * normal_of(word, 24)
    fault = word >> np.uint64(48) < np.uint64(SENSOR_FAULT_SHARE * (1 << 16))

    fixed, fix_s = _fixes(world, tags, t_s, environments.sky)
    age_s = t_s - fix_s
    timed = age_s <= CLOCK_HOLD_S
    latitude_deg, longitude_deg, fix = _positions(world, tags, np.where(timed, fix_s, t_s), fixed, environments.sky)
    longitude_deg = (longitude_deg + 180.0) % 360.0 - 180.0
    for limit_s, code in reversed(_AGES):
        fix = np.where(~fixed & (age_s <= limit_s), code, fix)
    moving = np.where(environments.speed_mps > MOVING_MPS, fields.MOTION_MOVING, fields.MOTION_STILL)
    return ReadingColumns(
        np.where(timed, _rounded(1e7 * latitude_deg), NOT_AVAILABLE),
        np.where(timed, _rounded(1e7 * longitude_deg), NOT_AVAILABLE),
        np.where(fault, NOT_AVAILABLE, _rounded(temperature_mc)),
        np.where(fault, NOT_AVAILABLE, _rounded(np.clip(humidity_mpct, 0, 100_000))),
        _rounded(battery_mv),
        np.where(timed, fix, fields.FIX_NONE),
        np.where(fixed, moving, fields.MOTION_UNKNOWN),
        np.where(timed, t_s.astype(np.int64), NOT_AVAILABLE),
        np.where(fixed, fields.TIME_GNSS, np.where(timed, fields.TIME_ESTIMATED, fields.TIME_UNKNOWN)),
    )


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


def _fixes(
    world: World, tags: Ints, t_s: Floats, sky: Ints
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]":
    """Whether there is a fix now, and the time of the latest one."""
    last_s = np.full(len(tags), -np.inf)
    covered = np.flatnonzero(sky == gnss.NO_SKY)
    last_s[covered] = last_sky_s(world, tags[covered], t_s[covered])
    under_sky = np.flatnonzero(sky != gnss.NO_SKY)
    before_s = t_s[under_sky] - gnss.SKY_SLOT_S
    fresh = under_sky[world.sky(tags[under_sky], before_s) == gnss.NO_SKY]
    last_s[under_sky] = before_s
    last_s[fresh] = last_sky_s(world, tags[fresh], t_s[fresh])
    cold = t_s - last_s > gnss.EPHEMERIS_S
    fixed = gnss.gets_fix(world.seed, tags, t_s, sky, cold)
    return fixed, np.where(fixed, t_s, last_s)


def _positions(
    world: World, tags: Ints, fix_s: Floats, fixed: "np.ndarray[tuple[int], np.dtype[np.bool_]]", sky: Ints
) -> tuple[Floats, Floats, Ints]:
    place = world.positions(tags, fix_s)
    seen = np.where(fixed, sky, gnss.OPEN_SKY)
    return gnss.measured(world.seed, tags, fix_s, place.latitude_deg, place.longitude_deg, seen)


def _rounded(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
