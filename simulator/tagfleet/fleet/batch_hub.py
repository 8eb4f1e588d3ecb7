"""What a hub would publish, without the hub: for runs that only test a broker and who consumes from it."""

import asyncio
import contextlib
import time
from collections import OrderedDict

import numpy as np

from tagfleet.fleet.link import Link
from tagfleet.fleet.run_clock import HubClock, RunClock, parts_by_age
from tagfleet.fleet.trace_log import HubTrace, TraceLog
from taghub.closed_batch import LANE_LIVE, ClosedBatch, key_columns
from taghub.settings import Settings
from taghub.status import will
from taghub.topics import topics
from taghub.uplink import Uplink
from tagwire.batch import Batch, encode_batches
from tagwire.fields import TIME_HUB
from tagwire.table import COLUMNS
from tagwire.trace import ACCEPTED, ACKNOWLEDGED

_TIME, _HEARD = list(COLUMNS).index("time"), list(COLUMNS).index("heard")
_WAITING_MAX = 10_000  # batches; then the oldest is dropped


class BatchHub:
    """The same face as a HostedHub. What it is given are samples as the columns of a batch; the uplink is the real one,
    an UplinkEvents is this."""

    def __init__(self, number: int, settings: Settings, clock: RunClock, log: TraceLog, link: Link | None) -> None:
        self.number = number
        self.link = link
        self.dropped: dict[str, int] = {}
        self.spool_path = None
        self._settings = settings
        self._clock = HubClock(clock)
        self._max_age_us = settings.batch.max_age_s * 1e6
        self._trace: HubTrace = log.of_hub(number)
        self._uplink: Uplink | None = None
        self._open: list[np.ndarray] = []
        self._opened_us = 0
        self._waiting: OrderedDict[int, ClosedBatch] = OrderedDict()
        self._flying: dict[int, ClosedBatch] = {}
        self._next_sequence = time.time_ns() // 1_000_000
        self._idle = asyncio.Event()

    @property
    def running(self) -> bool:
        return self._uplink is not None

    @property
    def connected(self) -> bool:
        return self._uplink is not None and self._uplink.connected

    @property
    def undelivered(self) -> int:
        return len(self._waiting) + len(self._flying)

    @property
    def open_samples(self) -> int:
        return sum(table.shape[1] for table in self._open)

    def start(self) -> None:
        """Connect. Raises SettingsError."""
        mqtt = self._settings.mqtt
        assert mqtt is not None
        if self.link is not None:
            mqtt = mqtt.model_copy(update={"host": "127.0.0.1", "port": self.link.port})
        site, name = self._settings.hub.site, self._settings.hub.id
        self._uplink = Uplink(mqtt, f"taghub-{site}-{name}", topics(site, name), will(site, name), self)
        self._uplink.start()

    def take(self, data: bytes) -> bool:
        """Samples: int64[columns of a batch, n]."""
        table = np.frombuffer(data, np.int64).reshape(len(COLUMNS), -1)
        heard_us = (table[_TIME] + table[_HEARD]) * 1_000_000
        for part in parts_by_age(heard_us, self._clock, self._close_due, self._max_age_us):
            if not self._open:
                self._opened_us = self._clock.now_us
            self._open.append(table[:, part])
            self._trace.samples(ACCEPTED, table[0, part], table[1, part], 0)
        return True

    def tick(self) -> None:
        """Close the open batch when it is of age or full."""
        self._close_due()

    def _close_due(self) -> float | None:
        is_due = self._clock.now_us >= self._opened_us + self._max_age_us
        if is_due or self.open_samples >= self._settings.batch.max_samples:
            self.flush()
        return self._opened_us + self._max_age_us if self._open else None

    def work(self, report: bool) -> None:
        """Send what waits."""
        self._send()

    def flush(self) -> None:
        """Close the open batch."""
        if not self._open:
            return
        table = np.concatenate(self._open, axis=1)
        self._open = []
        columns = dict(zip(COLUMNS, table, strict=True))
        created_s = self._clock.now_us // 1_000_000
        batch = Batch(self._settings.hub.id, self._next_sequence, created_s, TIME_HUB, None, columns)
        payloads = encode_batches(batch)
        for payload in payloads:
            closed = ClosedBatch(self._next_sequence, LANE_LIVE, created_s, table.shape[1], payload)
            self._waiting[closed.sequence] = closed
            self._next_sequence += 1
        while len(self._waiting) > _WAITING_MAX:
            _, gone = self._waiting.popitem(last=False)
            self.dropped["memory_full"] = self.dropped.get("memory_full", 0) + gone.samples
        self._send()

    def crash(self) -> None:
        """There is no hub that could."""

    async def buried(self) -> None:
        """Nothing is left of what never was."""

    async def stop(self, deliver_s: float) -> None:
        """Deliver what is left, for so long, and end in order."""
        if self._uplink is None:
            return
        self.flush()
        self._idle.clear()
        self._send()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deliver_s):
                await self._idle.wait()
        await self._uplink.stop()

    def _send(self) -> None:
        uplink = self._uplink
        while uplink is not None and uplink.has_room and self._waiting:
            _, batch = self._waiting.popitem(last=False)
            self._flying[batch.sequence] = batch
            uplink.publish(batch)
        if not self.undelivered:
            self._idle.set()

    # What the uplink tells.

    def uplink_connected(self) -> None:
        self._send()

    def uplink_refused(self, reason: str) -> None:
        pass

    def uplink_lost(self, reason: str) -> None:
        pass

    def batches_returned(self, sequences: list[int], blamed: bool) -> None:
        for sequence in sequences:
            if (batch := self._flying.pop(sequence, None)) is not None:
                self._waiting[sequence] = batch

    def status_acknowledged(self) -> None:
        self._send()

    def retained_given_up(self, topic: str) -> None:
        """Its status is small."""

    def batch_acknowledged(self, sequence: int) -> None:
        if (batch := self._flying.pop(sequence, None)) is not None:
            self._trace.samples(ACKNOWLEDGED, *key_columns(batch), 0)
        self._send()

    def order_arrived(self, payload: bytes) -> None:
        """It listens to none."""

    def batch_refused(self, sequence: int, code: int, reason: str) -> None:
        if (batch := self._flying.pop(sequence, None)) is not None:
            self.dropped["refused"] = self.dropped.get("refused", 0) + batch.samples
        self._send()
