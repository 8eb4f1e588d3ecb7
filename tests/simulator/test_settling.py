"""How long a run waits for what is on its way."""

from tagfleet.settling import AFTERMATH_S, QUIET_S, Settling

STEP_S = 0.1


def waited_s(arrivals: dict[float, int], complete_at_s: float | None, blocked: bool = False) -> float:
    """How long a run waits at most 30 s and at least 1 s, when so many samples arrive at these moments."""
    settling = Settling(100.0, drain_s=30.0, least_s=1.0)
    arrived = 0
    for step in range(1_000):
        since_s = step * STEP_S
        arrived += sum(count for at_s, count in arrivals.items() if since_s - STEP_S < at_s <= since_s)
        complete = complete_at_s is not None and since_s >= complete_at_s
        if settling.over(100.0 + since_s, arrived, complete, blocked):
            return since_s
    raise AssertionError("it waits for ever")


def test_run_that_has_everything_waits_for_late_words_of_hubs_and_for_duplicates() -> None:
    assert 1.0 + AFTERMATH_S < waited_s({0.0: 10}, complete_at_s=0.0) < 1.0 + AFTERMATH_S + 3 * STEP_S
    assert 3.0 + AFTERMATH_S < waited_s({0.0: 10, 3.0: 5}, complete_at_s=3.0) < 3.0 + AFTERMATH_S + 3 * STEP_S


def test_run_waits_while_samples_come_and_for_hubs_that_hold_some_back() -> None:
    assert waited_s({0.0: 10, 7.0: 1}, complete_at_s=None) < QUIET_S + 3 * STEP_S  # nothing came: that was all
    trickle = {float(second): 1 for second in range(12)}
    assert 11.0 + QUIET_S < waited_s(trickle, complete_at_s=None) < 11.0 + QUIET_S + 3 * STEP_S
    assert waited_s({0.0: 10}, complete_at_s=None, blocked=True) > 30.0  # as long as it may


def test_duplicate_that_comes_last_is_not_missed_when_completeness_was_an_error() -> None:
    settling = Settling(0.0, drain_s=30.0, least_s=0.0)
    assert not settling.over(1.0, 5, True, False)
    assert not settling.over(1.2, 5, False, False)  # a hub has accepted one more meanwhile
    assert not settling.over(1.5, 6, True, False)
    assert settling.over(1.5 + 1.1 * AFTERMATH_S, 6, True, False)
