"""A bluetoothd of our own on a private D-Bus: what it says on the bus is real, and it fails in every way asked for."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio.message_bus import MessageBus

ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
MONITORS = "org.bluez.AdvertisementMonitorManager1"
_CONFIGURATION = """<busconfig><type>session</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>"""


@contextlib.contextmanager
def system_bus(dbus_daemon: str, folder: Path) -> Iterator[str]:
    """A private system bus; its address."""
    (folder / "bus.conf").write_text(_CONFIGURATION.format(folder=folder))
    command = [dbus_daemon, f"--config-file={folder}/bus.conf", "--nofork", "--print-address"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class FakeBluez:
    """One bluetoothd; `running` starts and ends it. Adapters are powered; devices advertise by `advertise`."""

    def __init__(self) -> None:
        self.adapters: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        """Of each call: its member, with the adapter's name before it."""
        self.refuse_start = 0
        """So many calls of StartDiscovery answer InProgress."""
        self.blocked = False
        """Whether rfkill forbids to switch adapters on."""
        self.busy = 0
        """So many calls that switch an adapter on answer Busy, as while bluetoothd does so itself."""
        self.experimental = True
        """Whether there are advertisement monitors."""
        self.deaf_monitors = False
        """Whether monitors are accepted and never report, as when the kernel has refused them."""
        self.hangs = False
        """Whether calls get no answer at all."""
        self._scanning: dict[str, str] = {}
        self._bus: MessageBus | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._on_message)
        self._scanning.clear()
        await self._bus.request_name("org.bluez")
        for name in self.adapters:
            self._emit_added(f"/org/bluez/{name}", {ADAPTER: self.adapters[name]})

    async def stop(self) -> None:
        """As kill -9 does: the name falls from the bus, and nothing else is said."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()
            with contextlib.suppress(Exception):
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def plug(self, name: str, address: str) -> None:
        properties = {
            "Address": Variant("s", address),
            "Powered": Variant("b", True),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
        self.adapters[name] = properties
        self._emit_added(f"/org/bluez/{name}", {ADAPTER: properties})

    def pull(self, name: str) -> None:
        del self.adapters[name]
        self._scanning.pop(name, None)
        body = [f"/org/bluez/{name}", [ADAPTER]]
        self._emit("/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas", body)

    def set_powered(self, name: str, on: bool) -> None:
        self.adapters[name]["Powered"] = Variant("b", on)
        if not on:
            self._scanning.pop(name, None)
        self._changed(f"/org/bluez/{name}", ADAPTER, {"Powered": Variant("b", on)})

    def stop_scanning(self, name: str) -> None:
        """As some controllers do after days: nobody is told."""
        self._scanning.pop(name, None)

    def scanning(self, name: str) -> str:
        """How this adapter scans: "active", "passive", or "" for not at all."""
        return self._scanning.get(name, "")

    def advertise(self, name: str, address: str, manufacturer_data: dict[int, bytes]) -> None:
        """A device is on the air for a moment, and heard by an adapter that scans."""
        mode = self._scanning.get(name)
        if mode is None or (mode == "passive" and self.deaf_monitors):
            return
        path = f"/org/bluez/{name}/dev_{address.replace(':', '_')}"
        data = {key: Variant("ay", value) for key, value in manufacturer_data.items()}
        properties = {
            "Adapter": Variant("o", f"/org/bluez/{name}"),
            "Address": Variant("s", address),
            "Alias": Variant("s", address.replace(":", "-")),
            "RSSI": Variant("n", -60),
            "ManufacturerData": Variant("a{qv}", data),
        }
        self._emit_added(path, {DEVICE: properties})

    def _on_message(self, message: Message) -> Message | bool:
        if message.message_type != MessageType.METHOD_CALL or message.interface == "org.freedesktop.DBus.Peer":
            return False
        if self.hangs:
            return True
        name = (message.path or "").rpartition("/")[2]
        if message.member == "GetManagedObjects":
            objects = {f"/org/bluez/{name}": {ADAPTER: properties} for name, properties in self.adapters.items()}
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])
        self.calls.append(f"{name} {message.member}")
        assert message.member is not None
        if name not in self.adapters:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", f"no {name}")
        return getattr(self, f"_on_{message.member.lower()}", self._on_anything)(message, name)

    def _on_anything(self, message: Message, name: str) -> Message:
        return Message.new_method_return(message)

    def _on_startdiscovery(self, message: Message, name: str) -> Message:
        if self.refuse_start > 0:
            self.refuse_start -= 1
            return Message.new_error(message, "org.bluez.Error.InProgress", "Operation already in progress")
        if not self.adapters[name]["Powered"].value:
            return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
        self._scanning[name] = "active"
        return Message.new_method_return(message)

    def _on_stopdiscovery(self, message: Message, name: str) -> Message:
        if self._scanning.pop(name, None) is None:
            return Message.new_error(message, "org.bluez.Error.Failed", "No discovery started")
        return Message.new_method_return(message)

    def _on_registermonitor(self, message: Message, name: str) -> Message:
        if not self.experimental:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "no such method")
        self._scanning[name] = "passive"
        return Message.new_method_return(message)

    def _on_unregistermonitor(self, message: Message, name: str) -> Message:
        self._scanning.pop(name, None)
        return Message.new_method_return(message)

    def _on_set(self, message: Message, name: str) -> Message:
        on = message.body[2].value
        if on and self.blocked:
            return Message.new_error(message, "org.bluez.Error.Blocked", "Blocked through rfkill")
        if on and self.busy > 0:
            self.busy -= 1
            return Message.new_error(message, "org.bluez.Error.Busy", "")
        asyncio.get_running_loop().call_soon(self.set_powered, name, on)
        return Message.new_method_return(message)

    def _emit_added(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        body = [path, interfaces]
        self._emit("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "oa{sa{sv}}", body)

    def _changed(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        body = [interface, properties, []]
        self._emit(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", body)

    def _emit(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None:
            signal = Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
            self._bus.send(signal)
