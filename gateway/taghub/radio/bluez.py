"""BlueZ over D-Bus: which adapters there are, when that changes, and their power. What bleak does not tell.

Linux only: whoever is elsewhere does not import this.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from dbus_fast import BusType, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio.message_bus import MessageBus
from dbus_fast.auth import AuthExternal

from taghub.errors import RadioError
from taghub.radio.adapters import Adapter

SERVICE = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
MONITOR_MANAGER = "org.bluez.AdvertisementMonitorManager1"
CALL_TIMEOUT_S = 10.0  # a bluetoothd that hangs does not answer at all
BUS_CHECK_S = 2.0  # a connection that ends makes no signal

_BUS = "org.freedesktop.DBus"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_RULES = (
    f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{SERVICE}'",
    f"type='signal',interface='{_OBJECTS}',path='/'",
    f"type='signal',interface='{_PROPERTIES}',member='PropertiesChanged',path_namespace='/org/bluez',arg0='{ADAPTER}'",
)


class BlueZError(RadioError):
    """D-Bus or BlueZ has refused a call, or does not answer. `name`: D-Bus's name of the error, "" for none."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator["BlueZ"]:
    """A connection to the system bus. Raises BlueZError when there is none."""
    bus = MessageBus(bus_type=BusType.SYSTEM, auth=_authenticator())
    try:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await bus.connect()
        except Exception as error:  # of the system, of D-Bus, of its authentication
            why = getattr(error, "strerror", None) or error
            raise BlueZError(f"no Bluetooth service ({why}): install and start bluez and dbus") from None
        yield BlueZ(bus)
    finally:
        with contextlib.suppress(Exception):
            bus.disconnect()


class BlueZ:
    """Calls and news of one connection; made by `connected`."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    async def owner(self) -> str:
        """bluetoothd's unique name on the bus: another one after each start; "" while it does not run."""
        try:
            return str((await self._call(_BUS, "/org/freedesktop/DBus", _BUS, "GetNameOwner", "s", [SERVICE]))[0])
        except BlueZError as error:
            if error.name == f"{_BUS}.Error.NameHasNoOwner":
                return ""
            raise

    async def objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """All of BlueZ's objects, by path, interface and property."""
        reply: dict[str, dict[str, dict[str, Variant]]] = (
            await self._call(SERVICE, "/", _OBJECTS, "GetManagedObjects", "", [])
        )[0]
        return reply

    async def adapters(self) -> list[Adapter]:
        """Every adapter. Raises BlueZError when bluetoothd does not run."""
        return [
            Adapter(path.rpartition("/")[2], interfaces[ADAPTER]["Address"].value, interfaces[ADAPTER]["Powered"].value)
            for path, interfaces in (await self.objects()).items()
            if ADAPTER in interfaces
        ]

    async def set_powered(self, name: str, on: bool) -> None:
        """Raises BlueZError, whose name ends in "Blocked" when rfkill forbids it."""
        body = [ADAPTER, "Powered", Variant("b", on)]
        await self._call(SERVICE, f"/org/bluez/{name}", _PROPERTIES, "Set", "ssv", body)

    async def changes(self) -> AsyncIterator[None]:
        """Once at first, then each time that adapters or bluetoothd may have changed, for as long as the bus lives.

        Raises BlueZError when the bus ends.
        """
        changed = asyncio.Event()
        changed.set()

        def on_message(message: Message) -> None:
            if message.message_type == MessageType.SIGNAL and _concerns_adapters(message):
                changed.set()

        self._bus.add_message_handler(on_message)
        try:
            for rule in _RULES:
                await self._call(_BUS, "/org/freedesktop/DBus", _BUS, "AddMatch", "s", [rule])
            while True:
                if not changed.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(BUS_CHECK_S):
                            await changed.wait()
                if not self._bus.connected:
                    raise BlueZError("the system D-Bus has ended the connection")
                if changed.is_set():
                    changed.clear()
                    yield
        finally:
            self._bus.remove_message_handler(on_message)

    async def _call(
        self, destination: str, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> list[Any]:
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            flags=MessageFlag.NO_AUTOSTART,
        )
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise BlueZError(f"{member}: no answer from {destination}") from None
        except Exception as error:  # the bus is gone: an EOFError, an OSError
            raise BlueZError(f"{member}: {error}") from None
        if reply is None or reply.message_type == MessageType.ERROR:
            name = (reply.error_name or "") if reply is not None else ""
            detail = (str(reply.body[0]) if reply is not None and reply.body else "") or name
            raise BlueZError(f"{member}: {detail}", name)
        return list(reply.body)


def _concerns_adapters(message: Message) -> bool:
    """Devices come and go all the time; an adapter's own objects are few."""
    if message.member in ("InterfacesAdded", "InterfacesRemoved"):
        return ADAPTER in message.body[1]
    return message.member in ("NameOwnerChanged", "PropertiesChanged")


def _authenticator() -> AuthExternal | None:
    """As bleak does: a container may have another user id than the bus outside it."""
    try:
        return AuthExternal(uid=int(os.environ.get("BLEAK_DBUS_AUTH_UID", "")))
    except ValueError:
        return None
