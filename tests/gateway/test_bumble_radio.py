"""bleak over raw HCI: a virtual tag, a virtual link, and a virtual controller behind TCP, as a USB one would be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bleak import BleakScanner
from bleak.exc import BleakError
from bumble.hci import Address
from hypothesis import given
from hypothesis import strategies as st
from tags import Tag
from tcp_proxy import TcpProxy
from virtual_tags import VirtualAir, run_on_air

from taghub.clock import SystemClock
from taghub.errors import RadioError
from taghub.heard import Heard
from taghub.radio import make_radio
from taghub.radio.base import COUNT_FOREIGN, COUNT_REPORTS
from taghub.radio.bumble_backend import SEEN_DEVICES_MAX, BumbleScanner, advertisement_data
from taghub.radio.link import LinkError
from taghub.radio.report_queue import ReportQueue
from taghub.settings import BumbleSettings

TAG = Tag(7)


def test_radio_hears_a_beacon_whole_and_again_and_again(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await air.advertise("F0:00:00:00:00:01", TAG.advertisement(1))
        await air.advertise("F0:00:00:00:00:02", b"\x02\x01\x06")
        settings = BumbleSettings(kind="bumble", transport=air.transport)
        radio = make_radio(settings, 0xFFFF, SystemClock())
        heard: list[Heard] = []
        async with radio.listen() as chunks:
            async for chunk in chunks:
                heard += chunk
                if len(heard) >= 5:
                    break
        assert {report.payload for report in heard} == {TAG.beacon(1)}
        assert heard[0].rssi_dbm == -50
        assert radio.counts[COUNT_REPORTS] >= 5
        assert radio.counts[COUNT_FOREIGN] >= 1

    run_on_air(free_port(), scenario)


def test_scanner_is_bleaks(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        await air.advertise(
            "F0:00:00:00:00:01", b"\x02\x01\x06\x05\x09tag1\x05\xff\x4c\x00ab\x03\x03\x0f\x18\x04\x16\x0f\x18d"
        )
        async with BleakScanner(backend=BumbleScanner, transport=air.transport) as scanner:
            device, advertisement = await anext(scanner.advertisement_data())
        assert (device.address, device.name) == ("F0:00:00:00:00:01", "tag1")
        assert advertisement.manufacturer_data == {0x4C: b"ab"}
        assert advertisement.service_uuids == ["0000180f-0000-1000-8000-00805f9b34fb"]
        assert advertisement.service_data == {"0000180f-0000-1000-8000-00805f9b34fb": b"d"}
        assert scanner.discovered_devices == [device]

    run_on_air(free_port(), scenario)


def test_controller_that_goes_away_ends_the_radio_and_it_can_be_opened_again(free_port: Any) -> None:
    port = free_port()

    async def scenario(air: VirtualAir) -> None:
        await air.advertise("F0:00:00:00:00:01", TAG.advertisement(1))
        async with TcpProxy(port) as proxy:
            transport = f"tcp-client:127.0.0.1:{proxy.port}"
            radio = make_radio(BumbleSettings(kind="bumble", transport=transport), 0xFFFF, SystemClock())

            async def listen(then: Callable[[], None]) -> None:
                async with radio.listen() as chunks:
                    async for _ in chunks:
                        then()

            with pytest.raises(RadioError, match=r"the controller at tcp-client:[0-9.:]+ is gone$"):
                await listen(proxy.cut)
            with pytest.raises(RadioError, match="the controller cannot be used"):
                await listen(proxy.cut)
            await proxy.join()
            with pytest.raises(RadioError, match=r"is gone$"):
                await listen(proxy.cut)

    run_on_air(port, scenario)


def test_device_that_connects_and_stalls_does_not_end_the_scan(free_port: Any) -> None:
    async def scenario(air: VirtualAir) -> None:
        stalling = await air.advertise("F0:00:00:00:00:01", TAG.advertisement(1))
        stalling.gatt_server.on_gatt_pdu = lambda bearer, pdu: None
        await air.advertise("F0:00:00:00:00:02", Tag(8).advertisement(1))
        radio = make_radio(BumbleSettings(kind="bumble", transport=air.transport), 0xFFFF, SystemClock())
        assert radio.connect is not None
        async with radio.listen() as chunks:
            heard: list[bytes] = []

            async def hear(address: bytes, reports: int) -> None:
                while heard.count(address) < reports:
                    heard.extend(report.address for report in await anext(chunks))

            await hear(b"F0:00:00:00:00:01", 1)
            with pytest.raises(LinkError, match="unreachable"):
                async with radio.connect(b"F0:00:00:00:00:01", 0.5):
                    pass
            heard.clear()
            await hear(b"F0:00:00:00:00:02", 20)

    run_on_air(free_port(), scenario)


@pytest.mark.parametrize("transport", ["tcp-client:127.0.0.1:{port}", "nonsense:1", "tcp-client:nonsense"])
def test_controller_that_is_not_there(free_port: Any, transport: str) -> None:
    async def scan() -> None:
        async with BleakScanner(backend=BumbleScanner, transport=transport.format(port=free_port())):
            pass

    with pytest.raises(BleakError, match="the controller cannot be used"):
        asyncio.run(scan())


def test_controller_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.radio.bumble_controller.OPEN_TIMEOUT_S", 0.2)

    async def scan() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with BleakScanner(backend=BumbleScanner, transport=f"tcp-client:127.0.0.1:{port}"):
            pass

    with pytest.raises(BleakError, match="no answer from the controller"):
        asyncio.run(scan())


class SomeTransportsError(Exception):
    """As usb1 and others raise: of no type that bumble or Python has."""


def test_error_of_a_type_that_only_a_transport_knows_ends_the_radio_and_not_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def open_nothing(name: str) -> None:
        raise SomeTransportsError("LIBUSB_ERROR_OTHER [-99]\nand more")

    monkeypatch.setattr("taghub.radio.bumble_controller.open_transport", open_nothing)
    radio = make_radio(BumbleSettings(kind="bumble", transport="usb:0"), 0xFFFF, SystemClock())

    async def listen() -> None:
        async with radio.listen():
            pass

    with pytest.raises(RadioError) as caught:
        asyncio.run(listen())
    assert str(caught.value) == "radio bumble usb:0: the controller cannot be used: LIBUSB_ERROR_OTHER [-99]"


@given(st.binary(max_size=31))
def test_any_advertisement_raises_nothing(data: bytes) -> None:
    advertisement_data(data, -60)


def test_devices_seen_are_bounded() -> None:
    scanner = BumbleScanner(None, None, "active", transport="usb:0")
    advertisement = advertisement_data(b"", -60)
    for i in range(SEEN_DEVICES_MAX + 10):
        scanner._seen(str(i), advertisement, Address("F0:00:00:00:00:01"))
    assert len(scanner.seen_devices) == SEEN_DEVICES_MAX


def test_queue_is_bounded_and_gives_what_it_has_before_it_fails() -> None:
    async def scenario() -> None:
        queue = ReportQueue(capacity=2)
        reports = [TAG.heard(counter) for counter in range(3)]
        assert [queue.put(report) for report in reports] == [True, True, False]
        queue.fail("gone")
        chunks = queue.chunks()
        assert await anext(chunks) == reports[:2]
        with pytest.raises(RadioError, match="gone"):
            await anext(chunks)

    asyncio.run(scenario())
