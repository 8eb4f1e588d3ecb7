"""The simulator's end of the air: a stream of records to a listening gateway."""

import asyncio
from collections.abc import Callable
from typing import Self

_RETRY_S = 0.05
_BUFFER_BYTES = 256 * 1024
_STALLED_S = 10.0


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

    async def __aenter__(self) -> Self:
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        while True:
            try:
                self._writer = await self._connect()
                break
            except OSError as error:
                self._still_waiting()
                if asyncio.get_running_loop().time() > deadline_s:
                    raise AirLost(f"nobody listens on {self._address}: {error}") from None
                await asyncio.sleep(_RETRY_S)
        self._writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _connect(self) -> asyncio.StreamWriter:
        if self._address.startswith("unix:"):
            return (await asyncio.open_unix_connection(self._address.removeprefix("unix:")))[1]
        host, _, port = self._address.rpartition(":")
        return (await asyncio.open_connection(host, int(port)))[1]

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
