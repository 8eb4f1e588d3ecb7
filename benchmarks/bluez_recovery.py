"""How long a hub is deaf after each fault, on real BlueZ and the kernel's Bluetooth in a virtual machine."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.figure import Figure
from benchmarks.gateway_rig import free_port
from taghub.radio import bluez_host, recovery

TESTS = Path(__file__).resolve().parents[1] / "tests" / "gateway"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))  # the machine and the listener of the tests

from bluetooth_machine import BluetoothMachine  # noqa: E402
from radio_bench import BluezBench  # noqa: E402
from test_radios import Listener  # noqa: E402

SILENCE_S = 5.0


async def _bluetoothd(bench: BluezBench, listener: Listener) -> None:
    await bench.kill_service()
    await listener.until(lambda: listener.state == recovery.ABSENT)
    await bench.start_service()


async def _adapter(bench: BluezBench, listener: Listener) -> None:
    await bench.pull()
    await listener.until(lambda: listener.state in (recovery.ABSENT, recovery.PAUSED))
    await bench.plug()


async def _rfkill(bench: BluezBench, listener: Listener) -> None:
    await bench.block()
    await listener.until(lambda: listener.state == recovery.PAUSED)


async def _silence(bench: BluezBench, listener: Listener) -> None:
    before = listener.radio.counts["silences"]
    await bench.set_deaf(True)
    await listener.until(lambda: listener.radio.counts["silences"] > before)
    await bench.set_deaf(False)


FAULTS: dict[str, tuple[Callable[[BluezBench, Listener], Awaitable[None]], float | None, str]] = {
    "bluetoothd": (_bluetoothd, 5.0, "killed in mid-scan; from when the next one has its adapter to the first report"),
    "adapter": (_adapter, 10.0, "pulled out in mid-scan; from its return to the first report"),
    "rfkill": (_rfkill, None, "blocked in mid-scan; from when the hub noticed to the first report"),
    "silence": (_silence, None, "a controller that hears nobody; from when the hub noticed to the first report"),
}


def figures(runs: int) -> Iterator[Figure]:
    """Nothing where the machine cannot be booted."""
    if line := BluetoothMachine.missing():
        print(f"  no real BlueZ ({line}): recoveries on a bluetoothd of our own", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder, BluetoothMachine(Path(folder), free_port()) as machine:
        # rfkill is the machine's, where the same functions look at it and lift the block.
        there: dict[str, Any] = {name: partial(machine.do, name) for name in ("blocked", "unblock")}
        with patch.multiple(bluez_host, **there), patch.dict(os.environ, machine.environment):
            for name, (fault, goal, about) in FAULTS.items():
                values = [asyncio.run(_seconds(machine, fault)) for _ in range(runs)]
                about = f"{about}; real BlueZ and the kernel's Bluetooth, emulated"
                yield Figure(f"recovery_seconds_{name}", "s", "lower", goal, values, about)


async def _seconds(machine: BluetoothMachine, fault: Callable[[BluezBench, Listener], Awaitable[None]]) -> float:
    bench = BluezBench(machine)
    async with bench, Listener(bench.radio(silence_s=SILENCE_S)) as listener:
        with contextlib.ExitStack() as stack:
            if fault is _rfkill:
                stack.callback(machine.do, "free")
            await listener.hears()
            await fault(bench, listener)
            return await listener.hears()
