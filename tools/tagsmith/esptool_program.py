"""esptool, run as a program. It is GPL software: it is never imported here."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import serial

from tagsmith.diagnosis import diagnose
from tagsmith.errors import BenchError, BoardError, CheckError, ToolError
from tagsmith.output import ShowProgress, silent

CONSOLE_BAUD = 115200
LISTEN_S = 1.2  # a boot loop shows three starts within it
CONNECT_ATTEMPTS = 3
# What pyserial says on Linux, macOS and Windows when a port vanishes that could be opened a moment ago.
CABLE_GONE = r"readiness to read|Input/output error|No such file|Device not configured|ClearCommError|FileNotFoundError"
DOWNLOAD_MODE_BY_HAND = (
    "hold BOOT, press RESET, let BOOT go, and flash again; else a cable that carries data, and another USB port"
)
# One line per message, whatever terminal we run in.
ENVIRONMENT = {"COLUMNS": "400", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


class DetectedChip(NamedTuple):
    """name: "esp32", "esp32c3" and the like; mac: its base MAC, six bytes as esptool prints them."""

    name: str
    mac: str
    flash_bytes: int


def detect_chip(port: str) -> DetectedChip:
    """Asks the chip's ROM in download mode. Raises BoardError, ToolError."""
    # Without the stub: to upload it takes longer than to ask.
    arguments = ["--connect-attempts", str(CONNECT_ATTEMPTS), "flash-id"]
    said = _run(port, CONSOLE_BAUD, False, arguments, lambda line: None)
    name = re.search(r"^Connected to (\S+) on ", said, re.MULTILINE)
    # Chips with IEEE 802.15.4 (C6) also have a longer MAC, which is not the one that MicroPython tells.
    mac = re.search(r"^BASE MAC: +([0-9a-f:]{17})$", said, re.MULTILINE) or re.search(
        r"^MAC: +([0-9a-f:]{17})$", said, re.MULTILINE
    )
    size = re.search(r"^Detected flash size: (\d+)(KB|MB)", said, re.MULTILINE)
    if not name or not mac:
        raise ToolError("esptool did not name the chip.", "`tagsmith doctor`; the version of esptool may be too new")
    if not size:
        raise BoardError("The board's flash chip does not answer.", "another board: this one's flash is damaged")
    flash_bytes = int(size[1]) << {"KB": 10, "MB": 20}[size[2]]
    return DetectedChip(name[1].lower().replace("-", ""), mac[1], flash_bytes)


def write_flash(
    port: str,
    chip: str,
    parts: Sequence[tuple[int, Path]],
    *,
    baud: int,
    use_stub: bool,
    show: ShowProgress = silent,
) -> None:
    """Writes files at flash offsets in one pass, has the chip hash each one, and starts the board.

    Raises BoardError, CheckError, ToolError; the flash then holds neither the old program nor the whole new one.
    """
    arguments = ["--chip", chip, "write-flash", "--compress"]
    for offset, path in parts:
        arguments += [hex(offset), str(path)]
    starts = {offset: index for index, (offset, _) in enumerate(parts)}
    current = 0

    def watch(line: str) -> None:
        nonlocal current
        begun = re.search(r"^Writing '.*' at (0x[0-9a-f]+)", line)
        if begun:
            current = starts.get(int(begun[1], 16), current)
        share = re.search(r"^Writing at 0x.* (\d+(?:\.\d+)?)%", line)
        if share:
            show("write", (current + float(share[1]) / 100) / len(parts))

    said = _run(port, baud, use_stub, arguments, watch)
    if said.count("Hash of data verified") != len(parts):
        raise CheckError("esptool did not verify all that it wrote.", "flash once more; then try another board")


def _run(port: str, baud: int, use_stub: bool, arguments: Sequence[str], watch: Callable[[str], None]) -> str:
    command = [sys.executable, "-m", "esptool", "--port", port, "--baud", str(baud)]
    command += ([] if use_stub else ["--no-stub"]) + list(arguments)
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | ENVIRONMENT,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:  # text mode takes \r, which progress uses, for a line's end too
                lines.append(line)
                watch(line)
        except BaseException:
            process.terminate()
            raise
    said = "".join(lines)
    if process.returncode != 0:
        raise _explain(port, said)
    return said


def _explain(port: str, said: str) -> BenchError:
    if "No module named" in said:
        return ToolError("esptool is not installed.", "pip install 'tagstack[tools]'")
    if "MD5 of file does not match" in said:
        return CheckError(
            f"What the chip on {port} holds is not what was written.",
            "flash once more at --baud 115200; if it fails again the board's flash is damaged",
        )
    if "Failed to connect" in said or "No serial data received" in said:
        return BoardError(diagnose(port, _listen(port)).sentence, DOWNLOAD_MODE_BY_HAND)
    if re.search(CABLE_GONE, said):
        return BoardError(
            f"The connection to {port} broke off.",
            "plug the cable in again and repeat: the board holds half a program, flashing starts afresh",
        )
    fatal = re.search(r"(?:fatal error occurred|FatalError): *(.+)", said)
    reason = fatal[1].strip().rstrip(".") if fatal else f"exit without a reason after {len(said)} characters of log"
    return BoardError(
        f"esptool gave up on {port}: {reason}.", "once more at --baud 115200; `tagsmith doctor`; another cable"
    )


def _listen(port: str) -> bytes:
    """What the board sends by itself. RTS and DTR stay released, so that it may run."""
    heard = bytearray()
    with contextlib.suppress(OSError, ValueError):
        line = serial.Serial(baudrate=CONSOLE_BAUD, timeout=0.1)
        line.port = port
        line.rts = line.dtr = False
        with line:
            until = time.monotonic() + LISTEN_S
            while time.monotonic() < until:
                heard += line.read(4096)
    return bytes(heard)
