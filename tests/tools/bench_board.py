"""A virtual board on a bench: the real MicroPython interpreter with the twin's hardware, behind a serial port that can
be paced, pulled and plugged in again."""

import contextlib
import functools
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Mapping
from pathlib import Path

from tagfleet.twin.board.ops import UNANSWERED
from tagfleet.twin.bytecode import board_modules
from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.power import PowerSupply
from tagfleet.twin.process import HEAP, START
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.virtual_board import HARD_RESET, PWRON_RESET, Halt, VirtualBoard
from tagfleet.world.environment import Environment
from tagsmith.compile import compile_files
from tagsmith.image import make_image
from tagsmith.manifest import tag_files
from tagwire.provision import Provision

IMAGE_BYTES = 1024 * 1024
PIECE_BYTES = 256  # what goes through a paced line at once


@functools.cache
def flashed_image() -> bytes:
    """The flash of a board that `tagsmith flash` has just left: the firmware, no identity."""
    return make_image(compile_files(tag_files()), IMAGE_BYTES)


def blank_image(files: Mapping[str, bytes] | None = None) -> bytes:
    """A formatted flash with these files only; none: as the first start of MicroPython leaves it."""
    return make_image(files or {}, IMAGE_BYTES)


def on_a_desk(_t_s: float) -> Environment:
    """What surrounds a tag on a bench."""
    return Environment(
        temperature_c=21.5,
        humidity_pct=44.0,
        battery_mv=3900,
        latitude_deg=48.1,
        longitude_deg=11.5,
        speed_mps=0.0,
        has_sky=True,
    )


class BenchBoard:
    """A board that hangs on `port`, a path that stays the same when the cable is pulled and plugged in again.

    number: makes the chip's id. image: its flash, the firmware without identity by default. baud: paces the line, None
    for as fast as it goes. board: how it is wired. parts: what is soldered to it, by the settings that name it. Use
    as a context manager; it is plugged in then.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        image: bytes | None = None,
        baud: int | None = None,
        board: str = "esp32-devkit",
        parts: Mapping[str, str] | None = None,
    ) -> None:
        self.port = str(folder / f"tty{number}")
        self.flash = folder / f"flash{number}"
        self.flash.write_bytes(flashed_image() if image is None else image)
        spec = TwinSpec(Provision(number, bytes(16), 0, 0xFFFF, board, dict(parts or {})), 0, on_a_desk)
        self.hardware = VirtualBoard(spec, str(self.flash), lambda advertising: None, PowerSupply())
        self.passed_bytes = 0  # in both directions, since it was plugged in
        self.pulls_after_bytes: int | None = None
        self.sleeps_s: float | None = None  # however long the firmware says; None: as long as that
        self._baud = baud
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._console = self._line = -1
        self._request: socket.socket | None = None
        self._wakes_at_s: tuple[float, int] | None = None
        self.starts = 0
        self._plugged = False
        self._ends = False
        self._thread = threading.Thread(target=self._run, name=self.port, daemon=True)

    def __enter__(self) -> "BenchBoard":
        self.plug()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        self.pull()

    def plug(self) -> None:
        """The cable goes in, if it is not; a board without power starts."""
        with self._lock:
            if self._plugged:
                return
            self._line, far_end = pty.openpty()
            tty.setraw(far_end)
            target = os.ttyname(far_end)
            self._far_end = far_end  # kept open: a pty without any user gives EIO
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.port)
            os.symlink(target, self.port)
            self.passed_bytes = 0
            self._plugged = True
            if self._process is None:
                self._start(PWRON_RESET)

    def type_in(self, keys: bytes) -> None:
        """The board's console receives this, as if the line had made it up."""
        with self._lock:
            os.write(self._console, keys)

    def pull(self, *, battery: bool = False) -> None:
        """The cable goes out; without a battery the board loses power in the same moment."""
        with self._lock:
            self._pull(battery)

    def _pull(self, battery: bool) -> None:
        if not battery:
            self._stop()
        if self._plugged:
            self._plugged = False
            os.unlink(self.port)
            os.close(self._line)
            os.close(self._far_end)

    def _start(self, cause: int) -> None:
        interpreter = interpreter_available()
        assert interpreter is not None
        self.hardware.wake(cause)
        self.starts += 1
        self._request, theirs = socket.socketpair()
        self._console, near_end = pty.openpty()
        tty.setraw(near_end)
        attributes = termios.tcgetattr(near_end)
        attributes[3] |= termios.ISIG  # Ctrl-C interrupts, as the chip's console driver does
        termios.tcsetattr(near_end, termios.TCSANOW, attributes)
        start = f"exec '{interpreter}' -X heapsize={HEAP} {' '.join(START)} {theirs.fileno()}"
        terminal = os.ttyname(near_end)
        self._process = subprocess.Popen(
            # A session leader that opens a terminal gets it as its own, and with it Ctrl-C.
            ["sh", "-c", f"{start} <{terminal} >{terminal} 2>&1"],
            cwd=board_modules(),
            env={**os.environ, "MICROPYPATH": ".frozen", "MICROPYINSPECT": "1", "TERM": "dumb"},
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        self._near_end = near_end
        self._is_up = False
        self._wakes_at_s = None

    def _stop(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        assert self._request is not None
        self._request.close()
        os.close(self._console)
        os.close(self._near_end)

    def _run(self) -> None:
        while not self._ends:
            with self._lock:
                if self._wakes_at_s is not None and time.time() >= self._wakes_at_s[0]:
                    self._start(self._wakes_at_s[1])
                sources = []
                if self._process is not None and self._request is not None:
                    sources += [self._request.fileno(), self._console]
                if self._plugged:
                    sources.append(self._line)
            ready, _, _ = select.select(sources, [], [], 0.02)
            with self._lock:
                moved = self._serve(set(ready))
            if moved and self._baud:
                time.sleep(moved * 10 / self._baud)

    def _serve(self, ready: set[int]) -> int:
        """Bytes that went over the line."""
        moved = 0
        try:
            if self._process is not None and self._console in ready:
                self._is_up = True
                moved += self._pass(self._console, self._line if self._plugged else None)
            if self._plugged and self._line in ready:
                # A chip that still boots hears nothing; nor must Ctrl-C hit what stands for its boot loader.
                listens = self._process is not None and self._is_up
                moved += self._pass(self._line, self._console if listens else None)
            if self._process is not None and self._request is not None and self._request.fileno() in ready:
                self._answer(self._request)
        except OSError:
            pass  # the far end of a pty has just gone; the next round sees it
        return moved

    def _pass(self, source: int, target: int | None) -> int:
        data = os.read(source, PIECE_BYTES)
        if self.pulls_after_bytes is not None and self.passed_bytes + len(data) > self.pulls_after_bytes:
            if target is not None:
                os.write(target, data[: self.pulls_after_bytes - self.passed_bytes])
            self.pulls_after_bytes = None
            self._pull(battery=False)
            return 0
        self.passed_bytes += len(data)
        if target is not None:
            os.write(target, data)
        return len(data)

    def _answer(self, request: socket.socket) -> None:
        header = request.recv(3, socket.MSG_WAITALL)
        if len(header) < 3:
            self._stop()
            self._start(HARD_RESET)
            return
        op, length = struct.unpack("<BH", header)
        payload = request.recv(length, socket.MSG_WAITALL) if length else b""
        answer = self.hardware.handle(op, payload, time.time())
        if isinstance(answer, Halt):
            self._stop()
            if answer.sleep_s is not None:
                sleep_s = answer.sleep_s if self.sleeps_s is None else self.sleeps_s
                self._wakes_at_s = (time.time() + sleep_s, answer.cause)
            return
        if op in UNANSWERED:
            return
        error, data = answer
        request.sendall(struct.pack("<iHB", error, len(data), 0) + data)
