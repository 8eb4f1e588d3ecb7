"""Batches: bytes a sample and samples a second, on the published test data (benchmarks/testdata.py)."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise

import cbor2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure, interleaved, per_second
from benchmarks.testdata import INTERVAL_S, METRES_PER_DEGREE, NOISE_M, readings
from tagwire import fields
from tagwire.batch import COLUMNS, Batch, decode_batch, encode_batch, encode_batches, samples

SIZES = (
    (10, 10, 1, 24.0),
    (50, 50, 1, 13.0),
    (200, 200, 1, 9.0),
    (2_000, 200, 10, 4.5),
    (20_000, 200, 100, 3.3),
)
"""(samples, tags, samples a tag, goal in bytes a sample)"""
SPEEDS = ((2_000, 200, 10, "_2000"), (12_000, 200, 60, ""))
"""(samples, tags, samples a tag, suffix of the figure): a usual batch, and one that nearly fills a publish."""
APART = ("heard", "rssi")


def make_batch(tags: int, samples_a_tag: int) -> Batch:
    """What the hub of a moving truck makes of the tags in it, of which it heard some samples each.

    All ride along the same published day. Each wakes at its own second within the 300, sees its own GNSS noise of 2.5 m
    and has sensors of its own (a published still day of its seed) in its own corner of the load (1 K, 3 % RH, 150 mV,
    one sigma).
    """
    random = np.random.default_rng(3)
    day = list(readings("moving", samples_a_tag + 1))
    rows = []
    for tag in range(tags):
        first_counter = int(random.integers(1, 50_000))
        phase_s = int(random.integers(0, 300))
        warmer_mc, damper_mpct, fuller_mv = random.normal(0, (1_000, 3_000, 150))
        sensors = readings("still", samples_a_tag, seed=1_000 + tag)
        for i, ((before, after), own) in enumerate(zip(pairwise(day), sensors, strict=True)):
            reading = own._replace(
                latitude_e7=_between(before.latitude_e7, after.latitude_e7, phase_s) + _noise_e7(random),
                longitude_e7=_between(before.longitude_e7, after.longitude_e7, phase_s) + _noise_e7(random),
                temperature_mc=round((own.temperature_mc or 0) + warmer_mc),
                humidity_mpct=round((own.humidity_mpct or 0) + damper_mpct),
                battery_mv=round((own.battery_mv or 0) - 200 + fuller_mv),
                motion=before.motion,
            )
            codes = fields.to_codes(reading)
            time_s = ((own.time_s or 0) + phase_s) // 4 * 4
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


def entropy_bytes(batch: Batch) -> float:
    """An estimate of what a sample holds: of each column the entropy of its values, of their differences to the same
    tag's sample before, or to the sample before in time, whichever is least; RSSI and hearing time left out."""
    order = np.lexsort((batch.columns["counter"], batch.columns["tag"]))
    tags, by_time = batch.columns["tag"][order], np.argsort(batch.columns["time"][order], kind="stable")
    same_tag = tags[1:] == tags[:-1]
    bits = 0.0
    for name in COLUMNS:
        values = batch.columns[name][order]
        if name not in (*APART, "tag"):
            bits += min(map(entropy_bits, (values, np.diff(values)[same_tag], np.diff(values[by_time]))))
    return bits / 8


def entropy_bits(symbols: NDArray[np.int64]) -> float:
    """Bits a symbol, from their frequencies, with the Miller-Madow correction: too low where few symbols repeat."""
    counts = np.unique(symbols, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum() + (len(counts) - 1) / (2 * math.log(2) * counts.sum()))


def sizes_without(payloads: Iterable[bytes], names: Iterable[str]) -> int:
    """The bytes of some batches, headers included, but for these columns."""
    total = 0
    for payload in payloads:
        item = cbor2.loads(payload)
        for name in names:
            del item[7][COLUMNS[name].id]
        total += len(cbor2.dumps(item))
    return total


def figures(runs: int) -> Iterator[Figure]:
    entropy = entropy_bytes(make_batch(200, 100))
    for count, tags, samples_a_tag, goal in SIZES:
        payloads = encode_batches(make_batch(tags, samples_a_tag))
        apart = (sum(map(len, payloads)) - sizes_without(payloads, APART)) / count
        yield Figure(
            f"batch_bytes_per_sample_{count}",
            "B",
            "lower",
            goal,
            [sizes_without(payloads, APART) / count],
            f"{tags} tags in a moving truck, {samples_a_tag} samples each, in {len(payloads)} publishes; "
            f"RSSI and hearing time take {apart:.2f} B more; entropy of 20,000 such samples about {entropy:.2f} B",
        )
    for count, tags, samples_a_tag, suffix in SPEEDS:
        batch = make_batch(tags, samples_a_tag)
        data = encode_batch(batch)
        values = interleaved(
            runs,
            {
                "encode": partial(_fastest, count, partial(encode_batch, batch)),
                "decode": partial(_fastest, count, partial(decode_batch, data)),
            },
        )
        about = f"{count:,} samples a batch, 14 columns, one core"
        yield Figure(f"batch_encode{suffix}", "samples/s", "higher", 2_000_000, values["encode"], about)
        yield Figure(f"batch_decode{suffix}", "samples/s", "higher", 2_000_000, values["decode"], about)
    decoded = decode_batch(data)
    rows = interleaved(runs, {"samples": lambda: per_second(count, lambda: decoded, samples)})
    yield Figure("batch_samples", "samples/s", "higher", None, rows["samples"], "columns to Sample objects, one core")


def _fastest(count: int, work: Callable[[], object]) -> float:
    """Ten in a row: one takes a millisecond, in which a clock's tick or a neighbour decides."""
    return per_second(10 * count, lambda: None, lambda _: [work() for _ in range(10)])
