"""A board's raw REPL: runs Python on the board. mpremote's transport does the talking, this file makes it patient.

What is run may hold a key: no text of it, and nothing that the board echoed, gets into an error or to the terminal.
"""

import contextlib
import json
import re
import struct
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tagsmith.diagnosis import diagnose
from tagsmith.errors import BoardError
from tagsmith.ports import claimed

BAUD = 115_200  # of MicroPython's console
BANNER = b"raw REPL; CTRL-B to exit\r\n"
ENTER_TIMEOUT_S = 12.0  # reset, 1 s of booting, an application that is interrupted, some patience
RESET_AFTER_S = 1.5  # without an answer the board is reset once: a tag in deep sleep hears nothing
QUIET_S = 0.1  # no USB bridge holds bytes back for longer
WRITE_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
PROMPT_TIMEOUT_S = 3.0
HEARD_BYTES_MAX = 65_536
LINE_MARK = "@"  # starts a line of JSON from one of our scripts; the application may print what it likes
NO_ROOM = re.compile(r"OSError(: |\()28\b|ENOSPC")  # as MicroPython spells it, depending on its build
_LINE_FAULTS = (TransportError, OSError, struct.error, UnicodeDecodeError)


class _Transport(SerialTransport):  # type: ignore[misc]
    """mpremote's transport on a port that is open already: opening it the usual way would pulse RTS and DTR, which are
    wired to reset and boot mode."""

    def __init__(self, port: serial.Serial) -> None:
        self.serial = port
        self.device_name = port.port
        self.in_raw_repl = True
        self.use_raw_paste = True
        self.mounted = False
        self.is_pty = False

    def exec_raw_no_follow(self, command: str) -> None:
        """As mpremote's, but nothing is printed, and nothing sent before the board has acknowledged raw paste mode: a
        board that restarted is at its friendly prompt, which would echo it."""
        if not self.read_until(1, b">", PROMPT_TIMEOUT_S).endswith(b">"):
            raise TransportError("no prompt")
        self.serial.write(b"\x05A\x01")
        if self.serial.read(2) != b"R\x01":
            raise TransportError("no raw paste mode")
        self.raw_paste_write(command.encode())


class Board:
    """A board whose prompt we have. Every method raises BoardError when the line or the board fails."""

    def __init__(self, port: serial.Serial) -> None:
        self._device = str(port.port)
        self._serial = port
        self._transport = _Transport(port)

    def run(
        self,
        script: str,
        arguments: object = None,
        timeout_s: float = 10.0,
        on_line: Callable[[Any], None] | None = None,
    ) -> list[Any]:
        """Runs `ontag/{script}.py` on the board with ARGUMENTS set, and gives the JSON values of its marked lines.

        timeout_s: longest silence. on_line: called with each value as it comes.
        """
        source = resources.files("tagsmith").joinpath("ontag", script + ".py").read_text()
        values: list[Any] = []
        line = bytearray()

        def consume(byte: bytes) -> None:
            line.extend(byte)
            if byte in (b"\n", b"\x04"):
                text = bytes(line).strip(b"\r\n\x04").decode(errors="replace")
                line.clear()
                if text.startswith(LINE_MARK):
                    values.append(json.loads(text[1:]))
                    if on_line is not None:
                        on_line(values[-1])

        try:
            _, complaint = self._transport.exec_raw(f"ARGUMENTS = {arguments!r}\n{source}", timeout_s, consume)
        except _LINE_FAULTS as error:
            raise _lost(self._device, error) from None
        except ValueError:
            raise _lost(self._device, TransportError("damaged line")) from None
        if complaint:
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            if NO_ROOM.search(last):
                raise BoardError(
                    f"The flash of the board on {self._device} is full.",
                    f"`tagsmith dump {self._device} FOLDER` if its journal matters, then `tagsmith flash` anew",
                )
            raise BoardError(
                f"The board on {self._device} failed in {script}: {last}.",
                f"`tagsmith flash {self._device}` anew",
            )
        return values

    def restart(self) -> None:
        """Resets the board, so that it starts as after power-on; there is no prompt afterwards."""
        try:
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
            time.sleep(QUIET_S)  # closing the port sooner would cut the command off on some bridges
        except _LINE_FAULTS as error:
            raise _lost(self._device, error) from None


@contextlib.contextmanager
def board_on(
    device: str, baud: int = BAUD, timeout_s: float = ENTER_TIMEOUT_S, *, resets: bool = True
) -> Iterator[Board]:
    """The board on a serial port, interrupted and at its raw prompt; the port is ours while entered.

    resets: a board that sleeps is reset, which empties its RTC memory; otherwise it has `timeout_s` to wake by itself.

    A board that is refused is restarted: a tag that was plugged in by mistake would stay awake, and silent, until its
    battery is empty. Raises PortError, or BoardError with what the line looked like.
    """
    with claimed(device):
        port = _open(device, baud)
        try:
            board = Board(port)
            _enter(port, timeout_s, resets)
            try:
                try:
                    board.run("free")
                except BoardError:  # one that was just told to restart does so now
                    _enter(port, timeout_s, resets)
                    board.run("free")
                yield board
            except BoardError:  # nobody listens there
                raise
            except BaseException:
                with contextlib.suppress(BoardError):
                    board.restart()
                raise
            with contextlib.suppress(OSError):
                port.write(b"\r\x02")  # back to the friendly prompt; no matter after a restart
        finally:
            with contextlib.suppress(OSError):
                port.close()


def _open(device: str, baud: int) -> serial.Serial:
    port = serial.Serial(
        baudrate=baud, timeout=READ_TIMEOUT_S, inter_byte_timeout=1, write_timeout=WRITE_TIMEOUT_S, exclusive=True
    )
    port.port = device
    port.rts = port.dtr = False
    try:
        port.open()
    except (OSError, ValueError) as error:
        raise _lost(device, error) from None
    return port


def _enter(port: serial.Serial, timeout_s: float, resets: bool) -> None:
    heard = bytearray()
    started_s = time.monotonic()
    was_reset = not resets
    try:
        while time.monotonic() - started_s < timeout_s:
            port.write(b"\r\x03\x03\r\x01")
            heard += _read_until(port, BANNER, 0.3)
            if heard.endswith(BANNER):
                _read_until(port, None, QUIET_S)  # several banners may be under way: ask for one more, alone
                port.write(b"\x01")
                if _read_until(port, BANNER, 1.0).endswith(BANNER):
                    return
            if len(heard) > HEARD_BYTES_MAX:
                break
            if not was_reset and time.monotonic() - started_s > RESET_AFTER_S:
                was_reset = True
                _pulse_reset(port)
    except OSError as error:
        raise _lost(str(port.port), error) from None
    raise BoardError(*diagnose(str(port.port), bytes(heard)))


def _read_until(port: serial.Serial, ending: bytes | None, timeout_s: float) -> bytes:
    """Bytes up to the ending or until `timeout_s` has passed; without an ending, until the line was quiet that long."""
    data = bytearray()
    limit_s = time.monotonic() + timeout_s
    while time.monotonic() < limit_s and len(data) < HEARD_BYTES_MAX:
        if not port.in_waiting:
            time.sleep(0.005)
            continue
        data += port.read(1)
        if ending is None:
            limit_s = time.monotonic() + timeout_s
        elif data.endswith(ending):
            break
    return bytes(data)


def _pulse_reset(port: serial.Serial) -> None:
    """RTS holds EN low on development boards (esptool's "hard reset"); where there is no such line, nothing happens."""
    with contextlib.suppress(OSError):
        port.dtr = False
        port.rts = True
        time.sleep(0.1)
        port.rts = False


def _lost(device: str, error: Exception) -> BoardError:
    if isinstance(error, TransportExecError) or not isinstance(error, OSError):
        return BoardError(
            f"The board on {device} stopped answering in the middle.", "a shorter cable, then the same command again"
        )
    return BoardError(f"The connection on {device} broke.", "plug the cable in again, then the same command again")
