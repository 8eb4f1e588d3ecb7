"""The hub's two clocks: Unix time, and one for ages that never steps back."""

import ctypes
import sys
import time
from typing import Protocol

from tagwire.fields import TIME_ESTIMATED, TIME_GNSS, TIME_HUB, TIME_UNKNOWN

STEP_US = 1_000_000  # what is less is the clock being steered, not set
PLAUSIBLE_S = 1_735_689_600  # 2025: a clock that shows less was never set
OFFER_AGE_MAX_S = 3_600.0  # after which a second offer replaces one: 100 ppm of drift are 0.4 s then

_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised


class Clock(Protocol):
    """Where the hub's `now` comes from."""

    def unix_us(self) -> int:
        """Unix time, microseconds."""

    def age_s(self) -> float:
        """Seconds on a scale of their own, for differences only."""

    def quality(self) -> int:
        """How far Unix time is to be trusted: fields.TIME_HUB, TIME_ESTIMATED, or TIME_UNKNOWN where it cannot be
        right."""

    def follow(self) -> int:
        """Look whether the clock was set, to be called every second or so: the microseconds to add to what was stamped
        before, because it was stamped by a clock that did not know the time; mostly 0."""

    def offered(self, unix_s: float, quality: int) -> int:
        """A tag that has proven itself says what time it is, and how it knows (fields.TIME_*). Taken where this clock
        knows less; never in the place of a synchronised one. The microseconds to add, as from `follow`."""


class SystemClock:
    """The machine's clock as it stood at the last `follow`, and monotonic from there: nothing that is stamped between
    two of them is reordered, however the clock is set."""

    def __init__(self) -> None:
        self._offset_us = _offset_us()
        self._certain = _kernel_clock_is_synchronised()
        self._taken: tuple[int, int] | None = None
        """An offer's quality, and when (monotonic ns) it was taken: the time is a tag's until NTP is there."""

    def unix_us(self) -> int:
        return time.monotonic_ns() // 1000 + self._offset_us

    def age_s(self) -> float:
        return time.monotonic()

    def quality(self) -> int:
        if self.unix_us() < PLAUSIBLE_S * 1_000_000:
            return TIME_UNKNOWN
        return TIME_HUB if self._certain else TIME_ESTIMATED

    def follow(self) -> int:
        certain, self._certain = self._certain, _kernel_clock_is_synchronised()
        if self._taken is not None:
            if not self._certain:
                return 0
            self._taken = None
        return self._set(_offset_us(), correct=not certain)

    def offered(self, unix_s: float, quality: int) -> int:
        known = TIME_HUB if self._certain else TIME_ESTIMATED if self._taken is None else self._taken[0]
        if self.quality() == TIME_UNKNOWN:
            known = TIME_UNKNOWN
        old = self._taken is not None and time.monotonic_ns() - self._taken[1] > OFFER_AGE_MAX_S * 1e9
        if unix_s < PLAUSIBLE_S or self._certain or quality < known or (quality == known and not old):
            return 0
        if quality not in (TIME_HUB, TIME_GNSS):
            return 0
        self._taken = quality, time.monotonic_ns()
        return self._set(round(unix_s * 1_000_000) - time.monotonic_ns() // 1000, correct=True)

    def _set(self, offset_us: int, correct: bool) -> int:
        step_us, self._offset_us = offset_us - self._offset_us, offset_us
        return step_us if correct and abs(step_us) >= STEP_US else 0


def _offset_us() -> int:
    return time.time_ns() // 1000 - time.monotonic_ns() // 1000


class AirClock:
    """The time of the newest air record: a simulator may run it as fast as the hub can follow. While the air is silent,
    time stands still."""

    def __init__(self) -> None:
        self._now_us = 0

    def advance(self, t_us: int) -> None:
        """A record of that time has arrived. Time never steps back."""
        self._now_us = max(self._now_us, t_us)

    def unix_us(self) -> int:
        return self._now_us

    def age_s(self) -> float:
        return self._now_us / 1_000_000

    def quality(self) -> int:
        return TIME_HUB

    def follow(self) -> int:
        return 0

    def offered(self, unix_s: float, quality: int) -> int:
        return 0


def _kernel_clock_is_synchronised() -> bool:
    """Whether NTP or PTP disciplines this clock, as the Linux kernel knows it; False where that cannot be asked."""
    if sys.platform != "linux":
        return False
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    timex = ctypes.create_string_buffer(256)  # struct timex has 208 bytes; mode 0 in its first word only reads
    return 0 <= int(adjtimex(timex)) < _TIME_ERROR
