"""The counter's rules: whatever is lost, no counter is used twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag.counter import RESERVED, cold_start, raised_limit, resume
from tag.faults import CounterLost
from tagwire.counter import SEQUENCE_MAX, make_counter
from tagwire.provision import decode_counter, encode_counter


def test_cold_start_takes_the_highest_place() -> None:
    assert cold_start(0, [32, 16]) == 32
    assert cold_start(0, [16, 32]) == 32
    assert cold_start(0, [None, 16]) == 16
    assert cold_start(0, [16, None]) == 16


def test_cold_start_after_provisioning_with_a_raised_generation_goes_on_there() -> None:
    assert cold_start(3, [make_counter(3, 0), make_counter(2, 500)]) == make_counter(3, 0)


@pytest.mark.parametrize(
    ("generation", "limits", "message"),
    [
        (0, [None, None], "missing"),
        (1, [make_counter(0, 16), None], "generation 0, key of 1"),
        (0, [16, make_counter(1, 0)], "generation 1, key of 0"),
    ],
)
def test_cold_start_without_a_certain_counter_asks_for_service(
    generation: int, limits: list[int | None], message: str
) -> None:
    with pytest.raises(CounterLost, match=message):
        cold_start(generation, limits)


@pytest.mark.parametrize(
    ("next_counter", "limit", "trusted"),
    [(16, 32, True), (32, 32, True), (33, 32, False), (15, 32, False), (make_counter(1, 0), make_counter(1, 9), False)],
)
def test_rtc_memory_is_trusted_only_within_its_reservation(next_counter: int, limit: int, trusted: bool) -> None:
    assert resume(0, next_counter, limit) == trusted


@pytest.mark.parametrize("generation", [0, 7, 255])
def test_a_generation_ends_with_a_limit_that_can_be_written(generation: int) -> None:
    last = make_counter(generation, SEQUENCE_MAX - 2)
    limit = raised_limit(last)
    assert limit == last + 1
    assert decode_counter(encode_counter(limit)) == limit
    with pytest.raises(CounterLost, match="exhausted"):
        raised_limit(limit)


@given(st.lists(st.sampled_from(["sample", "power lost", "file lost", "NVS lost", "cut between places"]), max_size=200))
def test_no_history_of_losses_uses_a_counter_twice(history: list[str]) -> None:
    """The tag's own order of steps (app.load_state, app.take_counter), on two places and a RTC memory of variables."""
    places: list[int | None] = [0, 0]
    rtc: tuple[int, int] | None = None
    used = []
    for event in history:
        if event == "power lost":
            rtc = None
        elif event == "file lost":
            places[0] = None
        elif event == "NVS lost":
            places[1] = None
        else:
            try:
                next_counter, limit = rtc or (cold_start(0, places),) * 2
            except CounterLost:
                assert places == [None, None]
                return
            if next_counter >= limit:
                limit = raised_limit(next_counter)
                places[0] = limit
                if event == "cut between places":
                    rtc = None
                    continue
                places[1] = limit
            rtc = next_counter + 1, limit
            used.append(next_counter)
    assert used == sorted(set(used))
    assert RESERVED == 16


def test_rotated_tag_that_has_made_no_sample_since_begins_its_generation() -> None:
    """A command has written the generation down, and power failed before the first limit of it was."""
    first = make_counter(5, 0)
    assert cold_start(5, [make_counter(2, 48), make_counter(2, 32)], provisioned=2) == first
    assert cold_start(5, [None, make_counter(3, 48)], provisioned=2) == first  # rotated twice
    assert cold_start(5, [make_counter(2, 48), first + 16], provisioned=2) == first + 16
    refused: list[tuple[list[int | None], int | None]] = [
        ([make_counter(2, 48)], None),  # what a bench has provisioned needs its counter
        ([make_counter(1, 48)], 2),
        ([make_counter(6, 0)], 2),
        ([None, None], 2),
    ]
    for limits, provisioned in refused:
        with pytest.raises(CounterLost):
            cold_start(5, limits, provisioned)
