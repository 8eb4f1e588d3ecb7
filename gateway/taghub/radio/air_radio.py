"""Simulated radio: the hub listens on TCP or a unix socket, simulators connect and write air records."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from taghub.clock import AirClock, Clock
from taghub.errors import PortError, RadioError
from taghub.heard import Advertisement, Heard, HeardRun, from_records, from_run
from taghub.radio.air_links import LINK_RECORDS, AirLinks
from taghub.radio.base import COUNT_FOREIGN, COUNT_REPORTS, new_counts
from taghub.radio.link import Connect
from taghub.settings import AirSettings
from tagwire.air import FULL_BYTES, RECORD_ADVERTISEMENT, Decoder, Record
from tagwire.fields import TIME_WINDOW_S

READ_BYTES = 64 * 1024
CHUNKS_MAX = 8  # read and not yet taken in; beyond, a connection waits and TCP slows the simulator down

_EARLIEST_US = TIME_WINDOW_S * 1_000_000
_LATEST_US = (1 << 33) * 1_000_000  # the range of a batch's times

_OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class AirRadio:
    """All connections together are one radio.

    With a SystemClock a report is as old as its arrival; with an AirClock the records' own time is the hub's.
    """

    def __init__(self, settings: AirSettings, company_id: int, clock: Clock) -> None:
        self._listen = settings.listen
        self._company_id = company_id
        self._clock = clock
        self.name = f"air {settings.listen}"
        self.required = settings.required
        self.counts = new_counts()
        self.tap: Callable[[Advertisement], object] | None = None
        self.filtered = False
        self.silence_s: float | None = None  # a simulation may pause
        self.steps: frozenset[str] = frozenset()
        self._links = AirLinks(clock)
        self.connect: Connect | None = self._links.connect

    async def take_step(self, step: str) -> None:
        raise RadioError(f"simulated radio knows no {step}")

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """There is nothing beside `listen`."""

    @contextlib.asynccontextmanager
    async def listen(self, passive: bool | None = None) -> AsyncIterator[AsyncIterator[Sequence[Heard]]]:
        """Listen from the first moment inside to the end. Raises PortError. See `Radio.listen`."""
        queue: asyncio.Queue[Sequence[Heard]] = asyncio.Queue(CHUNKS_MAX)
        connections: set[asyncio.Task[None]] = set()

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            self._links.opened(writer)
            try:
                await self._read(reader, writer, queue)
            except (OSError, asyncio.CancelledError):
                pass  # the simulator is gone, and another may come; or the hub ends: asyncio logs a cancelled handler
            finally:
                self._links.lost(writer)
                connections.discard(task)
                writer.close()

        server = await self._open(on_connection)
        try:
            yield _chunks(queue)
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            if self._listen.startswith("unix:"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._listen.removeprefix("unix:"))

    async def _open(self, on_connection: _OnConnection) -> asyncio.Server:
        try:
            if self._listen.startswith("unix:"):
                path = self._listen.removeprefix("unix:")
                await _refuse_taken_socket(path)
                return await asyncio.start_unix_server(on_connection, path)
            host, _, port = self._listen.rpartition(":")
            return await asyncio.start_server(on_connection, host, int(port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error  # asyncio's own errors have the text only
            raise PortError(f"radio {self.name}: cannot listen: {reason}; set another `listen`") from None

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, queue: asyncio.Queue[Sequence[Heard]]
    ) -> None:
        decoder = Decoder()
        while data := await reader.read(READ_BYTES):
            heard_us = None if isinstance(self._clock, AirClock) else self._clock.unix_us()
            run = decoder.feed_run(data)
            while run:
                if self.tap is not None:
                    self._tell(self.tap, Decoder().feed(run))
                await self._put(queue, from_run(run, self._company_id, heard_us), len(run) // FULL_BYTES)
                run = decoder.feed_run(b"")
            records = decoder.feed(b"")
            self._links.take(writer, records)
            if self.tap is not None:
                self._tell(self.tap, records)
            if isinstance(self._clock, AirClock):
                _follow_links(records, self._clock)
            await self._put(queue, from_records(records, self._company_id, heard_us), len(records))

    async def _put(self, queue: asyncio.Queue[Sequence[Heard]], reports: Sequence[Heard], records: int) -> None:
        """Queue what was ours among so many records."""
        if isinstance(self._clock, AirClock):
            reports = _timed(reports, self._clock)
        self.counts[COUNT_REPORTS] += len(reports)
        self.counts[COUNT_FOREIGN] += records - len(reports)
        if len(reports):
            await queue.put(reports)

    def _tell(self, tap: Callable[[Advertisement], object], records: list[Record]) -> None:
        for record_type, t_us, rssi_dbm, address, adv_data in records:
            if record_type == RECORD_ADVERTISEMENT:
                now_us = t_us if isinstance(self._clock, AirClock) else self._clock.unix_us()
                tap(Advertisement(now_us, rssi_dbm, address[::-1].hex(":").upper(), adv_data))


def _timed(reports: Sequence[Heard], clock: AirClock) -> Sequence[Heard]:
    """The reports whose own time a batch can carry; the latest is the hub's time from now on."""
    if isinstance(reports, HeardRun):
        reports = reports.only((reports.t_us >= _EARLIEST_US) & (reports.t_us < _LATEST_US))
        newest_us = int(reports.t_us.max(initial=0))
    else:
        reports = [report for report in reports if _EARLIEST_US <= report.t_us < _LATEST_US]
        newest_us = max((report.t_us for report in reports), default=0)
    clock.advance(newest_us)
    return reports


def _follow_links(records: list[Record], clock: AirClock) -> None:
    """What a connection says is of its time too: it may be all that is in the air."""
    times = [t_us for kind, t_us, *_ in records if kind in LINK_RECORDS and _EARLIEST_US <= t_us < _LATEST_US]
    if times:
        clock.advance(max(times))


async def _refuse_taken_socket(path: str) -> None:
    """asyncio removes a socket file that is in its way, even one that another hub listens on."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return
    writer.close()
    raise OSError(errno.EADDRINUSE, "another process listens on it")


async def _chunks(queue: asyncio.Queue[Sequence[Heard]]) -> AsyncIterator[Sequence[Heard]]:
    while True:
        yield await queue.get()
