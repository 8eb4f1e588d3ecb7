"""A real hub with its courier in this process: links to tags in memory, a broker that acknowledges at will."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from tag_journal import JournalTag, MemoryLink
from tags import NOW_S
from waiting import until

from taghub.closed_batch import LANE_BACKLOG, LANE_REPLY, ClosedBatch, sample_keys
from taghub.courier.courier import Courier
from taghub.heard import Heard
from taghub.hub import Hub
from taghub.position import position_source
from taghub.radio.link import UNREACHABLE, Connect, Link, LinkError
from taghub.settings import Settings
from taghub.spool import Limits, Store
from tagwire.beacon import ADVERTISEMENT_BYTES, BEACON_BYTES
from tagwire.fields import TIME_HUB

Key = tuple[int, int]


class FastClock:
    """Real time, times `speed`, from NOW_S on."""

    def __init__(self, speed: float = 1.0, quality: int = TIME_HUB) -> None:
        self.speed = speed
        self.known = quality
        self.offers: list[tuple[float, int]] = []
        self.passed_s = 0.0
        """Time that has passed at once."""
        self._begun_s = time.monotonic()

    def age_s(self) -> float:
        return (time.monotonic() - self._begun_s) * self.speed + self.passed_s

    def unix_us(self) -> int:
        return round((NOW_S + self.age_s()) * 1_000_000)

    def quality(self) -> int:
        return self.known

    def follow(self) -> int:
        return 0

    def offered(self, unix_s: float, quality: int) -> int:
        self.offers.append((unix_s, quality))
        return 0


class Broker:
    """Takes what the hub publishes; acknowledges at once, or while `away` not at all."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[ClosedBatch] = []
        self.replies: list[bytes] = []
        self.history: list[Key] = []
        """(tag, counter) of every sample of the backlog that was published, in order."""
        self._live: list[Key] = []
        self.has_room = self.has_room_for_alarm = True
        self.max_payload_bytes = 1_000_000
        self.connected = True
        self._hub: Hub | None = None

    def attach(self, hub: Hub) -> None:
        self._hub = hub
        hub.attach(self)  # type: ignore[arg-type]

    def publish(self, batch: ClosedBatch) -> None:
        if batch.lane == LANE_REPLY:
            self.replies.append(batch.payload)
        else:
            self.batches.append(batch)
            (self.history if batch.lane == LANE_BACKLOG else self._live).extend(sample_keys(batch))
        if not self.away:
            assert self._hub is not None
            asyncio.get_running_loop().call_soon(self._hub.batch_acknowledged, batch.sequence)

    def publish_status(self, message: bytes) -> None:
        pass

    def published(self) -> list[Key]:
        """Of every sample, the backlog's last."""
        return self._live + self.history


class Desk:
    """`hear` a tag, and see what its hub does. `links` makes the link to an address; MemoryLink by default."""

    def __init__(
        self, tags: list[JournalTag], path: Path | None = None, clock: FastClock | None = None, **courier: Any
    ) -> None:
        self.tags = {tag.tag_id: tag for tag in tags}
        self.clock = clock or FastClock()
        self.broker = Broker()
        self.links: dict[bytes, Callable[[], Link]] = {}
        self.connects: list[bytes] = []
        """Addresses that were connected to, in order."""
        self.open_links = 0
        self.most_links = 0
        self.links_until_refused: int | None = None
        document = {
            "hub": {"id": "hub-1", "site": "test"},
            "keyring": {"path": "keyring.jsonl"},
            "radio": [{"kind": "air", "listen": "unix:/nowhere"}],
            "batch": {"max_age_s": 0.05},
            "courier": {"air_time_share": 1.0, **courier},
        }
        if path is not None:
            document["spool"] = {"path": path, "durability": "normal"}
        self.settings = Settings.model_validate(document)
        self._store = Store(path, "off", Limits(10_000_000, float("inf"), "oldest"))
        loaded = self._store.open()
        keyring = {tag.tag_id: tag.with_hub() for tag in tags}
        self.hub = Hub(
            self.settings, keyring, self.clock, position_source(None), None, self._store, loaded, loaded.next_sequence
        )
        self.courier = Courier(self.settings.courier, self.hub, keyring, self.radios(), self.clock, 10_000_000)
        self.hub.courier = self.courier
        self.broker.attach(self.hub)

    def radios(self) -> list[Connect | None]:
        return [self.connect]

    @contextlib.asynccontextmanager
    async def _connected(self, address: bytes) -> AsyncIterator[Link]:
        self.connects.append(address)
        make = self.links.get(address)
        tag = self.tags.get(int.from_bytes(address, "big"))
        if make is None and tag is None:
            raise LinkError(UNREACHABLE)
        self.open_links += 1
        self.most_links = max(self.most_links, self.open_links)
        try:
            yield MemoryLink(tag) if make is None else make()  # type: ignore[arg-type]
        finally:
            self.open_links -= 1

    def connect(self, address: bytes, timeout_s: float) -> AbstractAsyncContextManager[Link]:
        return self._connected(address)

    def hear(self, tag: JournalTag, counter: int | None = None, rssi_dbm: int = -60, address: bytes = b"") -> None:
        """The tag's sample, with the hints of its window."""
        payload = tag.call(counter)[ADVERTISEMENT_BYTES - BEACON_BYTES :]
        self.hub.take([Heard(self.clock.unix_us(), rssi_dbm, payload, address or address_of(tag))])

    def hear_only(self, tag: JournalTag, *counters: int) -> None:
        """Samples without a window."""
        self.hub.take([tag.heard(counter, tag.values(counter), t_us=self.clock.unix_us()) for counter in counters])

    async def visited(self, count: int) -> None:
        """Return when so many visits have ended."""
        await until(lambda: self.courier.counts["visits"] >= count and not self.courier.figures["active"])

    def missing(self, tag: JournalTag) -> list[tuple[int, int]]:
        seen = self._store.seen(tag.tag_id)
        return [] if seen is None else seen.missing()


def address_of(tag: JournalTag) -> bytes:
    return tag.tag_id.to_bytes(6, "big")


def at_desk(scenario: Callable[[Any], Any], tags: list[JournalTag] | None = None, *args: Any, **options: Any) -> None:
    """`near_desk` in an event loop of its own."""
    asyncio.run(near_desk(scenario, tags, *args, **options))


async def near_desk(
    scenario: Callable[[Any], Any],
    tags: list[JournalTag] | None = None,
    timeout_s: float = 20.0,
    desk_type: Callable[..., Desk] = Desk,
    killed: bool = False,
    **options: Any,
) -> None:
    """`scenario(desk)` while its hub runs. killed: it ends as by kill -9, without a last commit."""
    desk = desk_type(tags=tags or [], **options)
    writer = asyncio.create_task(desk.hub.spool.run())
    courier = asyncio.create_task(desk.courier.run())
    try:
        async with asyncio.timeout(timeout_s):
            await scenario(desk)
        assert not courier.done()
    finally:
        courier.cancel()
        await asyncio.gather(courier, return_exceptions=True)
        if killed:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            desk.hub.spool._executor.shutdown()  # a commit that has begun ends
            desk.hub.spool.store.close()
        else:
            desk.hub.close_batch()
            desk.hub.spool.stop()
            await writer
