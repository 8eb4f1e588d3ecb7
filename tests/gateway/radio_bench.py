"""What the tests of `test_radios` run on: raw HCI, the kernel's Bluetooth under BlueZ, or this machine's own radio.

Without --radio: bumble over TCP, no BlueZ, a virtual world.
--radio vm: BlueZ and the kernel's Bluetooth in a virtual machine (`bluetooth_machine`), the same virtual world.
--radio hci1, bumble:usb:0, ...: what it names, and whatever tags are in the air.
"""

import asyncio
import contextlib
from typing import Any, Self

import pytest
from bluetooth_machine import BluetoothMachine
from pydantic import TypeAdapter
from tcp_proxy import TcpProxy
from virtual_world import VirtualWorld

from taghub.clock import SystemClock
from taghub.radio import Radio, make_radio
from taghub.radio.bluez import BlueZError, connected
from taghub.radio.bumble_backend import BumbleScanner
from taghub.radio.bumble_client import BumbleClient
from taghub.radio.named import settings_named
from taghub.settings import RadioSettings

MACHINE = "vm"
START_S = 60.0  # under software emulation everything takes its time


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
        """What BleakScanner or BleakClient needs to use the first one: kind "scanner" or "client"."""
        settings = self.settings()[0]
        if settings["kind"] != "bumble":
            return {}
        return {"backend": {"scanner": BumbleScanner, "client": BumbleClient}[kind], "transport": settings["transport"]}

    async def pull(self) -> None:
        """The controller is unplugged."""
        pytest.skip("pull the dongle out and put it back by hand, while `taghub run` runs")

    async def plug(self) -> None:
        """And plugged in again."""

    def log(self) -> str:
        """What the parts beside the radio said, for people who look for a fault."""
        return ""


class BumbleBench(RadioBench):
    """Raw HCI over TCP, through a link that can be cut."""

    virtual = True

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        world = await self._stack.enter_async_context(VirtualWorld())
        self._proxy = await self._stack.enter_async_context(TcpProxy(world.port))
        self._transport = f"tcp-client:127.0.0.1:{self._proxy.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def settings(self) -> list[dict[str, Any]]:
        return [{"kind": "bumble", "transport": self._transport}]

    async def pull(self) -> None:
        self._proxy.cut()

    async def plug(self) -> None:
        await self._proxy.join()


class BluezBench(RadioBench):
    """The kernel's Bluetooth over virtual controllers, and a bluetoothd, in a virtual machine that has nothing else."""

    virtual = True

    def __init__(self, machine: BluetoothMachine, experimental: bool = True, hci_ports: tuple[int, ...] = ()) -> None:
        """hci_ports: controllers of further adapters, which hear another world than ours."""
        self.machine = machine
        self._options = ["--experimental"] if experimental else []
        self._ports = hci_ports
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        world = await self._stack.enter_async_context(VirtualWorld())
        self._ports = (world.port, *self._ports)
        self._stack.push_async_callback(self._end)
        for number in range(len(self._ports)):
            await self._plug(number)
        await self.start_service()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _end(self) -> None:
        await self.kill_service()
        for number in range(len(self._ports)):
            await self._do("pull", number)

    async def _do(self, *command: object) -> str:
        """While the controllers' side, in this event loop, answers the kernel."""
        return await asyncio.to_thread(self.machine.do, *map(str, command))

    async def _plug(self, number: int) -> None:
        await self._do("plug", number, self._ports[number])

    def settings(self) -> list[dict[str, Any]]:
        # Whatever their numbers are: the kernel gives one away again only when nobody holds it any more.
        return [{"kind": "bleak"} for _ in self._ports]

    async def pull(self) -> None:
        await self._do("pull", 0)

    async def plug(self) -> None:
        await self._plug(0)

    async def set_deaf(self, deaf: bool) -> None:
        """Whether the controller keeps to itself what it hears."""
        await self._do("deaf" if deaf else "hearing", 0)

    async def block(self) -> None:
        """rfkill, by software."""
        await self._do("block")

    async def kill_service(self) -> None:
        """bluetoothd dies."""
        await self._do("kill")

    async def start_service(self) -> None:
        """bluetoothd starts; returns when it has its adapters."""
        await self._do("start", *self._options)
        async with asyncio.timeout(START_S), connected() as bluez:
            while True:
                with contextlib.suppress(BlueZError):
                    if sum(adapter.powered for adapter in await bluez.adapters()) == len(self._ports):
                        return
                await asyncio.sleep(0.1)

    def log(self) -> str:
        return self.machine.log()
