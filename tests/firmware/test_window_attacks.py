"""What a stranger with a radio can do to a tag in its window: nothing that lasts, within bounds of time and memory."""

import asyncio
import contextlib
import random
from pathlib import Path

import pytest
from bumble.core import BaseBumbleError as BumbleError
from window_bench import Bench, Hub, counters, hub_near, in_window, until, until_next_wake

from tagwire import gatt_ids
from tagwire.errors import DecodeError
from tagwire.hubend import HubEnd
from tagwire.session import EPOCH_FOREVER, FORGED_MAX, HELLOS_MAX, HubHandshake

HURRIED = "tag.window.IDLE_S = 1\n"


async def refused(hub: Hub, bench: Bench) -> str:
    """What a hub gets that the tag does not want to talk to."""
    link = await hub.connect(bench)
    with pytest.raises(DecodeError) as caught:
        await hub.talk(link, [(0, 3)])
    await link.disconnect()
    return str(caught.value)


def test_strangers_writes_change_nothing_that_lasts(tmp_path: Path) -> None:
    """Not a byte of flash, NVS or RTC memory is written, whatever arrives; and the next hub is served as ever."""
    draw = random.Random(1)

    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        before = bench.supply.operations
        end = HubEnd(hub.handshake(), [(0, 3)])
        hello = end.next_frame()
        assert hello is not None
        await link.write(gatt_ids.CONTROL, hello)
        end.receive(await hub.next_frame(link))
        mine = end.next_frame()
        assert mine is not None
        for frame in (
            b"",
            b"\x01",
            bytes(244),
            bytes(245),
            bytes(400),
            b"\x11" * 15,  # a type that nobody knows
            b"\x02" + bytes(14),  # a hello of another version
            b"\x05" + bytes(8),  # what only tags send
            b"\x0d\x05\x00" + bytes(20),  # a sealed one before any session
            mine[:-1] + bytes([mine[-1] ^ 1]),
            *(b"\x0d" + draw.randbytes(draw.randrange(40)) for _ in range(5)),
        ):
            await link.write(gatt_ids.CONTROL, frame)
        await link.write(gatt_ids.CONTROL, mine)  # the session is still there
        while len(frame := await hub.next_frame(link)) == 2:  # hellos of other versions are refused
            pass
        assert end.receive(frame)
        assert bench.supply.operations == before
        await link.disconnect()
        assert counters(await hub.visit(bench, [(0, 3)])) == [0, 1, 2, 3]
        await until_next_wake(bench)

    console = in_window(tmp_path, work).console()
    counted = dict(item.split(": ") for item in console.split("refused {")[1].split("}")[0].split(", "))
    assert {reason.strip("'") for reason in counted} == {"length", "kind", "state", "forged"}


@pytest.mark.parametrize("flood", ["hellos", "forged", "frames"])
def test_flood_ends_the_connection(tmp_path: Path, flood: str) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        before = bench.supply.operations
        hello = hub.handshake().hello
        if flood == "hellos":
            for _ in range(HELLOS_MAX + 1):
                await link.write(gatt_ids.CONTROL, hello)
        elif flood == "forged":
            await link.write(gatt_ids.CONTROL, hello)
            for _ in range(FORGED_MAX + 1):
                await link.write(gatt_ids.CONTROL, b"\x0d\x00\x00" + bytes(30))
        else:
            for _ in range(3 * gatt_ids.FRAMES_MAX):  # as fast as they go
                await link.write(gatt_ids.CONTROL, b"\x0d" + bytes(240), response=False)
        await link.ended
        assert bench.supply.operations == before
        assert counters(await hub.visit(bench, [(0, 3)])) == [0, 1, 2, 3]
        await until_next_wake(bench)

    # In the third case the tag sleeps first, as when flash keeps it busy: frames come faster than they are read.
    slow = "import tag.gatt\nnext_frame = tag.gatt.Gatt.next_frame\n"
    slow += "def slowly(self):\n    time.sleep_ms(30)\n    return next_frame(self)\ntag.gatt.Gatt.next_frame = slowly\n"
    console = in_window(tmp_path, work, before=slow if flood == "frames" else "").console()
    assert "'flow': 1" in console


def test_silent_stranger_is_sent_away_and_does_not_lengthen_the_window(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        await link.write(gatt_ids.CONTROL, hub.handshake().hello)  # proves nothing
        await link.ended
        await until(lambda: "window: 0 sessions" in bench.console())

    assert "window: 0 sessions" in in_window(tmp_path, work, before=HURRIED).console()


def test_busy_stranger_is_sent_away_too(tmp_path: Path) -> None:
    """Frames that are refused at no price keep nobody connected."""

    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        with contextlib.suppress(asyncio.CancelledError, BumbleError, TimeoutError):  # the write that the end overtakes
            while not link.ended.done():
                await link.write(gatt_ids.CONTROL, b"\x05" + bytes(8))
        await link.ended

    in_window(tmp_path, work, before=HURRIED)


def test_hub_without_the_tags_key_learns_nothing(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        hub.key = bytes(16)
        link = await hub.connect(bench)
        end = HubEnd(hub.handshake(), [(0, 3)])
        hello = end.next_frame()
        assert hello is not None
        await link.write(gatt_ids.CONTROL, hello)
        end.receive(await hub.next_frame(link))  # random bytes, as for everyone
        for _ in range(FORGED_MAX + 1):
            await link.write(gatt_ids.CONTROL, HubEnd(hub.handshake(), []).next_frame() or b"", response=False)
            await link.write(gatt_ids.CONTROL, b"\x0d\x00\x00" + bytes(11), response=False)
        await link.ended
        assert link.notified == [] or all(len(frame) == 9 for frame in link.notified)

    in_window(tmp_path, work)


def test_hub_whose_day_is_over_is_refused_once_the_tag_knows_the_time(tmp_path: Path) -> None:
    day = 20_800
    knows = f"from tag.clock import set_now\nset_now(state, {(day + 1) * 86400}, 3)\n"
    answers: list[str] = []

    async def work(bench: Bench, hub: Hub) -> None:
        async with hub_near(bench, 2, 45, day) as late, hub_near(bench, 3, 45, day + 1) as in_time:
            answers.append(await refused(late, bench))
            assert counters(await in_time.visit(bench, [(0, 3)])) == [0, 1, 2, 3]

    in_window(tmp_path, work, before=knows)
    assert answers == ["refused: status 2"]


def test_recorded_session_opens_nothing(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        link = await hub.connect(bench)
        handshake = HubHandshake(7, hub.key, hub.hub_id, EPOCH_FOREVER, bytes(8))
        end = HubEnd(handshake, [(0, 3)])
        frames = [end.next_frame() or b""]
        await link.write(gatt_ids.CONTROL, frames[0])
        end.receive(await hub.next_frame(link))
        while (frame := end.next_frame()) is not None:
            frames.append(frame)
            await link.write(gatt_ids.CONTROL, frame)
        await hub.next_frame(link)
        await link.disconnect()
        link = await hub.connect(bench)
        for frame in frames:
            await link.write(gatt_ids.CONTROL, frame)
        assert len(await hub.next_frame(link)) == 9  # a welcome, and then nothing that would be sealed
        await link.ended
        assert link.notified == []

    in_window(tmp_path, work, before="tag.window.IDLE_S = 4\n")
