"""Who bears a private id: the names of many tags around the present epoch. Host only, pure; needs numpy.

A name is 4 bytes, so among many tags two may share one: an id leads to candidates, and the MIC decides. All work is
done in slices of the caller's size, because naming 300,000 tags takes a second that a radio does not wait.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tagwire.beacon import EPOCH_MAX
from tagwire.seal import aes128

HALF_WIDTH_MIN = 1  # epochs to either side: clocks that differ by up to 17 minutes
HALF_WIDTH_MAX = 84  # a day; an ESP32 without a 32 kHz crystal was seen to drift 20 minutes in 15 hours
SMALL_IDS = 100_000  # the window of a small keyring is widened to about so many ids: 15 MB
SLICE_KEYS = 32
SLICE_IDS = 512
SEARCH_EPOCHS = 1024  # 12 days; in one call, a key schedule and 1,024 blocks cost about as much as four schedules
SEARCH_SLICE_KEYS = 32


_NEW = tuple.__new__  # what Candidate(...) comes to, at a third of its cost


class Candidate(NamedTuple):
    """A tag that may bear an id: the index of its K_id, what masks its counter, and the epoch of the name."""

    key_index: int
    mask: int
    epoch: int


def half_width(keys: int) -> int:
    """How many epochs to either side of the present one a table of so many keys covers."""
    return min(max(SMALL_IDS // (2 * max(keys, 1)), HALF_WIDTH_MIN), HALF_WIDTH_MAX)


class IdTable:
    """The names of `id_keys` (K_id, 16 bytes each, up to 8 million) around the present epoch: within `half_width` of
    it, and one more ahead.

    Empty at first: call `work` until it returns True, and again whenever time has gone on.
    """

    def __init__(self, id_keys: Sequence[bytes], epochs_each_side: int | None = None) -> None:
        self._keys = id_keys
        self._half_width = half_width(len(id_keys)) if epochs_each_side is None else epochs_each_side
        self.epoch: int | None = None
        """The middle of the window."""
        self._bearers: dict[bytes, int] = {}
        """id to epoch << 39 | index of the key << 16 | mask: 63 bits."""
        self._more: dict[bytes, list[int]] = {}
        """The second and further bearers of an id."""
        self._ids: dict[int, list[bytes]] = {}
        """All ids of an epoch; the window's, and those that are still to be forgotten."""
        self._job: Iterator[int] = iter(())

    def work(self, epoch: int, ids_max: int) -> bool:
        """Name tags for the window around `epoch`, about `ids_max` of them; True when the window is complete."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._job = self._move(range(max(epoch - self._half_width, 0), epoch + self._half_width + 2))
        done = 0
        while done < ids_max:
            named = next(self._job, 0)
            if not named:
                return True
            done += named
        return False

    def find(self, private_id: bytes) -> list[Candidate]:
        """Who may bear these 4 bytes within the window."""
        packed = self._bearers.get(private_id)
        if packed is None:
            return []
        found = [_NEW(Candidate, (packed >> 16 & 0x7FFFFF, packed & 0xFFFF, packed >> 39))]
        if private_id in self._more:
            found += [Candidate(one >> 16 & 0x7FFFFF, one & 0xFFFF, one >> 39) for one in self._more[private_id]]
        return found

    def _move(self, window: range) -> Generator[int]:
        """Forget what is out of the window and name all tags in what is missing; yields the ids done, in between."""
        for epoch in [one for one in self._ids if one not in window]:
            ids = self._ids[epoch]
            while ids:  # taken away as it goes on, so that a job which is cut short leaves the rest to the next
                done = min(len(ids), SLICE_IDS)
                for _ in range(done):
                    self._forget(ids.pop(), epoch << 23 | len(ids))
                yield done
            del self._ids[epoch]
        epochs = [one for one in window if len(self._ids.get(one, ())) != len(self._keys) and one <= EPOCH_MAX]
        begun = {len(self._ids.get(one, ())) for one in epochs}
        for start in begun:  # a job that was cut short left epochs half done
            yield from self._name([one for one in epochs if len(self._ids.get(one, ())) == start], start)

    def _name(self, epochs: list[int], first: int) -> Generator[int]:
        blocks = b"".join([one.to_bytes(16, "little") for one in epochs])
        for start in range(first, len(self._keys), SLICE_KEYS):
            keys = self._keys[start : start + SLICE_KEYS]
            sealed = np.frombuffer(b"".join([aes128(key)(blocks) for key in keys]), np.uint8)
            indexes = np.arange(start, start + len(keys)) << 16
            for epoch, names in zip(epochs, sealed.reshape(len(keys), len(epochs), 16).transpose(1, 0, 2), strict=True):
                ids = np.ascontiguousarray(names[:, :4]).view("V4").ravel().tolist()
                masks = np.ascontiguousarray(names[:, 4:6]).view("<u2").ravel()
                for private_id, packed in zip(ids, (indexes | masks | epoch << 39).tolist(), strict=True):
                    if self._bearers.setdefault(private_id, packed) != packed:
                        self._more.setdefault(private_id, []).append(packed)
                self._ids.setdefault(epoch, []).extend(ids)
            yield len(keys) * len(epochs)

    def _forget(self, private_id: bytes, epoch_and_index: int) -> None:
        bearers = [self._bearers.pop(private_id), *self._more.pop(private_id, ())]
        left = [one for one in bearers if one >> 16 != epoch_and_index]
        if left:
            self._bearers[private_id] = left[0]
        if left[1:]:
            self._more[private_id] = left[1:]


class EpochSearch:
    """For a receiver that does not know the time: in which epoch do these ids belong to a tag? From `first_epoch` on,
    which is the last one that it knew, to `last_epoch`."""

    def __init__(
        self, id_keys: Sequence[bytes], private_ids: Iterable[bytes], first_epoch: int, last_epoch: int = EPOCH_MAX
    ) -> None:
        self._keys = id_keys
        self._ids = np.array([int.from_bytes(one, "little") for one in private_ids], "<u4")
        self._job = self._search(first_epoch, min(last_epoch, EPOCH_MAX))

    def work(self) -> list[Candidate] | None:
        """One slice, some milliseconds: the candidates in it, which a MIC has to confirm; None at the end."""
        return next(self._job, None)

    def _search(self, first_epoch: int, last_epoch: int) -> Generator[list[Candidate]]:
        for start in range(first_epoch, last_epoch + 1, SEARCH_EPOCHS):
            epochs = np.arange(start, min(start + SEARCH_EPOCHS, last_epoch + 1))
            blocks = np.zeros((len(epochs), 4), "<u4")
            blocks[:, 0] = epochs
            data = blocks.tobytes()
            for first in range(0, len(self._keys), SEARCH_SLICE_KEYS):
                found = []
                for index in range(first, min(first + SEARCH_SLICE_KEYS, len(self._keys))):
                    names = np.frombuffer(aes128(self._keys[index])(data), "<u4").reshape(-1, 4)
                    for hit in np.flatnonzero(np.isin(names[:, 0], self._ids)).tolist():
                        found.append(Candidate(index, int(names[hit, 1]) & 0xFFFF, int(epochs[hit])))
                yield found
