"""The home of every batch that the broker has not acknowledged. Pure: the time comes in.

It lives in memory in this edition; a durable spool will stand behind the same calls.
"""

from collections import OrderedDict
from typing import NamedTuple

from taghub.batcher import ClosedBatch

REFUSED_TRIES_MAX = 3
REFUSED_PAUSE_S = 10.0  # a broker's quota or rights may be put right meanwhile; other batches go on

DROP_FULL = "outbox_full"  # the broker was away for longer than the outbox holds: the oldest goes first
DROP_REFUSED = "refused"  # the broker refused it, three times


class Dropped(NamedTuple):
    """Samples that were given up, and why (a DROP_* word)."""

    reason: str
    samples: int


class Outbox:
    """Batches waiting, in flight, and set aside after a refusal; bounded in bytes.

    A batch is in flight from `next_to_send` until `acknowledged` or `refused`, across any number of reconnects: the
    MQTT client sends it again by itself.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._in_flight: dict[int, ClosedBatch] = {}
        self._aside: dict[int, tuple[float, ClosedBatch]] = {}
        self._refusals: dict[int, int] = {}
        self.dropped = {DROP_FULL: 0, DROP_REFUSED: 0}
        """Samples given up, by reason."""

    @property
    def batches(self) -> int:
        """All batches that are not acknowledged."""
        return len(self._waiting) + len(self._in_flight) + len(self._aside)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def bytes(self) -> int:
        """The payloads' bytes; what `max_bytes` bounds."""
        return self._bytes

    def add(self, batch: ClosedBatch) -> list[Dropped]:
        """Take a batch in. Where the bound is passed, the oldest batches that are not in flight are given up."""
        self._waiting[batch.sequence] = batch
        self._bytes += len(batch.payload)
        dropped = []
        while self._bytes > self._max_bytes and (self._waiting or self._aside):
            oldest = self._aside.pop(min(self._aside))[1] if self._aside else self._waiting.popitem(last=False)[1]
            dropped.append(self._give_up(oldest, DROP_FULL))
        return dropped

    def next_to_send(self, now_s: float) -> ClosedBatch | None:
        """The next batch to publish; it is in flight from now on. None when nothing waits."""
        due = next((sequence for sequence, (due_s, _) in self._aside.items() if now_s >= due_s), None)
        if due is not None:
            batch = self._aside.pop(due)[1]
        elif self._waiting:
            batch = self._waiting.popitem(last=False)[1]
        else:
            return None
        self._in_flight[batch.sequence] = batch
        return batch

    def acknowledged(self, sequence: int) -> ClosedBatch | None:
        """The broker has it. None when it was not in flight."""
        batch = self._in_flight.pop(sequence, None)
        if batch is not None:
            self._bytes -= len(batch.payload)
            self._refusals.pop(sequence, None)
        return batch

    def refused(self, sequence: int, now_s: float) -> Dropped | None:
        """The broker does not want it: set it aside to try again later, or give it up for good."""
        batch = self._in_flight.pop(sequence, None)
        if batch is None:
            return None
        tries = self._refusals.get(sequence, 0) + 1
        if tries >= REFUSED_TRIES_MAX:
            return self._give_up(batch, DROP_REFUSED)
        self._refusals[sequence] = tries
        self._aside[sequence] = (now_s + REFUSED_PAUSE_S, batch)
        return None

    def _give_up(self, batch: ClosedBatch, reason: str) -> Dropped:
        self._bytes -= len(batch.payload)
        self._refusals.pop(batch.sequence, None)
        self.dropped[reason] += len(batch.samples)
        return Dropped(reason, len(batch.samples))
