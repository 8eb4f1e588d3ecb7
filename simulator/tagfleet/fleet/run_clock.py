"""The time of a run, as hubs inside see it: it may pass faster than real, and each hub's clock may be wrong. Pure."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from tagwire.fields import TIME_ESTIMATED, TIME_HUB


class RunClock:
    """The one time of all hubs of a worker. It never steps back."""

    def __init__(self) -> None:
        self.now_us = 0

    def advance(self, t_us: int) -> None:
        """It is that late now."""
        self.now_us = max(self.now_us, t_us)


class HubClock:
    """A taghub.clock.Clock. skew_us: by how much it is wrong; then the hub does not know the time for certain."""

    def __init__(self, run: RunClock) -> None:
        self.skew_us = 0
        self._ahead_us = 0
        self._step_us = 0
        self._run = run

    def advance(self, t_us: int) -> None:
        """For this hub it is that late now: it is on its way through what one tick has brought."""
        self._ahead_us = max(self._ahead_us, t_us)

    @property
    def now_us(self) -> int:
        """The run's time, as far as this hub has come."""
        return max(self._ahead_us, self._run.now_us)

    def set_wrong(self, skew_us: int) -> None:
        """From now on it is wrong by so much; by 0: somebody has put it right, and what it stamped can be corrected."""
        if self.skew_us:  # it knew that it was not certain
            self._step_us += skew_us - self.skew_us
        self.skew_us = skew_us

    def unix_us(self) -> int:
        return self.now_us + self.skew_us

    def age_s(self) -> float:
        return self.now_us / 1_000_000

    def quality(self) -> int:
        return TIME_ESTIMATED if self.skew_us else TIME_HUB

    def follow(self) -> int:
        step_us, self._step_us = self._step_us, 0
        return step_us

    def offered(self, unix_s: float, quality: int) -> int:
        return 0


def parts_by_age(
    times_us: ArrayLike, clock: HubClock, close_due: Callable[[], float | None], max_age_us: float
) -> Iterator[slice]:
    """Parts of what one tick has brought, to be taken in one by one: a tick may be longer than the age at which a batch
    is closed, and none of them goes beyond its batch. The clock goes along.

    times_us: when each report came, in order. close_due: closes the open batch if it is of age, and returns when the
    one that is open then will be, in microseconds; None where none is.
    """
    times = np.maximum.accumulate(np.asarray(times_us, np.int64))
    start = 0
    while start < len(times):
        clock.advance(int(times[start]))
        due_us = close_due()
        if due_us is None:  # the first of these reports opens a batch
            due_us = times[start] + max_age_us
        end = max(start + 1, int(np.searchsorted(times, due_us)))
        yield slice(start, end)
        start = end
