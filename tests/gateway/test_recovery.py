"""A radio's recovery as a table: no bus, no adapter, a time of the test's own."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taghub.radio.recovery import (
    ABSENT,
    ACTIVE,
    BACK,
    DONE,
    FAILED,
    FALLBACK,
    FALLBACK_S,
    GONE,
    HOME,
    IDLE,
    OFF,
    OPENED,
    OTHERS,
    OURS,
    PASSIVE,
    PAUSED,
    POWER_CYCLE,
    PROBE_S,
    PROBING,
    REFUSED,
    RESTART,
    SCAN_ACTIVE,
    SCAN_PASSIVE,
    SILENCE_LONGEST_S,
    STABLE_S,
    STEP_AT,
    TABLE,
    TRIAL,
    TRIAL_S,
    USB_RESET,
    Recovery,
)

SILENCE_S = 90.0
ALL_STEPS = frozenset({POWER_CYCLE, USB_RESET})
EVENTS = (OPENED, OURS, OTHERS, FAILED, OFF, REFUSED, GONE, BACK, DONE)


class Run:
    """A recovery and its time."""

    def __init__(self, filtered: bool = False, steps: Iterable[str] = ALL_STEPS, silence_s: float | None = SILENCE_S):
        self.now_s = 1000.0
        self.machine = Recovery(self.now_s, filtered, silence_s, frozenset(steps))

    def on(self, *events: str) -> str:
        for event in events:
            self.machine.on(event, self.now_s)
        return self.machine.state

    def wait(self, seconds: float) -> str:
        """Time passes, in the keeper's steps."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 0.5)
            self.machine.tick(self.now_s)
        return self.machine.state

    def fail(self) -> tuple[str, float]:
        """One failure: the step that follows, and after how many seconds."""
        self.on(FAILED)
        before_s = self.now_s
        while self.machine.activity == IDLE:
            self.wait(0.5)
        step = self.machine.activity
        self.on(DONE)
        return step, self.now_s - before_s


def test_every_row_of_the_table_names_a_state_and_an_action() -> None:
    for state, rows in TABLE.items():
        for event, row in rows.items():
            assert row.state in TABLE or row.state == HOME, (state, event)
            assert callable(getattr(Recovery, row.action)), (state, event)


def test_scan_that_fails_is_tried_again_with_ever_longer_pauses_and_ever_rarer_resets() -> None:
    run = Run()
    steps = [run.fail() for _ in range(40)]
    assert [step for step, _ in steps[:8]] == [
        RESTART, POWER_CYCLE, RESTART, USB_RESET, RESTART, RESTART, RESTART, POWER_CYCLE
    ]  # fmt: skip
    assert [pause_s for _, pause_s in steps[:6]] == [1, 2, 4, 8, 8, 8]
    resets = [number for number, (step, _) in enumerate(steps, 1) if step != RESTART]
    assert resets == [*STEP_AT, 32]
    assert run.machine.counts["restarts"] == 40
    assert run.machine.counts["power_cycles"] == 3
    assert run.machine.counts["usb_resets"] == 2


def test_scan_that_held_for_a_while_starts_from_the_first_step_again() -> None:
    run = Run()
    run.fail()
    run.on(OPENED)
    assert run.fail()[0] == POWER_CYCLE  # it fell at once
    run.on(OPENED)
    run.wait(STABLE_S)
    run.on(OURS)
    assert run.fail() == (RESTART, 1)


def test_silence_is_a_failure_however_long_it_took() -> None:
    run = Run()
    run.on(OPENED)
    for _ in range(10):
        run.wait(SILENCE_S - 1)
        assert run.on(OTHERS) == ACTIVE
    assert run.wait(SILENCE_S) == PAUSED
    assert run.machine.counts["silences"] == 1


def test_silent_place_costs_fewer_and_fewer_resets() -> None:
    run = Run()
    run.on(OPENED)
    for _ in range(24 * 60):
        run.wait(60)
        if run.machine.activity not in (IDLE, SCAN_ACTIVE):
            run.on(DONE, OPENED)
    counts = run.machine.counts
    assert counts["silences"] <= 24 * 3600 / SILENCE_LONGEST_S + 6
    assert counts["power_cycles"] + counts["usb_resets"] <= 6


def test_radio_whose_silence_means_nothing_is_left_alone() -> None:
    run = Run(silence_s=None)
    run.on(OPENED)
    assert run.wait(100_000) == ACTIVE
    assert run.machine.due_s is None


def test_adapter_that_is_gone_is_waited_for_and_counted_once() -> None:
    run = Run()
    run.on(OPENED, OURS)
    assert run.on(GONE) == ABSENT
    assert run.machine.activity == IDLE
    for _ in range(20):
        run.wait(10)
        assert run.on(GONE) == ABSENT
    assert run.on(BACK) == ACTIVE
    assert run.machine.counts["absences"] == 1
    run.on(OPENED, GONE)
    assert run.machine.counts["absences"] == 2


def test_first_failure_after_an_absence_brings_a_power_cycle() -> None:
    run = Run()
    run.on(OPENED, OURS, GONE, BACK)
    assert run.fail() == (POWER_CYCLE, 1)
    assert run.fail() == (POWER_CYCLE, 2)
    assert run.fail() == (RESTART, 4)
    run.on(OPENED)
    run.wait(STABLE_S)
    run.on(GONE, BACK)
    assert run.fail() == (POWER_CYCLE, 1)
    run.on(OPENED)
    run.wait(STABLE_S)
    run.on(OURS)
    assert run.fail() == (RESTART, 1)


def test_adapter_that_is_off_is_switched_on_without_a_futile_restart() -> None:
    run = Run()
    run.on(OPENED, OURS)
    assert run.on(OFF) == PAUSED
    run.wait(1)
    assert run.machine.activity == POWER_CYCLE
    run.on(DONE, OFF)
    run.wait(2)
    assert run.machine.activity == POWER_CYCLE  # it is tried again, as after any failure
    run.on(DONE, OPENED)
    run.wait(STABLE_S)
    run.on(OURS)
    assert run.fail() == (RESTART, 1)


def test_adapter_that_goes_away_in_a_step_is_the_steps_own_doing() -> None:
    run = Run()
    run.on(FAILED)
    run.wait(1)
    run.on(DONE, FAILED)
    run.wait(2)
    assert run.machine.activity == POWER_CYCLE
    run.on(GONE, BACK, FAILED)
    assert run.machine.activity == POWER_CYCLE
    assert run.on(DONE) == ACTIVE


def test_adapter_that_comes_back_in_a_pause_is_used_at_once() -> None:
    run = Run()
    run.on(FAILED)
    assert run.on(BACK) == ACTIVE


def test_passive_scan_that_hears_is_never_disturbed() -> None:
    run = Run(filtered=True)
    run.on(OPENED)
    for _ in range(100):
        run.wait(SILENCE_S - 1)
        assert run.on(OURS) == PASSIVE
    assert run.machine.counts["probes"] == 0


def test_passive_scan_where_no_tag_is_looks_around_ever_more_rarely() -> None:
    run = Run(filtered=True)
    run.on(OPENED)
    waits = []
    for _ in range(6):
        before_s = run.now_s
        while run.machine.state == PASSIVE:
            run.wait(1)
        waits.append(run.now_s - before_s)
        assert run.machine.activity == SCAN_ACTIVE
        run.on(OPENED, OTHERS)
        run.wait(PROBE_S)
        assert run.machine.activity == SCAN_PASSIVE
        run.on(OPENED)
    assert waits == [90, 180, 360, 720, 900, 900]
    assert run.machine.counts["silences"] == 0


def test_deaf_passive_scan_is_replaced_for_an_hour() -> None:
    run = Run(filtered=True)
    run.on(OPENED)
    assert run.wait(SILENCE_S) == PROBING
    assert run.on(OPENED, OTHERS, OURS) == TRIAL
    run.on(OPENED)
    assert run.wait(TRIAL_S) == FALLBACK
    assert run.machine.activity == SCAN_ACTIVE
    run.on(OPENED)
    run.on(FAILED)
    run.wait(1)
    assert run.on(DONE) == FALLBACK
    for _ in range(int(FALLBACK_S // 60)):
        run.on(OPENED, OURS)
        run.wait(60)
    assert run.machine.state == PASSIVE


def test_tag_that_only_went_by_does_not_end_passive_scanning() -> None:
    run = Run(filtered=True)
    run.on(OPENED)
    run.wait(SILENCE_S)
    run.on(OPENED, OURS, OPENED)
    assert run.on(OURS) == PASSIVE
    assert run.machine.counts["fallbacks"] == 0


def test_silence_of_everybody_is_the_adapters_fault_for_a_passive_scan_too() -> None:
    run = Run(filtered=True)
    run.on(OPENED)
    run.wait(SILENCE_S)
    run.on(OPENED)
    assert run.wait(PROBE_S) == PAUSED
    assert run.machine.counts["silences"] == 1


def test_machine_that_cannot_scan_passively_scans_actively() -> None:
    run = Run(filtered=True)
    assert run.on(REFUSED) == FALLBACK
    assert run.machine.activity == SCAN_ACTIVE


@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 200)), max_size=200),
    st.sets(st.sampled_from(sorted(ALL_STEPS))),
)
def test_whatever_happens_it_never_ends_and_never_spins(
    filtered: bool, script: list[tuple[str, float]], steps: set[str]
) -> None:
    run = Run(filtered, steps)
    begun = 0
    for event, seconds in script:
        before = run.machine.activity
        run.on(event)
        run.now_s += seconds
        run.machine.tick(run.now_s)
        if run.machine.activity != before and run.machine.activity != IDLE:
            begun += 1
        assert run.machine.state in TABLE
        assert run.machine.activity in (IDLE, RESTART, SCAN_ACTIVE, SCAN_PASSIVE, *steps)
        if run.machine.activity == IDLE:
            assert (run.machine.due_s or 1e9) <= run.now_s + 8, "it goes on by itself"
    # A scan or a step begins because a pause is over, an adapter is there, a passive scan is looked after, or a step
    # was taken: each at most once an event.
    assert begun <= len(script)


def test_failing_opens_are_bounded_in_a_day() -> None:
    run = Run()
    opened = 0
    end_s = run.now_s + 86_400
    while run.now_s < end_s:
        run.fail()
        opened += 1
    assert opened <= 86_400 / 8 + 10


@pytest.mark.parametrize("event", EVENTS)
def test_event_that_means_nothing_in_a_state_changes_nothing(event: str) -> None:
    for state in TABLE:
        run = Run(filtered=True)
        run.machine.state = state
        due_s = run.machine.due_s
        if event not in TABLE[state]:
            assert run.on(event) == state
            assert run.machine.due_s == due_s


def test_silence_counts_from_when_the_scan_runs() -> None:
    for filtered in (False, True):
        run = Run(filtered)
        state = run.machine.state
        assert run.wait(SILENCE_S * 3) == state  # a slow machine takes its time to open it
        run.on(OPENED)
        assert run.wait(SILENCE_S - 1) == state
        assert run.wait(1) == (PROBING if filtered else PAUSED)
        if filtered:
            assert run.wait(PROBE_S * 3) == PROBING
            run.on(OPENED)
            assert run.wait(PROBE_S) == PAUSED


def test_time_that_is_not_due_changes_nothing() -> None:
    run = Run()
    run.on(OPENED)
    run.machine.tick(run.now_s + SILENCE_S - 1)
    assert run.machine.state == ACTIVE
    run.machine.tick(run.now_s + SILENCE_S)
    assert run.machine.state == PAUSED
