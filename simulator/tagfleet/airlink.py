"""The simulator's end of the air: a stream of records to a listening gateway, and what it asks of tags."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from tagwire.air import Decoder, Record

_RETRY_S = 0.05
_BUFFER_BYTES = 256 * 1024
_STALLED_S = 10.0
_RECORDS_MAX = 10_000  # of the gateway, not yet fetched; beyond, it has to wait
_READ_BYTES = 16 * 1024


class AirLost(Exception):
    """The gateway closed the air, or never opened it."""


class AirLink:
    """One connection to a gateway at `address` ("HOST:PORT" or "unix:PATH"); waits until the gateway listens.

    `still_waiting` is called while it waits and may raise to end that.
    """

    def __init__(self, address: str, timeout_s: float, still_waiting: Callable[[], None] = lambda: None) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._still_waiting = still_waiting
        self._writer: asyncio.StreamWriter | None = None
        self._records: list[Record] = []
        self._fetched = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        while True:
            try:
                reader, self._writer = await self._connect()
                break
            except OSError as error:
                self._still_waiting()
                if asyncio.get_running_loop().time() > deadline_s:
                    raise AirLost(f"nobody listens on {self._address}: {error}") from None
                await asyncio.sleep(_RETRY_S)
        self._writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self._reading = asyncio.create_task(self._read(reader), name=f"air {self._address}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("unix:"):
            return await asyncio.open_unix_connection(self._address.removeprefix("unix:"))
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = Decoder()
        with contextlib.suppress(OSError):  # `send` says so
            while data := await reader.read(_READ_BYTES):
                self._records += decoder.feed(data)
                while len(self._records) > _RECORDS_MAX:
                    self._fetched.clear()
                    await self._fetched.wait()

    def received(self) -> list[Record]:
        """What the gateway has asked of tags since the last call: the records of connections."""
        records, self._records = self._records, []
        self._fetched.set()
        return records

    async def send(self, records: bytes) -> None:
        """Hand over records; waits while more than 256 KiB are on their way, up to 10 s. Raises AirLost."""
        if self._writer is None:
            raise RuntimeError("send before entering the context")
        try:
            self._writer.write(records)
            async with asyncio.timeout(_STALLED_S):
                await self._writer.drain()
        except TimeoutError:  # it is an OSError too
            raise AirLost(f"the gateway has read nothing for {_STALLED_S:.0f} s") from None
        except OSError as error:
            raise AirLost(f"the gateway closed the air: {error}") from None
