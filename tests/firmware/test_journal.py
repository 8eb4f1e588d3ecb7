"""The journal on a real LittleFS, under the real interpreter: what a hub can read of what was made, after anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagwire.fields import TIME_UNKNOWN, Reading, pack_body, to_codes
from tagwire.history import record_of

WRITE_RECORDS = 8
SEGMENT_RECORDS = 192
NOW_S = 1_795_428_930
SCRIPT = Path(__file__).with_name("journal_under_micropython.py")

Work = Callable[..., list[Any]]


@pytest.fixture
def work(micropython: Callable[..., str], tmp_path: Path) -> Work:
    """A function from steps to the answer of each."""

    def run(*steps: list[Any], blocks: int = 96, room_kb: int = 256) -> list[Any]:
        task = tmp_path / "task.json"
        head = {"flash": str(tmp_path / "flash"), "blocks": blocks, "room_kb": room_kb, "tag_id": 7}
        task.write_text("".join(json.dumps(line) + "\n" for line in [head, *steps]))
        lines = micropython(str(SCRIPT), str(task)).splitlines()
        # Between the answers stands what the firmware says when power fails while it settles.
        answers = [_answer(line) for line in lines if not line.startswith("settled: ")]
        for index, step in enumerate(steps):
            if step == ["counters"]:
                answers[index] = [counter for first, last in answers[index] for counter in range(first, last + 1)]
        return answers

    return run


def _answer(line: str) -> Any:
    """One value; `read` prints its items, a tab after each, and null."""
    *items, value = (json.loads(item) for item in line.split("\t"))
    return items or value


def sample(counter: int, reading: Reading, alarm: bool = False) -> list[Any]:
    time_4s = 0 if reading.time_s is None else (reading.time_s + 2) // 4
    return ["sample", counter, pack_body(to_codes(reading)).hex(), time_4s, alarm]


def made(first: int, count: int) -> list[Any]:
    return ["samples", first, count]


READINGS = st.builds(
    Reading,
    st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    st.none() | st.integers(-90_000, 130_000),
    st.none() | st.integers(0, 100_000),
    st.none() | st.integers(1_000, 5_000),
    st.integers(0, 7),
    st.integers(0, 2),
    st.integers(NOW_S, 2**32 - 10),
    st.integers(0, 3),
).map(lambda reading: reading if reading.time_quality != TIME_UNKNOWN else reading._replace(time_s=None))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), READINGS, st.booleans()), min_size=1, max_size=60), st.integers(0, 255))
def test_journal_gives_back_every_bit_of_every_sample(
    work: Work, samples: list[tuple[int, Reading, bool]], generation: int
) -> None:
    counter = generation << 24
    steps, expected = [], []
    for gap, reading, alarm in samples:
        counter += gap
        steps.append(sample(counter, reading, alarm))
        expected.append(list(record_of(counter, to_codes(reading), reading.time_s, alarm)))
    records = work(*steps, ["read", [[generation << 24, counter]]])[-1]
    assert [item for item in records if len(item) > 3] == expected


def test_thirty_days_at_five_minutes_fit_into_256_kb_of_flash(work: Work) -> None:
    *_, state, counters = work(made(0, 8640), ["state"], ["counters"], blocks=64)
    assert state == [8639, 8640, 0, 0]
    assert counters == list(range(8640))


def test_full_journal_drops_settled_samples_first_and_counts_the_unsettled_it_loses(work: Work) -> None:
    room = 64 // 4 - 8  # files
    full = room * SEGMENT_RECORDS
    one_more = made(full, WRITE_RECORDS)
    third = [2 * SEGMENT_RECORDS, 3 * SEGMENT_RECORDS - 1]
    *_, counters, state, holes = work(
        made(0, full), ["settle", [third]], one_more, ["counters"], ["state"], ["read", [[300, 600]]], room_kb=64
    )
    expected = [counter for counter in range(full + WRITE_RECORDS) if not third[0] <= counter <= third[1]]
    assert counters == expected
    assert state == [full + WRITE_RECORDS - 1, len(expected), 0, 0]
    assert [item for item in holes if len(item) == 3] == [[*third, True]]  # gone, and said so

    again = made(full + WRITE_RECORDS, SEGMENT_RECORDS)
    *_, counters, state, holes = work(
        made(0, full), ["settle", [third]], one_more, again, ["counters"], ["state"], ["read", [[0, 9]]], room_kb=64
    )
    assert counters[0] == SEGMENT_RECORDS  # nothing settled was left: the oldest went
    assert state == [full + WRITE_RECORDS + SEGMENT_RECORDS - 1, len(counters), SEGMENT_RECORDS, 0]
    assert holes == [[0, 9, True]]


@pytest.mark.parametrize("loss", ["reset", "write_and_reset"])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 200])
def test_reset_loses_and_repeats_nothing(work: Work, loss: str, count: int) -> None:
    *_, counters, state = work(made(0, count), [loss], made(count, 5), [loss], ["counters"], ["state"])
    assert counters == list(range(count + 5))
    assert state == [count + 4, count + 5, 0, 0]


@pytest.mark.parametrize("count", [1, 8, 15, 199])
def test_power_loss_costs_what_waited_and_no_more(work: Work, count: int) -> None:
    written = count // WRITE_RECORDS * WRITE_RECORDS
    _, _, newest, _, counters, holes = work(
        made(0, count), ["power"], ["state"], made(256, 1), ["counters"], ["read", [[0, 256]]]
    )
    assert counters == [*range(written), 256]
    assert newest[0] == (written or count) - 1
    missing = [item for item in holes if len(item) == 3]
    if written:  # what may have waited is gone; what the counter skipped was never made
        assert missing == [[written, written + 7, True], [written + 8, 255, False]]


def test_samples_that_wait_are_read_settled_and_counted_like_any_other(work: Work) -> None:
    *_, records, status, state = work(made(0, 11), ["read", [[6, 9]]], ["settle", [[0, 2], [9, 9]]], ["state"])
    assert [item[0] for item in records] == [6, 7, 8, 9]
    assert status == 0
    assert state == [10, 7, 0, 0]


def test_settled_samples_stay_settled_through_power_loss_and_cost_a_write_only_once(work: Work) -> None:
    *_, before, _, after, _, state = work(
        made(0, 16), ["settle", [[0, 9]]], ["figures"], ["settle", [[2, 9]]], ["figures"], ["power"], ["state"]
    )
    assert before == after
    assert state == [15, 6, 0, 0]


def test_many_scattered_settled_ranges_are_bounded_and_forget_only_towards_unsettled(work: Work) -> None:
    count = 600
    evens = [[[counter, counter] for counter in range(first, first + 64, 2)] for first in range(0, count, 64)]
    *_, first_state, _, last_state = work(
        made(0, count), *(["settle", ranges] for ranges in evens), ["state"], ["settle", [[0, count - 1]]], ["state"]
    )
    assert count - 64 <= first_state[1] <= count
    assert last_state[1] == 0


def test_settled_ranges_join_where_the_counter_skipped(work: Work) -> None:
    """Each power loss skips counters; 40 of them must not use up the ranges that are kept."""
    steps: list[list[Any]] = []
    for start in range(0, 40 * 16, 16):
        steps += [made(start, 8), ["settle", [[start, start + 7]]]]
    *_, files, state = work(*steps, ["files"], ["state"])
    assert state == [39 * 16 + 7, 0, 0, 0]
    assert dict(files)["settled"] <= 8 + 8 * 16


def test_damaged_record_costs_itself_alone(work: Work) -> None:
    *_, counters = work(made(0, 16), ["damage", 0, 3 * 16 + 5], ["power"], ["counters"])
    assert counters == [*range(3), *range(4, 16)]


def test_another_identity_on_the_board_starts_an_empty_journal(work: Work) -> None:
    *_, counters, folders = work(made(0, 16), ["identity", 8], made(5, 8), ["counters"], ["folders"])
    assert counters == list(range(5, 13))
    assert folders == ["journal-00000008"]


def test_new_generation_goes_on_in_the_same_journal(work: Work) -> None:
    first = 1 << 24
    *_, counters, state = work(made(0, 11), made(first, 6), ["write"], ["counters"], ["state"])
    assert counters == [*range(11), *range(first, first + 6)]
    assert state == [first + 5, 17, 0, 0]


def test_flash_that_others_have_filled_makes_the_journal_give_way(work: Work) -> None:
    *_, counters, state = work(made(0, 2000), ["fill"], made(2000, 400), ["counters"], ["state"], blocks=96)
    assert counters[-1] == 2399
    assert counters == list(range(counters[0], 2400))
    assert state[2] == counters[0] > 0


def every_cut(work: Work, steps: list[list[Any]], counts: range) -> None:
    """Cut power in each flash operation of `steps`, whose samples are 0 to counts.stop - 1."""
    *_, figures = work(*steps, ["figures"])
    operations = figures[0] + figures[2]
    assert operations > 50
    for left in counts:
        if left >= operations:
            break
        for share in (0, 0.5):
            *_, kept, _, again = work(
                ["cut", left, share], *steps, ["power"], ["counters"], made(5000, 16), ["counters"]
            )
            assert kept == list(range(len(kept)))  # a prefix, whatever was torn
            assert again == [*kept, *range(5000, 5016)]


SCRIPTED: list[list[Any]] = [
    made(0, 40),
    ["settle", [[0, 20]]],
    made(40, 170),
    ["settle", [[0, 100], [150, 160]]],
    made(210, 30),
]


def test_power_cut_in_any_flash_operation_leaves_a_journal_that_goes_on(work: Work) -> None:
    every_cut(work, SCRIPTED, range(0, 10_000, 23))


@pytest.mark.soak
def test_power_cut_in_every_flash_operation_leaves_a_journal_that_goes_on(work: Work) -> None:
    every_cut(work, SCRIPTED, range(10_000))
