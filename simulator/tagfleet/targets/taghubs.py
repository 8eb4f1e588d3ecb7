"""Real `taghub run` processes, and hubs that somebody else runs: both hear through air."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from tagfleet.airlink import AirLink, AirLost
from tagfleet.fleet.frames import TRACE_ROW
from tagfleet.fleet.link import Link
from tagfleet.hub import HubFailed, HubFiles, HubProcess, Table, settings_toml
from tagfleet.links import FlockLinks
from tagfleet.scenario.faults import LINK_FAULTS
from tagfleet.scenario.model import Scenario
from tagfleet.targets.base import HubFigures, Left, TargetFailed, left_in_spool
from tagfleet.targets.conversation import converse
from tagfleet.targets.inside import hub_name
from tagfleet.trace_tail import TraceTail
from tagfleet.traffic import Step
from tagwire.keyring import KeyringEntry, write_keyring

START_TIMEOUT_S = 60.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class TaghubTarget:
    """A process for each hub, in a folder each. `hci_transport`: the first one has a Bluetooth controller as well."""

    traced = True

    def __init__(
        self,
        scenario: Scenario,
        broker: tuple[str, int],
        keyrings: dict[int, list[KeyringEntry]],
        folder: Path,
        hci_transport: str | None = None,
        links: FlockLinks | None = None,
    ) -> None:
        self._scenario = scenario
        self._conversations = links
        self._broker = broker
        self._hci_transport = hci_transport
        self._files = []
        self._links: list[Link | None] = []
        for hub in range(scenario.hubs.count):
            home = folder / hub_name(hub)
            home.mkdir(exist_ok=True)
            files = HubFiles.in_folder(home)
            for old in home.glob("spool*"):
                old.unlink()
            write_keyring(files.keyring, keyrings.get(hub, []))
            self._files.append(files)
            cuttable = any(isinstance(fault, LINK_FAULTS) for fault in scenario.fault)
            self._links.append(Link(*broker) if cuttable else None)
        self._processes = [HubProcess(files) for files in self._files]
        self._tails = [TraceTail(files.trace) for files in self._files]
        self._airs: list[AirLink | None] = [None] * len(self._files)
        self._stack = contextlib.AsyncExitStack()
        self._off: set[int] = set()
        self._cpu_before_s = 0.0

    async def __aenter__(self) -> Self:
        for hub, (files, link) in enumerate(zip(self._files, self._links, strict=True)):
            port = None
            if link is not None:
                port = (await self._stack.enter_async_context(link)).port
            files.settings.write_text(settings_toml(self._settings(hub, files, port)), "utf-8")
            await self._stack.enter_async_context(self._processes[hub])
        return self

    async def __aexit__(self, *_: object) -> None:
        for air in self._airs:
            if air is not None:
                await air.__aexit__()
        await self._stack.aclose()

    async def ready(self) -> None:
        for hub in range(len(self._files)):
            await self._connect(hub)
        self._cpu_before_s = sum(map(_cpu_s, self._processes))

    async def send(self, t_us: int, step: Step) -> float:
        started_s = time.monotonic()
        for hub, piece in zip(step.hubs, step.pieces, strict=True):
            air = self._airs[hub]
            if air is not None and hub not in self._off:
                try:
                    await air.send(piece)
                except AirLost as error:
                    self.check()
                    raise TargetFailed(f"{hub_name(hub)}: {error}") from None
        if self._conversations is not None:
            try:
                await converse(self._conversations, self._airs, t_us)
            except AirLost as error:
                self.check()
                raise TargetFailed(f"the air of a hub: {error}") from None
        waited_s = time.monotonic() - started_s
        return waited_s if waited_s > 0.1 else 0.0

    async def cut(self, hubs: Sequence[int], silent: bool) -> None:
        for hub in hubs:
            if (link := self._links[hub]) is not None:
                link.silence() if silent else link.cut()

    async def join(self, hubs: Sequence[int]) -> None:
        for hub in hubs:
            if (link := self._links[hub]) is not None:
                await link.join()

    async def crash(self, hubs: Sequence[int]) -> None:
        for hub in hubs:
            self._off.add(hub)
            await self._processes[hub].kill()
            if (air := self._airs[hub]) is not None:
                await air.__aexit__()
                self._airs[hub] = None
            if self._conversations is not None:
                self._conversations.drop_hub(hub)

    async def start(self, hubs: Sequence[int]) -> None:
        for hub in hubs:
            await self._processes[hub].start(keep_trace=True)
        for hub in hubs:
            await self._connect(hub)
            self._off.discard(hub)

    async def set_clock(self, hubs: Sequence[int], skew_us: int) -> None:
        raise TargetFailed('the clock of a taghub process is the machine\'s: a clock_error needs target = "inside"')

    async def flush(self) -> None:
        """A process closes its batches by its own clock."""

    def traces(self) -> "list[npt.NDArray[np.void]]":
        pieces = []
        for hub, tail in enumerate(self._tails):
            records = tail.read()
            if records:
                rows = np.zeros(len(records), TRACE_ROW)
                rows["hub"] = hub
                rows["event"], rows["tag"], rows["counter"], rows["t_us"] = np.array(records, np.int64).T
                if self._scenario.run.time != 1.0:  # it lives in the air's time; ours is when we read it
                    rows["t_us"] = time.time_ns() // 1000
                pieces.append(rows)
        return pieces

    def figures(self) -> HubFigures:
        running = len(self._files) - len(self._off)
        figures = HubFigures(hubs=len(self._files), connected=running, running=running)
        figures.cpu_s = sum(map(_cpu_s, self._processes)) - self._cpu_before_s
        figures.connections = sum(link.connections for link in self._links if link is not None)
        return figures

    def check(self) -> None:
        for hub, process in enumerate(self._processes):
            if hub not in self._off:
                try:
                    process.check()
                except HubFailed as error:
                    raise TargetFailed(f"{hub_name(hub)}: {error}") from None

    async def end(self, deliver_s: float) -> None:
        await asyncio.gather(*(process.__aexit__() for process in self._processes))

    def left(self) -> Iterable[Left]:
        for hub, files in enumerate(self._files):
            if files.spool.exists():
                yield left_in_spool(hub, files.spool)

    def notes(self) -> list[str]:
        return []

    async def _connect(self, hub: int) -> None:
        def still_waiting() -> None:
            try:
                self._processes[hub].check()
            except HubFailed as error:
                raise TargetFailed(f"{hub_name(hub)}: {error}") from None

        air = AirLink(f"unix:{self._files[hub].air}", START_TIMEOUT_S, still_waiting)
        try:
            self._airs[hub] = await air.__aenter__()
        except AirLost as error:
            raise TargetFailed(f"{hub_name(hub)}: {error}") from None

    def _settings(self, hub: int, files: HubFiles, port: int | None) -> dict[str, Table | list[Table]]:
        """port: of the link through which it reaches the broker, None for a hub without one."""
        scenario, hubs, section = self._scenario, self._scenario.hubs, self._scenario.broker
        host, broker_port = self._broker if port is None else ("127.0.0.1", port)
        mqtt: dict[str, str | int | float] = {
            "host": host,
            "port": broker_port,
            "protocol": section.protocol,
            "inflight": hubs.inflight,
            "wait_for_broker": True,
            "stop_timeout_s": min(scenario.run.drain, 600.0),
        }
        if section.username is not None:
            mqtt["username"] = section.username
        if section.password_file is not None:
            mqtt["password_file"] = str(section.password_file.absolute())  # the hub's are relative to its settings
        tables: dict[str, Table | list[Table]] = {
            "hub": {"id": hub_name(hub), "site": hubs.site, "status_interval_s": 1.0},
            "keyring": {"path": str(files.keyring)},
            "batch": {"max_age_s": hubs.batch_age, "max_samples": hubs.batch_samples},
            "courier": {"connections": hubs.connections, "air_time_share": hubs.air_time_share},
            "trace": {"path": str(files.trace)},
            "mqtt": mqtt,
        }
        if section.tls is not None:
            names = ("ca_file", "cert_file", "key_file")
            named = {name: getattr(section.tls, name) for name in names}
            tables["mqtt.tls"] = {name: str(path.absolute()) for name, path in named.items() if path is not None}
        if hubs.spool != "memory":
            tables["spool"] = {"path": str(files.spool), "durability": hubs.spool}
        if scenario.run.time != 1.0:
            tables["clock"] = {"source": "air"}
        radios: list[Table] = [{"kind": "air", "listen": f"unix:{files.air}"}]
        if hub == 0 and self._hci_transport is not None:
            radios.append({"kind": "bumble", "transport": self._hci_transport})
        return tables | {"radio": radios}


class AirTarget:
    """Hubs that run already, somewhere: they get air, and what they do is seen at the broker alone."""

    traced = False

    def __init__(self, addresses: Sequence[str], links: FlockLinks | None = None) -> None:
        self._addresses = addresses
        self._airs: list[AirLink] = []
        self._conversations = links

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for air in self._airs:
            await air.__aexit__()

    async def ready(self) -> None:
        for address in self._addresses:
            try:
                self._airs.append(await AirLink(address, 10.0).__aenter__())
            except (AirLost, ValueError) as error:
                raise TargetFailed(f'{error}; its settings need a radio with kind = "air"') from None

    async def send(self, t_us: int, step: Step) -> float:
        started_s = time.monotonic()
        for hub, piece in zip(step.hubs, step.pieces, strict=True):
            try:
                await self._airs[hub].send(piece)
            except AirLost as error:
                raise TargetFailed(f"{self._addresses[hub]}: {error}") from None
        if self._conversations is not None:
            try:
                await converse(self._conversations, self._airs, t_us)
            except AirLost as error:
                raise TargetFailed(f"the air of a hub: {error}") from None
        waited_s = time.monotonic() - started_s
        return waited_s if waited_s > 0.1 else 0.0

    async def cut(self, hubs: Sequence[int], silent: bool) -> None:
        """Not ours."""

    async def join(self, hubs: Sequence[int]) -> None:
        """Not ours."""

    async def crash(self, hubs: Sequence[int]) -> None:
        """Not ours."""

    async def start(self, hubs: Sequence[int]) -> None:
        """Not ours."""

    async def set_clock(self, hubs: Sequence[int], skew_us: int) -> None:
        """Not ours."""

    async def flush(self) -> None:
        """It closes its batches by its own clock."""

    def traces(self) -> "list[npt.NDArray[np.void]]":
        return []

    def figures(self) -> HubFigures:
        return HubFigures(hubs=len(self._addresses), connected=len(self._airs), running=len(self._airs))

    def check(self) -> None:
        pass

    async def end(self, deliver_s: float) -> None:
        pass

    def left(self) -> Iterable[Left]:
        return []

    def notes(self) -> list[str]:
        return ["these hubs show no trace: of what is lost, hub and broker cannot be told apart"]


def _cpu_s(process: HubProcess) -> float:
    """Seconds of processor time that a process has taken; 0 where that cannot be asked."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
    except (OSError, IndexError, ValueError):
        return 0.0
