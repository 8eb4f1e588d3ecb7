"""Radios that bleak scans with: this machine's own Bluetooth, or through our backend a controller over raw HCI."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from taghub.clock import Clock
from taghub.errors import AbsentError, PassiveError, RadioError
from taghub.heard import Advertisement, Heard
from taghub.radio.adv_data import adv_data
from taghub.radio.base import COUNT_FOREIGN, COUNT_OVERRUN, COUNT_REPORTS, new_counts, one_line
from taghub.radio.bleak_link import bleak_link
from taghub.radio.hosts import BumbleHost, Host, SystemHost
from taghub.radio.link import Connect, Link
from taghub.radio.report_queue import ReportQueue
from taghub.settings import BleakSettings, BumbleSettings

CLOSE_TIMEOUT_S = 5.0
DEVICES_MAX = 1_000  # tags that may be connected to; those with private ids change their addresses
NO_RSSI_DBM = -127  # bleak's, where BlueZ tells that something else about a device has changed

_logger = logging.getLogger(__name__)


class BleakRadio:
    """Active and passive scans."""

    def __init__(
        self, settings: BleakSettings | BumbleSettings, company_id: int, clock: Clock, taken: set[str] | None = None
    ) -> None:
        """taken: addresses of the adapters in use, shared by radios that must not take one another's."""
        self._company_id = company_id
        self._clock = clock
        self._passive = settings.scan == "passive"
        place = settings.adapter if isinstance(settings, BleakSettings) else settings.transport
        self.name = f"{settings.kind} {place}" if place else settings.kind
        self.required = settings.required
        self.silence_s: float | None = settings.silence_s
        self.counts = new_counts()
        self.tap: Callable[[Advertisement], object] | None = None
        self._host = _host(settings, company_id, set() if taken is None else taken)
        self.filtered = self._passive and self._host.filtered
        self.steps = self._host.steps
        self.take_step = self._host.take_step
        self.watch = self._host.watch
        self.connect: Connect | None = self._connect
        self._devices: dict[bytes, BLEDevice] = {}  # of our company, by the address that a report names

    @contextlib.asynccontextmanager
    async def listen(self, passive: bool | None = None) -> AsyncIterator[AsyncIterator[list[Heard]]]:
        """Scan from the first moment inside to the end. See `Radio.listen`."""
        passive = self._passive if passive is None else passive
        queue = ReportQueue()

        def on_advertisement(device: BLEDevice, advertisement: AdvertisementData) -> None:
            rssi_dbm = advertisement.rssi
            if rssi_dbm == NO_RSSI_DBM:
                return
            payload = advertisement.manufacturer_data.get(self._company_id)
            if payload is None:
                self.counts[COUNT_FOREIGN] += 1
            else:
                address = device.address.encode("ascii")
                if queue.put(Heard(self._clock.unix_us(), rssi_dbm, payload, address)):
                    self.counts[COUNT_REPORTS] += 1
                    self._remember(address, device)
                else:
                    self.counts[COUNT_OVERRUN] += 1
            if self.tap is not None:
                self.tap(Advertisement(self._clock.unix_us(), rssi_dbm, device.address, adv_data(advertisement)))

        try:
            scanner = await self._started(on_advertisement, passive, queue)
            try:
                yield queue.chunks()
            finally:
                try:
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        await scanner.stop()
                except Exception as error:  # it may be gone already
                    _logger.debug("radio %s: cannot be closed: %s", self.name, one_line(error))
        finally:
            self._host.released()

    def _remember(self, address: bytes, device: BLEDevice) -> None:
        if address not in self._devices and len(self._devices) >= DEVICES_MAX:
            del self._devices[next(iter(self._devices))]
        self._devices[address] = device

    def _connect(self, address: bytes, timeout_s: float) -> AbstractAsyncContextManager[Link]:
        """See `taghub.radio.link.Connect`: to a device that this scan has reported."""
        return bleak_link(self._devices.get(address), timeout_s, self._host.client_arguments())

    async def _started(
        self, on_advertisement: Callable[[BLEDevice, AdvertisementData], None], passive: bool, queue: ReportQueue
    ) -> BleakScanner:
        prefix = f"radio {self.name}: "
        try:
            arguments = await self._host.scanner_arguments(passive, lambda reason: queue.fail(f"{prefix}{reason}"))
            scanner = BleakScanner(on_advertisement, scanning_mode="passive" if passive else "active", **arguments)
            await scanner.start()
        except RadioError as error:
            raise type(error)(f"{prefix}{error}") from None
        except BleakError as error:
            if passive and "passive scan" in str(error):
                raise PassiveError(f"{prefix}{one_line(error)}") from None
            if "not found" in str(error):
                raise AbsentError(f"{prefix}{one_line(error)}") from None
            raise RadioError(f"{prefix}{one_line(error)}") from None
        except Exception as error:  # of D-Bus, of an operating system's own Bluetooth
            raise RadioError(f"{prefix}cannot be used: {one_line(error)}") from None
        return scanner


def _host(settings: BleakSettings | BumbleSettings, company_id: int, taken: set[str]) -> Host:
    """Linux-only settings stay on Linux."""
    if isinstance(settings, BumbleSettings):
        return BumbleHost(settings)
    if sys.platform == "linux":
        from taghub.radio.bluez_host import BluezHost

        return BluezHost(settings, company_id, taken)
    return SystemHost(settings)
