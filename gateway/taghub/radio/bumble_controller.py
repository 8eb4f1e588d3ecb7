"""A Bluetooth controller over raw HCI, opened once and shared by who scans with it and who connects through it.

`open_controller("usb:0")` twice in one event loop gives the same controller; it is closed with the last of its users.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any
from weakref import WeakKeyDictionary

from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Connection, Device
from bumble.hci import HCI_LE_SET_DATA_LENGTH_COMMAND, Address
from bumble.transport import open_transport

from taghub.radio.base import one_line

OPEN_TIMEOUT_S = 10.0
SCAN_INTERVAL_MS = 60.0  # window equal to interval: listen without a pause, on one channel after the other
CANCEL_TIMEOUT_S = 2.0
ADDRESSES_MAX = 1000  # of devices heard lately: an address alone does not tell its type, which a connect needs
DATA_OCTETS = (
    251  # of one link-layer packet, with the time that 1M PHY takes for it (Core Specification, Vol 6, B, 4.5.10)
)
DATA_TIME_US = 2120

_HOST_ADDRESS = Address("F0:F1:F2:F3:F4:F5")  # a static random address

_logger = logging.getLogger(__name__)

Report = Callable[[Any], None]
"""Called with each of bumble's advertising reports."""


class _Host(Device):  # type: ignore[misc]
    """A bumble host that hands on each report as it comes.

    Its parent keeps an accumulator per address without bound, and holds a scannable report back until a scan response
    has come; a beacon is complete without one.
    """

    on_report: Report

    def on_advertising_report(self, report: Any) -> None:
        self.on_report(report)


class BumbleController:
    """An open controller. Made by `open_controller` only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._users = 0
        self._transport: Any = None
        self._device: Any = None
        self._scans: dict[Report, bool] = {}
        self._lost: list[Callable[[str], None]] = []
        self._connecting = asyncio.Lock()  # a controller has one pending connection
        self._resting = False  # no scan now, whoever wants one
        self._scan_change = asyncio.Lock()
        self._scanning: bool | None = None  # whether the scan that runs is an active one; None while none runs
        self._addresses: OrderedDict[str, Address] = OrderedDict()
        self._heard = asyncio.Event()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Open the transport and reset the controller. Raises whatever the transport raises, and TimeoutError."""
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            self._transport = await open_transport(self.name)
            self._transport.source.terminated.add_done_callback(self._on_terminated)
            device = _Host.with_hci("taghub", _HOST_ADDRESS, self._transport.source, self._transport.sink)
            device.on_report = self._on_report
            self._device = device
            await device.power_on()
            # Harmless when idle; a controller whose last host vanished may scan on, and refuses new parameters then.
            await device.stop_scanning(legacy=True)

    async def close(self) -> None:
        """Give the transport back. Never raises."""
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                await transport.close()
            except Exception as error:  # it is given up in any case
                _logger.debug("the controller at %s cannot be closed: %s", self.name, one_line(error))

    @property
    def gone(self) -> bool:
        """Whether the transport has ended."""
        return self._transport is None or self._transport.source.terminated.done()

    def on_lost(self, listener: Callable[[str], None]) -> None:
        """Call `listener` once with a reason when the transport ends by itself."""
        self._lost.append(listener)

    def forget(self, listener: Callable[[str], None]) -> None:
        """Undo `on_lost`."""
        with contextlib.suppress(ValueError):
            self._lost.remove(listener)

    async def start_scan(self, report: Report, active: bool) -> None:
        """Hand each report to `report` until `stop_scan`. Several may scan; one active one makes the scan active."""
        self._scans[report] = active
        await self._set_scan()

    async def stop_scan(self, report: Report) -> None:
        """Undo `start_scan`. Raises when the controller does not answer."""
        self._scans.pop(report, None)
        if not self.gone:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._set_scan()

    async def connect(self, address: Address, timeout_s: float) -> Connection:
        """A connection to a device. The scan rests while the controller waits for the device to advertise, as under
        BlueZ: not every controller can do both. Raises TimeoutError, ConnectionError when the controller goes away,
        and what bumble raises."""
        async with asyncio.timeout(timeout_s):
            await self._connecting.acquire()
        try:
            self._resting = True
            await self._set_scan()
            connection = await self._connected(address, timeout_s)
        finally:
            self._resting = False
            self._connecting.release()
            if not self.gone:
                await self._set_scan()
        if self._device.host.supports_command(HCI_LE_SET_DATA_LENGTH_COMMAND):
            with contextlib.suppress(Exception):  # short packets do as well, only slower
                await connection.set_data_length(DATA_OCTETS, DATA_TIME_US)
        return connection

    async def _connected(self, address: Address, timeout_s: float) -> Connection:
        """bumble's connect; when this task is cancelled the controller is told, or it would wait for ever and take no
        other connect."""
        attempt = asyncio.create_task(self._device.connect(address, timeout=timeout_s))
        try:
            await asyncio.wait({attempt, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                raise ConnectionError(f"the controller at {self.name} is gone")
            return attempt.result()
        except BumbleTimeoutError:
            raise TimeoutError from None
        finally:
            if not attempt.done():
                await self._abandon(attempt)

    async def _abandon(self, attempt: asyncio.Task[Connection]) -> None:
        try:
            if not self.gone:
                async with asyncio.timeout(CANCEL_TIMEOUT_S):
                    await self._device.cancel_connection()
                    await attempt
                    await attempt.result().disconnect()  # it was faster than the cancel
        except Exception as error:  # that it has failed is what was wanted
            _logger.debug("a connect was given up: %s", one_line(error))
        attempt.cancel()

    async def find(self, address: str, timeout_s: float) -> Address | None:
        """The address with its type, of a device heard lately or within the timeout; None when it is not heard."""
        found = self._addresses.get(address.upper())
        if found is not None:
            return found
        await self.start_scan(_ignore, active=False)
        try:
            async with asyncio.timeout(timeout_s):
                while address.upper() not in self._addresses:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return None
        finally:
            await self.stop_scan(_ignore)
        return self._addresses[address.upper()]

    async def _set_scan(self) -> None:
        """Bring the controller's scan to what is wanted now; `_scan_change` keeps two of these apart."""
        async with self._scan_change:
            wanted = None if self._resting or not self._scans else any(self._scans.values())
            if wanted == self._scanning:
                return
            if self._scanning is not None:
                self._scanning = None
                await self._device.stop_scanning(legacy=True)
            if wanted is not None:
                await self._device.start_scanning(
                    legacy=True,  # tags advertise legacy PDUs; the extended command is not on every controller
                    active=wanted,
                    scan_interval=SCAN_INTERVAL_MS,
                    scan_window=SCAN_INTERVAL_MS,
                    filter_duplicates=False,
                )
                self._scanning = wanted

    def _on_report(self, report: Any) -> None:
        address = report.address.to_string(False)
        if address not in self._addresses:
            if len(self._addresses) >= ADDRESSES_MAX:
                self._addresses.popitem(last=False)
            self._addresses[address] = report.address
            self._heard.set()
        for listener in list(self._scans):
            listener(report)

    def _on_terminated(self, _: Any) -> None:
        _forget_open(self)
        if not self._ended.done():
            self._ended.set_result(None)
        listeners, self._lost = self._lost, []
        for listener in listeners:
            listener(f"the controller at {self.name} is gone")


def _ignore(_report: Any) -> None:
    pass


_open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, BumbleController]] = WeakKeyDictionary()
_opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def acquire(name: str) -> BumbleController:
    """The controller of that name, opened if nobody has it open. Each call needs one `release`.

    Raises what its transport raises (each has its own: of usb1, of serial, a bare Exception), and TimeoutError.
    """
    loop = asyncio.get_running_loop()
    async with _opening.setdefault(loop, asyncio.Lock()):
        controllers = _open.setdefault(loop, {})
        controller = controllers.get(name)
        if controller is None:
            controller = BumbleController(name)
            try:
                await controller.open()
            except BaseException:
                await controller.close()
                raise
            controllers[name] = controller
        controller._users += 1
        return controller


async def release(controller: BumbleController) -> None:
    """Undo one `acquire`; the last one closes the controller."""
    controller._users -= 1
    if controller._users == 0:
        _forget_open(controller)
        await controller.close()


@contextlib.asynccontextmanager
async def open_controller(name: str) -> AsyncIterator[BumbleController]:
    """`acquire` and `release` as a context."""
    controller = await acquire(name)
    try:
        yield controller
    finally:
        await release(controller)


def _forget_open(controller: BumbleController) -> None:
    for controllers in _open.values():
        if controllers.get(controller.name) is controller:
            del controllers[controller.name]
