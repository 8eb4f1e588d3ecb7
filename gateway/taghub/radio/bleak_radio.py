"""Radios that bleak scans with: this machine's own Bluetooth, or through our backend a controller over raw HCI."""

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from taghub.clock import Clock
from taghub.errors import RadioError
from taghub.heard import Heard
from taghub.radio.base import COUNT_FOREIGN, COUNT_OVERRUN, COUNT_REPORTS, new_counts, one_line
from taghub.radio.report_queue import ReportQueue
from taghub.settings import BleakSettings, BumbleSettings

_logger = logging.getLogger(__name__)


class BleakRadio:
    """An active scan: it reports unchanged payloads again, and asks nothing special of BlueZ as a passive one does."""

    def __init__(self, settings: BleakSettings | BumbleSettings, company_id: int, clock: Clock) -> None:
        self._settings = settings
        self._company_id = company_id
        self._clock = clock
        place = settings.adapter if isinstance(settings, BleakSettings) else settings.transport
        self.name = f"{settings.kind} {place}" if place else settings.kind
        self.required = settings.required
        self.counts = new_counts()
        self._scanner_arguments = _scanner_arguments(settings)

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[list[Heard]]]:
        """Scan from the first moment inside to the end. See `Radio.listen`."""
        queue = ReportQueue()

        def on_advertisement(device: BLEDevice, advertisement: AdvertisementData) -> None:
            payload = advertisement.manufacturer_data.get(self._company_id)
            if payload is None:
                self.counts[COUNT_FOREIGN] += 1
            elif queue.put(
                Heard(self._clock.unix_us(), advertisement.rssi, bytes(payload), device.address.encode("ascii"))
            ):
                self.counts[COUNT_REPORTS] += 1
            else:
                self.counts[COUNT_OVERRUN] += 1

        arguments = dict(self._scanner_arguments)
        if isinstance(self._settings, BumbleSettings):
            arguments["on_lost"] = lambda reason: queue.fail(f"radio {self.name}: {reason}")
        scanner = BleakScanner(on_advertisement, scanning_mode="active", **arguments)
        try:
            await scanner.start()
        except BleakError as error:
            raise RadioError(f"radio {self.name}: {one_line(error)}") from None
        except OSError as error:  # bleak's BlueZ backend, looking for the system's D-Bus
            raise RadioError(
                f"radio {self.name}: no Bluetooth service ({error.strerror}): install and start bluez and dbus"
            ) from None
        except Exception as error:  # of D-Bus, of an operating system's own Bluetooth
            raise RadioError(f"radio {self.name}: cannot be used: {one_line(error)}") from None
        try:
            yield queue.chunks()
        finally:
            try:
                await scanner.stop()
            except Exception as error:  # it may be gone already
                _logger.debug("radio %s: cannot be closed: %s", self.name, one_line(error))


def _scanner_arguments(settings: BleakSettings | BumbleSettings) -> dict[str, Any]:
    """What BleakScanner is told. Imports bumble, which takes half a second, before anything listens."""
    if isinstance(settings, BumbleSettings):
        from taghub.radio.bumble_backend import BumbleScanner

        return {"backend": BumbleScanner, "transport": settings.transport}
    # Without DuplicateData BlueZ reports a payload once, and a repeat is how a lost report is made up for.
    bluez: dict[str, Any] = {"filters": {"DuplicateData": True}}
    if settings.adapter is not None:
        bluez["adapter"] = settings.adapter
    return {"bluez": bluez}
