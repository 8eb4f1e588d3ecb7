"""The schedule of a run: which moment of the run's own time is due in real time, and who is late. Pure."""

import math


class Pace:
    """Real time stands on the caller's monotonic clock, in seconds; the run's own from 0 on.

    speed: seconds of the run a second; math.inf: no schedule, as fast as it can.
    """

    def __init__(self, speed: float, started_s: float) -> None:
        self.slipped_s = 0.0
        """How long the run stood still because the target took nothing in: the schedule was moved by it."""
        self.worst_lag_s = 0.0
        """How far the generator itself was behind at most."""
        self._speed = speed
        self._started_s = started_s

    @property
    def free(self) -> bool:
        """Whether there is no schedule."""
        return math.isinf(self._speed)

    def due(self, now_s: float) -> float:
        """The moment of the run that is due now."""
        return math.inf if self.free else (now_s - self._started_s - self.slipped_s) * self._speed

    def wait_s(self, moment_s: float, now_s: float) -> float:
        """How long until a moment of the run is due; negative when it is past."""
        return 0.0 if self.free else self._started_s + self.slipped_s + moment_s / self._speed - now_s

    def blocked(self, seconds: float) -> None:
        """The target took nothing in for so long; or the run itself had something else to do, an outage say."""
        self.slipped_s += seconds

    def reached(self, moment_s: float, now_s: float) -> None:
        """Everything up to a moment of the run is on its way."""
        self.worst_lag_s = max(self.worst_lag_s, -self.wait_s(moment_s, now_s) if not self.free else 0.0)
