"""What a tag travels with, and how warm and moist it is there: a parcel, a box at 5 C, or one at -20 C. Pure.

A box is a first-order thermal body. With its doors closed the inside is held at a set point, but for a share of the
outside's departure, which leaks in with a long time constant, and the cooler's cycle. While doors are open, the goods
go towards the outside with a time constant of their own, and back when they are closed:

    dx/dt = (u(t) - x) / tau,   u = 1 while open, else 0;   inside = closed + x (outside - closed)

This is linear, so each opening's share of x is exp(-s_c / tau) - exp(-s_o / tau), s_o and s_c being the times since it
opened and closed, not below 0: any moment is answered at once. The same holds when a cooler fails, with the
time constant of the wall. What the outside is, is taken as of now, not as of the opening; goods forget it faster than
weather changes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tagfleet.world import climate
from tagfleet.world.noise import Floats, Ints, bits


class Kind(NamedTuple):
    """set_c: inside at rest. share, lag_s: of the outside's departure that gets in, and how late. ripple_c: the
    cooler's cycle. door_s, leak_s: time constants with open doors and with a dead cooler. coil_c: no moister inside
    than at this dew point. All uncalibrated: the order of magnitude of a carton, a chilled and a frozen compartment."""

    set_c: float
    share: float
    lag_s: float
    ripple_c: float
    door_s: float
    leak_s: float
    coil_c: float


PARCEL = Kind(0.0, 1.0, 3 * 3600.0, 0.0, 3600.0, 3600.0, 99.0)
COLD_BOX = Kind(5.0, 0.06, 8 * 3600.0, 0.6, 2400.0, 5 * 3600.0, 2.0)
FREEZER = Kind(-20.0, 0.08, 12 * 3600.0, 1.2, 3600.0, 8 * 3600.0, -24.0)
KINDS = (PARCEL, COLD_BOX, FREEZER)
DOCK_S = 600.0  # what is loaded stands so long in the open
FORGOTTEN = 6.0  # time constants after which an opening counts no more: less than 0.3 %
FAILURE_S = (2 * 3600.0, 8 * 3600.0)  # a dead cooler is seen to
DOOR_S, LEAK_S, _RIPPLES_C, _COILS_C = (
    np.array([kind[column] for kind in KINDS])
    for column in (4, 5, 3, 6)  # of each kind
)
_RIPPLE_PERIOD_S = 25 * 60.0
_STREAM_FAILURE = 84
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Cargo:
    """One row a tag: the number of its kind, and a phase of 0 to 1 for the cooler's cycle and the battery's age."""

    kinds: Ints
    phase: Floats


def load_cargo(rng: np.random.Generator, tags: int, shares: tuple[float, float, float]) -> Cargo:
    """Each tag gets a kind of cargo by its share."""
    kinds = rng.choice(len(KINDS), size=tags, p=np.array(shares) / sum(shares))
    return Cargo(kinds, rng.random(tags))


def opened(opened_s: Floats, closed_s: Floats, tau_s: Floats) -> Floats:
    """x of one opening, by the times since it opened and closed (negative: still to come)."""
    return np.exp(-np.maximum(closed_s, 0.0) / tau_s) - np.exp(-np.maximum(opened_s, 0.0) / tau_s)


def ripple_c(kinds: Ints, phase: Floats, t_s: Floats) -> Floats:
    """The cooler's cycle, a parabola up and down that is within 6 % of a sine."""
    turn = t_s * (1 / _RIPPLE_PERIOD_S) + phase
    turn -= np.floor(turn) + 0.5
    return np.asarray(_RIPPLES_C.take(kinds) * turn * (16 * np.abs(turn) - 8))


def humidity_pct(kinds: Ints, temperature_c: Floats, dew_c: Floats, exchanged: Floats) -> Floats:
    """Relative humidity: outside air that a cooler has dried, and as much as `exchanged` (0 to 1) that it has not."""
    dried_c = np.minimum(dew_c, _COILS_C.take(kinds))
    inside_c = np.minimum(dried_c + exchanged * (dew_c - dried_c), temperature_c - 0.5)
    return climate.relative_humidity_pct(temperature_c, inside_c)


def failures(seed: int, places: Ints, t_s: Floats, per_week: float) -> tuple[Floats, Floats]:
    """Times since the latest failure of each place's cooler began and ended; very long where there is none. A day has
    at most one, which begins in it."""
    day = np.floor(t_s / _DAY_S).astype(np.int64)
    began_s = np.full(len(places), 1e9)
    ended_s = np.full(len(places), 1e9)
    for back in (1, 0):
        word = bits(seed, _STREAM_FAILURE, places, day - back)
        failed = (word >> np.uint64(40)).astype(np.float64) < per_week / 7 * (1 << 24)
        begin_s = (day - back + (word & np.uint64(0xFFFF)).astype(np.float64) / (1 << 16)) * _DAY_S
        lasts = (word >> np.uint64(16) & np.uint64(0xFFFF)).astype(np.float64) / (1 << 16)
        since_s = t_s - begin_s
        failed &= since_s >= 0
        began_s = np.where(failed, since_s, began_s)
        ended_s = np.where(failed, since_s - FAILURE_S[0] - lasts * (FAILURE_S[1] - FAILURE_S[0]), ended_s)
    return began_s, ended_s
