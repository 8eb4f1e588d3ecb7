"""A link that can be cut: a TCP proxy that drops its connections, or silently swallows what passes."""

import asyncio
import contextlib


class TcpProxy:
    """Forwards a free port of 127.0.0.1 to another one. `async with`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._swallow = False
        self._bytes_per_s = 0
        self.port = 0

    async def __aenter__(self) -> "TcpProxy":
        await self.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def join(self) -> None:
        """Let connections through, from now on."""
        self._swallow = False
        self._bytes_per_s = 0
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def swallow(self) -> None:
        """Take in everything, forward nothing: a dead zone, which no end of the connection is told of."""
        self._swallow = True

    def slow(self, bytes_per_s: int = 300) -> None:
        """Let little through: a link that is about to break, a broker that is overloaded."""
        self._bytes_per_s = bytes_per_s

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
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
            while data := await reader.read(65536):
                while data and not self._swallow:
                    piece = max(1, self._bytes_per_s // 20) if self._bytes_per_s else len(data)
                    writer.write(data[:piece])
                    await writer.drain()
                    data = data[piece:]
                    await asyncio.sleep(0.05 if self._bytes_per_s else 0)
        writer.close()
