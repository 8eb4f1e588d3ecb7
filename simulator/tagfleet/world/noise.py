"""Randomness that is a pure function of its arguments: the same draw however a run is cut into steps or shards.

A draw is splitmix64's finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) over seed,
stream, and two indices, for instance tag and sequence. Good enough for a simulation, never for a key.
"""

from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ state >> np.uint64(30)) * _MIX_1
    state = (state ^ state >> np.uint64(27)) * _MIX_2
    return state ^ state >> np.uint64(31)


def bits(seed: int, stream: int, first: Ints | int, second: Ints | int = 0) -> Words:
    """64 random bits for each pair of indices: for many small draws at the price of one, see `normal_of`."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        state = np.atleast_1d(np.uint64(seed) * _GOLDEN + np.uint64(stream))
        for index in (first, second):
            state = _mixed(state + _GOLDEN) ^ np.asarray(index, np.int64).astype(np.uint64)
        return _mixed(state + _GOLDEN)


def further_bits(words: Words, count: int) -> Words:
    """`count` further words behind each of `words`, as uint64[n, count]."""
    with np.errstate(over="ignore"):
        return _mixed(words[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)


_TABLE_BITS = 12


@cache
def _normal_table() -> npt.NDArray[np.float32]:
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / (1 << _TABLE_BITS)) for i in range(1 << _TABLE_BITS)], np.float32)


@cache
def _logistic_table() -> npt.NDArray[np.float32]:
    share = (np.arange(1 << _TABLE_BITS) + 0.5) / (1 << _TABLE_BITS)
    return np.log(share / (1 - share)).astype(np.float32)


def normal_of(words: Words, shift: int) -> npt.NDArray[np.float32]:
    """A standard normal number from 12 bits of each word: the middle of one of 4,096 equally likely parts."""
    return np.asarray(_normal_table()[words >> np.uint64(shift) & np.uint64(0xFFF)])


def logistic_of(words: Words, shift: int) -> npt.NDArray[np.float32]:
    """A standard logistic number from 12 bits of each word."""
    return np.asarray(_logistic_table()[words >> np.uint64(shift) & np.uint64(0xFFF)])


def uniform(seed: int, stream: int, first: Ints | int, second: Ints | int = 0) -> Floats:
    """Numbers in [0, 1), one for each pair of indices (broadcast). `stream` keeps unrelated draws apart."""
    return (bits(seed, stream, first, second) >> np.uint64(11)).astype(np.float64) * _UNIT


def normal(seed: int, stream: int, first: Ints | int, second: Ints | int = 0) -> Floats:
    """Standard normal numbers, one for each pair of indices (Box and Muller, 1958). Uses `stream` and `stream + 1`."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, stream, first, second)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(seed, stream + 1, first, second)))
