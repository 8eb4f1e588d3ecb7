"""The virtual chip's `bluetooth` is MicroPython's on an ESP32: programs under the real interpreter, and a central."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bumble.att import ATT_Error
from bumble.core import UUID
from bumble.core import TimeoutError as BumbleTimeout
from bumble.hci import HCI_ErrorCode
from central import Central, Link, central_on
from twin_bench import Bench, on_bench, twin_spec, until

from tagfleet.twin.image import IMAGE_BYTES
from tagsmith.image import make_image

SERVICE, CONTROL, DATA, INFO = "1800aaaa-0000-1000-8000-00805f9b34fb", "aaa1", "aaa2", "aaa3"
PREAMBLE = """
import time
from bluetooth import *
from machine import deepsleep
from errno import *

def failing(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except (OSError, ValueError, TypeError) as error:
        return error.args[0] if isinstance(error, OSError) else type(error).__name__

seen = []
def handler(event, data):
    seen.append((event, data))
    print("event", event, *[bytes(one) if isinstance(one, memoryview) else one for one in data])

def serve(handler=handler, mtu=247):
    ble.irq(handler)
    ble.active(True)
    ble.config(mtu=mtu)
    global control, data, info
    ((control, data, info),) = ble.gatts_register_services([
        (UUID("1800aaaa-0000-1000-8000-00805f9b34fb"), (
            (UUID(0xaaa1), FLAG_WRITE | FLAG_WRITE_NO_RESPONSE),
            (UUID(0xaaa2), FLAG_NOTIFY | FLAG_INDICATE),
            (UUID(0xaaa3), FLAG_READ),
        )),
    ])
    ble.gap_advertise(20000, b"\\x02\\x01\\x06", connectable=True)

def until(condition):
    while not condition():
        time.sleep_ms(10)

def events(code):
    return [data for event, data in seen if event == code]

ble = BLE()
"""


def program(text: str) -> bytes:
    """The flash of a board that runs this after the preamble."""
    return make_image({"boot.py": b"", "main.py": (PREAMBLE + text + "\ndeepsleep(1)\n").encode()}, IMAGE_BYTES)


def run(folder: Path, text: str, work: Callable[[Bench, Central], Awaitable[None]]) -> list[str]:
    """The console after the program has run to its end, beside `work`."""

    async def both(bench: Bench) -> None:
        async with central_on(bench.link) as central:
            wake = asyncio.create_task(bench.wake())
            working = asyncio.ensure_future(work(bench, central))
            ends: set[asyncio.Future[Any]] = {wake, working}
            await asyncio.wait(ends, return_when=asyncio.FIRST_EXCEPTION)
            await asyncio.gather(wake, working)

    return on_bench(folder, twin_spec()._replace(image=program(text)), both).console().splitlines()


async def nothing(_bench: Bench, _central: Central) -> None:
    pass


def test_settings_and_faults_are_those_of_the_chip(tmp_path: Path) -> None:
    console = run(
        tmp_path,
        """
print("off", failing(ble.gap_advertise, 20000), failing(ble.gatts_notify, 0, 1, b""), failing(ble.config, "mac"))
print("off", failing(ble.gatts_register_services, []), failing(ble.config, mtu=100), ble.active())
ble.active(True)
print("rxbuf", failing(ble.config, "rxbuf"), failing(ble.config, rxbuf=1000), failing(ble.config, "mac", "mtu"))
print("name", ble.config("gap_name"), ble.config("mtu"), failing(ble.config, mtu=9))
ble.config(gap_name="tag", mtu=247)
print("name", ble.config("gap_name"), ble.config("mtu"), failing(ble.config, gap_name="x" * 32))
kind, own = ble.config("mac")
ble.config(addr_mode=3)
private = ble.config("mac")[1]
ble.config(addr_mode=3)
print("mac", kind, own, private != own, private[0] >> 6, ble.config("mac")[1] != private)
print("advertise", failing(ble.gap_advertise, 20000, bytes(32)), failing(ble.irq, 7))
serve()
print("values", failing(ble.gatts_notify, 5, data, b"x") == ENOTCONN, ble.gap_disconnect(5), ble.gatts_read(info))
print("values", failing(ble.gatts_read, 999) == EINVAL, ble.gatts_write(info, bytes(30)), len(ble.gatts_read(info)))
print(UUID(0xAAA1) == UUID(0xAAA1), UUID(1) == UUID(2), failing(UUID, "1234"))
ble.active(False)
ble.active(True)
print("again", failing(ble.gatts_read, info) == EINVAL, ble.config("mtu"), ble.config("mac")[1] == own)
""",
        nothing,
    )
    assert console == [
        "off 19 19 19",
        "off 19 19 False",
        "rxbuf ValueError ValueError TypeError",
        "name b'MPY ESP32' 23 22",
        "name b'tag' 247 22",
        "mac 1 b'\\xc0\\x00\\x00\\x00\\x00\\x07' True 0 True",
        "advertise 22 ValueError",
        "values True False b''",
        "values True 30 30",
        "True False ValueError",
        "again True 23 True",
    ]


def test_central_connects_agrees_on_an_mtu_writes_reads_and_is_notified(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address)
        await link.discover()
        assert link.connection.att_mtu == 247
        await link.subscribe(DATA)
        assert await link.characteristic(INFO).read_value() == b"about"
        await link.write(CONTROL, b"one")
        await until(lambda: "value 3" in bench.twin.process.console)
        await link.write(CONTROL, bytes(range(200)), response=False)
        assert await link.next_notification() == bytes(range(244))
        await until(lambda: any(line.startswith("event 20 ") for line in bench.twin.process.console))
        for uuid, refused in ((CONTROL, link.characteristic(CONTROL).read_value()), (INFO, link.write(INFO, b"x"))):
            with pytest.raises(ATT_Error):
                await refused
            assert uuid
        await link.disconnect()

    console = run(
        tmp_path,
        """
serve()
ble.gatts_write(info, b"about")
ble.gatts_set_buffer(control, 244)
values = []
until(lambda: len(events(3)) == 1)
print("value", len(ble.gatts_read(control)))
until(lambda: len(events(3)) == 2)
print("value", len(ble.gatts_read(control)))
(connection, _, address) = events(1)[0]
ble.gatts_notify(connection, data, bytes(range(244)))
ble.gatts_indicate(connection, data, b"to be confirmed")
print("registering", failing(ble.gatts_register_services, []))
until(lambda: events(2))
print("address after the event", bytes(address))
""",
        work,
    )
    connection = console[0].split()[2]
    assert console[0].startswith("event 1 ")
    assert console[0].endswith(r"b'\xf0\xf1\xf2\xf3\xf4\x01'")
    assert f"event 21 {connection} 247" in console
    assert "value 200" in console
    assert "registering 16" in console
    assert any(line.startswith("event 4 ") for line in console)
    assert any(line.startswith("event 20 ") and line.endswith(" 0") for line in console)
    assert console[-1] == r"address after the event b'\xa5\xa5\xa5\xa5\xa5\xa5'"


def test_central_under_its_public_address_is_served_too(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address, public=True)
        await link.discover()
        await link.subscribe(DATA)
        await link.write(CONTROL, b"hello")
        assert await link.next_notification() == b"hello"
        await link.disconnect()

    console = run(
        tmp_path,
        """
serve()
until(lambda: events(3))
ble.gatts_notify(events(1)[0][0], data, ble.gatts_read(control))
until(lambda: events(2))
""",
        work,
    )
    assert console[0].endswith(r"b'\xf0\xf0\xf0\xf0\xf0\x01'")


def test_value_holds_twenty_bytes_unless_given_more_and_can_append(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address)
        await link.discover()
        await link.write(CONTROL, bytes(30))
        await until(lambda: "20" in bench.twin.process.console)
        await link.write(CONTROL, bytes(30))
        await until(lambda: "25" in bench.twin.process.console)
        await link.write(CONTROL, bytes(5))
        await link.write(CONTROL, bytes(5))
        await link.disconnect()

    console = run(
        tmp_path,
        """
serve()
until(lambda: len(events(3)) == 1)
size = len(ble.gatts_read(control))
ble.gatts_set_buffer(control, 25)
print(size)
until(lambda: len(events(3)) == 2)
size = len(ble.gatts_read(control))
ble.gatts_set_buffer(control, 25, True)
print(size)
until(lambda: len(events(3)) == 4)
print(len(ble.gatts_read(control)), len(ble.gatts_read(control)))
until(lambda: events(2))
""",
        work,
    )
    assert [line for line in console if line[0].isdigit()] == ["20", "25", "10 0"]


def test_handler_that_raises_is_never_called_again_and_the_link_stays_up(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address)
        await link.discover()
        await link.write(CONTROL, b"good")
        await link.write(CONTROL, b"bad")
        await link.write(CONTROL, b"unheard")
        await link.disconnect()

    console = run(
        tmp_path,
        """
def fragile(event, data):
    print("called", event)
    if event == 3 and ble.gatts_read(control) == b"bad":
        raise KeyError("bad")
serve(fragile)
until(lambda: ble.gatts_read(control) == b"unheard")
""",
        work,
    )
    assert console.count("called 3") == 2
    assert "Unhandled exception in IRQ callback handler" in console
    assert "KeyError: bad" in console
    assert "called 2" not in console


def test_notifications_run_out_of_buffers_and_none_is_lost(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address)
        await link.discover()
        await link.subscribe(DATA)
        await link.write(CONTROL, b"go")
        received = [await link.next_notification() for _ in range(40)]
        assert received == [bytes([i]) for i in range(40)]
        bench.twin.board.radio.refuse_notifications = 3
        await link.write(CONTROL, b"go")
        assert await link.next_notification() == b"after"
        await link.disconnect()

    console = run(
        tmp_path,
        """
serve()
until(lambda: len(events(3)) == 1)
connection = events(1)[0][0]
sent = refused = 0
while sent < 40:
    if failing(ble.gatts_notify, connection, data, bytes([sent])) is None:
        sent += 1
    else:
        if not refused:
            print("before the first refusal", sent)
        refused += 1
        time.sleep_ms(5)
until(lambda: len(events(3)) == 2)
refused = 0
while failing(ble.gatts_notify, connection, data, b"after") == ENOMEM:
    refused += 1
print("refused", refused)
until(lambda: events(2))
""",
        work,
    )
    assert "before the first refusal 12" in console
    assert "refused 3" in console


def test_read_waits_for_the_handler_which_can_deny_it(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        link = await central.connect(bench.twin.address)
        await link.discover()
        with pytest.raises(ATT_Error) as caught:
            await link.characteristic(INFO).read_value()
        assert caught.value.error_code == 2
        assert await link.characteristic(INFO).read_value() == b"made when asked"
        await link.disconnect()

    run(
        tmp_path,
        """
def strict(event, data):
    seen.append((event, data))
    if event == 4:
        if len(events(4)) == 1:
            return 2
        ble.gatts_write(info, b"made when asked")
serve(strict)
until(lambda: events(2))
""",
        work,
    )


def test_tag_can_end_a_connection_and_a_power_cut_ends_it_too(tmp_path: Path) -> None:
    reasons: list[int] = []

    async def work(bench: Bench, central: Central) -> None:
        for _ in range(2):
            link = await central.connect(bench.twin.address)
            await link.discover()
            await link.write(CONTROL, b"now")
            reasons.append(await link.ended)

    run(
        tmp_path,
        """
serve()
until(lambda: events(3))
print(ble.gap_disconnect(events(1)[0][0]))
until(lambda: events(2))
seen.clear()
ble.gap_advertise(20000)
until(lambda: events(3))
""",
        work,
    )
    assert reasons == [
        HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
        HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR,
    ]


def test_nobody_connects_to_a_tag_that_only_advertises_and_a_later_attempt_succeeds(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def work(bench: Bench, central: Central) -> None:
        central.device.on("advertisement", heard.append)
        await central.device.start_scanning()
        await until(lambda: bool(heard))
        with pytest.raises(BumbleTimeout):
            await central.connect(bench.twin.address, timeout_s=0.3)
        link = await central.connect(bench.twin.address)
        await link.disconnect()

    console = run(
        tmp_path,
        """
serve()
ble.gap_advertise(20000, b"\\x02\\x01\\x06", connectable=False)
time.sleep_ms(700)
print("connected so far", len(events(1)))
ble.gap_advertise(20000, b"\\x02\\x01\\x06", connectable=True)
until(lambda: events(2))
""",
        work,
    )
    assert "connected so far 0" in console


def test_connection_that_found_nobody_any_more_is_reported_as_failed(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        peripheral = bench.twin._peripheral
        await until(lambda: peripheral.advertiser.controller.le_legacy_advertiser.enabled)
        controller = peripheral.advertiser.controller
        controller.on_le_connect_ind = lambda packet: None  # type: ignore[method-assign]  # its radio is just off
        link: Link = await central.connect(bench.twin.address)
        assert await link.ended == HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR

    run(tmp_path, "serve()\ntime.sleep_ms(800)", work)


def test_private_address_is_the_one_on_the_air(tmp_path: Path) -> None:
    async def work(bench: Bench, central: Central) -> None:
        own = bench.twin.address
        await until(lambda: bench.twin.address != own)
        link = await central.connect(bench.twin.address)
        await link.discover()
        assert len(link.peer.get_services_by_uuid(UUID(SERVICE))) == 1
        await link.disconnect()

    run(
        tmp_path,
        """
ble.active(True)
ble.config(addr_mode=3)
ble.active(True)
serve()
until(lambda: events(2))
""",
        work,
    )
