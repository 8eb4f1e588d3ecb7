"""Randomness that is a pure function of its arguments: the same draw however a run is cut into steps or shards.

A draw is splitmix64's finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) over seed,
stream, and two indices, for instance tag and sequence. Good enough for a simulation, never for a key.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ state >> np.uint64(30)) * _MIX_1
    state = (state ^ state >> np.uint64(27)) * _MIX_2
    return state ^ state >> np.uint64(31)


def uniform(seed: int, stream: int, first: Ints | int, second: Ints | int = 0) -> Floats:
    """Numbers in [0, 1), one for each pair of indices (broadcast). `stream` keeps unrelated draws apart."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        state = np.atleast_1d(np.uint64(seed) * _GOLDEN + np.uint64(stream))
        for index in (first, second):
            state = _mixed(state + _GOLDEN) ^ np.asarray(index, np.int64).astype(np.uint64)
        return (_mixed(state + _GOLDEN) >> np.uint64(11)).astype(np.float64) * _UNIT


def normal(seed: int, stream: int, first: Ints | int, second: Ints | int = 0) -> Floats:
    """Standard normal numbers, one for each pair of indices (Box and Muller, 1958). Uses `stream` and `stream + 1`."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, stream, first, second)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(seed, stream + 1, first, second)))
