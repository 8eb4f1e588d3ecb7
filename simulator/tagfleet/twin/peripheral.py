"""A virtual chip's Bluetooth on bumble's link: its advertiser, and a GATT server that relays what a Nimble says."""

import asyncio
import random
import types
from collections.abc import Callable
from typing import Any

from bumble import att, hci
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.link import LocalLink

from tagfleet.twin.nimble import ADDRESS_OWN, ADDRESS_STATIC, MTU_DEFAULT, Antenna, Nimble, Services
from tagfleet.twin.radio import Advertiser

# Connection events are 30 ms apart, BlueZ's shortest default (conn_min_interval = 24 units of 1.25 ms), and carry four
# full packets, which is what phones and BlueZ's controllers commonly grant.
EVENT_INTERVAL_S = 0.03
PACKETS_PER_EVENT = 4
READABLE = Characteristic.Properties.READ
# What bumble's device wants to know of the advertiser that a connection came through; ours is at the controller.
_ADVERTISER = types.SimpleNamespace(own_address_type=hci.OwnAddressType.RANDOM, auto_restart=False)
WRITEABLE = Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE


class Peripheral(Antenna):
    """One twin's radio. `advertiser` sends its beacons; a GATT server exists while the tag has registered services.

    packets_per_event: how much a connection event carries, for tests.
    """

    def __init__(self, link: LocalLink, tag_id: int) -> None:
        self.nimble = Nimble(self)
        self.advertiser = Advertiser(link, tag_id)
        self.packets_per_event = PACKETS_PER_EVENT
        self._random = random.Random(tag_id)
        self._connectable = False
        self._device: Any = None
        self._ready: asyncio.Task[None] | None = None
        self._attributes: dict[int, Any] = {}
        self._connections: dict[int, Any] = {}
        self._next_event: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # held: a task that nobody holds may be collected

    def address(self) -> bytes:
        return self.advertiser.address

    def start_advertising(self, adv_data: bytes, interval_ms: float, connectable: bool) -> None:
        """Advertise from now on, in place of what was advertised before; connectable once the server runs."""
        self._connectable = connectable
        self.advertiser.start(adv_data, interval_ms, connectable and self._serves())

    def stop_advertising(self) -> None:
        """Be silent."""
        self._connectable = False
        self.advertiser.stop()

    def _serves(self) -> bool:
        return self._ready is not None and self._ready.done()

    def _on_ready(self, ready: "asyncio.Task[None]") -> None:
        if ready is self._ready and self._connectable:
            self.advertiser.allow_connections()

    def serve(self, services: Services, name: bytes, mtu: int) -> list[list[int]]:
        """A new GATT server in place of the one before, as the chip's registration makes it."""
        controller = self.advertiser.controller
        self._device = Device(
            name=name.decode(errors="replace"), address=controller.random_address, host=Host(controller, controller)
        )
        self._device.gatt_server.max_mtu = max(mtu, MTU_DEFAULT)
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._device.legacy_advertiser = _ADVERTISER
        self._attributes = {}
        handles = []
        for uuid, characteristics in services:
            made = [self._characteristic(one, flags) for one, flags in characteristics]
            self._device.gatt_server.add_service(Service(uuid, made))
            handles.append([one.handle for one in made])
            self._attributes.update((one.handle, one) for one in made)
        self._ready = asyncio.get_running_loop().create_task(self._device.power_on(), name="virtual radio starts")
        self._ready.add_done_callback(self._on_ready)
        return handles

    def _characteristic(self, uuid: str, flags: int) -> Any:
        properties = Characteristic.Properties(flags & 0xFF)  # NimBLE's flags are the specification's bits
        permissions = (Characteristic.READABLE if properties & READABLE else 0) | (
            Characteristic.WRITEABLE if properties & WRITEABLE else 0
        )
        characteristic: Any = None

        async def read(connection: Any) -> bytes:
            if not properties & READABLE:
                raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self.nimble.read(connection.handle, characteristic.handle, _setter(answer))
            if status := await answer:
                raise att.ATT_Error(status)
            return self.nimble.value(characteristic.handle)

        async def write(connection: Any, value: bytes) -> None:
            if not properties & WRITEABLE:
                raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)
            taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            setter = _setter(taken)
            self.nimble.written(connection.handle, characteristic.handle, bytes(value), lambda: setter(0))
            await taken

        characteristic = Characteristic(
            uuid, properties, Characteristic.Permissions(permissions), CharacteristicValue(read=read, write=write)
        )
        return characteristic

    def set_address_mode(self, mode: int) -> None:
        if mode == ADDRESS_OWN:
            self.advertiser.set_address(self.advertiser.own_address)
            return
        octets = bytearray(self._random.randbytes(6))
        # Vol 6, Part B, 1.3.2: the two top bits are 11 for a static address, 00 for one that nothing resolves.
        octets[0] = octets[0] & 0x3F | (0xC0 if mode == ADDRESS_STATIC else 0)
        self.advertiser.set_address(bytes(octets))

    def send(self) -> None:
        if self._next_event is None:
            self._next_event = asyncio.get_running_loop().call_later(EVENT_INTERVAL_S, self._connection_event)

    def _connection_event(self) -> None:
        self._next_event = None
        for _ in range(self.packets_per_event):
            sending = self.nimble.sent()
            if sending is None:
                return
            connection = self._connections.get(sending.connection)
            attribute = self._attributes.get(sending.handle)
            if connection is None or attribute is None:
                continue
            server = self._device.gatt_server
            # The chip sends whether or not the peer has subscribed; so does `force`.
            if sending.indication:
                self._spawn(self._indicate(server, connection, attribute, sending.value))
            else:
                self._spawn(server.notify_subscriber(connection, attribute, sending.value, force=True))
        self.send()

    async def _indicate(self, server: Any, connection: Any, attribute: Any, value: bytes) -> None:
        status = 0
        try:
            await server.indicate_subscriber(connection, attribute, value, force=True)
        except TimeoutError:
            status = 13  # BLE_HS_ETIMEOUT
        self.nimble.indicated(connection.handle, attribute.handle, status)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def disconnect(self, connection: int) -> None:
        self._end(self._connections[connection], hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    def vanish(self) -> None:
        for connection in self._connections.values():
            self._end(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        self._connections = {}
        self._device = self._ready = None

    def _end(self, connection: Any, reason: int) -> None:
        self.advertiser.controller.on_packet(
            bytes(hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=reason))
        )

    def _on_connection(self, connection: Any) -> None:
        self._connections[connection.handle] = connection
        self._device.legacy_advertiser = _ADVERTISER  # bumble has forgotten it with the connection
        peer = connection.peer_address
        address = bytes(peer)[::-1]
        connection.on(
            connection.EVENT_CONNECTION_ATT_MTU_UPDATE,
            lambda: self.nimble.mtu_exchanged(connection.handle, connection.att_mtu),
        )
        connection.on(connection.EVENT_DISCONNECTION, lambda _: self._on_disconnection(connection, address))
        self.nimble.connected(connection.handle, peer.address_type & 1, address)

    def _on_disconnection(self, connection: Any, address: bytes) -> None:
        if self._connections.pop(connection.handle, None) is not None:
            self.nimble.disconnected(connection.handle, connection.peer_address.address_type & 1, address)


def _setter(future: "asyncio.Future[int]") -> Callable[[int], None]:
    """Sets a future that may have been cancelled, as by a disconnection."""

    def set_result(result: int) -> None:
        if not future.done():
            future.set_result(result)

    return set_result
