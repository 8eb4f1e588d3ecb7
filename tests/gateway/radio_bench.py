"""What the tests of `test_radios` run on: raw HCI, the kernel's Bluetooth under BlueZ, or this machine's own radio.

--radio none: bumble over TCP, no BlueZ, a virtual world.
--radio vhci:PORT,PORT: hci0 and hci1 of the kernel over virtual controllers, whose HCI is at these ports of VHCI_HOST,
and a bluetoothd of its own. As root, in a virtual machine: test_bluez_in_qemu does that.
--radio hci1, bumble:usb:0, ...: what it names, and whatever tags are in the air.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import TypeAdapter
from vhci import VirtualController

from taghub.clock import SystemClock
from taghub.radio import Radio, make_radio
from taghub.radio.named import settings_named
from taghub.settings import RadioSettings

VHCI = "vhci:"
BLUETOOTHD = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd")
START_S = 120.0  # under software emulation everything takes its time


class RadioBench:
    """This machine's own radio: nothing can be pulled out."""

    virtual = False

    def __init__(self, name: str) -> None:
        self._name = name

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def settings(self) -> list[dict[str, Any]]:
        """Of each [[radio]] section."""
        return [settings_named(self._name).model_dump()]

    def radio(self, **changes: Any) -> Radio:
        """The first one."""
        settings = TypeAdapter[RadioSettings](RadioSettings).validate_python(self.settings()[0] | changes)
        return make_radio(settings, 0xFFFF, SystemClock())

    def backend(self, kind: str) -> dict[str, Any]:
        """Of BleakScanner or BleakClient."""
        return {}

    async def pull(self) -> None:
        """The controller is unplugged."""
        pytest.skip("pull the dongle out and put it back by hand, while `taghub run` runs")

    async def plug(self) -> None:
        """And plugged in again."""


class BumbleBench(RadioBench):
    """Raw HCI over TCP, through a link that can be cut."""

    virtual = True

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        from tcp_proxy import TcpProxy
        from virtual_world import VirtualWorld

        world = await self._stack.enter_async_context(VirtualWorld())
        self._proxy = await self._stack.enter_async_context(TcpProxy(world.port))
        self._transport = f"tcp-client:127.0.0.1:{self._proxy.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def settings(self) -> list[dict[str, Any]]:
        return [{"kind": "bumble", "transport": self._transport}]

    def backend(self, kind: str) -> dict[str, Any]:
        from taghub.radio.bumble_backend import BumbleScanner
        from taghub.radio.bumble_client import BumbleClient

        return {"backend": {"scanner": BumbleScanner, "client": BumbleClient}[kind], "transport": self._transport}

    async def pull(self) -> None:
        self._proxy.cut()

    async def plug(self) -> None:
        await self._proxy.join()


class VhciBench(RadioBench):
    """The kernel's Bluetooth over virtual controllers, and a bluetoothd. Owns the machine's Bluetooth."""

    virtual = True

    def __init__(self, option: str, experimental: bool = True, adapters: int = 1) -> None:
        host, _, ports = option.removeprefix(VHCI).rpartition(":")
        self._experimental = experimental
        self.controllers = [VirtualController(host, int(port)) for port in ports.split(",")[:adapters]]
        self._bluetoothd: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        for controller in self.controllers:
            controller.plug()
        await self.start_service()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill_service()
        for controller in self.controllers:
            controller.pull()

    def settings(self) -> list[dict[str, Any]]:
        # Whatever their numbers are: the kernel gives one away again only when nobody holds it any more.
        return [{"kind": "bleak"} for _ in self.controllers]

    async def pull(self) -> None:
        self.controllers[0].pull()

    async def plug(self) -> None:
        self.controllers[0].plug()

    def kill_service(self) -> None:
        """bluetoothd dies."""
        process, self._bluetoothd = self._bluetoothd, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    async def start_service(self) -> None:
        """bluetoothd starts; returns when it has its adapters."""
        from taghub.radio.bluez import BlueZError, connected

        self._bluetoothd = _bluetoothd(self._experimental)
        async with asyncio.timeout(START_S), connected() as bluez:
            while True:
                with contextlib.suppress(BlueZError):
                    if sum(adapter.powered for adapter in await bluez.adapters()) == len(self.controllers):
                        return
                await asyncio.sleep(0.1)


def _bluetoothd(experimental: bool) -> subprocess.Popen[bytes]:
    path = next(path for path in BLUETOOTHD if os.access(path, os.X_OK))
    command = [path, "--nodetach", *(["--experimental"] if experimental else [])]
    with Path(os.environ.get("TMPDIR", "/tmp"), "bluetoothd.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def bench_of(option: str | None) -> RadioBench:
    """The bench that --radio asks for."""
    if option is None:
        return BumbleBench()
    return VhciBench(option) if option.startswith(VHCI) else RadioBench(option)
