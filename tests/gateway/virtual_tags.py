"""A virtual Bluetooth link: tags with a GATT server, and one controller for the gateway that serves HCI over TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from bumble.controller import Controller
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport
from tag_journal import TagSession

from tagfleet.twin.radio import GatewayController
from tagwire import gatt_ids

Properties = Characteristic.Properties
Permissions = Characteristic.Permissions


class VirtualAir:
    """Virtual tags, and one controller for the gateway."""

    def __init__(self) -> None:
        self._link = LocalLink()
        self._server: Any = None
        self.transport = ""

    async def open(self, port: int) -> None:
        self._server = await open_transport(f"tcp-server:127.0.0.1:{port}")
        GatewayController("gateway", host_source=self._server.source, host_sink=self._server.sink, link=self._link)
        self.transport = f"tcp-client:127.0.0.1:{port}"

    async def advertise(self, address: str, adv_data: bytes, *services: Service) -> Device:
        """One tag more. Connectable, because bumble's controller sends nothing else; again after each connection."""
        controller = Controller(address, link=self._link, public_address=Address(address))
        device = Device(address=Address(address), host=Host(controller, controller))
        device.add_services(services)
        await device.power_on()
        await device.start_advertising(
            advertising_data=adv_data, advertising_interval_min=20.0, advertising_interval_max=20.0, auto_restart=True
        )
        return device

    async def close(self) -> None:
        await self._server.close()


@contextlib.asynccontextmanager
async def virtual_air(port: int) -> AsyncIterator[VirtualAir]:
    """An air that is open inside."""
    air = VirtualAir()
    await air.open(port)
    try:
        yield air
    finally:
        await air.close()


def run_on_air(port: int, scenario: Any, timeout_s: float = 60.0) -> None:
    """`scenario(air)` to its end, in an event loop of its own."""

    async def main() -> None:
        async with asyncio.timeout(timeout_s), virtual_air(port) as air:
            await scenario(air)

    asyncio.run(main())


def writable(uuid: str, on_write: Callable[[Any, bytes], None]) -> Characteristic[bytes]:
    """A characteristic that hands on what is written to it, with or without response."""
    return Characteristic(
        uuid,
        Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE,
        Permissions.WRITEABLE,
        CharacteristicValue(write=on_write),
    )


class GattTag:
    """A tag's GATT service on a virtual device: the session that `start_session` makes, over control and data."""

    def __init__(self, start_session: Callable[[], TagSession]) -> None:
        self._start_session = start_session
        self._sessions: dict[Any, TagSession] = {}
        self._data: Characteristic[bytes] = Characteristic(gatt_ids.DATA, Properties.NOTIFY, Permissions.READABLE)
        self._queue: asyncio.Queue[tuple[Any, bytes]] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self.device: Device | None = None
        info = gatt_ids.encode_info(gatt_ids.Info(1, (0, 1, 0), 1))
        self.service = Service(
            gatt_ids.SERVICE,
            [
                Characteristic(gatt_ids.INFO, Properties.READ, Permissions.READABLE, info),
                writable(gatt_ids.CONTROL, self._on_write),
                self._data,
            ],
        )

    async def start(self, air: VirtualAir, address: str, adv_data: bytes) -> None:
        """Advertise, and answer whoever connects."""
        self.device = await air.advertise(address, adv_data, self.service)
        self._pump = asyncio.create_task(self._notify())

    def _on_write(self, connection: Any, frame: bytes) -> None:
        if connection not in self._sessions:
            self._sessions.clear()
            self._sessions[connection] = self._start_session()
        for answer in self._sessions[connection].write(bytes(frame)):
            self._queue.put_nowait((connection, answer))

    async def _notify(self) -> None:
        while True:
            connection, answer = await self._queue.get()
            assert self.device is not None
            with contextlib.suppress(Exception):  # the connection is over
                await self.device.notify_subscriber(connection, self._data, answer)
