"""The twins' side of the air: bumble's virtual link, an advertiser per twin, and HCI over TCP for a gateway."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from bumble import hci
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.transport.common import StreamPacketSource

UNREAD_BYTES_MAX = 256 * 1024  # minutes of events of a few twins: a gateway that is this far behind has stopped
ADVERTISING_DELAY_MS = 5  # the mean of advDelay, 0 to 10 ms, which bumble's controller does not add
_LE_META_EVENT = bytes([hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT])
_REPORT_SUBEVENTS = (
    bytes([hci.HCI_LE_ADVERTISING_REPORT_EVENT]),
    bytes([hci.HCI_LE_EXTENDED_ADVERTISING_REPORT_EVENT]),
)

OnReport = Callable[[int, bytes], None]

log = logging.getLogger(__name__)


class Advertiser:
    """One twin's controller. Its address is static random (the two top bits set), and its last 4 octets the tag id."""

    def __init__(self, link: LocalLink, tag_id: int) -> None:
        controller = Controller(f"tag {tag_id}", link=link)
        octets = b"\xc0\x00" + tag_id.to_bytes(4, "big")
        controller.random_address = hci.Address(octets[::-1], hci.Address.RANDOM_DEVICE_ADDRESS)
        self._legacy = controller.le_legacy_advertiser
        self._legacy.own_address_type = hci.Address.RANDOM_DEVICE_ADDRESS
        # bumble emits nothing for non-connectable advertising, so it is connectable here whatever the tag asked for.
        self._legacy.advertising_type = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType.ADV_IND

    def start(self, adv_data: bytes, interval_ms: float) -> None:
        """Advertise from now on, in place of what was advertised before."""
        # Set at the controller: by HCI the interval would come out 1.6 times too long (units of 0.625 ms taken for ms).
        self._legacy.advertising_interval_min = round(interval_ms + ADVERTISING_DELAY_MS)
        self._legacy.advertising_data = adv_data
        self._legacy.start()

    def stop(self) -> None:
        """Be silent."""
        self._legacy.stop()


class HciServer:
    """Controllers for gateways: each TCP connection to `port` on the loopback gets one of its own on the link.

    on_report(tag_id, adv_data): an advertising report of an `Advertiser` was written to a gateway.
    """

    def __init__(self, link: LocalLink, on_report: OnReport) -> None:
        self.port = 0
        self._link = link
        self._on_report = on_report
        self._server: asyncio.Server | None = None
        self._connections: set[_HciConnection] = set()

    async def __aenter__(self) -> "HciServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _HciConnection(self._link, self._connections, self._on_report), host="127.0.0.1", port=0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.close()


class _HciConnection(asyncio.Protocol):
    def __init__(self, link: LocalLink, connections: "set[_HciConnection]", on_report: OnReport) -> None:
        self._link = link
        self._on_report = on_report
        self._connections = connections
        self._source = StreamPacketSource()
        self._controller: Any = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._connections.add(self)
        self._controller = Controller("gateway", self._source, self, self._link, public_address="F0:F0:F0:F0:F0:F0")

    def on_packet(self, packet: bytes) -> None:
        """bumble's sink: what the controller says to the gateway."""
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            log.warning("a gateway does not read its HCI events, disconnected")
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(packet)
            for tag_id, adv_data in _reports(packet):
                self._on_report(tag_id, adv_data)

    def data_received(self, data: bytes) -> None:
        self._source.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._link.remove_controller(self._controller)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _reports(packet: bytes) -> list[tuple[int, bytes]]:
    """(tag id, AdvData) of each report in what a controller says to its host."""
    if packet[:2] != _LE_META_EVENT or packet[3:4] not in _REPORT_SUBEVENTS:
        return []
    event: Any = hci.HCI_Packet.from_bytes(packet)
    return [(int.from_bytes(bytes(report.address)[:4], "little"), report.data) for report in event.reports]
