"""The hub's two clocks: Unix time, and one for ages that never steps back."""

import ctypes
import sys
import time
from typing import Protocol

from tagwire.fields import TIME_ESTIMATED, TIME_HUB

_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised


class Clock(Protocol):
    """Where the hub's `now` comes from."""

    def unix_us(self) -> int:
        """Unix time, microseconds."""

    def age_s(self) -> float:
        """Seconds on a scale of their own, for differences only."""

    def quality(self) -> int:
        """How far Unix time is to be trusted: fields.TIME_HUB or fields.TIME_ESTIMATED."""


class SystemClock:
    """The machine's clock."""

    def unix_us(self) -> int:
        return time.time_ns() // 1000

    def age_s(self) -> float:
        return time.monotonic()

    def quality(self) -> int:
        return TIME_HUB if _kernel_clock_is_synchronised() else TIME_ESTIMATED


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
