"""Batches: bytes a sample and samples a second, on the published test data (benchmarks/testdata.py)."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from benchmarks.figure import Figure, interleaved, per_second
from benchmarks.testdata import KINDS, readings
from tagwire import fields
from tagwire.batch import COLUMNS, Batch, decode_batch, encode_batch, samples

SIZES = ((10, 10, 1, 24.0), (50, 50, 1, 13.0), (200, 200, 1, 9.0), (2_000, 200, 10, 4.5))
"""(samples, tags, samples a tag, goal in bytes a sample)"""


def make_batch(tags: int, samples_a_tag: int) -> Batch:
    """What a hub makes of `tags` tags, all three kinds of day in turn, of which it heard some samples each."""
    random = np.random.default_rng(3)
    rows = []
    for tag in range(tags):
        first_counter = int(random.integers(1, 50_000))
        skipped = int(random.integers(0, 30))
        day = readings(KINDS[tag % len(KINDS)], skipped + samples_a_tag, seed=tag + 1)
        for i, reading in enumerate(islice(day, skipped, None)):
            codes = fields.to_codes(reading)
            time_s = (reading.time_s or 0) // 4 * 4 + int(random.integers(0, 75)) * 4 - 300 * skipped
            heard = int(random.integers(0, 3))
            measured = (*codes[:7], codes.time_quality)
            rows.append((100_000 + tag, first_counter + i, time_s, *measured, heard, int(random.integers(-24, -12)), 0))
    values = np.array(rows, np.int64).T
    created_s = int(values[2].max()) + 2
    return Batch("truck-17", 12_345, created_s, 2, (457_600_000, 48_400_000), dict(zip(COLUMNS, values, strict=True)))


def figures(runs: int) -> Iterator[Figure]:
    for count, tags, samples_a_tag, goal in SIZES:
        size = len(encode_batch(make_batch(tags, samples_a_tag)))
        yield Figure(
            f"batch_bytes_per_sample_{count}",
            "B",
            "lower",
            goal,
            [size / count],
            f"a batch of {tags} tags with {samples_a_tag} samples each, 14 columns",
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
