"""Floor and bitmap: the same answers as a plain set of counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taghub.spool.seen import WIDTH, Seen, from_bytes
from taghub.spool.states import TagStates


def test_gaps_are_named_and_close() -> None:
    seen = Seen(10)
    assert [seen.add(counter) for counter in (11, 13, 16, 13, 9)] == [True, True, True, False, False]
    assert (seen.floor, seen.last, seen.missing()) == (11, 16, [(12, 12), (14, 15)])
    assert [seen.add(counter) for counter in (12, 15, 14)] == [True, True, True]
    assert (seen.floor, seen.last, seen.missing(), seen.bits) == (16, 16, [], 0)


def test_jump_beyond_the_width_gives_the_oldest_gaps_up() -> None:
    seen = Seen(0)
    seen.add(2)
    seen.add(WIDTH + 100)
    assert (seen.floor, seen.last) == (100, WIDTH + 100)
    assert seen.missing() == [(101, WIDTH + 99)]
    seen.add(5 << 24)  # another generation
    assert seen.last == 5 << 24
    assert seen.bits.bit_length() == WIDTH


def test_bitmap_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="bits"):
        from_bytes(0, bytes(WIDTH // 8) + b"\x01")


@given(st.integers(0, 100), st.lists(st.integers(0, 300)))
def test_seen_is_a_set_of_counters(floor: int, counters: list[int]) -> None:
    seen, known = Seen(floor), set(range(floor + 1))
    for counter in counters:
        assert seen.add(counter) == (counter not in known)
        known.add(counter)
        assert seen.last == max(known)
        again = from_bytes(seen.floor, seen.to_bytes())
        assert (again.floor, again.bits) == (seen.floor, seen.bits)
    missing = {counter for first, last in seen.missing() for counter in range(first, last + 1)}
    assert missing == set(range(max(known))) - known


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "fill", "lose", "reopen"]), st.integers(100, 300), st.integers(0, 60)),
        max_size=40,
    )
)
def test_what_is_filled_lost_and_reopened_is_a_set_too(steps: list[tuple[str, int, int]]) -> None:
    seen, known, lowest = Seen(200), set(range(201)), 200
    for step, counter, length in steps:
        last = seen.last
        if step == "add":
            seen.add(counter)
            known.add(counter)
        elif step == "fill":
            seen.fill(counter, counter + length)
            known |= set(range(counter, min(counter + length, last) + 1))
        elif step == "lose":
            seen.lose(counter, counter + length)
            known -= set(range(counter, min(counter + length, last - 1) + 1))
        elif lowest - length > 0 and lowest <= seen.floor:
            seen.reopen(lowest - length, lowest)
            known -= set(range(lowest - length, lowest))
            lowest -= length
        assert seen.last == max(known)
        assert seen.bits & 1 == 0
        missing = {counter for first, last in seen.missing() for counter in range(first, last + 1)}
        assert missing == set(range(max(known))) - known


def test_what_the_bitmap_has_no_room_for_is_not_reopened() -> None:
    seen = Seen(WIDTH * 2)
    seen.reopen(5, WIDTH * 2)
    seen.lose(5, 10)
    assert (seen.floor, seen.bits) == (WIDTH * 2, 0)
    seen.reopen(WIDTH + 1, WIDTH * 2)
    assert (seen.floor, seen.last) == (WIDTH, WIDTH * 2)


@given(st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 12)), max_size=30), max_size=4))
def test_many_samples_at_once_are_the_same_as_each(chunks: list[list[tuple[int, int]]]) -> None:
    singly, at_once = TagStates(), TagStates()
    for chunk in chunks:
        for key in chunk:
            singly.add(*key)
        at_once.add_many([tag_id for tag_id, _ in chunk], [counter for _, counter in chunk])
        assert sorted(at_once.changed_rows()) == sorted(singly.changed_rows())
