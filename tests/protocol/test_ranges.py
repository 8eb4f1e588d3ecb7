"""Sets of counters: the algebra against Python's own sets, and the wire form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagwire.errors import DecodeError, EncodeError
from tagwire.ranges import (
    LARGEST,
    RANGES_MAX,
    decode_ranges,
    difference,
    encode_ranges,
    intersection,
    normalized,
    total,
    union,
)

numbers = st.sets(st.integers(0, 60))


def ranges_of(members: set[int]) -> list[tuple[int, int]]:
    return normalized((member, member) for member in members)


def members_of(ranges: list[tuple[int, int]]) -> set[int]:
    return {member for first, last in ranges for member in range(first, last + 1)}


@given(numbers, numbers)
def test_ranges_behave_as_sets(a: set[int], b: set[int]) -> None:
    left, right = ranges_of(a), ranges_of(b)
    assert members_of(left) == a
    assert total(left) == len(a)
    for result, expected in (
        (union(left, right), a | b),
        (difference(left, right), a - b),
        (intersection(left, right), a & b),
    ):
        assert result == ranges_of(expected)  # also: sorted, disjoint and not touching


@given(st.lists(st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST)).map(lambda p: (min(p), max(p)))))
def test_ranges_cross_the_wire_in_as_many_pieces_as_needed(pairs: list[tuple[int, int]]) -> None:
    ranges = normalized(pairs)
    left = ranges
    received: list[tuple[int, int]] = []
    while left:
        data, left = encode_ranges(left, 40)
        assert len(data) <= 40
        received += decode_ranges(data)
    assert received == ranges


@given(st.binary(max_size=40))
def test_ranges_of_garbage_raise_or_reencode_to_the_same_bytes(data: bytes) -> None:
    outcome: object
    try:
        outcome = encode_ranges(decode_ranges(data))
    except DecodeError as error:
        outcome = error.reason
    assert outcome in ("format", (data, []))


def test_ranges_hold_no_more_than_a_request_may() -> None:
    many = [(10 * i, 10 * i) for i in range(RANGES_MAX + 5)]
    data, left = encode_ranges(many)
    assert len(decode_ranges(data)) == RANGES_MAX
    assert left == many[RANGES_MAX:]
    with pytest.raises(DecodeError, match="format"):
        decode_ranges(bytes([RANGES_MAX + 1]) + bytes(2 * RANGES_MAX + 2))


@pytest.mark.parametrize("pair", [(5, 4), (-1, 3), (0, LARGEST + 1)])
def test_ranges_from_impossible_pairs_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(EncodeError):
        normalized([pair])
