"""A hub that visits a twin in virtual time: once in each of the tag's windows it connects, takes the history that it
lacks, settles what earlier visits brought, offers its time and carries the platform's next command. Pure.

Nothing radiates: frames go straight into the chip's Bluetooth host, and all that a visit does takes no virtual time but
what the tag waits for.
"""

from collections.abc import Callable

from tagfleet.twin.nimble import Antenna, Nimble, Services
from tagwire import gatt_ids
from tagwire.command import EXPIRES_NEVER, Command, open_reply, platform_key, seal_command
from tagwire.errors import DecodeError
from tagwire.fields import TIME_HUB
from tagwire.history import Record
from tagwire.hubend import Absent, Established, Event, Finished, HubEnd, Received, Replied
from tagwire.messages import COMMAND, HISTORY
from tagwire.provision import Provision
from tagwire.ranges import Ranges, normalized, union
from tagwire.seal import aes128
from tagwire.session import EPOCH_FOREVER, HubHandshake, hub_key

CONNECTION = 1
ADDRESS = bytes([0xC0, 0, 0, 0, 0, 1])  # static random (Vol 6, Part B, 1.3.2.1)

Order = tuple[int, bytes]  # a command's opcode and value


class VisitingHub(Antenna):
    """One hub, which one twin reaches.

    orders: the platform's next command by its number, from 1 on, None for none; it is carried until the tag replies.
    records: the samples that came. had: their counters, and those of which the tag said that there are none. settled:
    what the tag was told is settled. replied: status of each command. visits: sessions that ended with all said;
    faults: those that did not.
    """

    def __init__(
        self, provision: Provision, orders: Callable[[int], Order | None] = lambda number: None, hub_id: int = 1
    ) -> None:
        self.radio = Nimble(self)
        self.had: Ranges = []
        self.settled: Ranges = []
        self.records: list[Record] = []
        self.replied: dict[int, int] = {}
        self.visits = 0
        self.faults: list[str] = []
        self._tag_id = provision.tag_id
        self._hub_id = hub_id
        self._key = hub_key(provision.root_key, hub_id, EPOCH_FOREVER)
        self._platform = aes128(platform_key(provision.root_key))
        self._orders = orders
        self._hellos = 0
        self._control = 0
        self._was_here = False  # in this window
        self._end: HubEnd | None = None
        self._awaited = 0  # replies
        self._finished = False

    def serve(self, services: Services, name: bytes, mtu: int) -> list[list[int]]:
        handles = super().serve(services, name, mtu)
        self._was_here = False
        for (_, characteristics), values in zip(services, handles, strict=True):
            for (uuid, _), handle in zip(characteristics, values, strict=True):
                if uuid == gatt_ids.CONTROL:
                    self._control = handle
        return handles

    def called(self, now_s: float) -> None:
        """The tag advertises, and would be connected to."""
        if self._was_here:
            return
        self._was_here = True
        self._hellos += 1
        handshake = HubHandshake(
            self._tag_id, self._key, self._hub_id, EPOCH_FOREVER, self._hellos.to_bytes(8, "little")
        )
        self._end = HubEnd(handshake, [], gatt_ids.frame_bytes(gatt_ids.MTU))
        self._end.set_time(int(now_s), TIME_HUB)
        self._awaited = 1
        self._finished = False
        self.radio.connected(CONNECTION, 1, ADDRESS)
        self.radio.mtu_exchanged(CONNECTION, gatt_ids.MTU)
        self._write()

    def send(self) -> None:
        while (sending := self.radio.sent()) is not None:
            self._take(sending.value)

    def disconnect(self, connection: int) -> None:
        self.vanish()
        self.radio.disconnected(connection, 1, ADDRESS)

    def vanish(self) -> None:
        if self._end is not None and not (self._finished and self._awaited <= 0):
            self.faults.append(f"visit {self._hellos} was cut short")
        self._end = None

    def _write(self) -> None:
        """The next frame, once the tag has taken the one before."""
        frame = None if self._end is None else self._end.next_frame()
        if frame is not None:
            self.radio.written(CONNECTION, self._control, frame, self._write)

    def _take(self, frame: bytes) -> None:
        end = self._end
        if end is None:
            return
        try:
            events = end.receive(frame)
        except DecodeError as error:
            self.faults.append(f"visit {self._hellos}: {error}")
            self._finished, self._awaited = True, 0
            events = []
        for event in events:
            self._learn(end, event)
        if self._finished and self._awaited <= 0:
            self.visits += 1
            self.disconnect(CONNECTION)
        else:
            self._write()

    def _learn(self, end: HubEnd, event: Event) -> None:
        if isinstance(event, Established):
            after = self.had[-1][1] + 1 if self.had else 0
            if after <= event.newest:
                end.want([(after, event.newest)])
            else:
                self._finished = True
            if self.had != self.settled:
                end.settle(self.had)
                self.settled = self.had
                self._awaited += 1
            self._carry(end)
        elif isinstance(event, Received):
            self.records += event.records
            self.had = union(self.had, normalized((record.counter, record.counter) for record in event.records))
        elif isinstance(event, Absent):
            self.had = union(self.had, event.ranges)
        elif isinstance(event, Finished):
            self._finished = True
        elif isinstance(event, Replied) and event.message != HISTORY:
            self._awaited -= 1
            if event.message == COMMAND and event.sealed:
                number, status, _ = open_reply(self._platform, self._tag_id, event.sealed)
                self.replied[number] = status

    def _carry(self, end: HubEnd) -> None:
        number = max(self.replied, default=0) + 1
        order = self._orders(number)
        if order is not None:
            opcode, value = order
            end.command(seal_command(self._platform, self._tag_id, Command(number, opcode, EXPIRES_NEVER, value)))
            self._awaited += 1
