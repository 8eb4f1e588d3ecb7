"""Is a delivered value the one that was measured? Half a step of the wire is what quantising may cost. Pure.

Deliberately not by the codec's own arithmetic: a fault there would be on both sides and look right.
"""

import numpy as np

from tagfleet.world.noise import Ints
from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

ESTIMATE_TOLERANCE_S = 60  # how far a hub's stamp may be from the making of a sample whose tag did not know the time

# field: smallest and largest value on the wire (it saturates there), and half a step (a position's with its rounding)
_SPANS = {
    "latitude_e7": (-900_000_000, 900_000_000, 108),
    "longitude_e7": (-1_800_000_000, 1_800_000_000, 108),
    "temperature_mc": (-80_000, 124_600, 50),
    "humidity_mpct": (0, 100_000, 250),
    "battery_mv": (1_800, 4_200, 40),
}
_TIME_HALF_STEP_S = 2


def wrong_fields(
    truth: ReadingColumns, delivered: ReadingColumns, made_us: Ints, repeated_s: float = 0.0
) -> "dict[str, np.ndarray]":
    """For each field a mask of the rows where `delivered` is not `truth` within half a step.

    repeated_s: for how long a sample is advertised again, and so may first be heard and be given a time."""
    wrong = {}
    no_position = (truth.latitude_e7 == NOT_AVAILABLE) | (truth.fix == fields.FIX_NONE)
    for name, (low, high, half_step) in _SPANS.items():
        expected, value = getattr(truth, name), getattr(delivered, name)
        missing = expected == NOT_AVAILABLE
        if name in ("latitude_e7", "longitude_e7"):
            missing = missing | no_position
        far = np.abs(np.clip(expected, low, high) - np.clip(value, low - 10 * half_step, high + 10 * half_step))
        wrong[name] = np.where(missing | (value == NOT_AVAILABLE), missing != (value == NOT_AVAILABLE), far > half_step)
    wrong["fix"] = delivered.fix != np.where(no_position, fields.FIX_NONE, truth.fix)
    wrong["motion"] = delivered.motion != truth.motion

    unknown = (truth.time_s == NOT_AVAILABLE) | (truth.time_quality == fields.TIME_UNKNOWN)
    expected_s = np.where(unknown, made_us // 1_000_000, truth.time_s)
    tolerance_s = np.where(unknown, ESTIMATE_TOLERANCE_S + repeated_s, _TIME_HALF_STEP_S)
    no_time = delivered.time_s == NOT_AVAILABLE
    wrong["time_s"] = no_time | (np.abs(np.where(no_time, 0, delivered.time_s) - expected_s) > tolerance_s)
    expected_quality = np.where(unknown, fields.TIME_ESTIMATED, truth.time_quality)
    wrong["time_quality"] = delivered.time_quality != expected_quality
    return wrong
