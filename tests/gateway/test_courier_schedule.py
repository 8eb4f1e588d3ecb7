"""Who is visited next, and who not: urgency, loudness and age, failures, the share of a radio's time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taghub.courier.schedule import (
    CALLS_MAX,
    REST_S,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    RETRY_OTHER_MAX_S,
    TROUBLES_MAX,
    WINDOW_S,
    AirTime,
    Call,
    Need,
    Schedule,
)

FREE = {0}


def call(tag_id: int = 1, t_s: float = 0.0, rssi_dbm: int = -60, address: bytes = b"a", radio: int = 0) -> Call:
    return Call(tag_id, radio, address, rssi_dbm, t_s)


def order_of(schedule: Schedule, now_s: float = 0.0) -> list[int]:
    found = []
    while (next_one := schedule.next(now_s, FREE)) is not None:
        found.append(next_one.tag_id)
    return found


def test_commands_first_then_what_is_missing_then_the_loud() -> None:
    schedule = Schedule()
    schedule.call(call(1, rssi_dbm=-90), Need(missing=300))
    schedule.call(call(2, rssi_dbm=-50), Need(missing=300))
    schedule.call(call(3, rssi_dbm=-50), Need(missing=10))
    schedule.call(call(4, rssi_dbm=-90), Need(commands=1))
    schedule.call(call(5, rssi_dbm=-50), Need(owed=10))
    assert order_of(schedule) == [4, 2, 1, 3, 5]


def test_who_waits_longest_gains() -> None:
    schedule = Schedule()
    for tag_id in (1, 2):
        schedule.call(call(tag_id), Need(missing=10))
        assert schedule.next(0.0, FREE) == call(tag_id)
    schedule.done(call(2), 0.0, left=False)
    schedule.done(call(1), 40_000.0, left=False)
    now_s = 80_000.0
    for tag_id in (1, 2):
        schedule.call(call(tag_id, now_s), Need(missing=10))
    assert order_of(schedule, now_s) == [2, 1]


def test_call_is_over_with_its_window_and_a_busy_radio_answers_none() -> None:
    schedule = Schedule()
    schedule.call(call(1), Need(missing=1))
    assert schedule.next(0.0, {1}) is None
    assert schedule.next(WINDOW_S + 0.1, FREE) is None
    schedule.call(call(1, 10.0), Need(missing=1))
    assert schedule.next(10.0, FREE) == call(1, 10.0)
    schedule.call(call(1, 10.1), Need(missing=1))
    assert schedule.next(10.1, FREE) is None  # it is being visited


def test_failing_tag_is_left_for_longer_and_longer() -> None:
    schedule, now_s, waits = Schedule(), 0.0, []
    for _ in range(14):
        assert schedule.wants(1, b"a", now_s, commands=True)
        schedule.failed(call(1, now_s), now_s)
        begun_s = now_s
        while not schedule.wants(1, b"a", now_s, commands=True):
            now_s += 1.0
        waits.append(now_s - begun_s)
    assert waits[:4] == [RETRY_FIRST_S * 2**n for n in range(4)]
    assert waits[-1] == RETRY_MAX_S


def test_impostor_keeps_nobody_from_the_tag_itself() -> None:
    schedule = Schedule()
    schedule.done(call(1, address=b"own"), 0.0, left=False)
    now_s = 100.0
    for number in range(50):
        schedule.failed(call(1, now_s, address=b"impostor %d" % number), now_s)
    assert schedule.wants(1, b"own", now_s, commands=False)
    assert not schedule.wants(1, b"another", now_s, commands=False)
    assert schedule.wants(1, b"another", now_s + RETRY_OTHER_MAX_S, commands=False)
    schedule.call(call(1, now_s, -90, b"own"), Need(missing=5))
    schedule.call(call(1, now_s, -20, b"another"), Need(missing=5))
    assert schedule.next(now_s, FREE) == call(1, now_s, -90, b"own")


def test_tag_whose_visit_left_nothing_rests_and_one_with_more_may_come_again() -> None:
    schedule = Schedule()
    schedule.done(call(1), 0.0, left=False)
    assert not schedule.wants(1, b"a", REST_S - 1, commands=False)
    assert schedule.wants(1, b"a", REST_S - 1, commands=True)
    assert schedule.wants(1, b"a", REST_S, commands=False)
    schedule.done(call(1), 100.0, left=True)
    assert schedule.wants(1, b"a", 100.0, commands=False)


def test_calls_and_troubles_are_bounded() -> None:
    schedule = Schedule()
    for number in range(CALLS_MAX + 50):
        schedule.call(call(number), Need(missing=number))
    assert schedule.forgotten == 50
    assert len(order_of(schedule)) == CALLS_MAX
    for number in range(TROUBLES_MAX):
        schedule.failed(call(1, address=number.to_bytes(4, "big")), 0.0)
    assert len(schedule._troubles) == TROUBLES_MAX


@pytest.mark.parametrize("visit_s", [0.5, 5.0, 20.0])
def test_visits_take_a_fifth_of_the_time_in_the_long_run(visit_s: float) -> None:
    air, now_s = AirTime(0.2, 10.0), 0.0
    while now_s < 10_000:
        if air.free(now_s):
            air.begin(now_s)
            now_s += visit_s
            air.end(now_s)
        else:
            now_s += 0.1
    assert 0.18 < air.used_s / now_s < 0.205


def test_visits_at_once_count_once_and_no_limit_is_none() -> None:
    air = AirTime(0.2, 10.0)
    for _ in range(3):
        air.begin(0.0)
    for _ in range(3):
        air.end(4.0)
    assert air.used_s == 4.0
    assert AirTime(1.0, 0.0).free(0.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([b"a", b"b"]), st.floats(0, 30), st.integers(0, 3)), max_size=60
    )
)
def test_no_tag_is_visited_twice_at_once_whatever_happens(steps: list[tuple[int, bytes, float, int]]) -> None:
    schedule, now_s = Schedule(), 0.0
    visiting: dict[int, Call] = {}
    for tag_id, address, passed_s, step in steps:
        now_s += passed_s
        if step < 2:
            schedule.call(call(tag_id, now_s, address=address), Need(missing=1))
        if step == 2 and tag_id in visiting:
            schedule.failed(visiting.pop(tag_id), now_s)
        if step == 3 and tag_id in visiting:
            schedule.done(visiting.pop(tag_id), now_s, left=bool(tag_id % 2))
        found = schedule.next(now_s, FREE)
        if found is not None:
            assert found.tag_id not in visiting
            assert now_s - found.t_s <= WINDOW_S
            visiting[found.tag_id] = found
