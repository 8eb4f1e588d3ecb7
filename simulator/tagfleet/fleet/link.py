"""The link between a hub and its broker, which can be cut: a TCP proxy."""

import asyncio
import contextlib

_CHUNK_BYTES = 65_536


class Link:
    """Forwards `port` of this machine's loopback to the broker. Enter it with `async with`."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.connections = 0
        """How many were ever opened."""
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._cut = self._unplugged = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._silent = False

    async def __aenter__(self) -> "Link":
        await self.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def join(self) -> None:
        """Let everything through, from now on; connections that were silenced are reset, as a network that comes back
        does to those that have lost packets for too long."""
        self._cut = False
        if self._silent:
            self._silent = False
            self._reset()
        await self._listen()

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._cut = True
        self._refuse()

    def silence(self) -> None:
        """Take in everything and forward nothing: a dead zone, which no end of the connection is told of."""
        self._silent = True

    def unplug(self) -> None:
        """Its hub has lost power: as `cut`, but what the network is like does not change by it."""
        self._unplugged = True
        self._refuse()

    async def plug(self) -> None:
        """Its hub may have power again. The link is as the network is now: joined, silent or cut."""
        self._unplugged = False
        await self._listen()

    async def _listen(self) -> None:
        if self._server is None and not self._cut and not self._unplugged:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            target_reader, target_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, target_writer}
        for source, sink in ((reader, target_writer), (target_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if not self._silent:
                    writer.write(data)
                    await writer.drain()
        self._writers.discard(writer)
        writer.close()
