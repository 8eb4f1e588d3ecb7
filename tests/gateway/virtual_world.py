"""Tags in the air of a virtual link, which live by themselves, and HCI over TCP for whoever wants to hear them.

One tag of ours makes a new sample every two seconds and takes connections; a stranger is there too. Nothing else is
needed of a world by the tests of a radio, so the one that is really out there may take its place.
"""

import asyncio
import contextlib
from types import TracebackType

from bumble import hci
from bumble.controller import Controller
from bumble.device import Device
from bumble.gatt import Characteristic, Service
from bumble.hci import Address
from bumble.host import Host
from tags import Tag

from tagfleet.twin.radio import HciServer, Link

TAG_ADDRESS = "F0:00:00:00:00:01"
STRANGER_ADDRESS = "F0:00:00:00:00:02"
INFO = "b3a1a001-7a67-4c2e-9d1f-5f0c7a6e6d01"
INFO_VALUE = bytes(range(8))
SAMPLE_S = 2.0
INTERVAL_MS = 60.0  # a shorter one takes the whole of an emulated processor

_SERVICE = "b3a1a000-7a67-4c2e-9d1f-5f0c7a6e6d01"


class VirtualWorld:
    """`port` is where HCI is served, a controller for each connection."""

    def __init__(self) -> None:
        self.tag = Tag(7)
        self._link = Link()
        self._stack = contextlib.AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> "VirtualWorld":
        server = await self._stack.enter_async_context(HciServer(self._link, lambda address, adv_data: None))
        self.port = server.port
        info = Characteristic(INFO, Characteristic.Properties.READ, Characteristic.Permissions.READABLE, INFO_VALUE)
        tag = await self._device(TAG_ADDRESS, Service(_SERVICE, [info]))
        stranger = await self._device(STRANGER_ADDRESS)
        await _advertise(stranger, b"\x02\x01\x06\x03\x09Hi")
        living = asyncio.create_task(self._live(tag), name="tag")
        self._stack.callback(living.cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _device(self, address: str, *services: Service) -> Device:
        controller = Controller(address, link=self._link, public_address=Address(address))
        # With extended advertising, bumble's host tells a connection only after an event that ends a set of it.
        controller.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        device = Device(address=Address(address), host=Host(controller, controller))
        device.add_services(services)
        await device.power_on()
        return device

    async def _live(self, tag: Device) -> None:
        counter = 0
        while True:
            counter += 1
            if not tag.connections:
                await _advertise(tag, self.tag.advertisement(counter))
            await asyncio.sleep(SAMPLE_S)


async def _advertise(device: Device, adv_data: bytes) -> None:
    await device.stop_advertising()
    await device.start_advertising(
        advertising_data=adv_data,
        advertising_interval_min=INTERVAL_MS,
        advertising_interval_max=INTERVAL_MS,
        auto_restart=True,
    )
