"""A worker process: some hubs, at the command of a run's director.

python -m tagfleet.fleet.worker ADDRESS   ("unix:PATH" or "HOST:PORT": where the director listens)
"""

import asyncio
import contextlib
import gc
import logging
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

from tagfleet.fleet import frames
from tagfleet.fleet.batch_hub import BatchHub
from tagfleet.fleet.hosted_hub import HostedHub
from tagfleet.fleet.link import Link
from tagfleet.fleet.run_clock import RunClock
from tagfleet.fleet.trace_log import TraceLog
from tagfleet.memory import keep_freed_memory
from taghub.settings import Settings
from tagwire.keyring import KeyringEntry

STATUS_S = 0.25
WORK_S = 1.0
STATUS_MESSAGES_PER_S = 50.0  # of all hubs together: a fleet's status must not be its main load
_TRACE_S = 0.05

_log = logging.getLogger(__name__)


class Worker:
    """What one process hosts. Frames come in by `take`; `send` gets those that go out."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._clock = RunClock()
        self._trace = TraceLog()
        self._hubs: dict[int, HostedHub | BatchHub] = {}
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._missed = 0  # reports for hubs that were not running
        self._deliver_s = 5.0
        self._cpu_before_s = time.process_time()

    async def setup(self, setup: dict[str, Any]) -> None:
        """Start all hubs. Raises what their parts raise."""
        keep_freed_memory()
        host, port = setup["broker"]
        for number, values in setup["hubs"]:
            link = None
            if number in setup["links"]:
                link = await self._stack.enter_async_context(Link(host, port))
            settings = Settings.model_validate(values)
            if setup["batches"]:
                self._hubs[number] = BatchHub(number, settings, self._clock, self._trace, link)
            else:
                keyring = [
                    KeyringEntry(tag_id, generation, bytes.fromhex(key))
                    for tag_id, generation, key in setup["keys"][str(number)]
                ]
                self._hubs[number] = HostedHub(number, settings, keyring, self._clock, self._trace, link)
        self._clock.advance(setup["start_us"])
        for hub in self._hubs.values():
            hub.start()
        # A fleet's worth of keys and ciphers lives as long as the process: it need not be looked at again and again.
        gc.collect()
        gc.freeze()
        self._cpu_before_s = time.process_time()
        self._background(self._look_after())
        self._background(self._report())
        self._writer.write(frames.encode(frames.READY))

    async def take(self, frame_type: int, data: bytes) -> bool:
        """One frame of the director. False when it was the last."""
        if frame_type in (frames.TICK, frames.SAMPLES):
            await self._tick(data)
        elif frame_type == frames.PING:
            self._writer.write(frames.encode(frames.PONG, data + struct.pack("<Q", time.time_ns() // 1000)))
        elif frame_type == frames.COMMAND:
            command = frames.decode_json(data)
            if command["do"] == "end":
                await self._end(command["deliver_s"])
                return False
            await self._command(command)
        return True

    async def _tick(self, data: bytes) -> None:
        t_us, pieces = frames.decode_tick(data)
        for number, piece in pieces:
            if not self._hubs[number].take(piece):
                self._missed += 1
        self._clock.advance(t_us)
        for hub in self._hubs.values():
            hub.tick()
        self._send_trace()
        self._writer.write(frames.encode(frames.HANDLED, struct.pack("<Q", t_us)))
        await self._writer.drain()
        await asyncio.sleep(0)  # hubs' spools and uplinks have their turn between two ticks

    async def _command(self, command: dict[str, Any]) -> None:
        hubs = [self._hubs[number] for number in command.get("hubs", []) if number in self._hubs]
        match command["do"]:
            case "cut":
                for hub in hubs:
                    if hub.link is not None:
                        hub.link.silence() if command["silent"] else hub.link.cut()
            case "join":
                for hub in hubs:
                    if hub.link is not None:
                        await hub.link.join()
            case "crash":
                for hub in hubs:
                    hub.crash()
            case "start":
                await asyncio.gather(*(hub.buried() for hub in hubs))
                for hub in hubs:
                    if not hub.running:
                        hub.start()
            case "clock":
                for hub in hubs:
                    if isinstance(hub, HostedHub):
                        hub.clock.set_wrong(command["skew_us"])
                        hub.work(False)
            case "flush":
                for hub in self._hubs.values():
                    hub.flush()

    async def _end(self, deliver_s: float) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(hub.stop(deliver_s) for hub in self._hubs.values()))
        left = [hub.number for hub in self._hubs.values() if hub.undelivered or not hub.running]
        figures = self._figures() | {"left": left}
        self._send_trace()
        await self._stack.aclose()
        self._writer.write(frames.encode_json(frames.DONE, figures))
        await self._writer.drain()

    async def _look_after(self) -> None:
        every = max(10.0, len(self._hubs) / STATUS_MESSAGES_PER_S)
        next_s = dict.fromkeys(self._hubs, 0.0)
        for i, number in enumerate(self._hubs):
            next_s[number] = time.monotonic() + every * i / len(self._hubs)
        while True:
            await asyncio.sleep(WORK_S)
            now_s = time.monotonic()
            for number, hub in self._hubs.items():
                report = now_s >= next_s[number]
                if report:
                    next_s[number] = now_s + every
                hub.work(report)

    async def _report(self) -> None:
        status_s = 0.0
        while True:
            await asyncio.sleep(_TRACE_S)
            self._send_trace()
            if time.monotonic() >= status_s:
                status_s = time.monotonic() + STATUS_S
                self._writer.write(frames.encode_json(frames.STATUS, self._figures()))
            await self._writer.drain()

    def _send_trace(self) -> None:
        rows = self._trace.take()
        if rows:
            self._writer.write(frames.encode(frames.TRACE, rows))

    def _figures(self) -> dict[str, Any]:
        hubs = self._hubs.values()
        return {
            "hubs": len(self._hubs),
            "connected": sum(hub.connected for hub in hubs),
            "running": sum(hub.running for hub in hubs),
            "undelivered": sum(hub.undelivered for hub in hubs),
            "open_samples": sum(hub.open_samples for hub in hubs),
            "connections": sum(hub.link.connections for hub in hubs if hub.link is not None),
            "dropped": {str(hub.number): hub.dropped for hub in hubs if hub.dropped},
            "missed": self._missed,
            "cpu_s": time.process_time() - self._cpu_before_s,
            "rss_bytes": _resident_bytes(),
        }

    def _background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of this worker has failed", exc_info=error)
            self._writer.write(frames.encode(frames.FAILED, f"{type(error).__name__}: {error}".encode()))


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


async def work(address: str) -> None:
    """Connect to the director and do what it says, until it says end or is gone."""
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    worker = Worker(writer)
    try:
        while True:
            frame_type, length = frames.header(await reader.readexactly(frames.HEADER_BYTES))
            data = await reader.readexactly(length)
            if frame_type == frames.SETUP:
                await worker.setup(frames.decode_json(data))
            elif not await worker.take(frame_type, data):
                break
    except asyncio.IncompleteReadError:
        os._exit(1)  # the director is gone: hubs that nobody wants must not go on for a second
    except Exception as error:
        _log.exception("this worker cannot go on")
        writer.write(frames.encode(frames.FAILED, f"{type(error).__name__}: {error}".encode()))
        await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def main() -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    asyncio.run(work(sys.argv[1]))


if __name__ == "__main__":
    main()
