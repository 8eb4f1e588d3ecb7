"""How far another machine's clock is from this one's, from questions and answers. Pure.

As in NTP (RFC 5905, 8): of an answer that took r to come, the clock is read within r/2; the quickest answer knows best.
"""

from typing import NamedTuple


class Skew(NamedTuple):
    """The other clock shows offset_us more than this one, give or take uncertainty_us."""

    offset_us: int
    uncertainty_us: int

    def __str__(self) -> str:
        return f"{self.offset_us / 1000:+.1f} ms, within {self.uncertainty_us / 1000:.1f} ms"


class SkewEstimate:
    """Tell it each answer."""

    def __init__(self) -> None:
        self.skew = Skew(0, 0)
        self._best_us: int | None = None

    def answered(self, asked_us: int, there_us: int, now_us: int) -> None:
        """At `asked_us` of this clock we asked; the other showed `there_us`; at `now_us` we know."""
        round_us = max(0, now_us - asked_us)
        if self._best_us is None or round_us <= self._best_us:
            self._best_us = round_us
            self.skew = Skew(there_us - (asked_us + now_us) // 2, (round_us + 1) // 2)
