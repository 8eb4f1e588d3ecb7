"""A central on the twins' link: bumble's own host over a controller as a gateway gets it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.link import LocalLink

from tagfleet.twin.radio import GatewayController
from tagwire import gatt_ids


class Link:
    """One connection: what was notified so far, and whether it has ended (the reason, an HCI error)."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.peer = Peer(connection)
        self.notified: list[bytes] = []
        self.arrived = asyncio.Event()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.on(connection.EVENT_DISCONNECTION, self.ended.set_result)

    async def discover(self, mtu: int | None = gatt_ids.MTU) -> None:
        """Agree on an MTU (None: keep 23) and look at what is there."""
        if mtu is not None:
            await self.peer.request_mtu(mtu)
        await self.peer.discover_services()
        for service in self.peer.services:
            await service.discover_characteristics()

    def characteristic(self, uuid: str) -> Any:
        (found,) = self.peer.get_characteristics_by_uuid(UUID(uuid))
        return found

    async def subscribe(self, uuid: str) -> None:
        await self.characteristic(uuid).subscribe(self._on_notification)

    def _on_notification(self, value: bytes) -> None:
        self.notified.append(bytes(value))
        self.arrived.set()

    async def next_notification(self) -> bytes:
        """The next one that was not returned before."""
        while not self.notified:
            self.arrived.clear()
            await self.arrived.wait()
        return self.notified.pop(0)

    async def write(self, uuid: str, value: bytes, response: bool = True) -> None:
        await self.characteristic(uuid).write_value(value, with_response=response)

    async def disconnect(self) -> None:
        if not self.ended.done():
            await self.connection.disconnect()


class Central:
    """A gateway's radio, switched on. number: makes its address."""

    def __init__(self, link: LocalLink, number: int = 1) -> None:
        address = Address(f"F0:F1:F2:F3:F4:{number:02X}")
        self.controller = GatewayController("central", link=link, public_address=f"F0:F0:F0:F0:F0:{number:02X}")
        self.device = Device(name="central", address=address, host=Host(self.controller, self.controller))

    async def connect(self, address: bytes, timeout_s: float = 20, public: bool = False) -> Link:
        """As soon as that address advertises connectable; `address` most significant byte first. public: under its own
        public address, as Linux does."""
        target = Address(address[::-1], Address.RANDOM_DEVICE_ADDRESS)
        own = OwnAddressType.PUBLIC if public else OwnAddressType.RANDOM
        return Link(await self.device.connect(target, own_address_type=own, timeout=timeout_s))


@contextlib.asynccontextmanager
async def central_on(link: LocalLink, number: int = 1) -> AsyncIterator[Central]:
    central = Central(link, number)
    await central.device.power_on()
    yield central
