"""The batch's plain reading after SPEC.md and the fast one agree: on the vectors, and on whatever the encoder makes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vector_files import load

from tagwire import batch, fields
from tagwire.reference_batch import read_batch


def test_vectors_read_alike() -> None:
    cases = load("batch")
    for case in [*cases["good"], *cases["same"], *cases["foreign"]]:
        head, columns = read_batch(bytes.fromhex(case["batch"]))
        names = [*cases["columns"], *batch.FOREIGN_COLUMNS][: len(case["rows"][0])]
        assert [list(row) for row in zip(*(columns[name] for name in names), strict=True)] == case["rows"], case["name"]
        assert head[0] == 1


@st.composite
def hub_batches(draw: st.DrawFn) -> batch.Batch:
    """What a hub may hear: tags that stay or ride, of which some have no fix, others no sensor, some are foreign."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    tags, each = draw(st.sampled_from([(1, 1), (1, 300), (40, 1), (7, 40), (300, 2)]))
    n = tags * each
    tag = np.repeat(rng.integers(0, draw(st.sampled_from([50, 1 << 32])), tags), each)
    index = np.tile(np.arange(each), tags)
    time = 1_790_000_000 + index * 300 + np.repeat(rng.integers(0, 300, tags), each)
    speed, noise = draw(st.sampled_from([0, 3, 2_000])), draw(st.sampled_from([1, 6]))
    absent = rng.random(n) < draw(st.sampled_from([0, 0.1, 0.9, 1]))
    latitude = 6_000_000 + (time - 1_790_000_000) * speed // 300 + rng.integers(-noise, noise + 1, n)
    longitude = np.where(absent, fields.LONGITUDE_NA, 9_000_000 + rng.integers(-noise, noise + 1, n))
    columns = {
        "tag": tag,
        "counter": np.repeat(rng.integers(0, 1 << 31, tags), each) + index,
        "time": time if draw(st.booleans()) else time // 4 * 4,
        "latitude": np.where(absent, fields.LATITUDE_NA, np.clip(latitude, 0, fields.LATITUDE_MAX)),
        "longitude": longitude,
        "temperature": np.where(rng.random(n) < 0.05, fields.TEMPERATURE_NA, 850 + rng.integers(-3, 4, n)),
        "humidity": 100 + rng.integers(-9, 10, n),
        "battery": 20 + rng.integers(0, 2, n),
        "fix": np.where(absent, 0, 1 + (rng.random(n) < 0.05)),
        "motion": np.repeat(rng.integers(0, 3, tags), each),
        "quality": np.full(n, 3),
        "heard": rng.integers(-2, 3, n),
        "rssi": rng.integers(-24, -12, n),
        "flags": (rng.random(n) < 0.02) * 2,
    }
    if draw(st.booleans()):
        columns["source"] = np.repeat(rng.integers(0, 3, tags), each)
        columns["tag_high"] = np.repeat(rng.integers(0, 1 << 32, tags), each)
    return batch.Batch("hub", 1, 1_790_000_000, 2, (1, 2), columns)


@given(hub_batches())
def test_what_the_encoder_makes_reads_alike(value: batch.Batch) -> None:
    payload = batch.encode_batch(value)
    fast = batch.decode_batch(payload).columns
    _, plain = read_batch(payload)
    assert {name: column.tolist() for name, column in fast.items()} == plain
    names = list(plain)
    given_columns = [np.asarray(value.columns[name]).tolist() for name in names]
    assert sorted(zip(*given_columns, strict=True)) == sorted(zip(*plain.values(), strict=True))
