"""The flock's journals: nothing is stored but what hubs have settled. State: settled counters of each tag that has any.

Samples are made anew from (seed, tag, sequence) when a hub asks for them; see `Flock.records`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tagfleet.world.noise import Ints
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE
from tagwire.ranges import Ranges, intersection, total, union


@dataclass(frozen=True)
class JournalSettings:
    """As the firmware's settings of these names; samples: what 256 kB of journal hold. A window is open for `window_s`
    from the beginning of each burst of every `window_every`-th sample: as often as a tag's, which counts wakes, of
    which each burst is one."""

    samples: int = 10_656
    window_unsettled: int = 12
    window_every: int = 6
    window_s: float = 3.0
    burst_repeats: int = 2


WINDOW_SETTINGS = ("window_unsettled", "window_every", "window_s")


def journal_of(settings: Mapping[str, int | bool | str], burst_repeats: int) -> JournalSettings:
    """Of tags that are provisioned with these settings."""
    chosen = {name: int(settings[name]) for name in WINDOW_SETTINGS if name in settings}
    return JournalSettings(burst_repeats=burst_repeats, **chosen)


class Journals:
    """Sequences count from 0 for each tag of the flock."""

    def __init__(self, tags: int, settings: JournalSettings) -> None:
        self.settings = settings
        self._settled: dict[int, Ranges] = {}
        self._shows_window = np.zeros(tags, np.bool_)
        self._settled_count = np.zeros(tags, np.int32)  # as of the tag's last settle

    def oldest(self, made: int) -> int:
        """The first sequence that a journal holds after `made` samples: the oldest go first."""
        return max(made - self.settings.samples, 0)

    def unsettled(self, tags: Ints, made: Ints) -> Ints:
        """How many of the samples in each tag's journal no hub has settled."""
        held = np.minimum(made, self.settings.samples)
        return np.asarray(held - np.minimum(self._settled_count[tags], held))

    def hints(self, tags: Ints, sequences: Ints) -> Ints:
        """The hint bits of samples as they are made."""
        backlog = self.unsettled(tags, sequences + 1) >= self.settings.window_unsettled
        opens = backlog & (sequences % self.settings.window_every == 0)
        self._shows_window[tags] = opens  # in order of time: of several samples of a tag the last one counts
        return np.asarray(HINT_BACKLOG * backlog + HINT_CONNECTABLE * opens, np.int64)

    def window_is_open(self, tag: int, since_s: float, interval_s: float) -> bool:
        """Whether a tag that made its latest sample `since_s` ago, and makes one each `interval_s`, listens now."""
        slot_s = interval_s / (1 + self.settings.burst_repeats)
        burst = since_s // slot_s
        return bool(
            self._shows_window[tag]
            and 0 <= burst <= self.settings.burst_repeats
            and since_s - burst * slot_s < self.settings.window_s
        )

    def settle(self, tag: int, ranges: Ranges, made: int) -> None:
        """Mark sequences as settled; those that the journal does not hold are not kept."""
        held = [(self.oldest(made), made - 1)] if made else []
        marked = intersection(union(self._settled.get(tag, []), ranges), held)
        self._settled[tag] = marked
        self._settled_count[tag] = total(marked)

    def settled(self, tag: int) -> Ranges:
        """What of a tag's journal is settled."""
        return self._settled.get(tag, [])
