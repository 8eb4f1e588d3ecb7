"""The home of what is on its way to the broker, and of what goes next. Pure: the time comes in.

Everything is in the spool as well; here is only what will be sent soon. Order: events, alarms, those of an outage, then
what was just closed, then the rest of what waits in the spool, the oldest first. So live data passes a backlog.
"""

from collections import OrderedDict
from collections.abc import Iterable

from taghub.closed_batch import LANE_ALARM, LANE_EVENT, LANE_LIVE, LANE_REPLY, ClosedBatch

READY_MAX = 64  # of each kind in memory, up to 4 MB; what was longest in it goes back to waiting in the spool
REFILL_BELOW = 16
REFUSED_TRIES_MAX = 3
REFUSED_PAUSE_S = 10.0  # a broker's quota or rights may be put right meanwhile; other batches go on
ASIDE_MAX = 64  # a broker that refuses so many at once refuses all


class Outbox:
    """A batch is in flight from `next_to_send` until `acknowledged`, `refused` or `put_back`, across any number of
    reconnects: the MQTT client sends it again by itself."""

    def __init__(self) -> None:
        self._events: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._alarms: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._live: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._stored_alarms: OrderedDict[int, ClosedBatch] = OrderedDict()  # and events
        self._stored: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._urgent = (self._events, self._alarms, self._stored_alarms)
        self._waiting = (*self._urgent, self._live, self._stored)
        """In the order in which they go."""
        self._in_flight: dict[int, ClosedBatch] = {}
        self._aside: OrderedDict[int, tuple[float, ClosedBatch]] = OrderedDict()
        self._tries: dict[int, int] = {}
        self._paused_until_s = 0.0

    @property
    def in_flight(self) -> int:
        """How many batches the broker has to answer."""
        return len(self._in_flight)

    @property
    def flying(self) -> list[int]:
        """The numbers of the batches in flight."""
        return list(self._in_flight)

    @property
    def held(self) -> list[int]:
        """The numbers of all batches that are here."""
        waiting = [sequence for lane in self._waiting for sequence in lane]
        return [*waiting, *self._in_flight, *self._aside]

    @property
    def batches(self) -> list[ClosedBatch]:
        """All batches that are here."""
        waiting = [batch for lane in self._waiting for batch in lane.values()]
        return [*waiting, *self._in_flight.values(), *(batch for _, batch in self._aside.values())]

    def find(self, sequence: int) -> ClosedBatch | None:
        """A batch that is here."""
        return next((batch for batch in self.batches if batch.sequence == sequence), None)

    @property
    def wants_more(self) -> bool:
        """Whether batches that wait in the spool should be brought here (`refill`)."""
        return len(self._stored_alarms) + len(self._stored) < REFILL_BELOW

    def put(self, batches: Iterable[ClosedBatch], saved: bool = True) -> None:
        """Batches that were just closed. `saved`: they are in the spool, so that they may be forgotten here."""
        lanes = {LANE_REPLY: self._events, LANE_EVENT: self._events, LANE_ALARM: self._alarms, LANE_LIVE: self._live}
        for batch in batches:
            lanes.get(batch.lane, self._stored)[batch.sequence] = batch
        if saved:
            for waiting in self._waiting:
                while len(waiting) > READY_MAX:
                    waiting.popitem(last=False)

    def refill(self, batches: Iterable[ClosedBatch]) -> None:
        """Batches from the spool."""
        for batch in batches:
            lane = self._stored_alarms if batch.lane < LANE_LIVE else self._stored
            lane[batch.sequence] = batch

    def pause(self, until_s: float) -> None:
        """Send nothing until then."""
        self._paused_until_s = max(self._paused_until_s, until_s)

    def next_to_send(self, now_s: float, alarms_only: bool = False) -> ClosedBatch | None:
        """The next batch to publish; it is in flight from now on. None when nothing waits, or all has to.

        alarms_only: events and alarms, which do not even wait for the end of a pause.
        """
        if alarms_only:
            return self._send_first(*self._urgent)
        if now_s < self._paused_until_s:
            return None
        for sequence, (due_s, batch) in self._aside.items():
            if now_s >= due_s:
                del self._aside[sequence]
                return self._send(batch)
        if len(self._aside) >= ASIDE_MAX:
            return None
        return self._send_first(*self._waiting)

    def acknowledged(self, sequence: int) -> ClosedBatch | None:
        """The broker has it. None when it was not in flight."""
        self._tries.pop(sequence, None)
        return self._in_flight.pop(sequence, None)

    def refused(self, sequence: int, now_s: float) -> bool:
        """The broker does not want it: it is set aside to be tried again. False when that was its last try: then it is
        here no more."""
        batch = self._in_flight.pop(sequence, None)
        if batch is None:
            return True
        tries = self._tries.get(sequence, 0) + 1
        if tries >= REFUSED_TRIES_MAX:
            self._tries.pop(sequence, None)
            return False
        self._tries[sequence] = tries
        self._aside[sequence] = (now_s + REFUSED_PAUSE_S, batch)
        return True

    def put_back(self, sequences: Iterable[int], now_s: float) -> None:
        """Batches in flight that are to be sent anew: first, but when everything goes on."""
        for sequence in sequences:
            batch = self._in_flight.pop(sequence, None)
            if batch is not None:
                self._aside[sequence] = (now_s, batch)

    def forget(self, sequences: Iterable[int]) -> None:
        """Batches that were given up."""
        for sequence in sequences:
            for waiting in (*self._waiting, self._aside, self._in_flight, self._tries):
                waiting.pop(sequence, None)

    def _send_first(self, *lanes: OrderedDict[int, ClosedBatch]) -> ClosedBatch | None:
        for lane in lanes:
            if lane:
                return self._send(lane.popitem(last=False)[1])
        return None

    def _send(self, batch: ClosedBatch) -> ClosedBatch:
        self._in_flight[batch.sequence] = batch
        return batch
