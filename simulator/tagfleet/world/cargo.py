"""What a tag travels with: a parcel, a cold box at 5 C, or a frozen one at -20 C. Pure.

A box is a first-order thermal body: heat leaks in through its wall, a cooler removes it in proportion to how far the
inside is from its set point. In the steady state the inside follows the air with a time constant and a small share.
"""

from dataclasses import dataclass

import numpy as np

from tagfleet.world import climate
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.roads import Place

# kind: share of all tags, set point C, share of the air's departure that gets in, time constant s, cooler's ripple C
PARCEL = (0.6, 0.0, 1.0, 3 * 3600.0, 0.0)
COLD_BOX = (0.3, 5.0, 0.06, 8 * 3600.0, 0.6)
FREEZER = (0.1, -20.0, 0.08, 12 * 3600.0, 1.2)
_RIPPLE_PERIOD_S = 25 * 60.0

_BATTERY_FULL_MV = 4100.0
_BATTERY_EMPTY_MV = 3400.0
_BATTERY_LIFE_S = 200 * 86_400.0
_BATTERY_COLD_MV_PER_K = 2.0  # how much a cell sags below 20 C


@dataclass(frozen=True)
class Cargo:
    """One row a tag: the kind's numbers, and a phase of 0 to 1 for the cooler's cycle and the battery's age."""

    set_c: Floats
    share: Floats
    lag_s: Floats
    ripple_c: Floats
    phase: Floats

    def climate(self, tags: Ints, t_s: Floats, place: Place, seed: int) -> tuple[Floats, Floats]:
        """Temperature in C and relative humidity in percent around each of `tags`."""
        outside_c = climate.air_temperature_c(
            t_s, place.latitude_deg, place.longitude_deg, seed, lag_s=self.lag_s[tags]
        )
        ripple_c = self.ripple_c[tags] * np.sin(2 * np.pi * (t_s / _RIPPLE_PERIOD_S + self.phase[tags]))
        temperature_c = self.set_c[tags] + self.share[tags] * (outside_c - self.set_c[tags]) + ripple_c
        dew_c = climate.dew_point_c(t_s, place.latitude_deg, place.longitude_deg, seed)
        return temperature_c, climate.relative_humidity_pct(temperature_c, np.minimum(dew_c, temperature_c - 0.5))

    def battery_mv(self, tags: Ints, t_s: Floats, temperature_c: Floats) -> Floats:
        """A lithium cell that runs down in 200 days and then is a new one."""
        age = (t_s / _BATTERY_LIFE_S + self.phase[tags]) % 1.0
        sag_mv = _BATTERY_COLD_MV_PER_K * np.maximum(20.0 - temperature_c, 0.0)
        return np.asarray(_BATTERY_FULL_MV - age * (_BATTERY_FULL_MV - _BATTERY_EMPTY_MV) - sag_mv)


def load_cargo(rng: np.random.Generator, tags: int) -> Cargo:
    """Each tag gets a kind of cargo by the shares above."""
    kinds = np.array([PARCEL, COLD_BOX, FREEZER])
    rows = kinds[rng.choice(len(kinds), size=tags, p=kinds[:, 0])]
    return Cargo(rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4], rng.random(tags))
