"""A scanner backend for bleak over raw HCI: a USB or serial controller without BlueZ, or a virtual one.

BleakScanner(callback, backend=BumbleScanner, transport="usb:0")
"""

import contextlib
from collections.abc import Callable
from typing import Any, Literal

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError
from bumble.core import AdvertisingData
from bumble.hci import Address

from taghub.radio import bumble_controller
from taghub.radio.adv_data import ad_structures
from taghub.radio.base import one_line
from taghub.radio.bumble_controller import BumbleController

SEEN_DEVICES_MAX = 1000  # tags rotate their addresses; bleak's own map would grow for ever


class BumbleScanner(BaseBleakScanner):
    """bleak's scanner interface on a bumble transport. A BumbleClient on the same transport shares the controller.

    Further keyword arguments of BleakScanner: `transport`, bumble's name of a controller; `on_lost`, called once with a
    reason when the transport ends while scanning. Raises BleakError when the controller cannot be opened.
    """

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        *,
        transport: str,
        on_lost: Callable[[str], None] | None = None,
        **_other_platforms: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._name = transport
        self._on_lost = on_lost
        self._controller: BumbleController | None = None

    async def start(self) -> None:
        self.seen_devices.clear()
        try:
            self._controller = await bumble_controller.acquire(self._name)
            self._controller.on_lost(self._lost)
            await self._controller.start_scan(self._on_report, self._active)
        except BaseException as error:
            await self._close()
            if isinstance(error, TimeoutError):
                raise BleakError(f"no answer from the controller at {self._name}") from None
            if isinstance(error, Exception):  # each transport has its own: of usb1, of serial, a bare Exception
                raise BleakError(f"the controller cannot be used: {one_line(error)}") from None
            raise

    async def stop(self) -> None:
        try:
            if self._controller is not None:
                await self._controller.stop_scan(self._on_report)
        except Exception as error:
            raise BleakError(f"the scan cannot be stopped: {one_line(error)}") from None
        finally:
            await self._close()

    async def _close(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.forget(self._lost)
            with contextlib.suppress(Exception):
                await controller.stop_scan(self._on_report)
            await bumble_controller.release(controller)

    def _lost(self, reason: str) -> None:
        if self._on_lost is not None:
            self._on_lost(reason)

    def _on_report(self, report: Any) -> None:
        advertisement = advertisement_data(report.data, report.rssi)
        if not self.is_allowed_uuid(advertisement.service_uuids):
            return
        address = report.address.to_string(False)
        device = self._seen(address, advertisement, report.address)
        self.call_detection_callbacks(device, advertisement)

    def _seen(self, address: str, advertisement: AdvertisementData, details: Address) -> BLEDevice:
        if address not in self.seen_devices and len(self.seen_devices) >= SEEN_DEVICES_MAX:
            del self.seen_devices[next(iter(self.seen_devices))]
        return self.create_or_update_device(address, address, advertisement.local_name, details, advertisement)


def advertisement_data(data: bytes, rssi_dbm: int) -> AdvertisementData:
    """AdvData as bleak presents it, the bytes as its platform_data. Never raises: structures that run past the end are
    left out."""
    manufacturer_data: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    service_uuids: list[str] = []
    local_name: str | None = None
    tx_power: int | None = None
    for ad_type, value in ad_structures(data):
        if ad_type == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
            manufacturer_data.setdefault(int.from_bytes(value[:2], "little"), value[2:])
        elif ad_type in (AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME):
            local_name = value.decode("utf-8", "replace")
        elif ad_type == AdvertisingData.TX_POWER_LEVEL and len(value) == 1:
            tx_power = int.from_bytes(value, "little", signed=True)
        elif ad_type in _UUID_LISTS:
            size = _UUID_LISTS[ad_type]
            service_uuids += [_uuid(value[i : i + size]) for i in range(0, len(value) - size + 1, size)]
        elif ad_type in _SERVICE_DATA and len(value) >= _SERVICE_DATA[ad_type]:
            size = _SERVICE_DATA[ad_type]
            service_data[_uuid(value[:size])] = value[size:]
    return AdvertisementData(local_name, manufacturer_data, service_data, service_uuids, tx_power, rssi_dbm, (data,))


_UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}  # AD type to bytes a UUID
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}


def _uuid(value: bytes) -> str:
    """A little-endian UUID of 2, 4 or 16 bytes in bleak's 128-bit text form."""
    if len(value) < 16:
        return f"{int.from_bytes(value, 'little'):08x}-0000-1000-8000-00805f9b34fb"
    text = value[::-1].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
