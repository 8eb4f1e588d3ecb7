"""`tagfleet demo`: the whole path on a desk.

A real gateway in a child process with a real MQTT broker, the flock on the air, twins on a virtual Bluetooth link, a
real MQTT subscriber, and the ledger between them.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tagfleet.airlink import AirLink, AirLost
from tagfleet.consumer import Consumer
from tagfleet.flock import Flock
from tagfleet.hub import HubFailed, HubFiles, HubProcess, settings_toml
from tagfleet.identity import FIRST_FLOCK_ID, FIRST_TWIN_ID, make_provisions
from tagfleet.intruder import Intruder
from tagfleet.journals import Journals, JournalSettings
from tagfleet.ledger import Ledger, LedgerFull
from tagfleet.links import FlockLinks, LinkSettings
from tagfleet.oracle import NonceOracle, NonceReuse
from tagfleet.pipeline import TICK_S, Pipeline
from tagfleet.progress import DELIVERING, ENDED, RUNNING, STARTING, Progress
from tagfleet.radio import RadioSettings
from tagfleet.run_folder import run_folder
from tagfleet.subscriber import Subscriber, SubscriberFailed
from tagfleet.trace_tail import TraceTail
from tagfleet.transmitter import Transmitter
from tagfleet.twin import interpreter_available
from tagfleet.twin.counters import UnknownSeal
from tagfleet.twins import TwinWatch, twin_provisions
from tagfleet.view import View
from tagfleet.world.world import build_world
from taghub.settings import MqttSettings
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.keyring import entry_from_provision, write_keyring

if TYPE_CHECKING:  # it loads a Bluetooth stack
    from tagfleet.twin.fleet import TwinFleet

SITE, HUB = "demo", "truck-1"
HUB_ID = 1  # the number of the hub, from 1: what its keys for sessions are made for
START_TIMEOUT_S = 30.0
# Five minutes between samples are five seconds here. Links are as much faster, and a window comes with each sample, so
# that the hub's courier fetches within a minute what takes it hours on a real route.
_JOURNAL = JournalSettings(window_unsettled=4, window_every=1)
_LINKS = LinkSettings(connect_s=0.2, loss_per_s=0.0)
_PORT_TAKEN = 5  # taghub's exit code: somebody was faster to take the free port
_PORT_ATTEMPTS = 3


@dataclass(frozen=True)
class DemoSettings:
    """What `tagfleet demo` can be told. folder: keep the run's files there; interpreter: MicroPython's path."""

    seconds: float = 45.0
    twins: int = 3
    tags: int = 200
    interval_s: int = 5
    seed: int = 1
    intruders_per_s: float = 3.0
    folder: Path | None = None
    interpreter: str | None = None


class DemoFailed(Exception):
    """A part of the run ended by itself; the text says which and why."""


class _Stopped(Exception):
    """Asked to end while things were still starting."""


class Demo:
    """One run. `progress` holds its figures at any time."""

    def __init__(self, settings: DemoSettings) -> None:
        twin_ids, note = _who_are_twins(settings)
        self.progress = Progress(settings.seconds, settings.tags, twin_ids, note)
        self._settings = settings
        flock_ids = range(FIRST_FLOCK_ID, FIRST_FLOCK_ID + settings.tags)
        self._ledger = Ledger.for_tags([*(twin_ids or ()), *flock_ids], time.time_ns() // 1000)
        self._oracle = NonceOracle()
        self._stops = 0

    def stop(self) -> None:
        """Make no more samples, and deliver what is on its way; called again: end at once."""
        self._stops += 1

    async def run(self, view: View[Progress]) -> None:
        """The run from set-up to the last delivery. Raises DemoFailed, FolderUnusable, and the view's OutputLost."""
        with run_folder(self._settings.folder) as folder:
            try:
                await self._run_onfree_port(folder, view)
            except (HubFailed, AirLost, SubscriberFailed, NonceReuse, UnknownSeal, LedgerFull, OSError) as error:
                raise DemoFailed(str(error)) from error
            finally:
                self.progress.update(self._ledger, self.progress.elapsed_s, time.time_ns() // 1000)
        self.progress.phase = ENDED
        view.show(self.progress)

    async def _run_onfree_port(self, folder: Path, view: View[Progress]) -> None:
        for attempt in range(_PORT_ATTEMPTS):
            try:
                with contextlib.suppress(_Stopped), _ungrouped():
                    await self._run_once(folder, view)
                return
            except HubFailed as error:
                last = attempt + 1 == _PORT_ATTEMPTS
                if last or error.exit_code != _PORT_TAKEN or self.progress.phase != STARTING:
                    raise

    async def _run_once(self, folder: Path, view: View[Progress]) -> None:
        settings, progress = self._settings, self.progress
        view.show(progress)
        twins = twin_provisions(settings.seed, FIRST_TWIN_ID, len(progress.twin_ids or []), settings.interval_s)
        tags = make_provisions(settings.seed, FIRST_FLOCK_ID, settings.tags)
        world = build_world(settings.seed, len(twins) + len(tags))
        files = HubFiles.in_folder(folder)
        write_keyring(files.keyring, [entry_from_provision(p, HUB_ID) for p in (*twins, *tags)])
        broker_port = free_port()
        async with contextlib.AsyncExitStack() as stack:
            fleet: TwinFleet | None = None
            if twins:
                from tagfleet.twin_crew import twin_fleet

                watch = TwinWatch(twins, self._ledger, self._oracle)
                fleet = twin_fleet(twins, world, folder, settings.interpreter, watch)
                await stack.enter_async_context(fleet)
            hci_transport = None if fleet is None else fleet.hci_transport
            files.settings.write_text(settings_toml(files, HUB, SITE, broker_port, hci_transport))
            hub = await stack.enter_async_context(HubProcess(files))

            def still_waiting() -> None:
                hub.check()
                if self._stops:
                    raise _Stopped

            topics = [f"tags/v1/{SITE}/+/{kind}" for kind in ("samples", "backlog", "status")]
            subscriber = await stack.enter_async_context(
                Subscriber(
                    MqttSettings.model_validate({"host": "127.0.0.1", "port": broker_port}),
                    topics,
                    START_TIMEOUT_S,
                    still_waiting,
                )
            )
            air = await stack.enter_async_context(AirLink(f"unix:{files.air}", START_TIMEOUT_S, still_waiting))
            consumer = Consumer(self._ledger, progress)
            radios = 1 if fleet is None else 2
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while progress.open_radios < radios:
                still_waiting()
                if time.monotonic() > deadline_s:
                    raise SubscriberFailed(f"the gateway has opened {progress.open_radios} of {radios} radios")
                consumer.take_all(subscriber.take())
                await asyncio.sleep(TICK_S)
            journals = Journals(len(tags), _JOURNAL)
            flock = Flock(tags, world, settings.interval_s, time.time(), first_index=len(twins), journals=journals)
            links = FlockLinks(flock, tags, world, np.zeros(world.places, np.int64), _LINKS)
            pipeline = Pipeline(
                self._ledger,
                progress,
                self._transmitter(flock),
                air,
                subscriber,
                hub,
                TraceTail(files.trace),
                consumer,
                view,
                links,
            )
            progress.phase = RUNNING
            if fleet is not None:
                fleet.start()
            await pipeline.make(settings.seconds, stopped=lambda: self._stops > 0)
            progress.phase = DELIVERING
            if fleet is not None:
                await fleet.stop()
            await pipeline.deliver(hurried=lambda: self._stops > 1)
            progress.notes += _twin_notes(fleet)

    def _transmitter(self, flock: Flock) -> Transmitter:
        settings = self._settings
        intruder = Intruder(settings.seed, COMPANY_ID_TEST)
        return Transmitter(
            flock, settings.seed, RadioSettings(), self._ledger, self._oracle, intruder, settings.intruders_per_s
        )


def _twin_notes(fleet: "TwinFleet | None") -> list[str]:
    """What a person should know about twins whose firmware crashed."""
    processes = {} if fleet is None else {tag_id: twin.process for tag_id, twin in fleet.twins.items()}
    return [
        f"twin {tag_id} crashed {process.crashes} times; its last words: {(list(process.console) or ['none'])[-1]}"
        for tag_id, process in processes.items()
        if process.crashes
    ]


@contextlib.contextmanager
def _ungrouped() -> Iterator[None]:
    """The first error of a group by itself: a task group inside a part wraps whatever passes through it."""
    try:
        yield
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from group


def _who_are_twins(settings: DemoSettings) -> tuple[list[int] | None, str]:
    if settings.twins == 0:
        return None, "none, as asked"
    if interpreter_available(settings.interpreter) is None:
        return None, "none on this platform"
    return list(range(FIRST_TWIN_ID, FIRST_TWIN_ID + settings.twins)), ""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
