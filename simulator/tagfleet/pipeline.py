"""A run's moving parts, one tick at a time: the flock's air out, batches and traces in, figures to the view."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tagfleet.airlink import AirLink
from tagfleet.consumer import Consumer
from tagfleet.hub import HubProcess
from tagfleet.ledger import Ledger
from tagfleet.links import FlockLinks
from tagfleet.progress import Progress
from tagfleet.subscriber import Subscriber
from tagfleet.targets.conversation import converse
from tagfleet.trace_tail import TraceTail
from tagfleet.transmitter import Transmitter
from tagfleet.view import View

DRAIN_MIN_S = 0.6  # a burst that has begun takes 0.3 s; then its report has to reach the trace
DRAIN_MAX_S = 8.0
AFTERMATH_S = 0.3  # a duplicate comes after its sample
TICK_S = 0.025
SHOW_S = 0.25


@dataclass
class Pipeline:
    """Call `make`, then `deliver`. Both raise what the parts raise: AirLost, HubFailed, NonceReuse, LedgerFull."""

    ledger: Ledger
    progress: Progress
    transmitter: Transmitter
    air: AirLink
    subscriber: Subscriber
    hub: HubProcess
    trace: TraceTail
    consumer: Consumer
    view: View[Progress]
    links: FlockLinks
    _started_s: float = field(default_factory=time.monotonic)
    _last_tick_s: float = field(default_factory=time.monotonic)
    _show_s: float = 0.0

    async def make(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Make and transmit samples for so long, or until `stopped`."""
        while time.monotonic() - self._started_s < seconds and not stopped():
            await self._tick(making=True)

    async def deliver(self, hurried: Callable[[], bool]) -> None:
        """Wait, for a bounded time, until everything that a radio reported has arrived, or until `hurried`."""
        start_s = time.monotonic()
        settled_s: float | None = None
        while not hurried() and time.monotonic() - start_s < DRAIN_MAX_S:
            await self._tick(making=False)
            waiting = self.ledger.pending + self.transmitter.waiting
            if waiting or time.monotonic() - start_s < DRAIN_MIN_S:
                settled_s = None
            elif settled_s is None:
                settled_s = time.monotonic()
            elif time.monotonic() - settled_s > AFTERMATH_S:
                break
        else:
            if self.ledger.pending:
                self.progress.notes.append("ended before everything on its way had arrived; that counts as lost")
        if self.subscriber.dropped:
            self.progress.notes.append(f"this subscriber was too slow for {self.subscriber.dropped} publishes")
        self._show()

    async def _tick(self, making: bool) -> None:
        now_s = time.monotonic()
        self.progress.worst_lag_s = max(self.progress.worst_lag_s, now_s - self._last_tick_s - TICK_S)
        self._last_tick_s = now_s
        now_us = time.time_ns() // 1000
        records = self.transmitter.tick(now_us, making)
        if records:
            await self.air.send(records)
        await converse(self.links, [self.air], now_us)
        self.consumer.take_all(self.subscriber.take())
        if traced := self.trace.read():
            events, tag_ids, counters, t_us = np.array(traced, np.int64).T
            self.ledger.traced(0, events, tag_ids, counters, t_us)
        if now_s >= self._show_s:
            self._show_s = now_s + SHOW_S
            self.hub.check()
            self._show()
        await asyncio.sleep(TICK_S)

    def _show(self) -> None:
        self.progress.reports = self.transmitter.reports
        self.progress.update(self.ledger, time.monotonic() - self._started_s, time.time_ns() // 1000)
        self.view.show(self.progress)
