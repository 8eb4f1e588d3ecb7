"""A client backend for bleak over raw HCI: connects through a USB or serial controller without BlueZ, or a virtual one.

BleakClient(device, backend=BumbleClient, transport="usb:0")
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble.att import ATT_Error
from bumble.core import UUID
from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR
from bumble.hci import Address

from taghub.radio import bumble_controller
from taghub.radio.base import one_line
from taghub.radio.bumble_controller import BumbleController

MTU = 247  # asked for; what one link-layer packet of 251 bytes holds
DISCONNECT_TIMEOUT_S = 5.0

_logger = logging.getLogger(__name__)


class BumbleClient(BaseBleakClient):
    """bleak's client interface on a bumble transport. A BumbleScanner on the same transport shares the controller.

    Further keyword argument of BleakClient: `transport`, bumble's name of a controller. What a BLEDevice of a
    BumbleScanner is given for is connected to at once; an address alone is looked for first, up to `timeout`.

    The callback for disconnects is called for every end of a connection, as BlueZ's backend does. Pairing is not
    supported. Raises BleakError and TimeoutError.
    """

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        transport: str,
        services: set[str] | None = None,
        **_other_platforms: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._name = None if device is None else device.name
        self._peer = device.details if device is not None and isinstance(device.details, Address) else None
        self._transport = transport
        self._wanted = [UUID(uuid) for uuid in services or ()]
        self._controller: BumbleController | None = None
        self._connection: Any = None
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return int(self._connected().gatt_client.mtu)

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        if self.is_connected:
            raise BleakError("already connected")
        if pair:
            _logger.warning("pairing is not supported over bumble; connecting without")
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect()
        except BaseException as error:
            await self._end()
            if isinstance(error, (BleakError, TimeoutError)) or not isinstance(error, Exception):
                raise
            raise BleakError(f"{self.address} cannot be connected to: {one_line(error)}") from None

    async def _connect(self) -> None:
        self._controller = await bumble_controller.acquire(self._transport)
        self._controller.on_lost(self._on_controller_lost)
        address = self._peer or await self._controller.find(self.address, self._timeout)
        if address is None:
            raise BleakDeviceNotFoundError(self.address, f"no device with the address {self.address} was heard")
        connection = await self._controller.connect(address, self._timeout)
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnected)
        self._connection = connection
        with _translated():
            await connection.gatt_client.request_mtu(MTU)
            self.services = await self._discovered()
        if self._connection is None:
            raise BleakError(f"{self.address} has disconnected")

    async def disconnect(self) -> None:
        await self._end()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("pairing is not supported over bumble")

    async def unpair(self) -> None:
        raise NotImplementedError("pairing is not supported over bumble")

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return await self._read(characteristic)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return await self._read(descriptor)

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        if not response and len(data) > self.mtu_size - 3:
            raise BleakError(f"{len(data)} bytes do not fit a write without response at an MTU of {self.mtu_size}")
        await self._write(characteristic, data, response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._write(descriptor, data, response=True)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        client = self._connected().gatt_client
        if characteristic.handle in self._subscribers:
            raise BleakError(f"notifications of {characteristic} are on already")
        if characteristic.obj.get_descriptor(GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR) is None:
            raise BleakError(f"{characteristic} cannot notify")

        def subscriber(value: bytes) -> None:
            try:
                callback(bytearray(value))
            except Exception:  # it would end the reading of the transport
                _logger.exception("a callback for notifications has failed")

        self._subscribers[characteristic.handle] = subscriber
        with _translated():
            await client.subscribe(characteristic.obj, subscriber)

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        client = self._connected().gatt_client
        subscriber = self._subscribers.pop(characteristic.handle, None)
        if subscriber is not None:
            with _translated():
                await client.unsubscribe(characteristic.obj, subscriber)

    async def _read(self, attribute: BleakGATTCharacteristic | BleakGATTDescriptor) -> bytearray:
        client = self._connected().gatt_client
        with _translated():
            return bytearray(await client.read_value(attribute.obj.handle))

    async def _write(
        self, attribute: BleakGATTCharacteristic | BleakGATTDescriptor, data: SizedBuffer, response: bool
    ) -> None:
        client = self._connected().gatt_client
        with _translated():
            await client.write_value(attribute.obj.handle, bytes(data), with_response=response)

    def _connected(self) -> Any:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    async def _discovered(self) -> BleakGATTServiceCollection:
        client = self._connected().gatt_client
        found = BleakGATTServiceCollection()

        def largest() -> int:
            return self.mtu_size - 3

        for service in await client.discover_services(self._wanted):
            made = BleakGATTService(service, service.handle, _text(service.uuid))
            found.add_service(made)
            for value in await client.discover_characteristics((), service):
                properties = sorted(gatt_char_props_to_strs(int(value.properties)))
                characteristic = BleakGATTCharacteristic(
                    value, value.handle, _text(value.uuid), properties, largest, made
                )
                found.add_characteristic(characteristic)
                for descriptor in await client.discover_descriptors(value):
                    found.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, _text(descriptor.type), characteristic)
                    )
        return found

    async def _end(self) -> None:
        """Disconnect, and give the controller back. Never raises."""
        connection, controller = self._connection, self._controller
        self._controller = None
        if controller is None:
            return
        controller.forget(self._on_controller_lost)
        try:
            if connection is not None and not controller.gone:
                async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                    await connection.disconnect()
        except Exception as error:  # the supervision timeout ends it
            _logger.debug("%s cannot be disconnected: %s", self.address, one_line(error))
        finally:
            self._over()
            await bumble_controller.release(controller)

    def _on_disconnected(self, _reason: Any) -> None:
        self._over()
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.forget(self._on_controller_lost)
            task = asyncio.ensure_future(bumble_controller.release(controller))
            _releases.add(task)
            task.add_done_callback(_releases.discard)

    def _on_controller_lost(self, _reason: str) -> None:
        self._on_disconnected(None)

    def _over(self) -> None:
        connection, self._connection = self._connection, None
        self.services = None
        self._subscribers.clear()
        if connection is not None and self._disconnected_callback is not None:
            self._disconnected_callback()


_releases: set[asyncio.Future[None]] = set()


@contextmanager
def _translated() -> Iterator[None]:
    """bumble's errors as bleak's."""
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(int(error.error_code)) from None
    except (BleakError, TimeoutError):
        raise
    except Exception as error:  # bumble's own, and what a device's garbage leads it to
        raise BleakError(one_line(error)) from None


def _text(uuid: UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))
