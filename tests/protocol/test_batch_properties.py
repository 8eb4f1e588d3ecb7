"""Columns and batches: round trips at every size, and a decoder whose work is bounded whatever it is given."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from vector_files import load

from tagwire import batch, columns, fields
from tagwire.errors import DecodeError, EncodeError


def refusal(function: Callable[..., object], *arguments: object) -> str | None:
    """The reason of the DecodeError that a call raises, None where it raises none."""
    try:
        function(*arguments)
    except DecodeError as error:
        return error.reason
    return None


values_40_bits = st.integers(-(1 << 33), 1 << 33)


@given(st.lists(values_40_bits | st.sampled_from([0, 1, 1 << 33]), min_size=1, max_size=200))
def test_column_round_trip(values: list[int]) -> None:
    array = np.array(values, np.int64)
    data = columns.encode_column(array)
    assert columns.decode_column(data, len(values)).tolist() == values
    assert columns.decode_varints(columns.encode_varints(array), len(values)).tolist() == values
    assert columns.decode_packed(columns.encode_packed(array), len(values)).tolist() == values


@given(st.binary(max_size=200), st.integers(1, 65_536))
def test_random_bytes_as_a_column(data: bytes, count: int) -> None:
    for coding in range(9):
        assert refusal(columns.decode_column, bytes([coding]) + data, count) in (None, "format")


def random_batch(seed: int, count: int) -> batch.Batch:
    rng = np.random.default_rng(seed)
    return batch.Batch(
        "hub-é",
        seed,
        1_790_000_000,
        2,
        None,
        {name: rng.integers(column.minimum, column.maximum + 1, count) for name, column in batch.COLUMNS.items()},
    )


def sorted_rows(value: batch.Batch) -> list[list[int]]:
    return sorted(np.stack([value.columns[name] for name in batch.COLUMNS]).T.tolist())


@pytest.mark.parametrize("count", [1, 2, 3, 50, batch.SAFE_SAMPLES])
def test_batch_of_random_values_fits_and_returns(count: int) -> None:
    value = random_batch(count, count)
    data = batch.encode_batch(value)
    assert len(data) <= batch.MAX_BATCH_BYTES
    back = batch.decode_batch(data)
    assert back[:5] == value[:5]
    assert sorted_rows(back) == sorted_rows(value)


def test_batch_that_does_not_fit_is_the_callers_error() -> None:
    with pytest.raises(EncodeError, match="more than 61440"):
        batch.encode_batch(random_batch(1, 4_000))
    value = random_batch(1, 3)
    for bad in (
        value._replace(hub=""),
        value._replace(clock=4),
        value._replace(position=(900_000_001, 0)),
        value._replace(columns={**value.columns, "fix": np.array([1, 2, 8])}),
        value._replace(columns={**value.columns, "fix": np.array([1, 2])}),
        value._replace(columns={name: values for name, values in value.columns.items() if name != "fix"}),
        random_batch(1, 0),
    ):
        with pytest.raises(EncodeError):
            batch.encode_batch(bad)


@given(st.data())
def test_damaged_batch_raises_only_decode_errors(data: st.DataObject) -> None:
    good = bytes.fromhex(data.draw(st.sampled_from(load("batch")["good"]))["batch"])
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(lambda: batch.samples(batch.decode_batch(bytes(damaged)))) in (None, "format")


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x88\x01" + b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff",  # an array of a trillion elements
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",  # a string of half the address space
        b"\xba\xff\xff\xff\xff",  # a map of four billion pairs
        b"\x81" * 60_000,  # nested sixty thousand deep
        b"\x98\xff" + b"\x80" * 60_000,
        b"\xc5\x82\x1a\x7f\xff\xff\xff\x01",  # 2 to the power of two billion
        b"\xd8\x23\x59\xea\x60" + b"(" * 60_000,  # a regular expression
        b"\x99\xea\x60" + b"\x01" * 60_000,
        bytes(70_000),
    ],
    ids=["array", "string", "map", "nested", "wide", "bigfloat", "regex", "ones", "too-long"],
)
def test_cbor_bomb_is_refused_cheaply(bomb: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(DecodeError, match="format"):
        batch.decode_batch(bomb)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_widest_packed_column_of_the_most_samples_costs_little() -> None:
    """A few bytes of zstd can stand for 336 KB of zeros, the widest packing that there is."""
    packed = columns.encode_varints(np.array([0])) + b"\x29" + bytes(41 * batch.MAX_SAMPLES // 8)
    data = bytes([columns.PACKED | columns.ZSTD]) + zstandard.ZstdCompressor().compress(packed)
    assert len(data) < 100
    tracemalloc.start()
    assert not columns.decode_column(data, batch.MAX_SAMPLES).any()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 16_000_000


def test_batch_that_claims_the_most_stays_small() -> None:
    """65,536 samples in 100 bytes are legal (all alike); what they cost is bounded: 14 columns of 8 bytes each."""
    value = random_batch(5, 1)
    same = {name: np.repeat(column, batch.MAX_SAMPLES) for name, column in value.columns.items()}
    data = batch.encode_batch(value._replace(columns=same))
    assert len(data) < 200
    tracemalloc.start()
    decoded = batch.decode_batch(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(decoded.columns["tag"]) == batch.MAX_SAMPLES
    assert peak_bytes < 30_000_000


def test_json_lines_and_samples_say_the_same() -> None:
    case = load("batch")["good"][6]
    value = batch.decode_batch(bytes.fromhex(case["batch"]))
    first = next(sample for sample in batch.samples(value) if sample.counter == 42)
    assert first.reading.temperature_mc == 4_300
    assert first.reading.time_s == case["rows"][0][2]
    assert (first.heard_s, first.rssi_dbm, first.unconfirmed) == (first.reading.time_s + 1, -70, False)
    nothing = batch.samples(batch.decode_batch(bytes.fromhex(load("batch")["good"][1]["batch"])))[0]
    assert nothing.reading == fields.Reading(None, None, None, None, None, 0, 0, None, 0)
    assert nothing.unconfirmed
    assert '"temperature_c":4.3,' in batch.to_json_lines(value)
