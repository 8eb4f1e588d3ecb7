"""When a run that makes no more samples has waited long enough for those on their way. Pure."""

QUIET_S = 4.0  # nothing more has come for so long
AFTERMATH_S = 0.4  # a duplicate comes after its sample


class Settling:
    """Times are seconds on one monotonic clock. drain_s: how long it may take at most; least_s: and at least, as what
    hubs say lags behind what they do."""

    def __init__(self, started_s: float, drain_s: float, least_s: float) -> None:
        self._started_s = self._changed_s = started_s
        self._drain_s = drain_s
        self._least_s = least_s
        self._arrived = -1
        self._complete_s: float | None = None  # since when

    def over(self, now_s: float, arrived: int, complete: bool, blocked: bool) -> bool:
        """arrived: samples so far. complete: all that hubs have accepted is among them, as far as anybody can tell.
        blocked: hubs hold some back, or cannot reach the broker: that nothing comes then means nothing."""
        if arrived != self._arrived:
            self._arrived, self._changed_s = arrived, now_s
        if not complete or now_s - self._started_s <= self._least_s:
            self._complete_s = None
        elif self._complete_s is None:
            self._complete_s = now_s
        elif now_s - self._complete_s > AFTERMATH_S:
            return True
        quiet = now_s - self._changed_s > QUIET_S
        return now_s - self._started_s > self._drain_s or (quiet and not blocked)
