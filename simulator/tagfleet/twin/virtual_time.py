"""A twin in virtual time: the real firmware, wake after wake, as fast as this machine can. No radio: it is recorded.
A hub may visit, see `visits`.

What the tag sleeps, awake or not, passes at once; a month at a sample each 5 minutes takes minutes.
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tagfleet.twin.board import ops
from tagfleet.twin.bytecode import board_modules, compiled
from tagfleet.twin.counters import is_service
from tagfleet.twin.image import provisioned_image
from tagfleet.twin.power import PowerSupply
from tagfleet.twin.process import HEAP, START
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.virtual_board import HARD_RESET, PWRON_RESET, Advertising, Halt, VirtualBoard
from tagfleet.twin.visits import VisitingHub
from tagsmith.manifest import tag_files
from tagwire.beacon import manufacturer_data
from tagwire.fields import Reading

BOOT_S = 0.42  # from the wake to main.py: measured on an ESP32 with stock MicroPython (facts: 418 ms)
STARTED_S = 1_795_392_000  # 2026-11-23, a Monday
STALLED_S = 60.0  # real seconds without a request: the firmware hangs in a loop that asks for nothing


class Made(NamedTuple):
    """A sample at its first advertising: its beacon and what the buses delivered for it."""

    t_s: float
    frame: bytes
    truth: Reading


class Stalled(Exception):
    """The firmware asked for nothing for a minute of real time."""


class VirtualTwin:
    """One twin. Use as a context manager. frozen: the application is part of the interpreter, as MicroPython can be
    built; else each wake loads it from flash, which takes twice as long. hub: visits it in its windows; None: nobody
    does.

    now_s: Unix seconds of its world. made, advertised: what it sent, the latter with the time. crashes: how often the
    interpreter ended by itself, which that of a healthy tag never does; exit_status: how it did last, negative: by that
    signal. on_operation(op, payload): before the board answers a request, for observers.
    """

    def __init__(
        self,
        spec: TwinSpec,
        folder: Path,
        interpreter: str,
        supply: PowerSupply | None = None,
        started_s: float = STARTED_S,
        image: bytes | None = None,
        frozen: bool = True,
        hub: VisitingHub | None = None,
    ) -> None:
        self.now_s = started_s
        self.made: list[Made] = []
        self.advertised: list[tuple[float, bytes]] = []
        self.wakes = 0
        self.crashes = 0
        self.exit_status: int | None = None
        self.awake_s = 0.0
        self.on_operation: Callable[[int, bytes], None] = lambda op, payload: None
        self.supply = supply or PowerSupply()
        self.flash = folder / "flash"
        self.console_file = (folder / "console").absolute()
        self._company_id = spec.provision.company_id
        self.flash.write_bytes(image or spec.image or provisioned_image(spec.provision, spec.first_counter))
        self.hub = hub
        radio = None if hub is None else hub.radio
        self.board = VirtualBoard(spec, str(self.flash.absolute()), self._on_advertising, self.supply, radio)
        self.board.virtual_time = True
        self.board.is_visited = hub is not None
        self.board.frozen = str(compiled(tag_files())) if frozen else ""
        self._cause = PWRON_RESET
        self._interpreter = interpreter
        self._received = b""
        self._events: list[tuple[float, Callable[[], None]]] = []

    def __enter__(self) -> "VirtualTwin":
        self._control, control = socket.socketpair()
        self._board, board = socket.socketpair()
        command = [sys.executable, "-S", str(Path(__file__).with_name("launcher.py"))]
        # Without its site (-S) it starts faster; where MicroPython is, we know.
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        self._launcher = subprocess.Popen(
            [
                *command,
                str(control.fileno()),
                str(board.fileno()),
                str(self.console_file),
                self._interpreter,
                "-X",
                "heapsize=" + HEAP,
                *START,
            ],
            cwd=board_modules(),
            env={**os.environ, "MICROPYPATH": ".frozen", "PYTHONPATH": path},
            pass_fds=(control.fileno(), board.fileno()),
            stdin=subprocess.DEVNULL,
        )
        control.close()
        board.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()
        self._board.close()
        self._launcher.kill()
        self._launcher.wait()

    def console(self) -> str:
        """What the last wake printed."""
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def restart(self, image: bytes, nvs: dict[bytes, bytes], now_s: float) -> None:
        """Put it where another tag lost power: that flash, that NVS, nothing in RTC memory. It begins anew here."""
        self.flash.write_bytes(image)
        self.board.nvs = dict(nvs)
        self.supply.fail_at = None
        self.now_s = now_s
        self.made.clear()
        self.advertised.clear()
        self.wakes = self.crashes = 0
        self._cause = PWRON_RESET

    def run(self, until_s: float) -> None:
        """Wake after wake, until its world's time has come."""
        while self.now_s < until_s:
            self.wake()

    def wake(self, cause: int | None = None) -> Halt | None:
        """One wake and the sleep after it, from the reset that the last one ended in, or from `cause`."""
        self.wakes += 1
        self.board.wake(self._cause if cause is None else cause)
        started_s = self.now_s
        halt = self._one_wake()
        self.awake_s += self.now_s - started_s
        self.board.stop()
        if halt is None:
            self.crashes += 1
            self._cause = HARD_RESET
            self.now_s += 1
            return None
        self._cause = halt.cause
        self._sleep(self.now_s + (halt.sleep_s or 0))
        return halt

    def schedule(self, t_s: float, event: Callable[[], None]) -> None:
        """Something happens around the tag at that time; should it raise a pin that wakes it, its sleep ends then."""
        self._events.append((t_s, event))
        self._events.sort(key=lambda one: one[0])

    def _sleep(self, until_s: float) -> None:
        while self._events and self._events[0][0] <= until_s:
            t_s, event = self._events.pop(0)
            self.now_s = max(self.now_s, t_s)
            event()
            if self.board.buses.wakes():
                return
        self.now_s = until_s

    def _one_wake(self) -> Halt | None:
        self._control.sendall(b"w")
        number = self._control.recv(4, socket.MSG_WAITALL)
        if len(number) < 4:
            raise ConnectionError("what starts the interpreter has ended")
        child = int.from_bytes(number, "little")
        ended = False
        self._received = b""
        try:
            while True:
                readable, _, _ = select.select([self._board, self._control], [], [], STALLED_S)
                if not readable:
                    raise Stalled(self.console()[-2000:])
                if self._board in readable:
                    self._received += self._board.recv(65536)
                    halt = self._answer_all()
                    if halt is not None:
                        return halt
                elif self._control in readable:
                    ended = True
                    self.exit_status = int.from_bytes(self._control.recv(4, socket.MSG_WAITALL), "little", signed=True)
                    return None
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
                self._control.recv(4, socket.MSG_WAITALL)
            while select.select([self._board], [], [], 0)[0]:  # what it told behind that which stopped it
                if not self._board.recv(65536):
                    break

    def _answer_all(self) -> Halt | None:
        while len(self._received) >= 3:
            op, length = struct.unpack_from("<BH", self._received)
            if len(self._received) < 3 + length:
                return None
            payload = self._received[3 : 3 + length]
            self._received = self._received[3 + length :]
            if op == ops.SLEPT:
                self.now_s += struct.unpack("<I", payload)[0] / 1e6
                continue
            if op == ops.HELLO:
                self.now_s += BOOT_S
            self.on_operation(op, payload)
            answer = self.board.handle(op, payload, self.now_s)
            if isinstance(answer, Halt):
                return answer
            if op in ops.UNANSWERED:
                continue
            error, data = answer
            self._board.sendall(struct.pack("<iHB", error, len(data), self.board.radio.has_events) + data)
        return None

    def _on_advertising(self, advertising: Advertising) -> None:
        frame = None
        if advertising.interval_ms is not None:
            frame = manufacturer_data(advertising.adv_data, self._company_id)
        if frame is None:
            return
        self.advertised.append((self.now_s, frame))
        if advertising.reading is not None and not is_service(frame):
            self.made.append(Made(self.now_s, frame, advertising.reading))
        if advertising.connectable and self.hub is not None:
            self.hub.called(self.now_s)
