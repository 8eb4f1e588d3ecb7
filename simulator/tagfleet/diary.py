"""What has to be known of a flock's samples to make them anew: when each was made, its tag's last fix, its alarm. Pure.

State: the newest samples of each tag, as many as its journal holds; 17 bytes each.
"""

import numpy as np

from tagfleet.world.noise import Floats, Ints


class Diary:
    """A ring for each tag. samples: of each tag, at most; memory grows with what was made."""

    def __init__(self, tags: int, samples: int) -> None:
        self._samples = samples
        self._made_s = np.empty((tags, 0))
        self._fix_s = np.empty((tags, 0))
        self._reasons = np.empty((tags, 0), np.int8)

    def write(self, tags: Ints, sequences: Ints, made_s: Floats, fix_s: Floats, reasons: Ints) -> None:
        """Some samples; those of a tag come in the order of their sequences."""
        room, wanted = self._made_s.shape[1], min(int(sequences.max(initial=-1)) + 1, self._samples)
        if wanted > room:
            self._grow(min(max(wanted, 2 * room), self._samples))
        at = sequences % self._made_s.shape[1]
        self._made_s[tags, at], self._fix_s[tags, at], self._reasons[tags, at] = made_s, fix_s, reasons

    def read(self, tag: int, sequences: Ints) -> tuple[Floats, Floats, Ints]:
        """When these samples of a tag were made, when it had had its last fix by then, and why each is an alarm."""
        at = sequences % max(self._made_s.shape[1], 1)
        return self._made_s[tag, at], self._fix_s[tag, at], self._reasons[tag, at].astype(np.int64)

    def _grow(self, room: int) -> None:
        # Nothing has come round yet: a ring only does when it is as large as it gets.
        for name in ("_made_s", "_fix_s", "_reasons"):
            old = getattr(self, name)
            new = np.zeros((len(old), room), old.dtype)
            new[:, : old.shape[1]] = old
            setattr(self, name, new)
