"""The Bluetooth host of a virtual chip: what NimBLE does below MicroPython's `bluetooth` module. Pure.

Between two sides that do not wait for each other: the board, whose requests come in as calls, and the air, whose doings
become events that the board fetches. As on the chip, a write counts as answered when its handler is about to run.
"""

import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

CENTRAL_CONNECT = 1  # MicroPython's event codes; the module does not export them
CENTRAL_DISCONNECT = 2
GATTS_WRITE = 3
GATTS_READ_REQUEST = 4
GATTS_INDICATE_DONE = 20
MTU_EXCHANGED = 21
CONNECTION_UPDATE = 27

ENOMEM = 12
EBUSY = 16
EINVAL = 22
ENOTCONN = 107  # NimBLE's BLE_HS_ENOTCONN, as MicroPython numbers it

ADDRESS_OWN = 0  # MicroPython's addr_mode: the chip's own; on bumble's link a static random one stands for it
ADDRESS_STATIC = 1
ADDRESS_PRIVATE = 3  # random, and nothing resolves it

SEND_BUFFERS = 12  # NimBLE's first pool of packet buffers on an ESP32 (CONFIG_BT_NIMBLE_MSYS_1_BLOCK_COUNT)
EVENTS_MAX = 256  # beyond: what the link layer's flow control would hold back
MTU_DEFAULT = 23
MTU_MAX = 517
UNLIKELY_ERROR = 0x0E  # Vol 3, Part F, 3.4.1.1

Services = list[tuple[str, list[tuple[str, int]]]]  # (UUID, characteristics as (UUID, flags))


class Sending(NamedTuple):
    """One notification (or indication) on its way."""

    connection: int
    handle: int
    value: bytes
    indication: bool


class Antenna:
    """What a radio reaches. This one: nothing; on the air it is a `peripheral.Peripheral`."""

    def address(self) -> bytes:
        """The address of this moment, a random one, most significant byte first."""
        return bytes(6)

    def serve(self, services: Services, name: bytes, mtu: int) -> list[list[int]]:
        """Offer these services from now on, and no others; the value handles, assigned in order."""
        handle = 15
        handles = []
        for _, characteristics in services:
            handles.append([handle := handle + 3 for _ in characteristics])
        return handles

    def set_address_mode(self, mode: int) -> None:
        """Go on under the address of this mode: an ADDRESS_*."""

    def send(self) -> None:
        """There is something in `Nimble.sending`."""

    def disconnect(self, connection: int) -> None:
        """End a connection; `Nimble.disconnected` follows."""

    def vanish(self) -> None:
        """The host stops: no server, and peers notice by their supervision timeout."""


class Nimble:
    """One chip's Bluetooth host, off at first.

    For tests: send_buffers, how many notifications may wait for the radio; refuse_notifications, how many of the next
    ones find no buffer whatever waits. on_event is called for each event that arrives. dropped: events beyond
    EVENTS_MAX.
    """

    def __init__(self, antenna: Antenna | None = None) -> None:
        self.antenna = antenna or Antenna()
        self.on_event: Callable[[], None] = lambda: None
        self.send_buffers = SEND_BUFFERS
        self.refuse_notifications = 0
        self.dropped = 0
        self.active = False
        self._reset()

    def _reset(self) -> None:
        self.connections: set[int] = set()
        self.sending: deque[Sending] = deque()
        self._events: deque[tuple[bytes, Callable[[], None]]] = deque()
        self._reads: deque[Callable[[int], None]] = deque()
        self._values: dict[int, bytes] = {}
        self.mtu = MTU_DEFAULT
        self.name = b"MPY ESP32"

    # The board's side

    def switch(self, on: bool) -> None:
        """Start or stop the host; a stop ends every connection and forgets every service."""
        self.power_off()
        if on:
            self.antenna.set_address_mode(ADDRESS_OWN)
        self.active = on

    def power_off(self) -> None:
        """What happens to peers when the chip stops, for whatever reason."""
        self.antenna.vanish()
        for _, taken in self._events:
            taken()
        for answered in self._reads:
            answered(UNLIKELY_ERROR)
        self._reset()
        self.active = False

    def register(self, services: Services) -> list[list[int]] | int:
        """The handles of each service's characteristics, or an error number."""
        if self.connections:
            return EBUSY
        handles = self.antenna.serve(services, self.name, self.mtu)
        self._values = {handle: b"" for one in handles for handle in one}
        return handles

    def set_value(self, handle: int, value: bytes) -> int:
        """What peers read from now on; an error number or 0."""
        if handle not in self._values:
            return EINVAL
        self._values[handle] = value
        return 0

    def notify(self, sending: Sending) -> int:
        """Put a notification on its way; an error number or 0."""
        if sending.connection not in self.connections:
            return ENOTCONN
        if self.refuse_notifications:
            self.refuse_notifications -= 1
            return ENOMEM
        if len(self.sending) >= self.send_buffers:
            return ENOMEM
        self.sending.append(sending)
        self.antenna.send()
        return 0

    def disconnect(self, connection: int) -> int:
        """End a connection; an error number or 0."""
        if connection not in self.connections:
            return ENOTCONN
        self.antenna.disconnect(connection)
        return 0

    @property
    def has_events(self) -> bool:
        """Whether the board has something to fetch."""
        return bool(self._events)

    def next_event(self) -> bytes:
        """The next event for the board; empty when there is none."""
        if not self._events:
            return b""
        event, taken = self._events.popleft()
        taken()
        return event

    def answer_read(self, status: int) -> None:
        """What the handler said to the earliest read request: 0, or an ATT error."""
        if self._reads:
            self._reads.popleft()(status)

    # The air's side

    def connected(self, connection: int, address_type: int, address: bytes) -> None:
        """A central has connected; its address most significant byte first."""
        self.connections.add(connection)
        self._arrived(struct.pack("<BHB", CENTRAL_CONNECT, connection, address_type) + address)

    def disconnected(self, connection: int, address_type: int, address: bytes) -> None:
        """A connection has ended, whoever ended it; what was on its way is lost."""
        self.connections.discard(connection)
        self.sending = deque(one for one in self.sending if one.connection != connection)
        self._arrived(struct.pack("<BHB", CENTRAL_DISCONNECT, connection, address_type) + address)

    def mtu_exchanged(self, connection: int, mtu: int) -> None:
        """The two sides have agreed on an ATT MTU."""
        self._arrived(struct.pack("<BHH", MTU_EXCHANGED, connection, mtu))

    def updated(self, connection: int, interval: int, latency: int, timeout: int) -> None:
        """The central has changed the connection's parameters, in the units of the air: 1.25 ms, events, 10 ms."""
        self._arrived(struct.pack("<BHHHHH", CONNECTION_UPDATE, connection, interval, latency, timeout, 0))

    def indicated(self, connection: int, handle: int, status: int) -> None:
        """An indication was confirmed (0) or timed out."""
        self._arrived(struct.pack("<BHHB", GATTS_INDICATE_DONE, connection, handle, status))

    def written(self, connection: int, handle: int, value: bytes, taken: Callable[[], None]) -> None:
        """A peer has written; `taken` is called when the board fetches it, or never will."""
        self._arrived(struct.pack("<BHH", GATTS_WRITE, connection, handle) + value, taken)

    def read(self, connection: int, handle: int, answered: Callable[[int], None]) -> None:
        """A peer wants to read `value`; `answered` is called with 0 or an ATT error."""
        self._reads.append(answered)
        self._arrived(struct.pack("<BHH", GATTS_READ_REQUEST, connection, handle))

    def value(self, handle: int) -> bytes:
        """What a peer reads."""
        return self._values.get(handle, b"")

    def sent(self) -> Sending | None:
        """The next notification for the air, whose buffer is free from now on; None when nothing waits."""
        return self.sending.popleft() if self.sending else None

    def _arrived(self, event: bytes, taken: Callable[[], None] = lambda: None) -> None:
        if not self.active or len(self._events) >= EVENTS_MAX:
            self.dropped += self.active
            taken()
            return
        self._events.append((event, taken))
        self.on_event()
