"""Connections to simulated tags: the courier's links over the air's own stream (SPEC.md, "Air records")."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from taghub.clock import Clock
from taghub.radio.link import LOST, UNREACHABLE, Link, LinkError, Notifications
from tagwire.air import (
    ADDRESS_BYTES,
    RECORD_CONNECT,
    RECORD_CONNECTED,
    RECORD_DISCONNECT,
    RECORD_DISCONNECTED,
    RECORD_NOTIFY,
    RECORD_WRITE,
    Record,
    encode_record,
    frame_bytes,
)
from tagwire.session import FRAME_BYTES_MAX

CLOSE_TIMEOUT_S = 5.0
LINK_RECORDS = (RECORD_CONNECTED, RECORD_DISCONNECTED, RECORD_NOTIFY)

_Stream = asyncio.StreamWriter


class _AirLink:
    def __init__(self, links: "AirLinks", stream: _Stream, address: bytes) -> None:
        self.frame_bytes = 0
        self.stream = stream
        self.address = address
        self.connected: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self.notifications = Notifications()
        self._links = links

    async def write(self, frame: bytes) -> None:
        if self.over.is_set():
            raise LinkError(LOST)
        await self._links.send(self, RECORD_WRITE, frame)

    async def read(self) -> bytes:
        return await self.notifications.get()

    def end(self) -> None:
        self.over.set()
        self.notifications.end(LOST)
        if not self.connected.done():
            self.connected.set_result(False)


class AirLinks:
    """All connections of one air radio. `take` the records of a stream, `lost` when it has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: list[_Stream] = []
        self._links: dict[tuple[_Stream, bytes], _AirLink] = {}

    def opened(self, stream: _Stream) -> None:
        """A simulator has connected."""
        self._streams.append(stream)

    def lost(self, stream: _Stream) -> None:
        """Its stream has ended, and with it its connections."""
        self._streams.remove(stream)
        for link in [link for link in self._links.values() if link.stream is stream]:
            link.end()

    def take(self, stream: _Stream, records: Iterable[Record]) -> None:
        """Records of a stream; those that fit no connection are stepped over."""
        for record in records:
            if record.type not in LINK_RECORDS:
                continue
            link = self._links.get((stream, record.address))
            if link is None:
                continue
            if record.type == RECORD_NOTIFY:
                link.notifications.put(record.data)
            elif record.type == RECORD_DISCONNECTED:
                link.end()
            elif not link.connected.done():
                link.frame_bytes = min(frame_bytes(record), FRAME_BYTES_MAX)
                link.connected.set_result(True)

    @contextlib.asynccontextmanager
    async def connect(self, address: bytes, timeout_s: float) -> AsyncIterator[Link]:
        """See `taghub.radio.link.Connect`. Where several simulators are connected, each is asked."""
        if len(address) != ADDRESS_BYTES:
            raise LinkError(UNREACHABLE)
        for stream in list(self._streams):
            if (stream, address) in self._links:
                continue
            link = self._links[stream, address] = _AirLink(self, stream, address)
            try:
                if await self._connected(link, timeout_s):
                    yield link
                    return
            finally:
                await self._close(link)
        raise LinkError(UNREACHABLE)

    async def send(self, link: _AirLink, kind: int, data: bytes = b"") -> None:
        """Write one record. Raises LinkError when the stream has ended."""
        try:
            link.stream.write(encode_record(kind, max(0, self._clock.unix_us()), link.address, data))
            await link.stream.drain()
        except OSError as error:
            link.end()
            raise LinkError(LOST) from error

    async def _connected(self, link: _AirLink, timeout_s: float) -> bool:
        await self.send(link, RECORD_CONNECT)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(link.connected)
        except TimeoutError:
            return False

    async def _close(self, link: _AirLink) -> None:
        """The address is free again once the air has said that the connection is over."""
        try:
            if not link.over.is_set():
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.send(link, RECORD_DISCONNECT)
                    await link.over.wait()
        except (LinkError, TimeoutError):
            pass
        finally:
            del self._links[link.stream, link.address]
