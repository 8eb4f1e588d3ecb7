"""The director's end of one worker process."""

import asyncio
import contextlib
import os
import signal
import struct
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tagfleet.fleet import frames
from tagfleet.fleet.skew import Skew, SkewEstimate

AHEAD_MAX = 3  # ticks that a worker has not yet taken in
START_TIMEOUT_S = 60.0
PING_S = 1.0


class WorkerFailed(Exception):
    """A worker ended by itself, or cannot go on; the text says why."""


class WorkerProcess:
    """One worker and its hubs, from entering to leaving the context.

    setup: as Worker.setup takes it. folder: for its socket and log.
    """

    def __init__(self, number: int, setup: dict[str, Any], folder: Path) -> None:
        self.figures: dict[str, Any] = {}
        self.done = False
        self._number = number
        self._setup = setup
        self._socket = folder / f"worker-{number}"
        self._log = folder / f"worker-{number}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._news = asyncio.Event()
        self._ready = False
        self._failure = ""
        self._ahead: deque[int] = deque()
        self._traces: list[npt.NDArray[np.void]] = []
        self._skew = SkewEstimate()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def skew(self) -> Skew:
        """What its clock shows beyond ours."""
        return self._skew.skew

    async def __aenter__(self) -> Self:
        """Start it. It is not `ready` yet."""
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        self._server = await asyncio.start_unix_server(self._on_connection, self._socket)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tagfleet.leash", str(os.getpid())),
                *(sys.executable, "-m", "tagfleet.fleet.worker", f"unix:{self._socket}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        if self._server is not None:
            self._server.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5.0)
            except TimeoutError:
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()

    async def ready(self) -> None:
        """Wait until its hubs have started. Raises WorkerFailed."""
        await self._until(
            lambda: self._ready, START_TIMEOUT_S + len(self._setup["hubs"]) / 20, "its hubs have not started"
        )

    async def tick(self, frame: bytes) -> float:
        """A TICK or SAMPLES frame. Waits while it is some behind; returns for how many seconds. Raises WorkerFailed."""
        started_s = time.monotonic()
        await self._until(lambda: len(self._ahead) < AHEAD_MAX, 120.0, "it takes nothing in")
        (t_us,) = struct.unpack_from("<Q", frame, frames.HEADER_BYTES)
        self._ahead.append(t_us)
        await self._send(frame)  # a worker that is at work does not read, either
        return time.monotonic() - started_s

    async def command(self, command: dict[str, Any]) -> None:
        """See Worker."""
        await self._send(frames.encode_json(frames.COMMAND, command))

    async def end(self, deliver_s: float) -> None:
        """Let its hubs deliver what is left, for so long, and end. Raises WorkerFailed."""
        await self.command({"do": "end", "deliver_s": deliver_s})
        await self._until(lambda: self.done, deliver_s + 60.0, "it does not end")

    def take_traces(self) -> list[npt.NDArray[np.void]]:
        """Rows of frames.TRACE_ROW since the last call, their times corrected to this clock."""
        traces, self._traces = self._traces, []
        return traces

    def check(self) -> None:
        """Raises WorkerFailed when it has ended."""
        if self._failure:
            raise WorkerFailed(f"worker {self._number}: {self._failure}")
        if self._process is not None and self._process.returncode is not None and not self.done:
            raise WorkerFailed(
                f"worker {self._number} ended with exit code {self._process.returncode}: {self._last_line()}"
            )

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "(it said nothing)")

    async def _until(self, condition: Any, timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline_s:
                raise WorkerFailed(f"worker {self._number}: {what} within {timeout_s:.0f} s")
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.2)

    async def _send(self, frame: bytes) -> None:
        if self._writer is None:
            raise WorkerFailed(f"worker {self._number} is not there")
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except OSError as error:
            self.check()
            raise WorkerFailed(f"worker {self._number}: {error}") from None

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writer = writer
        writer.write(frames.encode_json(frames.SETUP, self._setup))
        pinging = asyncio.create_task(self._ping(writer))
        self._tasks.add(pinging)
        try:
            while True:
                frame_type, length = frames.header(await reader.readexactly(frames.HEADER_BYTES))
                self._take(frame_type, await reader.readexactly(length))
                self._news.set()
        except (asyncio.IncompleteReadError, OSError):
            if not self.done and not self._failure:
                self._failure = f"it is gone: {self._last_line()}"
        finally:
            pinging.cancel()
            self._news.set()

    async def _ping(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(frames.encode(frames.PING, struct.pack("<Q", time.time_ns() // 1000)))
            await asyncio.sleep(PING_S)

    def _take(self, frame_type: int, data: bytes) -> None:
        match frame_type:
            case frames.READY:
                self._ready = True
            case frames.HANDLED:
                if self._ahead:
                    self._ahead.popleft()
            case frames.TRACE:
                rows = frames.trace_rows(data)
                if abs(self.skew.offset_us) > self.skew.uncertainty_us:
                    rows = rows.copy()
                    rows["t_us"] = rows["t_us"].astype(np.int64) - self.skew.offset_us
                self._traces.append(rows)
            case frames.STATUS:
                self.figures = frames.decode_json(data)
            case frames.PONG:
                asked_us, there_us = struct.unpack("<QQ", data)
                self._skew.answered(asked_us, there_us, time.time_ns() // 1000)
            case frames.DONE:
                self.figures = frames.decode_json(data)
                self.done = True
            case frames.FAILED:
                self._failure = data.decode(errors="replace")
