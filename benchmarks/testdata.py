"""The published test data of every bytes-per-sample figure: days of a tag, from a seed.

    python -m benchmarks.testdata --kind moving --seed 1     one day as CSV

Three kinds of day, a sample every 300 s (288 a day):
- "still": a parcel on a shelf in Lyon. Position noise only.
- "moving": a truck that drives all 288 samples without a stop: mean 65 km/h with a slow variation of 20 km/h, at most
  89 (the EU's limiter), heading 35 degrees (one sigma) around a slowly turning course.
- "journey": still for six hours, then 4.5 h of driving and 45 min of rest in turn.

Every position carries independent Gaussian noise of 2.5 m (one sigma) on each axis. A real receiver's noise is
correlated over minutes and so costs less. Temperature and humidity follow a slow process plus a sensor noise of 0.03 C
and 0.2 %; battery falls slowly with 10 mV of reading noise; a fix comes 1 to 5 s after the wake, and its class is
"5 m" 19 times in 20, else "15 m".
Only `random.Random` is used, whose numbers are the same on every Python 3.
"""

import argparse
import math
from collections.abc import Iterator
from random import Random
from typing import Literal

from tagwire import fields
from tagwire.counter import make_counter
from tagwire.fields import Reading

Kind = Literal["still", "moving", "journey"]
KINDS: tuple[Kind, ...] = ("still", "moving", "journey")

SAMPLES_A_DAY = 288
INTERVAL_S = 300
START_S = 1_767_225_600  # 2026-01-01 00:00 UTC
NOISE_M = 2.5
METRES_PER_DEGREE = 111_195.0  # of latitude, on a sphere of 6,371 km
STEP_S = 10  # of the drive's simulation


def _drives(kind: Kind, sample: int) -> bool:
    if kind != "journey":
        return kind == "moving"
    driven_s = (sample - SAMPLES_A_DAY // 4) * INTERVAL_S
    return driven_s >= 0 and driven_s % 18_900 < 16_200  # 4.5 h in every 5.25 h (EU 561/2006, article 7)


def readings(kind: Kind, samples: int = SAMPLES_A_DAY, seed: int = 1) -> Iterator[Reading]:
    """A tag's readings, `samples` of them from the start of the kind's day, reproducible from `seed`."""
    random = Random(f"tagstack {kind} {seed}")
    gauss = random.gauss
    latitude = 45.76 + random.uniform(-0.5, 0.5)
    longitude = 4.84 + random.uniform(-0.5, 0.5)
    course = random.uniform(0, math.tau)
    heading = 0.0  # relative to the course
    speed_mps = 18.0
    temperature_c, humidity_pct = 6.0, 55.0
    for sample in range(samples):
        if _drives(kind, sample % SAMPLES_A_DAY):
            for _ in range(INTERVAL_S // STEP_S):
                speed_mps += (18.0 - speed_mps) * STEP_S / 400 + gauss(0, 5.6) * math.sqrt(2 * STEP_S / 400)
                speed_mps = min(max(speed_mps, 0.0), 24.7)
                heading += -heading * STEP_S / 120 + gauss(0, 0.61) * math.sqrt(2 * STEP_S / 120)
                course += gauss(0, 0.02)
                latitude += speed_mps * STEP_S * math.cos(course + heading) / METRES_PER_DEGREE
                longitude += speed_mps * STEP_S * math.sin(course + heading) / _metres_per_degree_east(latitude)
        hour = sample * INTERVAL_S / 3600
        temperature_c += (6.0 + 2.0 * math.sin(math.tau * hour / 24) - temperature_c) / 24 + gauss(0, 0.05)
        humidity_pct += (55.0 - humidity_pct) / 24 + gauss(0, 0.2)
        yield Reading(
            latitude_e7=round((latitude + gauss(0, NOISE_M) / METRES_PER_DEGREE) * 1e7),
            longitude_e7=round((longitude + gauss(0, NOISE_M) / _metres_per_degree_east(latitude)) * 1e7),
            temperature_mc=round((temperature_c + gauss(0, 0.03)) * 1000),
            humidity_mpct=round((humidity_pct + gauss(0, 0.2)) * 1000),
            battery_mv=round(4050 - 0.4 * sample + gauss(0, 10)),
            fix=fields.FIX_5M if random.random() < 0.95 else fields.FIX_15M,
            motion=fields.MOTION_MOVING if _drives(kind, sample % SAMPLES_A_DAY) else fields.MOTION_STILL,
            time_s=START_S + sample * INTERVAL_S + random.randint(1, 5),
            time_quality=fields.TIME_GNSS,
        )


def _metres_per_degree_east(latitude: float) -> float:
    return METRES_PER_DEGREE * math.cos(math.radians(latitude))


def counters(samples: int = SAMPLES_A_DAY, first_sequence: int = 1000) -> range:
    """The counters that go with `samples` readings: no gaps, generation 1."""
    first = make_counter(1, first_sequence)
    return range(first, first + samples)


def main() -> None:
    parser = argparse.ArgumentParser(description="One tag's test data as CSV on standard output.")
    parser.add_argument("--kind", choices=KINDS, default="moving")
    parser.add_argument("--samples", type=int, default=SAMPLES_A_DAY)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(",".join(("counter", *Reading._fields)))
    for counter, reading in zip(
        counters(arguments.samples), readings(arguments.kind, arguments.samples, arguments.seed), strict=True
    ):
        print(",".join(str(value) for value in (counter, *reading)))


if __name__ == "__main__":
    main()
