"""Runs one twin: an interpreter process per wake, its requests answered by a virtual board."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable

from tagfleet.twin.board import ops
from tagfleet.twin.bytecode import board_modules
from tagfleet.twin.virtual_board import HARD_RESET, PWRON_RESET, Halt, VirtualBoard

HEAP = "160k"  # on 64 bits objects take twice the room, so this is less than the 134 kB that an ESP32 has free
START = ("-m", "start")  # a script is source, and its folder comes before all others: each wake would compile them
CONSOLE_LINES = 200
RESTART_MIN_S = 1.0  # after a crash; doubles up to the maximum
RESTART_MAX_S = 30.0

log = logging.getLogger(__name__)


class TwinProcess:
    """One twin's life. wakes, crashes: how many so far. console: its last lines, oldest first."""

    def __init__(self, name: str, interpreter: str, board: VirtualBoard, clock: Callable[[], float]) -> None:
        self.wakes = 0
        self.crashes = 0
        self.console: deque[str] = deque(maxlen=CONSOLE_LINES)
        self._name = name
        self._interpreter = interpreter
        self._board = board
        self._clock = clock

    async def run(self) -> None:
        """Wake after wake, until cancelled; returns when the board sleeps for ever."""
        cause = PWRON_RESET
        restart_s = RESTART_MIN_S
        while True:
            halt = await self.wake(cause)
            if halt is None:
                self.crashes += 1
                tail = " | ".join(list(self.console)[-3:])
                log.warning("%s: the interpreter ended by itself, restart in %.0f s: %s", self._name, restart_s, tail)
                await asyncio.sleep(restart_s)
                restart_s = min(2 * restart_s, RESTART_MAX_S)
                cause = HARD_RESET
                continue
            restart_s = RESTART_MIN_S
            if halt.sleep_s is None:
                return
            await asyncio.sleep(halt.sleep_s)
            cause = halt.cause

    async def wake(self, cause: int) -> Halt | None:
        """One wake, from reset to sleep; None when the interpreter ended in any other way."""
        self.wakes += 1
        self._board.wake(cause)
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await self._start(theirs.fileno())
            except BaseException:
                writer.close()
                raise
        console = asyncio.create_task(self._keep_console(process), name=f"{self._name} console")
        try:
            return await self._serve(reader, writer)
        finally:
            # A chip that sleeps or loses power runs no further instruction; a process that is only told to end would.
            # Not process.kill(): its poll() may take the exit status away from asyncio's own watcher.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            writer.close()
            self._board.stop()
            await asyncio.shield(asyncio.gather(process.wait(), console))

    async def _start(self, board_end: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._interpreter,
            "-X",
            "heapsize=" + HEAP,
            *START,
            str(board_end),
            cwd=board_modules(),
            env={**os.environ, "MICROPYPATH": ".frozen"},
            pass_fds=(board_end,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for us; the process ends with its socket
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Halt | None:
        while True:
            try:
                op, length = struct.unpack("<BH", await reader.readexactly(3))
                payload = await reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if op == ops.BLE_WAIT:
                await self._wait_for_radio(*struct.unpack("<I", payload))
            answer = self._board.handle(op, payload, self._clock())
            if isinstance(answer, Halt):
                return answer
            if op in ops.UNANSWERED:
                continue
            error, data = answer
            writer.write(struct.pack("<iHB", error, len(data), self._board.radio.has_events) + data)

    async def _wait_for_radio(self, wait_ms: int) -> None:
        arrived = asyncio.Event()
        self._board.radio.on_event = arrived.set
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                if not self._board.radio.has_events:
                    await arrived.wait()

    async def _keep_console(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the reader's limit; the rest follows
                continue
            if not line:
                return
            self.console.append(line.decode(errors="replace").rstrip())
