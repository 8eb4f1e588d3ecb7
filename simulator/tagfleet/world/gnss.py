"""What a GNSS receiver makes of a true place: sky, time to a fix, noise, multipath. Pure.

Curtain-sided trucks let it see the sky, steel ones do not, nor do tunnels, car decks and halls; through open doors and
at gates it sees a part, with reflections. All shares are uncalibrated; times to a fix are those of data sheets.
"""

import numpy as np
import numpy.typing as npt

from tagfleet.world.line import On
from tagfleet.world.noise import Floats, Ints, Words, bits, normal_of
from tagfleet.world.places import Surroundings
from tagwire.fields import FIX_5M, FIX_15M, FIX_50M

NO_SKY, POOR_SKY, OPEN_SKY = 0, 1, 2
SKY_SLOT_S = 600.0  # sky comes and goes in slots of ten minutes
BLOCKED_SHARE = 0.04  # of the slots: bridges, woods, other trucks
POOR_SHARE = 0.12  # of the slots: streets between high houses
AT_GATE_SHARE = 0.25  # of a depot's tags
NEAR_DOORS_SHARE = 0.5  # of a steel truck's tags
NOISE_M = 2.5  # one sigma of each horizontal axis under open sky
POOR_NOISE_M = 4.0
MULTIPATH_M = 9.0  # one sigma of what reflections add, the same for a whole slot
COARSE_SHARE = 0.3  # of the fixes under poor sky that are worse than 15 m
# From a hot start under open sky, hot under poor sky, cold under open, cold under poor: the least, and the mean of what
# comes on top.
_LEAST_TO_FIX_S = np.array([1.0, 2.0, 26.0, 35.0])
_MORE_TO_FIX_S = np.array([1.5, 4.0, 8.0, 25.0])
METRES_PER_DEGREE = 111_195.0

_STREAM_SKY, _STREAM_NOISE, _STREAM_START = 1, 3, 4

Bools = npt.NDArray[np.bool_]


def sky(seed: int, tags: Ints, places: Ints, trucks: int, t_s: Floats, spot: Floats, around: Surroundings) -> Ints:
    """NO_SKY, POOR_SKY or OPEN_SKY for each tag at its place and time, by where it stands there (0: near the gate or
    the doors, to 1: far inside)."""
    word = _slot_word(seed, tags, t_s)
    result = np.where(_below(word, 32, POOR_SHARE), POOR_SKY, OPEN_SKY)
    result[_below(word, 48, BLOCKED_SHARE)] = NO_SKY
    in_depot = np.flatnonzero(places >= trucks)
    at_gate = spot.take(in_depot) < AT_GATE_SHARE
    result[in_depot] = np.where(at_gate, np.minimum(result.take(in_depot), POOR_SKY), NO_SKY)
    under_steel = np.flatnonzero(around.steel)
    rows = around.rows.take(under_steel)
    doors_open = (around.opened_s[0].take(under_steel) >= 0) & (around.closed_s[0].take(under_steel) < 0)
    near_doors = spot.take(rows) < NEAR_DOORS_SHARE
    result[rows] = np.where(near_doors & doors_open, np.minimum(result.take(rows), POOR_SKY), NO_SKY)
    result[around.rows[(around.on == On.TUNNEL) | (around.on == On.FERRY)]] = NO_SKY
    return result


def gets_fix(seed: int, tags: Ints, t_s: Floats, sky_seen: Ints, cold: Bools, timeout_s: Floats) -> Bools:
    """Whether a receiver that is switched on at `t_s` has a fix before its time is up; 0: it is not switched on."""
    word = bits(seed, _STREAM_START, tags, np.floor(t_s).astype(np.int64))
    waits = -np.log1p(-(word >> np.uint64(40)).astype(np.float64) / (1 << 24))  # exponential, mean 1
    kind = 2 * cold + (sky_seen == POOR_SKY)
    takes_s = _LEAST_TO_FIX_S[kind] + _MORE_TO_FIX_S[kind] * waits
    return np.asarray((sky_seen != NO_SKY) & (takes_s < timeout_s))


def measured(
    seed: int, tags: Ints, t_s: Floats, latitude_deg: Floats, longitude_deg: Floats, sky_seen: Ints
) -> tuple[Floats, Floats, Ints]:
    """Latitude, longitude and fix class (FIX_5M, FIX_15M, FIX_50M) as received at a true place under some sky."""
    word = bits(seed, _STREAM_NOISE, tags, np.floor(t_s).astype(np.int64))
    slot = _slot_word(seed, tags, t_s)
    poor = sky_seen == POOR_SKY
    noise_m = np.where(poor, POOR_NOISE_M, NOISE_M)
    reflected_m = np.where(poor, MULTIPATH_M, 0.0)
    north_m = noise_m * normal_of(word, 0) + reflected_m * normal_of(slot, 0)
    east_m = noise_m * normal_of(word, 12) + reflected_m * normal_of(slot, 12)
    east_deg = east_m / METRES_PER_DEGREE / np.cos(np.radians(latitude_deg))
    fix = np.where(poor, np.where(_below(word, 48, COARSE_SHARE), FIX_50M, FIX_15M), FIX_5M)
    return latitude_deg + north_m / METRES_PER_DEGREE, longitude_deg + east_deg, fix


def _slot_word(seed: int, tags: Ints, t_s: Floats) -> Words:
    return bits(seed, _STREAM_SKY, tags, np.floor(t_s * (1 / SKY_SLOT_S)).astype(np.int64))


def _below(words: Words, shift: int, share: float) -> Bools:
    """Whether 16 bits of each word are within a share of their range."""
    return np.asarray((words >> np.uint64(shift) & np.uint64(0xFFFF)) < np.uint64(share * (1 << 16)))
