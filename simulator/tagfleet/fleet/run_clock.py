"""The time of a run, as hubs inside see it: it may pass faster than real, and each hub's clock may be wrong."""

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
        self._step_us = 0
        self._run = run

    def set_wrong(self, skew_us: int) -> None:
        """From now on it is wrong by so much; by 0: somebody has put it right, and what it stamped can be corrected."""
        if self.skew_us:  # it knew that it was not certain
            self._step_us += skew_us - self.skew_us
        self.skew_us = skew_us

    def unix_us(self) -> int:
        return self._run.now_us + self.skew_us

    def age_s(self) -> float:
        return self._run.now_us / 1_000_000

    def quality(self) -> int:
        return TIME_ESTIMATED if self.skew_us else TIME_HUB

    def follow(self) -> int:
        step_us, self._step_us = self._step_us, 0
        return step_us

    def offered(self, unix_s: float, quality: int) -> int:
        return 0
