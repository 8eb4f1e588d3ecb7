"""Hubs in worker processes of this machine: each with its real intake, spool and uplink."""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tagfleet.fleet import frames
from tagfleet.fleet.worker_process import WorkerFailed, WorkerProcess
from tagfleet.scenario.faults import BrokerOutage, DeadZone, HubReboot
from tagfleet.scenario.model import Scenario
from tagfleet.scenario.quantities import numbers
from tagfleet.targets.base import HubFigures, Left, TargetFailed, left_in_spool
from tagfleet.traffic import Step

HUBS_PER_WORKER_MAX = 100  # paho waits with select(), which stops at 1,024 files; a hub has six, with a link nine
KEEPALIVE_S = (5, 60)  # by the age of batches, as taghub's profiles: each hub of a fleet has its own thread to wake


def hub_name(hub: int) -> str:
    """The id of a hub in MQTT topics; hubs count from 0 here, from 1 for people."""
    return f"hub-{hub + 1}"


def workers_for(scenario: Scenario) -> int:
    """How many processes share the hubs."""
    least = -(-scenario.hubs.count // HUBS_PER_WORKER_MAX)
    wished = scenario.hubs.workers or max(1, (os.cpu_count() or 2) - 1)
    return min(max(least, wished), scenario.hubs.count)


class InsideTarget:
    """keys: of each hub, (tag id, generation, beacon key) of the tags that come by; empty for target "batches"."""

    traced = True

    def __init__(
        self,
        scenario: Scenario,
        broker: tuple[str, int],
        keys: dict[int, list[tuple[int, int, bytes]]],
        start_us: int,
        folder: Path,
    ) -> None:
        workers = workers_for(scenario)
        batches = scenario.hubs.target == "batches"
        links = _with_links(scenario)
        self._folder = folder
        self._spools = scenario.hubs.spool != "memory" and not batches
        self._worker_of = {hub: hub % workers for hub in range(scenario.hubs.count)}
        self._frame = frames.SAMPLES if batches else frames.TICK
        self._stack = contextlib.AsyncExitStack()
        self._workers: list[WorkerProcess] = []
        for number in range(workers):
            hubs = [hub for hub, worker in self._worker_of.items() if worker == number]
            setup = {
                "broker": list(broker),
                "links": [hub for hub in hubs if hub in links],
                "batches": batches,
                "start_us": start_us,
                "hubs": [[hub, self._settings(scenario, broker, hub)] for hub in hubs],
                "keys": {
                    str(hub): [[tag, generation, key.hex()] for tag, generation, key in keys.get(hub, ())]
                    for hub in hubs
                },
            }
            self._workers.append(WorkerProcess(number, setup, folder))

    def _settings(self, scenario: Scenario, broker: tuple[str, int], hub: int) -> dict[str, Any]:
        hubs = scenario.hubs
        keepalive_s = round(min(max(hubs.batch_age, KEEPALIVE_S[0]), KEEPALIVE_S[1]))
        mqtt = scenario.broker.mqtt(*broker, keepalive_s, hubs.inflight)
        settings: dict[str, Any] = {
            "hub": {"id": hub_name(hub), "site": hubs.site, "status_interval_s": 60.0},
            "keyring": {"path": "unused"},
            "radio": [{"kind": "air", "listen": "unix:unused"}],
            "mqtt": mqtt.model_dump(mode="json"),
            "batch": {"max_age_s": hubs.batch_age, "max_samples": hubs.batch_samples},
        }
        if self._spools:
            settings["spool"] = {"path": str(self._spool(hub)), "durability": hubs.spool}
            self._spool(hub).unlink(missing_ok=True)
        return settings

    def _spool(self, hub: int) -> Path:
        return self._folder / f"{hub_name(hub)}.spool"

    async def __aenter__(self) -> Self:
        for worker in self._workers:
            await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ready(self) -> None:
        with _failures():
            await asyncio.gather(*(worker.ready() for worker in self._workers))

    async def send(self, t_us: int, step: Step) -> float:
        shares: list[tuple[list[int], list[bytes]]] = [([], []) for _ in self._workers]
        for hub, piece in zip(step.hubs, step.pieces, strict=True):
            hubs, pieces = shares[self._worker_of[hub]]
            hubs.append(hub)
            pieces.append(piece)
        with _failures():
            ticks = [frames.encode_tick(t_us, *share, self._frame) for share in shares]
            waited = await asyncio.gather(
                *(worker.tick(tick) for worker, tick in zip(self._workers, ticks, strict=True))
            )
        return max(waited)

    async def cut(self, hubs: Sequence[int], silent: bool) -> None:
        await self._command({"do": "cut", "hubs": list(hubs), "silent": silent})

    async def join(self, hubs: Sequence[int]) -> None:
        await self._command({"do": "join", "hubs": list(hubs)})

    async def crash(self, hubs: Sequence[int]) -> None:
        await self._command({"do": "crash", "hubs": list(hubs)})

    async def start(self, hubs: Sequence[int]) -> None:
        await self._command({"do": "start", "hubs": list(hubs)})

    async def set_clock(self, hubs: Sequence[int], skew_us: int) -> None:
        await self._command({"do": "clock", "hubs": list(hubs), "skew_us": skew_us})

    async def flush(self) -> None:
        await self._command({"do": "flush"})

    def traces(self) -> "list[npt.NDArray[np.void]]":
        return [rows for worker in self._workers for rows in worker.take_traces()]

    def figures(self) -> HubFigures:
        total = HubFigures()
        for worker in self._workers:
            known = worker.figures
            for name in ("hubs", "connected", "running", "undelivered", "open_samples", "connections", "rss_bytes"):
                setattr(total, name, getattr(total, name) + known.get(name, 0))
            total.cpu_s += known.get("cpu_s", 0.0)
            total.dropped |= {int(hub): reasons for hub, reasons in known.get("dropped", {}).items()}
        return total

    def check(self) -> None:
        with _failures():
            for worker in self._workers:
                worker.check()

    async def end(self, deliver_s: float) -> None:
        with _failures():
            await asyncio.gather(*(worker.end(deliver_s) for worker in self._workers))

    def left(self) -> Iterable[Left]:
        if not self._spools:
            return
        for worker in self._workers:
            # Of a worker that could not end in order, every hub may have something left.
            hubs = worker.figures.get("left") if worker.done else None
            for hub in self._worker_of if hubs is None else hubs:
                if self._workers[self._worker_of[hub]] is worker and self._spool(hub).exists():
                    yield left_in_spool(hub, self._spool(hub))

    def notes(self) -> list[str]:
        number, worst = max(enumerate(worker.skew for worker in self._workers), key=lambda one: abs(one[1].offset_us))
        which = "the worker" if len(self._workers) == 1 else f"{len(self._workers)} workers, worker {number + 1} most"
        return [f"clock of {which} beside this one's: {worst}; corrected for"]

    async def _command(self, command: dict[str, Any]) -> None:
        with _failures():
            for worker in self._workers:
                await worker.command(command)


def _with_links(scenario: Scenario) -> set[int]:
    """The hubs, from 0, whose way to the broker will be cut."""
    concerned: set[int] = set()
    for fault in scenario.fault:
        if isinstance(fault, BrokerOutage):
            concerned |= set(range(scenario.hubs.count)) if fault.how == "cut" else set()
        elif isinstance(fault, (DeadZone, HubReboot)):
            concerned |= {hub - 1 for hub in numbers(fault.hubs, scenario.hubs.count)}
    return concerned


@contextlib.contextmanager
def _failures() -> Any:
    try:
        yield
    except WorkerFailed as error:
        raise TargetFailed(str(error)) from error
