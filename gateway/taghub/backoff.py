"""How long to wait before trying again. Pure but for the dice."""

import random

FIRST_S = 1.0
LONGEST_S = 30.0  # a truck that leaves a dead zone should not wait much longer
STABLE_S = 30.0  # what lasted so long has recovered: its next failure counts as the first


def delay_s(before_s: float, longest_s: float = LONGEST_S) -> float:
    """Seconds before the next try, when `before_s` was the delay before the last one, 0 for none: decorrelated jitter,
    anywhere between FIRST_S and three times the one before, so that a fleet does not come back in one moment."""
    return min(longest_s, random.uniform(FIRST_S, max(FIRST_S, 3 * before_s)))


class Backoff:
    """The delays of one thing that is tried again and again."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._up_s: float | None = None

    def up(self, now_s: float) -> None:
        """It works; for how long will be seen."""
        self._up_s = now_s

    def down_s(self, now_s: float) -> float:
        """It has failed: seconds before the next try."""
        if self._up_s is not None and now_s - self._up_s >= STABLE_S:
            self._delay_s = 0.0
        self._up_s = None
        self._delay_s = delay_s(self._delay_s)
        return self._delay_s
