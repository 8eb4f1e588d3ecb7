"""Batches: bytes a sample and samples a second, on the published test data (benchmarks/testdata.py)."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from benchmarks.figure import Figure, interleaved, per_second
from benchmarks.testdata import INTERVAL_S, METRES_PER_DEGREE, NOISE_M, readings
from tagwire import fields
from tagwire.batch import COLUMNS, Batch, decode_batch, encode_batch, samples

SIZES = ((10, 10, 1, 24.0), (50, 50, 1, 13.0), (200, 200, 1, 9.0), (2_000, 200, 10, 4.5))
"""(samples, tags, samples a tag, goal in bytes a sample)"""


def make_batch(tags: int, samples_a_tag: int) -> Batch:
    """What the hub of a moving truck makes of the tags in it, of which it heard some samples each.

    All ride along the same published day; each wakes at its own second within the 300, sees its own GNSS noise of 2.5 m
    and its own corner of the load (1 K, 3 % RH, 150 mV, one sigma).
    """
    random = np.random.default_rng(3)
    day = list(readings("moving", samples_a_tag + 1))
    rows = []
    for tag in range(tags):
        first_counter = int(random.integers(1, 50_000))
        phase_s = int(random.integers(0, 300))
        warmer_mc, damper_mpct, fuller_mv = random.normal(0, (1_000, 3_000, 150))
        for i, (before, after) in enumerate(pairwise(day)):
            reading = before._replace(
                latitude_e7=_between(before.latitude_e7, after.latitude_e7, phase_s) + _noise_e7(random),
                longitude_e7=_between(before.longitude_e7, after.longitude_e7, phase_s) + _noise_e7(random),
                temperature_mc=round((before.temperature_mc or 0) + warmer_mc),
                humidity_mpct=round((before.humidity_mpct or 0) + damper_mpct),
                battery_mv=round((before.battery_mv or 0) - 200 + fuller_mv),
                fix=fields.FIX_5M if random.random() < 0.95 else fields.FIX_15M,
            )
            codes = fields.to_codes(reading)
            time_s = ((before.time_s or 0) + phase_s) // 4 * 4
            heard, rssi = int(random.integers(0, 3)), int(random.normal(-72, 8)) // 4
            measured = (*codes[:7], codes.time_quality)
            rows.append((100_000 + 7 * tag, first_counter + i, time_s, *measured, heard, rssi, 0))
    values = np.array(rows, np.int64).T
    created_s = int(values[2].max()) + 2
    return Batch("truck-17", 12_345, created_s, 2, (457_600_000, 48_400_000), dict(zip(COLUMNS, values, strict=True)))


def _between(before: int | None, after: int | None, phase_s: int) -> int:
    return round((before or 0) + ((after or 0) - (before or 0)) * phase_s / INTERVAL_S)


def _noise_e7(random: np.random.Generator) -> int:
    return round(random.normal(0, NOISE_M) / METRES_PER_DEGREE * 1e7)


def figures(runs: int) -> Iterator[Figure]:
    for count, tags, samples_a_tag, goal in SIZES:
        size = len(encode_batch(make_batch(tags, samples_a_tag)))
        yield Figure(
            f"batch_bytes_per_sample_{count}",
            "B",
            "lower",
            goal,
            [size / count],
            f"a batch of {tags} tags in a moving truck, {samples_a_tag} samples each, 14 columns",
        )
    batch = make_batch(200, 10)
    data = encode_batch(batch)
    values = interleaved(
        runs,
        {
            "encode": lambda: per_second(2_000, lambda: None, lambda _: encode_batch(batch)),
            "decode": lambda: per_second(2_000, lambda: None, lambda _: decode_batch(data)),
            "samples": lambda: per_second(2_000, lambda: decode_batch(data), samples),
        },
    )
    yield Figure("batch_encode", "samples/s", "higher", None, values["encode"], "2,000 samples a batch, one core")
    yield Figure("batch_decode", "samples/s", "higher", None, values["decode"], "the same batch to columns, one core")
    yield Figure("batch_samples", "samples/s", "higher", None, values["samples"], "columns to Sample objects, one core")
