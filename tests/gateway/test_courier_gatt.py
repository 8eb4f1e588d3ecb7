"""The courier over bleak and GATT, on the controller that scans: a virtual tag with the firmware's session."""

import asyncio
from typing import Any

from courier_desk import Desk, at_desk
from tag_journal import JournalTag, TagSession
from virtual_tags import GattTag, VirtualAir, virtual_air
from waiting import until

from taghub.radio import Radio, make_radio
from taghub.radio.link import Connect
from taghub.settings import BumbleSettings

ADDRESS = "F0:00:00:00:00:01"


class RadioDesk(Desk):
    """A desk whose tags are on a real radio."""

    radio: Radio

    def radios(self) -> list[Connect | None]:
        return [lambda address, timeout_s: self._on_radio(address, timeout_s)]

    def _on_radio(self, address: bytes, timeout_s: float) -> Any:
        self.connects.append(address)
        assert self.radio.connect is not None
        return self.radio.connect(address, timeout_s)

    async def listen(self, transport: str) -> None:
        self.radio = make_radio(BumbleSettings(kind="bumble", transport=transport), 0xFFFF, self.clock)
        async with self.radio.listen() as chunks:
            async for chunk in chunks:
                self.hub.take(chunk)


def on_radio(port: int, tags: list[JournalTag], scenario: Any, **options: Any) -> None:
    """`scenario(desk, air)` with the desk's radio listening on the virtual air."""

    async def with_air(desk: Desk) -> None:
        async def on_air(air: VirtualAir) -> None:
            assert isinstance(desk, RadioDesk)
            listening = asyncio.create_task(desk.listen(air.transport))
            try:
                await scenario(desk, air)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

        async with virtual_air(port) as air:
            await on_air(air)

    at_desk(with_air, tags, desk_type=RadioDesk, **options)


def test_day_of_history_comes_over_gatt_while_others_are_heard(free_port: Any) -> None:
    tag, other = JournalTag(7, newest=300), JournalTag(8, newest=20)

    async def scenario(desk: RadioDesk, air: VirtualAir) -> None:
        gatt = GattTag(lambda: TagSession(tag))
        desk.hear_only(tag, 12)
        await gatt.start(air, ADDRESS, tag.call())
        await air.advertise("F0:00:00:00:00:02", other.advertisement(1, other.values(1)))
        await until(lambda: len(desk.broker.history) == 287)
        assert sorted(desk.broker.history) == [(7, counter) for counter in range(13, 300)]
        await until(lambda: (8, 1) in desk.broker.published())
        assert desk.courier.failures == {}
        assert set(desk.connects) == {ADDRESS.encode()}

    on_radio(free_port(), [tag, other], scenario, adopt_hours=0)


def test_device_that_is_no_tag_of_ours_is_left(free_port: Any) -> None:
    tag = JournalTag(7, newest=300)

    async def scenario(desk: RadioDesk, air: VirtualAir) -> None:
        desk.hear_only(tag, 12)
        await air.advertise(ADDRESS, tag.call())  # a recording of it, from something without the service
        await until(lambda: desk.courier.failures == {"no_service": 1})
        assert desk.broker.history == []

    on_radio(free_port(), [tag], scenario, adopt_hours=0)
