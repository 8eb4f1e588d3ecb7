"""bleak's client over raw HCI: what bleak promises its users, on a virtual link; and bleak's interface for backends."""

import asyncio
import inspect
import subprocess
import sys
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bumble.att import ATT_Error
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Descriptor, Service
from tags import Tag
from tcp_proxy import TcpProxy
from virtual_tags import Permissions, Properties, VirtualAir, run_on_air, writable
from waiting import until

from taghub.radio.bumble_backend import BumbleScanner
from taghub.radio.bumble_client import BumbleClient

ADDRESS = "F0:00:00:00:00:01"
SERVICE = "b3a1a000-7a67-4c2e-9d1f-5f0c7a6e6d01"
INFO = "b3a1a001-7a67-4c2e-9d1f-5f0c7a6e6d01"
CONTROL = "b3a1a002-7a67-4c2e-9d1f-5f0c7a6e6d01"
DATA = "b3a1a003-7a67-4c2e-9d1f-5f0c7a6e6d01"
SECRET = "b3a1a0ff-7a67-4c2e-9d1f-5f0c7a6e6d01"
NOTE = "2901"
TAG = Tag(7)


class Server:
    """A device that answers each write with a notification of the same bytes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.device: Device | None = None
        self.data: Characteristic[bytes] = Characteristic(DATA, Properties.NOTIFY, Permissions.READABLE)

        def refuse(_connection: Any) -> bytes:
            raise ATT_Error(0x08)

        note = Descriptor(NOTE, Permissions.READABLE | Permissions.WRITEABLE, b"a note")
        self.service = Service(
            SERVICE,
            [
                Characteristic(INFO, Properties.READ, Permissions.READABLE, bytes(range(200)), [note]),
                writable(CONTROL, self._on_write),
                self.data,
                Characteristic(SECRET, Properties.READ, Permissions.READABLE, CharacteristicValue(read=refuse)),
            ],
        )

    def _on_write(self, connection: Any, value: bytes) -> None:
        self.written.append(bytes(value))
        assert self.device is not None
        self._answer = asyncio.ensure_future(self.device.notify_subscriber(connection, self.data, value))

    async def start(self, air: VirtualAir, adv_data: bytes = b"\x02\x01\x06") -> "Server":
        self.device = await air.advertise(ADDRESS, adv_data, self.service)
        return self

    async def hang_up(self) -> None:
        assert self.device is not None
        for connection in list(self.device.connections.values()):
            await connection.disconnect()


def client(air: VirtualAir, device: Any = ADDRESS, **options: Any) -> BleakClient:
    return BleakClient(device, backend=BumbleClient, transport=air.transport, **options)


def test_client_connects_discovers_reads_and_writes(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        server = await Server().start(air)
        async with client(air) as tag:
            assert (tag.is_connected, tag.mtu_size, tag.name) == (True, 247, "F0-00-00-00-00-01")
            assert tag.services.get_service(SERVICE) is not None
            control = tag.services.get_characteristic(CONTROL)
            assert control is not None
            assert set(control.properties) == {"write", "write-without-response"}
            assert control.max_write_without_response_size == 244
            assert await tag.read_gatt_char(INFO) == bytearray(range(200))
            info = tag.services.get_characteristic(INFO)
            assert info is not None
            (note,) = info.descriptors
            assert await tag.read_gatt_descriptor(note.handle) == b"a note"
            await tag.write_gatt_descriptor(note.handle, b"another")
            assert await tag.read_gatt_descriptor(note.handle) == b"another"
            await tag.write_gatt_char(CONTROL, b"asked", response=True)
            await tag.write_gatt_char(CONTROL, bytearray(244), response=False)
            await until(lambda: server.written == [b"asked", bytes(244)])
        assert not tag.is_connected

    run_on_air(free_port(), scenario)


def test_client_is_notified_until_it_stops_that(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        server = await Server().start(air)
        async with client(air) as tag:
            heard: list[bytes] = []
            await tag.start_notify(DATA, lambda _, value: heard.append(bytes(value)))
            await tag.write_gatt_char(CONTROL, b"one", response=True)
            await until(lambda: heard == [b"one"])
            with pytest.raises(BleakError, match="on already"):
                await tag.start_notify(DATA, lambda _, value: None)
            await tag.stop_notify(DATA)
            await tag.write_gatt_char(CONTROL, b"two", response=True)
            assert (server.written, heard) == ([b"one", b"two"], [b"one"])

    run_on_air(free_port(), scenario)


def test_callback_that_fails_does_not_end_the_connection(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await Server().start(air)
        async with client(air) as tag:
            calls: list[bytearray] = []

            def fail(_: Any, value: bytearray) -> None:
                calls.append(value)
                raise RuntimeError("of a user's callback")

            await tag.start_notify(DATA, fail)
            for _ in range(2):
                await tag.write_gatt_char(CONTROL, b"x", response=True)
            await until(lambda: len(calls) == 2)

    run_on_air(free_port(), scenario)


def test_one_controller_scans_and_connects_and_goes_on_scanning(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await Server().start(air, TAG.advertisement(1))
        await air.advertise("F0:00:00:00:00:02", TAG.advertisement(2))
        heard: set[str] = set()
        async with BleakScanner(
            lambda device, _: heard.add(device.address), backend=BumbleScanner, transport=air.transport
        ) as scanner:
            await until(lambda: len(heard) == 2)
            device = next(device for device in scanner.discovered_devices if device.address == ADDRESS)
            async with client(air, device) as tag:
                heard.clear()
                await until(lambda: "F0:00:00:00:00:02" in heard)
                assert await tag.read_gatt_char(INFO) == bytearray(range(200))
            await until(lambda: ADDRESS in heard)  # and it advertises again

    run_on_air(free_port(), scenario)


def test_two_clients_at_once(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await Server().start(air)
        other = Server()
        other.device = await air.advertise("F0:00:00:00:00:02", b"\x02\x01\x06", other.service)
        async with client(air) as first, client(air, "F0:00:00:00:00:02") as second:
            for tag in (first, second):
                assert await tag.read_gatt_char(INFO) == bytearray(range(200))

    run_on_air(free_port(), scenario)


def test_end_by_the_device_is_told_and_the_device_can_be_connected_again(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        server = await Server().start(air)
        ended: list[BleakClient] = []
        tag = client(air, disconnected_callback=ended.append)
        for rounds in (1, 2):
            await tag.connect()
            await server.hang_up()
            await until(lambda rounds=rounds: ended == [tag] * rounds)  # type: ignore[misc]
            assert not tag.is_connected
            with pytest.raises(BleakError, match=r"not connected|Service"):
                await tag.read_gatt_char(INFO)

    run_on_air(free_port(), scenario)


def test_errors_are_bleaks(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await Server().start(air)
        async with client(air) as tag:
            with pytest.raises(BleakGATTProtocolError) as refused:
                await tag.read_gatt_char(SECRET)
            assert refused.value.code == 0x08
            with pytest.raises(BleakCharacteristicNotFoundError):
                await tag.read_gatt_char("b3a1aaaa-7a67-4c2e-9d1f-5f0c7a6e6d01")
            with pytest.raises(BleakError, match="245 bytes do not fit"):
                await tag.write_gatt_char(CONTROL, bytes(245), response=False)
            with pytest.raises(BleakError, match="cannot notify"):
                await tag.start_notify(CONTROL, lambda _, value: None)
            with pytest.raises(BleakError, match="already connected"):
                await tag.connect()
            with pytest.raises(NotImplementedError):
                await tag.pair()

    run_on_air(free_port(), scenario)


def test_device_that_is_not_there_and_then_one_that_is(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        with pytest.raises((BleakDeviceNotFoundError, TimeoutError)):
            await client(air, "F0:00:00:00:00:09", timeout=0.2).connect()
        server = await Server().start(air)
        scanner = BleakScanner(backend=BumbleScanner, transport=air.transport)
        async with scanner:
            device = await anext(device async for device, _ in scanner.advertisement_data())
        assert server.device is not None
        await server.device.stop_advertising()
        with pytest.raises(TimeoutError):
            await client(air, device, timeout=0.3).connect()
        attempt = asyncio.ensure_future(client(air, device).connect())
        await asyncio.sleep(0.1)
        attempt.cancel()  # must not leave the controller waiting: it takes one connect at a time
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.device.start_advertising(advertising_interval_min=20.0, advertising_interval_max=20.0)
        async with client(air, device) as tag:
            assert tag.is_connected

    run_on_air(free_port(), scenario)


def test_controller_that_goes_away_ends_scan_and_connection(free_port: Any) -> None:
    port = free_port()

    async def scenario(air: VirtualAir) -> None:
        await Server().start(air)
        async with TcpProxy(port) as proxy:
            transport = f"tcp-client:127.0.0.1:{proxy.port}"
            lost: list[str] = []
            scanner = BleakScanner(backend=BumbleScanner, transport=transport, on_lost=lost.append)
            await scanner.start()
            ended = asyncio.Event()
            tag = BleakClient(ADDRESS, lambda _: ended.set(), backend=BumbleClient, transport=transport)
            await tag.connect()
            proxy.cut()
            await ended.wait()
            await until(lambda: len(lost) == 1)
            assert not tag.is_connected
            await tag.disconnect()
            await scanner.stop()

    run_on_air(port, scenario)


@pytest.mark.parametrize(("base", "ours"), [(BaseBleakClient, BumbleClient), (BaseBleakScanner, BumbleScanner)])
def test_backend_has_the_interface_of_the_pinned_bleak(base: type, ours: type) -> None:
    """bleak promises nothing to backends of others: what it would call must be there, by the names it uses."""
    assert not getattr(ours, "__abstractmethods__", None)
    for name in base.__abstractmethods__ | {"name"} & set(vars(base)):  # type: ignore[attr-defined]
        wanted, made = getattr(base, name), inspect.getattr_static(ours, name)
        assert isinstance(wanted, property) == isinstance(made, property), name
        if isinstance(wanted, property):
            continue
        assert inspect.iscoroutinefunction(wanted) == inspect.iscoroutinefunction(made), name
        parameters = [p for p in inspect.signature(made).parameters.values() if p.kind != p.VAR_KEYWORD]
        expected = [p for p in inspect.signature(wanted).parameters.values() if p.kind != p.VAR_KEYWORD]
        assert [(p.name, p.kind, p.default) for p in parameters] == [(p.name, p.kind, p.default) for p in expected]


def test_bumble_is_imported_only_where_it_is_used() -> None:
    program = "import sys, taghub.run, taghub.radio; sys.exit('bumble' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
