"""Frames that no key opens yet: kept for a while, in case one comes. Pure; bounded in number and in age."""

from collections import OrderedDict
from collections.abc import Callable

from taghub.heard import Heard

FRAMES_MAX = 4_096  # under 1 MB
AGE_MAX_US = 3_600_000_000  # a keyring for new tags should be there within the hour

DROP_FULL = "full"  # the oldest frame gave way to a new one
DROP_OLD = "old"  # it waited for too long


class WaitingFrames:
    """The first hearing of each frame of a tag that is not in the keyring, or of a private id that nobody bears yet.

    What is lost here is not lost for good: a tag's history has it.
    """

    def __init__(self, frames_max: int = FRAMES_MAX, age_max_us: int = AGE_MAX_US) -> None:
        self._frames_max = frames_max
        self._age_max_us = age_max_us
        self._reports: OrderedDict[bytes, Heard] = OrderedDict()
        self.dropped = {DROP_FULL: 0, DROP_OLD: 0}

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, report: Heard) -> None:
        """Keep a report; another one of a frame that waits already says nothing new."""
        if report.payload in self._reports:
            return
        self._reports[report.payload] = report
        if len(self._reports) > self._frames_max:
            self._reports.popitem(last=False)
            self.dropped[DROP_FULL] += 1

    def take(self, now_us: int, known: Callable[[bytes], bool]) -> list[Heard]:
        """Take out the reports whose frame is `known` by now, in the order they were heard, and drop the old ones."""
        taken = []
        for frame, report in list(self._reports.items()):
            if known(frame):
                taken.append(self._reports.pop(frame))
            elif now_us - report.t_us > self._age_max_us:
                del self._reports[frame]
                self.dropped[DROP_OLD] += 1
        return taken

    def frames(self) -> list[bytes]:
        """What waits, the oldest first."""
        return list(self._reports)
