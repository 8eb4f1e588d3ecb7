"""Columns and batches: round trips at every size, and a decoder whose work is bounded whatever it is given."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from vector_files import load

from tagwire import batch, columns, fields, packing
from tagwire.errors import DecodeError, EncodeError
from tagwire.json_lines import parse_json_line, to_json_lines


def refusal(function: Callable[..., object], *arguments: object) -> str | None:
    """The reason of the DecodeError that a call raises, None where it raises none."""
    try:
        function(*arguments)
    except DecodeError as error:
        return error.reason
    return None


CODECS = packing.make_codecs()
values_33_bits = st.integers(0, 1 << 33)
values = (
    st.lists(values_33_bits | st.sampled_from([0, 1, 1 << 33]), min_size=1, max_size=300)
    | st.lists(st.integers(1_000, 1_040), min_size=300, max_size=600)  # noise: enough of it for the entropy coder
    | st.lists(st.sampled_from([7, 7, 7, 7, 7, 7, 8]), min_size=20, max_size=400)
    | st.lists(st.sampled_from([1 << 20, (1 << 20) + 60, 8_388_607]), min_size=2, max_size=300)
)


@given(values)
def test_list_round_trip_in_every_form(listed: list[int]) -> None:
    array = np.array(listed, np.int64) - 5
    data = packing.encode_list(array, CODECS)
    cursor = packing.Cursor(data)
    assert packing.decode_list(cursor, len(listed), CODECS).tolist() == array.tolist()
    cursor.end()
    assert len(data) <= 8 + packing.packed_bytes(len(listed), int(array.max() - array.min()).bit_length())


@given(values, st.integers(1, 40), st.integers(0, 9))
def test_column_round_trip(listed: list[int], tags: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = np.array(listed, np.int64)
    of_tags = np.sort(rng.integers(0, tags, len(array)))
    layout = columns.make_layout(of_tags)
    layout = layout._replace(by_time=columns.time_order(rng.integers(0, 50, len(array))))
    span = (int(array.min()), int(array.max()))
    data = columns.encode_column(array, span, 8_388_604, layout, CODECS)
    assert columns.decode_column(data, len(array), layout, CODECS).tolist() == listed
    groups = columns.encode_groups(of_tags, layout, CODECS)
    assert columns.decode_groups(groups, len(array), CODECS).tolist() == of_tags.tolist()


@given(st.binary(max_size=200), st.integers(1, 65_536), st.integers(0, 31), st.integers(0, 3), st.integers(0, 42))
def test_random_bytes_as_a_column(data: bytes, count: int, head: int, form: int, width: int) -> None:
    layout = columns.make_layout(np.arange(count) // 7)
    layout = layout._replace(by_time=np.arange(count))
    whole = bytes([head, form | width << 2]) + data
    assert refusal(columns.decode_column, whole, count, layout, CODECS) in (None, "format")
    assert refusal(columns.decode_groups, data, count, CODECS) in (None, "format")


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
    for name, keys in zip(("tag", "counter"), batch.decode_keys(data), strict=True):
        assert keys.tolist() == back.columns[name].tolist()


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
    whole = refusal(lambda: batch.samples(batch.decode_batch(bytes(damaged))))
    assert whole in (None, "format")
    assert refusal(batch.decode_keys, bytes(damaged)) in (None, whole)


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


def test_widest_column_of_the_most_samples_costs_little() -> None:
    """A few bytes of zstd can stand for 393 KB of varints, the widest that there are."""
    frame = zstandard.ZstdCompressor().compress((b"\xff\xff\xff\xff\xff\x3f") * batch.MAX_SAMPLES)
    data = bytes([0, packing.FORM_SPLIT_ZSTD, 0]) + packing.encode_unsigned(len(frame)) + frame
    assert len(data) < 100
    layout = columns.make_layout(np.zeros(batch.MAX_SAMPLES, np.int64))
    tracemalloc.start()
    decoded = columns.decode_column(data, batch.MAX_SAMPLES, layout, CODECS)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded.min() == decoded.max() == -(1 << 40)
    assert peak_bytes < 16_000_000


def test_more_than_a_publish_becomes_several() -> None:
    value = random_batch(1, 9_000)
    payloads = batch.encode_batches(value)
    assert len(payloads) > 3
    assert all(len(payload) <= batch.MAX_BATCH_BYTES for payload in payloads)
    decoded = [batch.decode_batch(payload) for payload in payloads]
    assert [each.sequence for each in decoded] == list(range(1, len(payloads) + 1))
    assert sorted(row for each in decoded for row in sorted_rows(each)) == sorted_rows(value)
    assert batch.encode_batches(random_batch(2, 50)) == [batch.encode_batch(random_batch(2, 50))]


def test_foreign_tags_have_wide_ids_and_say_whose_they_are() -> None:
    own = random_batch(3, 40)
    rng = np.random.default_rng(4)
    foreign = {"source": rng.integers(0, 3, 40), "tag_high": rng.integers(0, 1 << 32, 40)}
    value = own._replace(columns={**own.columns, **foreign})
    back = batch.decode_batch(batch.encode_batch(value))
    names = [*batch.COLUMNS, *batch.FOREIGN_COLUMNS]
    rows = [sorted(np.stack([each.columns[name] for name in names]).T.tolist()) for each in (value, back)]
    assert rows[0] == rows[1]
    assert {(s.source, s.tag_id >> 32) for s in batch.samples(back)} == set(
        zip(*(values.tolist() for values in foreign.values()), strict=True)
    )
    zeros = own._replace(columns={**own.columns, "source": np.zeros(40, np.int64), "tag_high": np.zeros(40, np.int64)})
    assert batch.encode_batch(zeros) == batch.encode_batch(own)
    for case in load("batch")["foreign"]:
        decoded = batch.decode_batch(bytes.fromhex(case["batch"]))
        assert np.stack([decoded.columns[name] for name in names]).T.tolist() == case["rows"]


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
    case = next(case for case in load("batch")["good"] if case["name"] == "three samples, bit-packed")
    value = batch.decode_batch(bytes.fromhex(case["batch"]))
    first = next(sample for sample in batch.samples(value) if sample.counter == 42)
    assert first.reading.temperature_mc == 4_300
    time_s = case["rows"][0][2]
    assert first.reading.time_s == time_s
    assert (first.heard_s, first.rssi_dbm, first.unconfirmed) == (time_s + 1, -70, False)
    nothing = batch.samples(batch.decode_batch(bytes.fromhex(load("batch")["good"][1]["batch"])))[0]
    assert nothing.reading == fields.Reading(None, None, None, None, None, 0, 0, None, 0)
    assert nothing.unconfirmed
    assert '"temperature_c":4.3,' in to_json_lines(value)


@pytest.mark.parametrize("seed", range(3))
def test_json_line_returns_what_it_was_made_of(seed: int) -> None:
    value = random_batch(seed, 300)
    rng = np.random.default_rng(seed)
    value = value._replace(columns={**value.columns, "source": rng.integers(0, 5, 300)})
    lines = to_json_lines(value).splitlines()
    assert [parse_json_line(line) for line in lines] == [(value.hub, sample) for sample in batch.samples(value)]


@given(st.data())
def test_damaged_json_line_raises_only_decode_errors(data: st.DataObject) -> None:
    row = json.loads(to_json_lines(random_batch(1, 1)))
    values: st.SearchStrategy[Any] = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([])
    )
    row[data.draw(st.sampled_from([*row, "alarm", "source"]))] = data.draw(values)
    assert refusal(parse_json_line, json.dumps(row)) in (None, "format")
    assert refusal(parse_json_line, data.draw(st.binary(max_size=30))) in (None, "format")
