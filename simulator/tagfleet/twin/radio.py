"""The twins' side of the air: bumble's virtual link, an advertiser per twin, and HCI over TCP for a gateway.

The controllers here are bumble's, with what a connection needs and those leave out: a tag that advertises but takes no
connection, a connection that was lost in the same moment, and an attempt that is given up.
"""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from bumble import hci, ll
from bumble.controller import Controller, LegacyAdvertiser
from bumble.link import LocalLink
from bumble.transport.common import StreamPacketSource

UNREAD_BYTES_MAX = 256 * 1024  # minutes of events of a few twins: a gateway that is this far behind has stopped
ADVERTISING_DELAY_MS = 5  # the mean of advDelay, 0 to 10 ms, which bumble's controller does not add
_LE_META_EVENT = bytes([hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT])
_REPORT_SUBEVENTS = (
    bytes([hci.HCI_LE_ADVERTISING_REPORT_EVENT]),
    bytes([hci.HCI_LE_EXTENDED_ADVERTISING_REPORT_EVENT]),
)

ESTABLISH_S = 0.18  # six connection intervals of 30 ms (Vol 6, Part B, 4.5.2)

OnReport = Callable[[bytes, bytes], None]

log = logging.getLogger(__name__)


class _Unconnectable(ll.AdvInd):  # type: ignore[misc]
    """bumble has no reports for ADV_NONCONN_IND. A controller that does not know this class hears an ADV_IND."""


class _LegacyAdvertiser(LegacyAdvertiser):  # type: ignore[misc]
    connectable = False

    def send_advertising_data(self) -> None:
        if self.enabled:
            pdu = ll.AdvInd if self.connectable else _Unconnectable
            self.controller.send_advertising_pdu(pdu(advertiser_address=self.address, data=self.advertising_data))


class _TagController(Controller):  # type: ignore[misc]
    def on_le_connect_ind(self, packet: Any) -> None:
        if self.le_legacy_advertiser.connectable:
            super().on_le_connect_ind(packet)

    def on_hci_le_set_random_address_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """The address is the advertiser's: a host that starts late would set the one of when it was made."""
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_link_acl_data(self, sender_address: Any, transport: Any, data: bytes) -> None:
        """bumble's link names a sender by its random address, also one that connected by its public one, as Linux does.
        A tag has one connection at a time."""
        if sender_address not in self.le_connections and len(self.le_connections) == 1:
            (sender_address,) = self.le_connections
        super().on_link_acl_data(sender_address, transport, data)


class Advertiser:
    """One twin's controller. Its own address is static random (the two top bits set), its last 4 octets the tag id."""

    def __init__(self, link: LocalLink, tag_id: int) -> None:
        self.own_address = b"\xc0\x00" + tag_id.to_bytes(4, "big")
        self.controller = _TagController(f"tag {tag_id}", link=link)
        # With extended advertising, bumble's host tells a connection only after an event that ends a set of it.
        self.controller.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        self.controller.le_legacy_advertiser = self._legacy = _LegacyAdvertiser(self.controller)
        self._legacy.own_address_type = hci.Address.RANDOM_DEVICE_ADDRESS
        self.set_address(self.own_address)

    @property
    def address(self) -> bytes:
        """Most significant byte first."""
        return bytes(self.controller.random_address)[::-1]

    def set_address(self, address: bytes) -> None:
        """Another random address, most significant byte first."""
        self.controller.random_address = hci.Address(address[::-1], hci.Address.RANDOM_DEVICE_ADDRESS)

    def start(self, adv_data: bytes, interval_ms: float, connectable: bool = False) -> None:
        """Advertise from now on, in place of what was advertised before; ends with a connection."""
        # Set at the controller: by HCI the interval would come out 1.6 times too long (units of 0.625 ms taken for ms).
        self._legacy.connectable = connectable
        self._legacy.advertising_interval_min = round(interval_ms + ADVERTISING_DELAY_MS)
        self._legacy.advertising_data = adv_data
        self._legacy.start()

    def allow_connections(self) -> None:
        """What is advertised now is connectable from now on."""
        self._legacy.connectable = True

    def stop(self) -> None:
        """Be silent."""
        self._legacy.stop()


class Link(LocalLink):  # type: ignore[misc]
    """bumble's, whose data come from the address that a connection was made with.

    A host may have another random address meanwhile: Linux takes a new one for each scan."""

    def send_acl_data(self, sender_controller: Any, destination_address: Any, transport: Any, data: bytes) -> None:
        connection = sender_controller.le_connections.get(destination_address)
        receiver = None if connection is None else self.find_le_controller(destination_address)
        if connection is None or receiver is None:
            super().send_acl_data(sender_controller, destination_address, transport, data)
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon(receiver.on_link_acl_data, connection.self_address, transport, data)


class GatewayController(Controller):  # type: ignore[misc]
    """A gateway's controller, which connects to what takes connections, and says when nobody answered."""

    pending_le_connection: Any

    def on_hci_reset_command(self, command: Any) -> Any:
        """A reset ends a scan and an attempt to connect (Vol 4, Part E, 7.3.2); bumble leaves them as they are, and
        refuses the parameters of the next scan."""
        self.le_scan_enable = False
        self.pending_le_connection = None
        return super().on_hci_reset_command(command)

    def on_advertising_pdu(self, pdu: Any) -> None:
        pending = self.pending_le_connection
        if isinstance(pdu, _Unconnectable):
            self.pending_le_connection = None
        super().on_advertising_pdu(pdu)
        if isinstance(pdu, _Unconnectable):
            self.pending_le_connection = pending

    def create_le_connection(self, peer_address: Any) -> None:
        super().create_le_connection(peer_address)
        if (connection := self.le_connections.get(peer_address)) is not None:
            asyncio.get_running_loop().call_later(ESTABLISH_S, self._check, connection)

    def _check(self, connection: Any) -> None:
        """The other side may have stopped listening before the request reached it; bumble takes it for connected."""
        peer = self.link.find_le_controller(connection.peer_address)
        if self.le_connections.get(connection.peer_address) is not connection:
            return
        if peer is None or connection.self_address not in peer.le_connections:
            self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    def on_hci_le_create_connection_cancel_command(self, command: Any) -> Any:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            self.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                    connection_handle=0,
                    role=hci.Role.CENTRAL,
                    peer_address_type=pending.peer_address.address_type,
                    peer_address=pending.peer_address,
                    connection_interval=0,
                    peripheral_latency=0,
                    supervision_timeout=0,
                    central_clock_accuracy=0,
                )
            )
        return super().on_hci_le_create_connection_cancel_command(command)


class HciServer:
    """Controllers for gateways: each TCP connection to `port` on the loopback gets one of its own on the link.

    on_report(address, adv_data): an advertising report was written to a gateway; the sender's address, most significant
    byte first.
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
        # Two ports are two adapters; one that is opened again is the same.
        port = int(transport.get_extra_info("sockname")[1])
        address = f"F0:F0:F0:F0:{port >> 8:02X}:{port & 0xFF:02X}"
        self._controller = GatewayController("gateway", self._source, self, self._link, public_address=address)
        # A gateway may be Linux itself, which with these expects events that bumble's controller does not send.
        self._controller.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)

    def on_packet(self, packet: bytes) -> None:
        """bumble's sink: what the controller says to the gateway."""
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            log.warning("a gateway does not read its HCI events, disconnected")
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(packet)
            for address, adv_data in _reports(packet):
                self._on_report(address, adv_data)

    def data_received(self, data: bytes) -> None:
        self._source.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        for connection in list(self._controller.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
        self._link.remove_controller(self._controller)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _reports(packet: bytes) -> list[tuple[bytes, bytes]]:
    """(address, AdvData) of each report in what a controller says to its host."""
    if packet[:2] != _LE_META_EVENT or packet[3:4] not in _REPORT_SUBEVENTS:
        return []
    event: Any = hci.HCI_Packet.from_bytes(packet)
    return [(bytes(report.address)[::-1], report.data) for report in event.reports]
