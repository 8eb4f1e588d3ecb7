"""The interface of every radio."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from taghub.heard import Advertisement, Heard
from taghub.radio.link import Connect
from taghub.radio.recovery import COUNTS as RECOVERY_COUNTS


class Radio(Protocol):
    """A source of reports. `async with radio.listen() as chunks`, then `async for chunk in chunks`.

    Entering opens the radio; leaving closes it, and it can be entered again. Both raise RadioError when the radio
    cannot be opened or dies, AbsentError when it is not there, SwitchedOffError when it is off, PassiveError when it
    cannot scan passively, the air also PortError. What more there is serves whoever keeps it open,
    `taghub.radio.keeper`.
    """

    name: str
    """For people: kind and place, such as "bleak hci1"."""
    required: bool
    """Whether the hub refuses to start without it."""
    counts: dict[str, int]
    """Since the start: COUNT_* words, and those of `taghub.radio.recovery`."""
    tap: Callable[[Advertisement], object] | None
    """Is given every advertisement that is heard, for people who look and for captures; None for a hub at work."""
    filtered: bool
    """Whether the scan asked for hears our own tags alone."""
    silence_s: float | None
    """After how long it is strange that nobody at all was heard; None where silence means nothing."""
    steps: frozenset[str]
    """Which of recovery's steps `take_step` knows."""
    connect: Connect | None
    """Connects to a tag that was heard; None where this radio cannot."""

    def listen(self, passive: bool | None = None) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Heard]]]:
        """Open the radio; the iterator gives the reports that arrived since the last time, never an empty list.

        passive: scan without asking anything of the senders; None for what the settings say."""

    async def take_step(self, step: str) -> None:
        """Do something to an adapter that does not work. Raises RadioError when it cannot."""

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """Until cancelled, `tell` what happens to the adapter: an event of `taghub.radio.recovery`, and a reason for
        people."""


COUNT_REPORTS = "reports"  # advertisements of our company id that the radio has delivered
COUNT_FOREIGN = "foreign"  # advertisements of others
COUNT_OVERRUN = "overrun"  # reports lost because the hub was too slow


def new_counts() -> dict[str, int]:
    """All of a radio's counters, at zero."""
    return dict.fromkeys((COUNT_REPORTS, COUNT_FOREIGN, COUNT_OVERRUN, *RECOVERY_COUNTS), 0)


def one_line(error: Exception) -> str:
    """What an error of somebody else's says, for a message of ours: its first line, or its type."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
