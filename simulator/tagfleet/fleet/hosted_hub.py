"""One real hub inside a worker: intake, batcher, spool and uplink, without radio and process of its own.

What `taghub.run` does around a Hub, for hubs that live and die at a run's command.
"""

import asyncio
import contextlib
import time
from pathlib import Path

from tagfleet.fleet.link import Link
from tagfleet.fleet.run_clock import HubClock, RunClock, parts_by_age
from tagfleet.fleet.trace_log import HubTrace, TraceLog
from taghub.errors import SettingsError
from taghub.heard import HeardRun, from_run
from taghub.hub import Hub
from taghub.position import position_source
from taghub.settings import Settings
from taghub.spool import Limits, Store
from taghub.status import OFFLINE, ONLINE, will
from taghub.topics import topics
from taghub.uplink import Uplink
from tagwire.keyring import KeyringEntry

_MEMORY_BYTES = 256_000_000


class HostedHub:
    """`start` it; `crash` and `start` again, as often as a scenario says; `stop` it in order.

    number: from 0. settings: as a hub's file would say, with [mqtt]. link: the way to the broker, where it can be cut.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        keyring: list[KeyringEntry],
        clock: RunClock,
        log: TraceLog,
        link: Link | None,
    ) -> None:
        self.number = number
        self.link = link
        self.clock = HubClock(clock)
        self._settings = settings
        self._keyring = {entry.tag_id: entry for entry in keyring}
        self._log = log
        self._run_clock = clock
        self._company_id = settings.hub.company_id
        self._hub: Hub | None = None
        self._uplink: Uplink | None = None
        self._writer: asyncio.Task[None] | None = None
        self._trace: HubTrace | None = None
        self._burial: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether somebody listens here."""
        return self._hub is not None

    @property
    def connected(self) -> bool:
        """Whether its broker has it."""
        return self._uplink is not None and self._uplink.connected

    @property
    def undelivered(self) -> int:
        """Closed batches that the broker has not acknowledged."""
        return 0 if self._hub is None else self._hub.undelivered_batches

    @property
    def open_samples(self) -> int:
        """Samples that wait for their batch to close."""
        return 0 if self._hub is None else self._hub.open_samples

    @property
    def dropped(self) -> dict[str, int]:
        """Samples that were given up, by reason."""
        if self._hub is None:
            return {}
        totals = self._hub.spool.store.totals.dropped | {"memory_full": self._hub.spool.dropped_memory}
        return {reason: count for reason, count in totals.items() if count}

    def start(self) -> None:
        """From its spool file on, where there is one. Raises SettingsError, StoreError."""
        settings, mqtt, spool = self._settings, self._settings.mqtt, self._settings.spool
        if mqtt is None:
            raise SettingsError("a hosted hub needs a broker")
        if spool is None:
            store = Store(None, "off", Limits(_MEMORY_BYTES, float("inf"), "oldest"))
        else:
            limits = Limits(spool.max_mb * 1_000_000, spool.max_age_h * 3600, spool.when_full)
            store = Store(spool.path, spool.durability, limits)
        loaded = store.open()
        self.clock.follow()  # it was set while nobody was there to see that
        # As `taghub run`: above every number that an earlier life has used.
        first_sequence = max(loaded.next_sequence, time.time_ns() // 1_000_000)
        self._trace = self._log.of_hub(self.number)
        position = position_source(settings.position)
        hub = Hub(
            settings,
            self._keyring,
            self.clock,
            position,
            self._trace,  # type: ignore[arg-type]  # it has the methods of a TraceFile
            store,
            loaded,
            first_sequence,
        )
        self._writer = asyncio.create_task(hub.spool.run(), name=f"spool {self.number}")
        site, name = settings.hub.site, settings.hub.id
        if self.link is not None:
            mqtt = mqtt.model_copy(update={"host": "127.0.0.1", "port": self.link.port})
        uplink = Uplink(mqtt, mqtt.client_id or f"taghub-{site}-{name}", topics(site, name), will(site, name), hub)
        hub.attach(uplink)
        uplink.start()
        self._hub, self._uplink = hub, uplink

    def take(self, run: bytes) -> bool:
        """Air records of full advertisements. False when nobody listens."""
        if self._hub is None:
            return False
        hub, heard = self._hub, from_run(run, self._company_id)
        times_us = heard.t_us if isinstance(heard, HeardRun) else [report.t_us for report in heard]
        if self.clock.skew_us:  # a radio's times are its hub's
            heard = [report._replace(t_us=report.t_us + self.clock.skew_us) for report in heard]

        def close_due() -> float | None:
            hub.close_due()
            return None if hub.due_s is None else hub.due_s * 1e6

        for part in parts_by_age(times_us, self.clock, close_due, self._settings.batch.max_age_s * 1e6):
            hub.take(heard[part])
        return True

    def tick(self) -> None:
        """The run's time has passed: what is of age is closed."""
        if self._hub is not None:
            self._hub.close_due()

    def work(self, report: bool) -> None:
        """Now and then: what `taghub run` does in the background."""
        if self._hub is not None:
            self._hub.follow_clock()
            self._hub.work()
            if report:
                self._hub.publish_status(ONLINE)
            self._hub.send()

    def flush(self) -> None:
        """Close the open batch."""
        if self._hub is not None:
            self._hub.close_batch()

    def crash(self) -> None:
        """Power off, now: what is not committed is gone, the broker is told nothing. `buried` waits for the rest."""
        if self._hub is None or self._uplink is None or self._writer is None or self._trace is None:
            return
        hub, uplink, writer = self._hub, self._uplink, self._writer
        self._hub = self._uplink = self._writer = None
        self._trace.close()
        if self.link is not None:
            self.link.unplug()
        writer.cancel()
        self._burial = asyncio.create_task(self._bury(hub, uplink, writer), name=f"burial {self.number}")

    async def buried(self) -> None:
        """Nothing of the hub that crashed is left but its spool file."""
        if self._burial is not None:
            await self._burial
            self._burial = None

    async def _bury(self, hub: Hub, uplink: Uplink, writer: asyncio.Task[None]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await writer
        await uplink.stop()
        hub.spool.store.close()
        if self.link is not None:
            await self.link.plug()

    async def stop(self, deliver_s: float) -> None:
        """Deliver what is left, for so long, and end in order."""
        hub, uplink, writer = self._hub, self._uplink, self._writer
        if hub is None or uplink is None or writer is None:
            return
        hub.close_batch()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deliver_s):
                await hub.all_delivered.wait()
        if uplink.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    hub.publish_status(OFFLINE)
                    await uplink.wait_idle()
        await uplink.stop()
        hub.spool.stop()
        await writer

    @property
    def spool_path(self) -> Path | None:
        """Where its spool lies, for whoever reads what is left in it."""
        return None if self._settings.spool is None else self._settings.spool.path
