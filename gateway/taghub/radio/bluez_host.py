"""A radio's adapter on BlueZ: found again under another name, its power switched, its coming and going told."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType

from taghub.errors import AbsentError, SwitchedOffError
from taghub.radio.adapter_reset import blocked, reset_usb, unblock
from taghub.radio.adapters import Adapter, choose
from taghub.radio.bluez import BlueZ, BlueZError, connected
from taghub.radio.recovery import BACK, GONE, OFF, POWER_CYCLE, USB_RESET
from taghub.settings import BleakSettings

POWER_OFF_S = 0.5  # long enough for a controller to notice
POWER_ON_TRIES, POWER_ON_PAUSE_S = 20, 0.25
WATCH_RETRY_S = 2.0
MANUFACTURER_DATA = AdvertisementDataType.MANUFACTURER_SPECIFIC_DATA

_logger = logging.getLogger(__name__)


class BluezHost:
    """One radio's. `taken`: addresses in use, shared by a hub's radios."""

    filtered = True

    def __init__(self, settings: BleakSettings, company_id: int, taken: set[str]) -> None:
        self._wanted = settings.adapter
        self._company_id = company_id
        self._taken = taken
        self._address: str | None = None
        self._in_use: str | None = None
        steps = {"restart": set[str](), "power": {POWER_CYCLE}, "usb": {POWER_CYCLE, USB_RESET}}[settings.recover]
        self.steps = frozenset(steps)

    async def scanner_arguments(self, passive: bool, on_lost: Callable[[str], None]) -> dict[str, Any]:
        async with connected() as bluez:
            adapter = await self._find(bluez)
        if not adapter.powered:
            why = {"hard": ", blocked by its switch", "soft": ", blocked by rfkill"}.get(blocked(adapter.name), "")
            raise SwitchedOffError(
                f"{adapter.name} is switched off{why}; try: rfkill unblock bluetooth; bluetoothctl power on"
            )
        self._address = self._in_use = adapter.address
        self._taken.add(adapter.address)
        if passive:
            # Our own company id and not, say, any Flags: the controller then wakes the host for our tags alone.
            company_id = self._company_id.to_bytes(2, "little")
            return {"bluez": {"adapter": adapter.name, "or_patterns": [OrPattern(0, MANUFACTURER_DATA, company_id)]}}
        # Without DuplicateData BlueZ reports a payload once, and a repeat is how a lost report is made up for.
        return {"bluez": {"adapter": adapter.name, "filters": {"DuplicateData": True}}}

    def client_arguments(self) -> dict[str, Any]:
        return {}  # a device that BlueZ has reported names its adapter

    def released(self) -> None:
        if self._in_use is not None:
            self._taken.discard(self._in_use)
            self._in_use = None

    async def _find(self, bluez: BlueZ) -> Adapter:
        if not await bluez.owner():
            raise AbsentError("bluetoothd does not run; try: systemctl start bluetooth")
        adapters = await bluez.adapters()
        adapter = choose(adapters, self._wanted, self._address, self._taken)
        if adapter is None:
            there = ", ".join(f"{adapter.name} ({adapter.address})" for adapter in adapters) or "none"
            raise AbsentError(f"no adapter {self._wanted or self._address or 'that is free'}; there is: {there}")
        return adapter

    async def take_step(self, step: str) -> None:
        async with connected() as bluez:
            adapter = await self._find(bluez)
            if step == POWER_CYCLE:
                await _power_cycle(bluez, adapter.name)
        if step == USB_RESET:
            reset_usb(adapter.name)

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        there: tuple[str, Adapter] | None = None
        while True:
            try:
                async with connected() as bluez:
                    async for _ in bluez.changes():
                        before, there = there, await self._look(bluez)
                        for event, reason in _news(before, there):
                            tell(event, reason)
            except BlueZError as error:
                _logger.debug("D-Bus: %s", error)
            if there is not None:
                there = None
                tell(GONE, "D-Bus is gone")
            await asyncio.sleep(WATCH_RETRY_S)

    async def _look(self, bluez: BlueZ) -> tuple[str, Adapter] | None:
        """bluetoothd's name on the bus, and the adapter, while both are there."""
        taken = self._taken - {self._in_use or ""}
        try:
            owner = await bluez.owner()
            adapter = choose(await bluez.adapters(), self._wanted, self._address, taken) if owner else None
        except BlueZError:  # it is just starting, or ending: more news follow
            return None
        return None if adapter is None else (owner, adapter)


def _news(before: tuple[str, Adapter] | None, now: tuple[str, Adapter] | None) -> list[tuple[str, str]]:
    """What a recovery has to know of two looks."""
    if now is None:
        return [] if before is None else [(GONE, f"{before[1].name} is gone")]
    adapter = now[1]
    if before is None:
        return [(BACK, f"{adapter.name} is there")]
    if before[0] != now[0]:
        return [(GONE, "bluetoothd has started again"), (BACK, f"{adapter.name} is there")]
    if before[1][:2] != adapter[:2]:
        return [(GONE, f"{before[1].name} is gone"), (BACK, f"{adapter.name} is there")]
    if before[1].powered != adapter.powered:
        return [(BACK, f"{adapter.name} is on")] if adapter.powered else [(OFF, f"{adapter.name} was switched off")]
    return []


async def _power_cycle(bluez: BlueZ, name: str) -> None:
    try:
        await bluez.set_powered(name, False)
        await asyncio.sleep(POWER_OFF_S)
    except BlueZError as error:  # what cannot be switched off may still be switched on
        _logger.debug("%s: %s", name, error)
    if blocked(name):
        unblock(name)
    await _switch_on(bluez, name)


async def _switch_on(bluez: BlueZ, name: str) -> None:
    """bluetoothd switches an adapter on by itself when a block is lifted, and says Busy to others meanwhile."""
    for _ in range(POWER_ON_TRIES):
        try:
            return await bluez.set_powered(name, True)
        except BlueZError as error:
            if not error.name.endswith(".Busy"):
                raise
        await asyncio.sleep(POWER_ON_PAUSE_S)
    raise BlueZError(f"{name} is not switched on: bluetoothd is busy with it")
