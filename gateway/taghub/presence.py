"""Which tags are here: the home of that state, a row of some arrays per tag. Pure: time comes with samples and calls.

Only new authentic samples count. A repeat of a frame proves nothing: anybody can record it and send it again.
"""

import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taghub.sample_rows import Rows

LOST_INTERVALS = 3  # samples in a row that were not heard: a popular place loses every third one
LOST_MIN_S = 60.0
LOST_MAX_S = 3600.0
LOST_UNKNOWN_S = 900.0  # while a tag's interval is not known: three of a tag's default of five minutes
LOST_SHOWN_S = 86_400  # how long a lost tag is told of
RSSI_WEIGHT = 0.25  # of a new sample in the smoothed RSSI: halfway after two and a half samples
INTERVAL_WEIGHT = 0.125  # of a shorter interval; alarms come between two samples, and are no news about the interval
PAGE_TAGS = 500  # some 45 bytes each, below what any broker takes

SHOWN = ("tag", "since", "last", "rssi_dbm", "interval_s", "counter")
"""The columns of a presence message."""

_COLUMNS = ("since_us", "last_us", "counter", "rssi_dbm", "interval_us", "here")

Ints = NDArray[np.int64]


class Move(NamedTuple):
    """A tag has come, or was lost."""

    tag_id: int
    here: bool


class Presence:
    """Feed it what intake accepts (`take`) and look now and then (`look`)."""

    def __init__(self) -> None:
        self._ids: Ints = np.empty(0, np.int64)  # sorted
        self._since_us: Ints = np.empty(0, np.int64)
        self._last_us: Ints = np.empty(0, np.int64)
        self._counter: Ints = np.empty(0, np.int64)
        self._interval_us = np.empty(0, np.float64)  # 0: not known
        self._rssi_dbm = np.empty(0, np.float64)
        self._here = np.empty(0, np.bool_)
        self.moves: list[Move] = []
        """Since somebody cleared it; bounded by the number of tags, twice for each look."""

    def take(self, samples: Rows) -> None:
        """New samples, each tag's in their order."""
        if not len(samples):
            return
        order = np.argsort(samples["tag_id"], kind="stable")
        tag_ids = samples["tag_id"][order].astype(np.int64)
        t_us, counters = samples["t_us"][order], samples["counter"][order].astype(np.int64)
        first = np.flatnonzero(np.append(True, tag_ids[1:] != tag_ids[:-1]))
        last = np.append(first[1:], len(tag_ids)) - 1
        heard_dbm = np.add.reduceat(samples["rssi_dbm"][order].astype(np.float64), first) / (last - first + 1)
        slot = self._slots(tag_ids[first])

        arrived = ~self._here[slot]
        self._since_us[slot[arrived]] = t_us[first[arrived]]
        self.moves += [Move(tag_id, True) for tag_id in self._ids[slot[arrived]].tolist()]
        self._here[slot] = True

        # Where samples were not heard, their counters tell how many there were.
        known = self._last_us[slot] > 0
        before_us = np.where(known, self._last_us[slot], t_us[first])
        before = np.where(known, self._counter[slot], counters[first])
        made, passed_us = counters[last] - before, t_us[last] - before_us
        usable = (made > 0) & (passed_us > 0) & (counters[last] >> 24 == before >> 24)
        measured_us = passed_us / np.maximum(made, 1)
        interval_us = self._interval_us[slot]
        shorter = (interval_us > 0) & (measured_us < interval_us)
        step = np.where(shorter, INTERVAL_WEIGHT, 1.0)
        self._interval_us[slot] = np.where(usable, interval_us + step * (measured_us - interval_us), interval_us)

        before_dbm = np.where(arrived, heard_dbm, self._rssi_dbm[slot])
        self._rssi_dbm[slot] = before_dbm + RSSI_WEIGHT * (heard_dbm - before_dbm)
        self._last_us[slot] = t_us[last]
        self._counter[slot] = counters[last]

    def look(self, now_us: int) -> None:
        """Find the tags that were lost."""
        lost = self._here & (now_us - self._last_us > self._allowed_us())
        self._here[lost] = False
        self.moves += [Move(tag_id, False) for tag_id in self._ids[lost].tolist()]
        kept = self._here | (now_us - self._last_us < LOST_SHOWN_S * 1_000_000)
        if not np.all(kept):
            for column in ("ids", *_COLUMNS):
                setattr(self, f"_{column}", getattr(self, f"_{column}")[kept])

    def shift(self, step_us: int) -> None:
        """The clock that stamped all this was wrong by so much."""
        self._since_us += step_us
        self._last_us += step_us

    @property
    def here(self) -> int:
        """How many tags are here."""
        return int(np.count_nonzero(self._here))

    def _allowed_us(self) -> NDArray[np.float64]:
        """How long each tag may be silent."""
        allowed_s = np.clip(self._interval_us / 1e6 * LOST_INTERVALS, LOST_MIN_S, LOST_MAX_S)
        return np.where(self._interval_us > 0, allowed_s, LOST_UNKNOWN_S) * 1e6

    def _slots(self, tag_ids: Ints) -> NDArray[np.intp]:
        """Where these tags' values stand; room is made for new ones."""
        slot = np.searchsorted(self._ids, tag_ids)
        is_new = np.append(self._ids, -1)[slot] != tag_ids
        if np.any(is_new):
            at, new = slot[is_new], tag_ids[is_new]
            self._ids = np.insert(self._ids, at, new)
            for column in _COLUMNS:
                name = f"_{column}"
                setattr(self, name, np.insert(getattr(self, name), at, 0))
            slot = np.searchsorted(self._ids, tag_ids)
        return slot

    def pages(
        self, site: str, hub: str, now_us: int, clock: str, complete: bool, page_tags: int = PAGE_TAGS
    ) -> list[bytes]:
        """The retained messages, JSON (README, "Presence"): the first for `.../presence`, the others for its pages."""
        here = [self._row(index) for index in np.flatnonzero(self._here).tolist()]
        lost = [self._row(index) for index in np.flatnonzero(~self._here).tolist()]
        count = max(1, -(-(len(here) + len(lost)) // page_tags))
        head = {"site": site, "hub": hub, "time": now_us // 1_000_000, "clock": clock, "complete": complete}
        head |= {"here": len(here), "pages": count}
        pages = []
        for page in range(count):
            start, end = page * page_tags, (page + 1) * page_tags
            rows = {"tags": here[start:end], "lost": lost[max(0, start - len(here)) : max(0, end - len(here))]}
            pages.append(_encoded({**head, "page": page + 1, "columns": SHOWN, **rows}))
        return pages

    def _row(self, index: int) -> list[Any]:
        """A row of the columns `SHOWN`. Names once and not with each tag: a truck pays for its bytes."""
        interval_us = float(self._interval_us[index])
        return [
            int(self._ids[index]),
            int(self._since_us[index]) // 1_000_000,
            int(self._last_us[index]) // 1_000_000,
            round(float(self._rssi_dbm[index])),
            round(interval_us / 1e6, 1) if interval_us else None,
            int(self._counter[index]),
        ]


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
