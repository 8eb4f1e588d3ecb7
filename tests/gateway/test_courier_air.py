"""The courier over simulated air: a flock that answers history as tags do, hours of it in seconds."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from courier_desk import Desk, at_desk
from tag_journal import HUB_ID
from waiting import until

from tagfleet.airlink import AirLink
from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.journals import Journals, JournalSettings
from tagfleet.links import FlockLinks, LinkSettings
from tagfleet.plain_air import PlainAir
from tagfleet.radio import RadioSettings
from tagfleet.world.world import WorldSettings, make_world
from taghub.clock import AirClock
from taghub.radio import Radio, make_radio
from taghub.radio.link import UNREACHABLE, Connect
from taghub.settings import AirSettings
from tagwire.beacon import ADVERTISEMENT_BYTES, BEACON_BYTES, HINT_CONNECTABLE
from tagwire.keyring import entry_from_provision

START_S = 1_790_000_000
INTERVAL_S = 300.0
IDLE_STEP_US, BUSY_STEP_US = 500_000, 40_000
JOURNAL = JournalSettings(window_every=2)
Key = tuple[int, int]


class FlockDesk(Desk):
    """A desk with a flock on the air, which has been alone for `alone_h` hours; `run` lets time pass."""

    radio: Radio

    def __init__(self, tags: int, alone_h: float, links: LinkSettings, socket: Path, **courier: Any) -> None:
        self.provisions = make_provisions(5, 1000, tags)
        world = make_world(WorldSettings(5, tags, lost_share=0.0))
        self.air_clock = AirClock()
        super().__init__([], clock=self.air_clock, adopt_hours=alone_h, **courier)  # type: ignore[arg-type]
        keyring = {p.tag_id: entry_from_provision(p, HUB_ID) for p in self.provisions}
        self.hub.replace_keyring(keyring)
        self.radio = make_radio(AirSettings(kind="air", listen=f"unix:{socket}"), 0xFFFF, self.air_clock)
        self.flock = Flock(self.provisions, world, INTERVAL_S, START_S, journals=Journals(tags, JOURNAL))
        self.flock.step(START_S + alone_h * 3600)
        self.flock_links = FlockLinks(self.flock, self.provisions, world, np.zeros(world.places, np.int64), links)
        self.now_us = int((START_S + alone_h * 3600) * 1e6)
        self.reported: set[Key] = set()
        """Live samples that the radio has reported."""
        self.air = PlainAir(RadioSettings(), world, np.zeros(world.places, np.int64), first_only=False)
        self._calls = False  # whether a tag has just called

    def radios(self) -> list[Connect | None]:
        return [lambda address, timeout_s: self._on_radio(address, timeout_s)]

    def _on_radio(self, address: bytes, timeout_s: float) -> Any:
        assert self.radio.connect is not None
        return self.radio.connect(address, timeout_s)

    async def listen(self) -> None:
        async with self.radio.listen() as chunks:
            async for chunk in chunks:
                self.hub.take(chunk)

    async def run(self, air: AirLink, seconds: float) -> None:
        """Let so much of the air's time pass."""
        end_us = self.now_us + round(seconds * 1e6)
        while self.now_us < end_us:
            self.now_us += BUSY_STEP_US if self.flock_links.open or self.courier.figures["active"] else IDLE_STEP_US
            for record in air.received():
                self.flock_links.receive(0, record, self.now_us)
            records = self._advertisements() + self.flock_links.due(self.now_us).get(0, b"")
            if records:
                await air.send(records)
            for _ in range(4):
                await asyncio.sleep(0)
            if self._calls:
                await asyncio.sleep(0.02)  # of the machine's time, for the hub to decide

    def _advertisements(self) -> bytes:
        self._calls = False
        due = self.air.hear(self.flock.step(self.now_us / 1e6), self.now_us)
        self._calls = bool((due.adv_data[:, ADVERTISEMENT_BYTES - BEACON_BYTES] & HINT_CONNECTABLE).any())
        self.reported |= set(zip(due.tag_ids.tolist(), due.counters.tolist(), strict=True))
        return due._replace(t_us=np.full(len(due.t_us), self.now_us)).records()


def on_air(
    folder: Path,
    scenario: Any,
    tags: int,
    alone_h: float,
    links: LinkSettings,
    timeout_s: float = 100.0,
    **courier: Any,
) -> None:
    """`scenario(desk, air)` with the desk's radio listening, and the flock's air connected to it."""
    socket = folder / "air"

    async def with_air(desk: FlockDesk) -> None:
        listening = asyncio.create_task(desk.listen())
        try:
            async with AirLink(f"unix:{socket}", 5.0) as air:
                await scenario(desk, air)
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    options = {"tags": tags, "alone_h": alone_h, "links": links, "socket": socket, **courier}
    at_desk(with_air, desk_type=lambda **_: FlockDesk(**options), timeout_s=timeout_s)


def test_backlog_of_a_flock_is_drained_and_no_live_beacon_is_lost(tmp_path: Path) -> None:
    async def scenario(desk: FlockDesk, air: AirLink) -> None:
        await desk.run(air, 2_000)
        await until(lambda: desk.reported <= set(desk.broker.published()))
        published = desk.broker.published()
        assert len(published) == len(set(published))
        heard: dict[int, int] = {}
        for tag_id, counter in desk.reported:
            heard[tag_id] = max(heard.get(tag_id, 0), counter)
        assert len(heard) == 10
        missing = {(tag, c) for tag, last in heard.items() for c in range(last + 1)} - set(published)
        assert missing == set()
        figures = desk.courier.figures
        assert set(desk.courier.failures) <= {UNREACHABLE}  # a busy machine lets a window pass
        unreachable = desk.courier.failures.get(UNREACHABLE, 0)
        assert desk.flock_links.visits == desk.courier.counts["visits"] - unreachable >= 10
        assert isinstance(figures["air_time_s"], float)
        assert 0 < figures["air_time_s"] <= 0.2 * 2_000 + 10 + 20  # its share, the first burst, and one visit

    on_air(tmp_path, scenario, 10, 6.0, LinkSettings(connect_s=1.0, loss_per_s=0.0))


def test_links_that_break_cost_no_sample_and_none_comes_twice(tmp_path: Path) -> None:
    async def scenario(desk: FlockDesk, air: AirLink) -> None:
        await desk.run(air, 3_000)
        await until(lambda: desk.reported <= set(desk.broker.published()))
        published = desk.broker.published()
        assert len(published) == len(set(published))
        assert sum(desk.courier.failures.values()) > 0
        assert len(desk.broker.history) > 200

    on_air(tmp_path, scenario, 5, 6.0, LinkSettings(connect_s=1.0, loss_per_s=0.3), air_time_share=1.0)
