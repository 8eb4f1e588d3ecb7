"""The home of what has arrived from each tag, as far as it is committed. Pure."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from taghub.spool.seen import Seen, from_bytes


class TagStates:
    """A `Seen` for each tag that was ever accepted; knows which have changed since the last checkpoint."""

    def __init__(self) -> None:
        self._tags: dict[int, Seen] = {}
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._tags)

    def get(self, tag_id: int) -> Seen | None:
        """What has arrived from a tag; None where nothing ever did."""
        return self._tags.get(tag_id)

    def add(self, tag_id: int, counter: int) -> None:
        """A sample has arrived. A tag's first one says nothing about those before it: they are not missing here."""
        seen = self._tags.get(tag_id)
        if seen is None:
            self._tags[tag_id] = Seen(counter)
        else:
            seen.add(counter)
        self._changed.add(tag_id)

    def fill(self, tag_id: int, first: int, last: int) -> None:
        """These counters have no sample that could arrive, see Seen.fill."""
        self._change(tag_id, lambda seen: seen.fill(first, last))

    def reopen(self, tag_id: int, first: int, lowest: int) -> None:
        """Counters from before the first sample are missing from now on, see Seen.reopen."""
        self._change(tag_id, lambda seen: seen.reopen(first, lowest))

    def lose(self, tag_id: int, counter: int) -> None:
        """A sample that had arrived was dropped: it may be fetched again, see Seen.lose."""
        self._change(tag_id, lambda seen: seen.lose(counter, counter))

    def _change(self, tag_id: int, change: Callable[[Seen], None]) -> None:
        seen = self._tags.get(tag_id)
        if seen is not None:
            change(seen)
            self._changed.add(tag_id)

    def add_many(self, tag_ids: ArrayLike, counters: ArrayLike) -> None:
        """Samples in their order. As `add` for each, but what comes without a gap costs nothing a sample."""
        ids, values = np.asarray(tag_ids, np.int64), np.asarray(counters, np.int64)
        if not len(ids):
            return
        order = np.argsort(ids, kind="stable")
        ids, values = ids[order], values[order]
        starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        ends = np.append(starts[1:], len(ids))
        is_next = np.append(False, np.diff(values) == 1)
        is_next[starts] = True
        unbroken = np.logical_and.reduceat(is_next, starts)
        groups = ids[starts], values[starts], values[ends - 1], unbroken, starts, ends
        for tag_id, first, last, whole, start, end in zip(*(column.tolist() for column in groups), strict=True):
            seen = self._tags.get(tag_id)
            if whole and seen is not None and not seen.bits and seen.floor + 1 == first:
                seen.floor = last
                self._changed.add(tag_id)
            else:
                for counter in values[start:end].tolist():
                    self.add(tag_id, counter)

    def last(self) -> dict[int, int]:
        """The highest counter of each tag."""
        return {tag_id: seen.last for tag_id, seen in self._tags.items()}

    def load(self, rows: Iterable[tuple[int, int, bytes]]) -> None:
        """Take rows as `changed_rows` gave them, in the place of everything known. Raises ValueError or TypeError when
        they cannot be such rows."""
        self._tags = {tag_id: from_bytes(floor, bitmap) for tag_id, floor, bitmap in rows}
        self._changed.clear()

    def rows(self, tag_ids: Iterable[int]) -> list[tuple[int, int, bytes]]:
        """(tag id, floor, bitmap) of each of these tags that is known."""
        tags = self._tags
        return [(tag_id, tags[tag_id].floor, tags[tag_id].to_bytes()) for tag_id in tag_ids if tag_id in tags]

    def changed_rows(self) -> list[tuple[int, int, bytes]]:
        """`rows` of the tags that have changed since `checkpointed`."""
        return self.rows(self._changed)

    def checkpointed(self) -> None:
        """What `changed_rows` gave is on the disk."""
        self._changed.clear()

    def all_changed(self) -> None:
        """The file is a new one: everything has to be written to it."""
        self._changed = set(self._tags)
