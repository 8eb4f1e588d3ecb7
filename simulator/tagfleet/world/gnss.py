"""What a GNSS receiver makes of a true place: noise, and now and then no sky. Pure."""

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Floats, Ints, normal, uniform
from tagwire.fields import FIX_5M, FIX_15M

NOISE_M = 2.5  # one sigma of each horizontal axis under open sky
POOR_NOISE_M = 7.0  # the same with few satellites
SKY_SLOT_S = 600.0  # sky comes and goes in slots of ten minutes
BLOCKED_SHARE = 0.04  # of the slots: halls, tunnels, steel decks
POOR_SHARE = 0.15  # of the fixes
_METRES_PER_DEGREE = 111_195.0

_STREAM_SKY, _STREAM_CLASS, _STREAM_NORTH, _STREAM_EAST = 1, 2, 3, 5  # normal() takes two streams each


def sky_slot(t_s: Floats) -> Ints:
    """The number of the sky slot that a time falls into."""
    return np.floor_divide(t_s, SKY_SLOT_S).astype(np.int64)


def has_sky(seed: int, tags: Ints, slots: Ints) -> npt.NDArray[np.bool_]:
    """Whether each tag sees the sky in its slot."""
    return uniform(seed, _STREAM_SKY, tags, slots) >= BLOCKED_SHARE


def measured(
    seed: int, tags: Ints, t_s: Floats, latitude_deg: Floats, longitude_deg: Floats
) -> tuple[Floats, Floats, Ints]:
    """Latitude, longitude and fix class (FIX_5M or FIX_15M) as received at a true place under the sky."""
    second = np.floor(t_s).astype(np.int64)
    poor = uniform(seed, _STREAM_CLASS, tags, second) < POOR_SHARE
    noise_deg = np.where(poor, POOR_NOISE_M, NOISE_M) / _METRES_PER_DEGREE
    north_deg = noise_deg * normal(seed, _STREAM_NORTH, tags, second)
    east_deg = noise_deg * normal(seed, _STREAM_EAST, tags, second) / np.cos(np.radians(latitude_deg))
    return latitude_deg + north_deg, longitude_deg + east_deg, np.where(poor, FIX_15M, FIX_5M)
