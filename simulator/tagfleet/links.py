"""Connections to flock tags over the air's connection records: they answer history as real tags do. Pure.

A tag answers through `tagwire.tagend`, as the firmware does, with random bytes that follow from the seed. How long a
link takes is modelled, not measured. State: connections, and what is on its way to hubs.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tagfleet.flock import Flock
from tagfleet.flock_tag import FlockTag, command_receiver
from tagfleet.journals import Journals
from tagfleet.world.noise import Ints, bits
from tagfleet.world.world import World
from tagwire import air
from tagwire.air import RECORD_CONNECT, RECORD_DISCONNECT, RECORD_WRITE
from tagwire.command import CommandReceiver
from tagwire.errors import REASON_FLOW, DecodeError, EncodeError
from tagwire.provision import Provision
from tagwire.session import FRAME_BYTES_MAX, HELLOS_MAX, TYPE_SEALED, TagHandshake, expired, hub_key
from tagwire.tagend import TagEnd

_REOPENED_MAX = 1_000
_STREAM_SESSION, _STREAM_LOSS = 90, 91


@dataclass(frozen=True)
class LinkSettings:
    """connect_s: until the link, its MTU and the subscription are there. frame_s: from frame to frame, either way.
    loss_per_s: share of the links that break in a second for no reason. All uncalibrated; idle_s and longest_s are the
    firmware's (SPEC.md, "GATT service")."""

    connect_s: float = 2.0
    frame_s: float = 0.015
    loss_per_s: float = 0.002
    idle_s: float = 5.0
    longest_s: float = 120.0


class FlockLinks:
    """The tags' end of every connection. Feed it what hubs send, and send hubs what is `due`.

    provisions: the flock's, in its order. hub_of_place: as the air's; a tag is reached by the hub of its place, and
    while a truck loads by the one on the other side. alive: whether a tag (index in the flock) has power at a time in
    Unix seconds. Raises ValueError for a flock without journals.
    """

    def __init__(
        self,
        flock: Flock,
        provisions: Sequence[Provision],
        world: World,
        hub_of_place: Ints,
        settings: LinkSettings | None = None,
        alive: Callable[[int, float], bool] = lambda tag, t_s: True,
    ) -> None:
        if flock.journals is None:
            raise ValueError("a flock without journals has nothing to tell")
        self.visits = 0
        """Connections that were made."""
        self.frames_refused: dict[str, int] = {}
        """Frames of hubs that a tag had to refuse, by reason."""
        self._flock = flock
        self._journals: Journals = flock.journals
        self._provisions = provisions
        self._world = world
        self._hub_of_place = hub_of_place
        self._settings = settings or LinkSettings()
        self._alive = alive
        self._links: dict[bytes, _Link] = {}
        self._commands: dict[int, CommandReceiver] = {}  # of tags that were connected to
        self._reopened_us: dict[int, int] = {}  # until when a tag listens after a session
        self._outgoing: list[tuple[int, int, int, bytes]] = []  # due, order, hub, record
        self._sent = 0

    @property
    def open(self) -> int:
        """Connections that exist, or are being made."""
        return len(self._links)

    def receive(self, hub: int, record: air.Record, now_us: int) -> None:
        """Take a record of a hub; one that fits no connection is stepped over."""
        link = self._links.get(record.address)
        if record.type == RECORD_CONNECT:
            if link is None:
                self._connect(hub, record.address, now_us)
            elif link.hub != hub:
                self._end(hub, record.address, air.DISCONNECTED_REFUSED, now_us)
        elif link is not None and link.hub == hub:
            if record.type == RECORD_WRITE:
                self._write(link, record.data, now_us)
            elif record.type == RECORD_DISCONNECT:
                self._end(hub, record.address, air.DISCONNECTED_AS_ASKED, now_us)

    def due(self, now_us: int) -> dict[int, bytes]:
        """The air records for each hub up to `now_us`, connections that ended by themselves included."""
        for link in list(self._links.values()):
            self._look_after(link, now_us)
        if len(self._reopened_us) > _REOPENED_MAX:
            self._reopened_us = {tag: until_us for tag, until_us in self._reopened_us.items() if until_us > now_us}
        found: dict[int, list[bytes]] = {}
        while self._outgoing and self._outgoing[0][0] <= now_us:
            _, _, hub, record = heapq.heappop(self._outgoing)
            found.setdefault(hub, []).append(record)
        return {hub: b"".join(records) for hub, records in found.items()}

    def drop_hub(self, hub: int) -> None:
        """A hub's radio or its stream is gone, and its connections with it."""
        for address, link in list(self._links.items()):
            if link.hub == hub:
                del self._links[address]
        self._outgoing = [one for one in self._outgoing if one[2] != hub]
        heapq.heapify(self._outgoing)

    def _connect(self, hub: int, address: bytes, now_us: int) -> None:
        tag = self._tag_at(address)
        if tag is None or not self._in_reach(tag, hub, now_us) or not self._listens(tag, now_us):
            self._end(hub, address, air.DISCONNECTED_REFUSED, now_us)
            return
        self.visits += 1
        ready_us = now_us + round(self._settings.connect_s * 1e6)
        self._links[address] = _Link(self._tag_end(tag, ready_us), hub, tag, address, ready_us)
        self._send(ready_us, hub, air.encode_connected(ready_us, address, FRAME_BYTES_MAX))

    def _tag_end(self, tag: int, now_us: int) -> TagEnd:
        provision = self._provisions[tag]
        now_s = now_us // 1_000_000
        draws = iter(bits(self._world.seed, _STREAM_SESSION, provision.tag_id, now_us + np.arange(HELLOS_MAX)).tolist())

        def key_for(hub_id: int, epoch: int) -> bytes | None:
            return None if expired(epoch, now_s) else hub_key(provision.root_key, hub_id, epoch)

        def random(count: int) -> bytes:
            return int(next(draws)).to_bytes(8, "little")[:count]

        commands = self._commands.get(tag) or command_receiver(provision)
        self._commands[tag] = commands
        answers = FlockTag(self._flock, self._journals, tag, commands, now_s)
        return TagEnd(TagHandshake(provision.tag_id, key_for, random), answers, FRAME_BYTES_MAX)

    def _write(self, link: "_Link", frame: bytes, now_us: int) -> None:
        if now_us < link.ready_us:
            return
        try:
            link.end.receive(frame)
        except DecodeError as error:
            self.frames_refused[error.reason] = self.frames_refused.get(error.reason, 0) + 1
            if error.reason == REASON_FLOW:
                self._end(link.hub, link.address, air.DISCONNECTED_BY_TAG, now_us)
            return
        if frame[0] >> 2 == TYPE_SEALED:
            link.authentic_us = now_us
            link.proven = True
        at_us = max(link.busy_us, now_us)
        try:
            while (answer := link.end.next_frame()) is not None:
                at_us += round(self._settings.frame_s * 1e6)
                self._send(at_us, link.hub, air.encode_record(air.RECORD_NOTIFY, at_us, link.address, answer))
            link.busy_us = at_us
        except EncodeError:  # after 65,536 frames
            link.busy_us = at_us
            self._end(link.hub, link.address, air.DISCONNECTED_BY_TAG, now_us)

    def _look_after(self, link: "_Link", now_us: int) -> None:
        settings = self._settings
        if now_us < link.ready_us:
            return
        quiet_s = (now_us - max(link.authentic_us, link.busy_us)) / 1e6
        if quiet_s > settings.idle_s or (now_us - link.ready_us) / 1e6 > settings.longest_s:
            self._end(link.hub, link.address, air.DISCONNECTED_BY_TAG, now_us)
            return
        second = now_us // 1_000_000
        if second == link.looked_s:
            return
        link.looked_s = second
        draw = int(bits(self._world.seed, _STREAM_LOSS, self._provisions[link.tag].tag_id, second)[0]) / 2.0**64
        if draw < settings.loss_per_s or not self._in_reach(link.tag, link.hub, now_us):
            self._end(link.hub, link.address, air.DISCONNECTED_LOST, now_us)

    def _end(self, hub: int, address: bytes, reason: int, now_us: int) -> None:
        at_us = now_us
        link = self._links.get(address)
        if link is not None and link.hub == hub:
            del self._links[address]
            if reason != air.DISCONNECTED_AS_ASKED:
                at_us = max(now_us, link.busy_us)  # what was notified before arrives before
            if link.proven:
                self._reopened_us[link.tag] = now_us + round(self._journals.settings.window_s * 1e6)
        self._send(at_us, hub, air.encode_disconnected(at_us, address, reason))

    def _send(self, due_us: int, hub: int, record: bytes) -> None:
        heapq.heappush(self._outgoing, (due_us, self._sent, hub, record))
        self._sent += 1

    def _tag_at(self, address: bytes) -> int | None:
        """Whose address it is. An address begins with what the tag calls itself."""
        return self._flock.tag_called(int.from_bytes(address[:4], "little"))

    def _in_reach(self, tag: int, hub: int, now_us: int) -> bool:
        t_s = now_us / 1e6
        if not self._alive(tag, t_s):
            return False
        place = int(self._world.places_of(np.array([self._flock.world_tag(tag)]), np.array([t_s]))[0])
        if place < 0:
            return False
        docked = self._world.docked(t_s)
        others = [int(docked[place])] if place < self._world.trucks else np.flatnonzero(docked == place).tolist()
        return hub in {int(self._hub_of_place[one]) for one in (place, *others) if one >= 0}

    def _listens(self, tag: int, now_us: int) -> bool:
        """Whether a window is open: one that a beacon showed, or the one after a session."""
        return now_us < self._reopened_us.get(tag, 0) or self._flock.window_is_open(tag, now_us / 1e6)


class _Link:
    """One connection. busy_us: when its last frame arrives."""

    def __init__(self, end: TagEnd, hub: int, tag: int, address: bytes, ready_us: int) -> None:
        self.end = end
        self.hub = hub
        self.tag = tag
        self.address = address
        self.ready_us = ready_us
        self.authentic_us = ready_us
        self.busy_us = ready_us
        self.looked_s = 0
        self.proven = False
