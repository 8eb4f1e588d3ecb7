"""A tag's sessions with hubs: firmware and journal under the real interpreter, a hub at the other end of the link."""

from pathlib import Path

import pytest
from bumble.att import ATT_Error
from window_bench import WINDOW, Bench, Hub, counters, hub_near, in_window, replies, until, until_next_wake

from tagwire import gatt_ids
from tagwire import messages as m
from tagwire.hubend import Established, Event, HubEnd, Log

LED = 2  # of the esp32-devkit board


def test_hubs_come_in_turn_and_each_gets_what_it_asks_for(tmp_path: Path) -> None:
    events: dict[str, list[Event]] = {}

    async def work(bench: Bench, hub: Hub) -> None:
        events["first"] = await hub.visit(bench, [(0, 9), (18, 40)], lambda end: end.settle([(0, 9), (12, 12)]))
        async with hub_near(bench, 2, hub_id=99) as other:
            events["second"] = await other.visit(bench, [(0, 40)])
        await until_next_wake(bench)
        events["later"] = await hub.visit(bench)

    bench = in_window(tmp_path, work, {**WINDOW, "window_s": 4})
    assert events["first"][0] == Established(newest=19, unsettled=20)
    assert counters(events["first"]) == [*range(10), 18, 19]
    assert events["second"][0] == events["later"][0] == Established(newest=19, unsettled=9)
    assert counters(events["second"]) == list(range(20))
    assert "window: 2 sessions, refused {}" in bench.console()  # it opened anew behind the first one


@pytest.mark.parametrize("mtu", [67, 100, 247, 517])
def test_frames_fit_the_mtu_that_was_agreed_on(tmp_path: Path, mtu: int) -> None:
    got: list[int] = []
    longest = 0

    async def work(bench: Bench, hub: Hub) -> None:
        nonlocal longest
        link = await hub.connect(bench, mtu)
        frames: list[bytes] = []
        await link.characteristic(gatt_ids.DATA).subscribe(frames.append)
        got.extend(counters(await hub.talk(link, [(0, 500)])))
        longest = max(map(len, frames))
        await link.disconnect()

    in_window(tmp_path, work, samples=300)
    assert got == list(range(300))
    assert longest <= min(mtu, 247) - 3
    assert longest > min(mtu, 247) - 40  # and are used


def test_without_room_for_a_session_the_tag_ends_the_connection(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        for mtu in (None, 66):
            link = await hub.connect(bench, mtu)
            await link.write(gatt_ids.CONTROL, hub.handshake().hello)
            await link.ended
        assert counters(await hub.visit(bench, [(0, 3)])) == [0, 1, 2, 3]
        await until_next_wake(bench)

    assert "refused {'length': 2}" in in_window(tmp_path, work).console()


def test_link_that_breaks_after_any_frame_costs_nothing(tmp_path: Path) -> None:
    received: list[int] = []

    async def work(bench: Bench, hub: Hub) -> None:
        wanted = [(0, 119)]
        for frames in (0, 1, 2, 3, 5, 8, 1000):
            link = await hub.connect(bench, 97)
            end = HubEnd(hub.handshake(), wanted, 94)
            end.settle([(0, 3)])
            for _ in range(frames):
                while (frame := end.next_frame()) is not None:
                    await link.write(gatt_ids.CONTROL, frame)
                if not end.missing:
                    break
                received.extend(counters(end.receive(await hub.next_frame(link))))
            wanted = end.missing
            await link.disconnect()
        assert wanted == []

    in_window(tmp_path, work, samples=120)
    assert sorted(received) == list(range(120))


def test_notifications_that_find_no_buffer_are_sent_later_as_the_same_frames(tmp_path: Path) -> None:
    got: list[int] = []

    async def work(bench: Bench, hub: Hub) -> None:
        radio = bench.twin.board.radio
        radio.refuse_notifications = 30
        got.extend(counters(await hub.visit(bench, [(0, 199)])))
        assert radio.refuse_notifications == 0
        radio.send_buffers = 1
        got.extend(counters(await hub.visit(bench, [(200, 399)])))

    in_window(tmp_path, work, samples=400)
    assert got == list(range(400))


def test_handler_that_fails_costs_one_event_and_the_tag_still_hears(tmp_path: Path) -> None:
    """The handler runs out of memory with every third event."""
    broken = """
import tag.gatt
works = tag.gatt.BLE.gatts_read
calls = [0]
def fails(self, handle):
    calls[0] += 1
    if calls[0] % 3 == 1:
        raise MemoryError
    return works(self, handle)
tag.gatt.BLE.gatts_read = fails
"""

    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        await link.write(gatt_ids.CONTROL, hub.handshake().hello)  # lost
        assert counters(await hub.talk(link, [(0, 4)])) == [0, 1, 2, 3, 4]
        await link.disconnect()

    assert "Unhandled" not in in_window(tmp_path, work, before=broken).console()


def test_log_is_read_in_a_session(tmp_path: Path) -> None:
    write = """
from tag.log import log
for i in range(100):
    log("entry %d, with some text that tells what went wrong" % i)
"""
    logs: list[bytes] = []

    async def work(bench: Bench, hub: Hub) -> None:
        events = await hub.visit(bench, [], HubEnd.read_log)
        logs.extend(event.text for event in events if isinstance(event, Log))

    in_window(tmp_path, work, before=write)
    lines = logs[0].decode().splitlines()
    assert lines[-1].startswith("entry 99,")
    assert 10 < len(lines) < 50
    assert [int(line.split()[1][:-1]) for line in lines] == list(range(100 - len(lines), 100))


def test_identify_blinks_for_as_long_as_asked_also_after_the_hub_has_left(tmp_path: Path) -> None:
    statuses: list[tuple[int, int]] = []

    async def work(bench: Bench, hub: Hub) -> None:
        statuses.extend(replies(await hub.visit(bench, [], lambda end: end.identify(61), lambda end: end.identify(2))))
        await until_next_wake(bench)

    bench = in_window(tmp_path, work)
    assert statuses == [(m.IDENTIFY, m.STATUS_LIMITED), (m.IDENTIFY, m.STATUS_OK)]
    assert 4 <= bench.twin.board.buses.pin_changes[LED] <= 10  # two flashes a second for two seconds


def test_info_says_which_firmware_and_nothing_of_the_tag(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        value = await link.characteristic(gatt_ids.INFO).read_value()
        assert gatt_ids.decode_info(bytes(value)) == gatt_ids.Info(1, (0, 1, 0), 1)
        for uuid in (gatt_ids.CONTROL, gatt_ids.DATA):
            with pytest.raises(ATT_Error):
                await link.characteristic(uuid).read_value()
        await link.disconnect()

    in_window(tmp_path, work)


def test_private_tag_has_another_address_in_each_window(tmp_path: Path) -> None:
    addresses: list[bytes] = []

    async def work(bench: Bench, hub: Hub) -> None:
        own = bench.twin.address
        for _ in range(2):
            await until(lambda: bench.twin.address not in (own, *addresses))
            addresses.append(bench.twin.address)
            assert counters(await hub.visit(bench, [(2, 2)])) == [2]
            await until_next_wake(bench)

    knows = "from tag.clock import set_now\nset_now(state, 1800000000, 3)\n"
    in_window(tmp_path, work, {**WINDOW, "private_ids": True}, before=knows)
    assert [address[0] >> 6 for address in addresses] == [0, 0]  # not resolvable


def test_tag_sleeps_when_nobody_comes(tmp_path: Path) -> None:
    async def work(bench: Bench, _hub: Hub) -> None:
        await until_next_wake(bench)
        await until_next_wake(bench)

    console = in_window(tmp_path, work).console()
    assert console.count("window: 0 sessions, refused {}") >= 1
