"""Connections to tags through bleak: BlueZ, another system's own Bluetooth, or our backend over raw HCI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakCharacteristicNotFoundError, BleakError

from taghub.radio.link import LOST, NO_SERVICE, UNREACHABLE, Link, LinkError, Notifications
from tagwire.gatt_ids import CONTROL, DATA, SERVICE
from tagwire.session import FRAME_BYTES_MAX

CLOSE_TIMEOUT_S = 5.0
DEFAULT_WRITE_BYTES = 20  # at the MTU that a connection begins with (Core Specification, Vol 3, Part F, 3.2.8)
MTU_LOOKS, MTU_LOOK_S = 10, 0.1


class _BleakLink:
    def __init__(self, client: BleakClient, frame_bytes: int, notifications: Notifications) -> None:
        self.frame_bytes = frame_bytes
        self._client = client
        self._notifications = notifications

    async def write(self, frame: bytes) -> None:
        try:
            await self._client.write_gatt_char(CONTROL, frame, response=False)
        except Exception as error:  # of D-Bus, of an operating system's own Bluetooth
            raise LinkError(LOST) from error

    async def read(self) -> bytes:
        return await self._notifications.get()


@asynccontextmanager
async def bleak_link(device: BLEDevice | None, timeout_s: float, arguments: dict[str, Any]) -> AsyncIterator[Link]:
    """A Link through bleak; `arguments` go to BleakClient and choose a backend. Raises LinkError."""
    if device is None:  # it was heard too long ago
        raise LinkError(UNREACHABLE)
    notifications = Notifications()

    def on_notification(_: Any, value: bytearray) -> None:
        notifications.put(value)

    def on_disconnect(_: Any) -> None:
        notifications.end(LOST)

    client = BleakClient(device, on_disconnect, services=[SERVICE], timeout=timeout_s, **arguments)
    try:
        try:
            async with asyncio.timeout(timeout_s):
                await client.connect()
                control = client.services.get_characteristic(CONTROL)
                if control is None:
                    raise LinkError(NO_SERVICE)
                await client.start_notify(DATA, on_notification)
                for _ in range(MTU_LOOKS):  # some systems tell the MTU a moment after the services
                    if control.max_write_without_response_size > DEFAULT_WRITE_BYTES:
                        break
                    await asyncio.sleep(MTU_LOOK_S)
                frame_bytes = min(control.max_write_without_response_size, FRAME_BYTES_MAX)
        except BleakCharacteristicNotFoundError:
            raise LinkError(NO_SERVICE) from None
        except (BleakError, TimeoutError, OSError) as error:
            raise LinkError(UNREACHABLE) from error
        yield _BleakLink(client, frame_bytes, notifications)
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await client.disconnect()
        except Exception:  # noqa: S110  the supervision timeout ends it
            pass
