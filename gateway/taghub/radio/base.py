"""The interface of every radio."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from taghub.heard import Heard


class Radio(Protocol):
    """A source of reports. `async with radio.listen() as chunks`, then `async for chunk in chunks`.

    Entering opens the radio; leaving closes it, and it can be entered again. Both raise RadioError when the radio
    cannot be opened or dies, the air also PortError.
    """

    name: str
    """For people: kind and place, such as "bleak hci1"."""
    required: bool
    """Whether the hub refuses to start without it."""
    counts: dict[str, int]
    """Since the start: COUNT_* words."""

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[list[Heard]]]:
        """Open the radio; the iterator gives the reports that arrived since the last time, never an empty list."""


COUNT_REPORTS = "reports"  # advertisements of our company id that the radio has delivered
COUNT_FOREIGN = "foreign"  # advertisements of others
COUNT_OVERRUN = "overrun"  # reports lost because the hub was too slow
COUNT_RESTARTS = "restarts"  # times it died and was opened again


def new_counts() -> dict[str, int]:
    """All of a radio's counters, at zero."""
    return dict.fromkeys((COUNT_REPORTS, COUNT_FOREIGN, COUNT_OVERRUN, COUNT_RESTARTS), 0)


def one_line(error: Exception) -> str:
    """What an error of somebody else's says, for a message of ours: its first line, or its type."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
