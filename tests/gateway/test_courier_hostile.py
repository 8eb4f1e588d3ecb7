"""Devices that mean harm, or are broken, next to one that is neither: its data comes whole, and soon."""

import asyncio
import random
from collections.abc import Callable

import pytest
from courier_desk import Desk, FastClock, address_of, at_desk
from tag_journal import JournalTag, MemoryLink
from waiting import until

from taghub.courier.courier import Courier
from taghub.radio.link import FLOOD, FRAMES_MAX, LOST, UNREACHABLE, Link, LinkError, Notifications

HOSTILE = b"\xee" * 6


class StallingLink(MemoryLink):
    """Says nothing any more after so many frames."""

    def __init__(self, tag: JournalTag, frames: int) -> None:
        super().__init__(tag)
        self.frames = frames

    async def read(self) -> bytes:
        self.frames -= 1
        if self.frames < 0:
            await asyncio.Event().wait()
        return await super().read()


class BreakingLink(StallingLink):
    """Breaks after so many frames, in whatever direction."""

    async def write(self, frame: bytes) -> None:
        self.frames -= 1
        if self.frames < 0:
            raise LinkError(LOST)
        await super().write(frame)

    async def read(self) -> bytes:
        if self.frames <= 0:
            raise LinkError(LOST)
        return await super().read()


class GarbageLink(MemoryLink):
    """Sends noise of any length, as fast as it is read."""

    def __init__(self, tag: JournalTag) -> None:
        super().__init__(tag)
        self.draw = random.Random(1)

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self.draw.randbytes(self.draw.randrange(600))


class DeafLink(MemoryLink):
    """Never takes a write."""

    async def write(self, frame: bytes) -> None:
        await asyncio.Event().wait()


def harmless_next_to(
    make: Callable[[JournalTag], Link] | None, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag is called by an impostor at HOSTILE for 50 s of the hub's time, at 20 ms; another tag has 400 samples.

    expected: the reasons under which the impostor's visits may be counted.
    """
    monkeypatch.setattr("taghub.courier.courier.WRITE_TIMEOUT_S", 0.2)
    victim, other = JournalTag(7, newest=20), JournalTag(8, newest=400)

    async def scenario(desk: Desk) -> None:
        if make is not None:
            desk.links[HOSTILE] = lambda: make(victim)
        desk.hear_only(victim, 0)
        desk.hear_only(other, 0)
        heard_other = False
        while desk.clock.age_s() < 50:
            desk.hear(victim, rssi_dbm=-20, address=HOSTILE)  # the very frame of the tag, louder than any
            if desk.clock.age_s() > 5 and not heard_other:
                desk.hear(other)
                heard_other = bool(desk.connects.count(address_of(other)))
            await asyncio.sleep(0.005)
        await until(lambda: len([key for key in desk.broker.history if key[0] == 8]) == 399)
        assert desk.connects.count(HOSTILE) <= 5
        assert set(desk.courier.failures) <= expected
        assert desk.most_links <= desk.settings.courier.connections
        desk.clock.passed_s += 61  # as long as its own calls may be taken for the impostor's
        while len([key for key in desk.broker.history if key[0] == 7]) < 19:  # a window is 125 ms of ours
            desk.hear(victim)
            await asyncio.sleep(0.02)
        assert len(desk.broker.history) == len(set(desk.broker.history)) == 399 + 19

    at_desk(scenario, [victim, other], 60.0, clock=FastClock(speed=20.0), adopt_hours=0)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_device_that_connects_and_stalls(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(lambda tag: StallingLink(tag, frames), {"stalled"}, monkeypatch)


def test_device_that_drops_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(lambda tag: BreakingLink(tag, 1), {LOST}, monkeypatch)


def test_device_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(None, {UNREACHABLE}, monkeypatch)


def test_device_that_sends_oversized_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(GarbageLink, {"length", "version", "kind", "faults"}, monkeypatch)


def test_device_that_takes_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(DeafLink, {LOST}, monkeypatch)


def test_device_that_claims_a_foreign_id(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless_next_to(lambda _: MemoryLink(JournalTag(99, newest=50)), {"stalled"}, monkeypatch)


@pytest.mark.parametrize("frames", range(2, 14))
def test_connection_that_breaks_at_every_step_is_resumed(frames: int) -> None:
    tag = JournalTag(7, newest=1000)

    async def scenario(desk: Desk) -> None:
        desk.links[address_of(tag)] = lambda: BreakingLink(tag, frames + len(desk.connects) // 2)
        desk.hear_only(tag, 0)
        while len(set(desk.broker.history)) < 999:
            desk.clock.passed_s += 60
            desk.hear(tag)
            await desk.visited(len(desk.connects))
            await asyncio.sleep(0.02)
        assert sorted(desk.broker.history) == [(7, counter) for counter in range(1, 1000)]

    at_desk(scenario, [tag], adopt_hours=0)


def test_what_is_remembered_of_callers_is_bounded() -> None:
    tags = [JournalTag(tag_id, newest=3) for tag_id in range(1, 400)]

    async def scenario(desk: Desk) -> None:
        for tag in tags:
            desk.hear_only(tag, 0)
            desk.hear(tag)
        courier: Courier = desk.courier
        assert len(courier._new) <= len(tags)
        await desk.visited(1)
        assert len(courier._seen) <= 256

    at_desk(scenario, tags, adopt_hours=0)


def test_flood_of_notifications_ends_the_link() -> None:
    async def scenario() -> None:
        notifications = Notifications()
        for number in range(FRAMES_MAX + 100):
            notifications.put(bytes([number % 256]) * 600)
        for _ in range(2):
            with pytest.raises(LinkError, match=FLOOD):
                await notifications.get()

    asyncio.run(scenario())


def test_what_came_before_the_end_can_still_be_read() -> None:
    async def scenario() -> None:
        notifications = Notifications()
        for number in range(FRAMES_MAX):
            notifications.put(bytes([number]))
        notifications.end(LOST)
        notifications.put(b"late")
        assert [await notifications.get() for _ in range(FRAMES_MAX)] == [bytes([n]) for n in range(FRAMES_MAX)]
        with pytest.raises(LinkError, match=LOST):
            await notifications.get()

    asyncio.run(scenario())
