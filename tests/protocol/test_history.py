"""History blocks: exact round trips, blocks that stand alone, garbage, and their size on the published test data."""

import pytest
from benchmarks.testdata import KINDS, Kind, counters, readings
from hypothesis import given, settings
from hypothesis import strategies as st

from tagwire.errors import DecodeError, EncodeError
from tagwire.fields import TIME_UNKNOWN, Codes, to_codes
from tagwire.history import TIME_4S_MAX, BlockEncoder, Record, codes_of, record_of
from tagwire.history_decode import decode_block

BLOCK_BYTES = 231  # what a frame of 244 bytes leaves


def edges(largest: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, largest), st.sampled_from([0, 1, largest - 1, largest]))


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """Records with any codes, some like the one before, counters that rise with small and huge gaps."""
    counter = draw(edges(1 << 20))
    made: list[Record] = []
    for _ in range(draw(st.integers(1, 30))):
        time_quality = draw(st.integers(0, 3))
        fresh = Record(
            counter,
            0 if time_quality == TIME_UNKNOWN else draw(edges(TIME_4S_MAX)),
            draw(edges(0x7FFFFF)),
            draw(edges(0xFFFFFF)),
            draw(edges(2047)),
            draw(edges(255)),
            draw(edges(31)),
            draw(st.integers(0, 7)),
            draw(st.integers(0, 3)),
            time_quality,
            draw(st.booleans()),
        )
        alike = draw(st.booleans()) and bool(made)
        made.append(made[-1]._replace(counter=counter) if alike else fresh)
        counter += draw(st.sampled_from([1, 1, 1, 2, 255, 256, 1 << 24]))
    return made


def in_blocks(every: list[Record], block_bytes: int = BLOCK_BYTES) -> list[tuple[bytes, list[Record]]]:
    """Blocks of at most `block_bytes`, each with the records that went into it."""
    blocks = []
    left = every
    while left:
        encoder = BlockEncoder(block_bytes)
        while encoder.count < len(left) and encoder.add(left[encoder.count]):
            pass
        blocks.append((encoder.finish(), left[: encoder.count]))
        left = left[encoder.count :]
    return blocks


def day(kind: Kind, seed: int = 1) -> list[Record]:
    return [
        record_of(counter, to_codes(reading), reading.time_s)
        for counter, reading in zip(counters(), readings(kind, seed=seed), strict=True)
    ]


@settings(max_examples=50, deadline=None)
@given(records(), st.integers(40, 244))
def test_history_blocks_return_every_record_and_each_stands_alone(every: list[Record], block_bytes: int) -> None:
    for block, taken in in_blocks(every, block_bytes):
        assert len(block) <= block_bytes
        assert decode_block(block) == taken


@given(st.binary(max_size=80), st.integers(1, 200))
def test_history_block_of_garbage_raises_only_its_error(bits: bytes, count: int) -> None:
    block = b"\x10\x00\x00\x00" + count.to_bytes(2, "little") + bits
    reason = "format"
    found: list[int] = []
    try:
        found = [record.counter for record in decode_block(block)]
    except DecodeError as error:
        reason = error.reason
    assert reason == "format"
    assert not found or (len(found) == count <= 8 * len(bits) and found == sorted(set(found)))


@settings(max_examples=50, deadline=None)
@given(records(), st.data())
def test_history_block_cut_or_lengthened_is_refused(every: list[Record], data: st.DataObject) -> None:
    block, _ = in_blocks(every)[0]
    with pytest.raises(DecodeError, match="format"):
        decode_block(block[: data.draw(st.integers(0, len(block) - 1))])
    with pytest.raises(DecodeError, match="format"):
        decode_block(block + b"\x00")


def test_history_block_with_a_huge_count_costs_no_more_than_its_bytes() -> None:
    with pytest.raises(DecodeError, match="format"):
        decode_block(b"\x00\x00\x00\x00\xff\xff" + bytes(30))


@pytest.mark.parametrize("kind", KINDS)
def test_history_and_beacon_agree_on_every_bit(kind: Kind) -> None:
    given_codes = [to_codes(reading) for reading in readings(kind)]
    received = [record for block, _ in in_blocks(day(kind)) for record in decode_block(block)]
    assert [codes_of(record) for record in received] == given_codes


def test_history_record_whose_time_is_not_the_codes_time_is_refused() -> None:
    codes = Codes(1, 2, 3, 4, 5, 1, 1, 10, 3)
    assert record_of(7, codes, 40).time_4s == 10
    with pytest.raises(EncodeError):
        record_of(7, codes, 44)
    with pytest.raises(EncodeError):
        record_of(7, codes, None)


def test_history_encoder_refuses_counters_that_do_not_rise() -> None:
    record = day("still")[0]
    encoder = BlockEncoder(BLOCK_BYTES)
    assert encoder.add(record)
    with pytest.raises(EncodeError):
        encoder.add(record)


def test_history_block_too_small_for_one_sample_is_refused() -> None:
    encoder = BlockEncoder(10)
    assert not encoder.add(day("still")[0])
    with pytest.raises(EncodeError):
        encoder.finish()


@pytest.mark.parametrize(("kind", "goal"), [("still", 2.0), ("moving", 5.0)])
def test_history_of_a_day_stays_within_its_bytes_per_sample(kind: Kind, goal: float) -> None:
    frame_bytes = sum(len(block) + 13 for block, _ in in_blocks(day(kind)))  # 13: frame header, message header, MIC
    assert frame_bytes / len(day(kind)) <= goal
