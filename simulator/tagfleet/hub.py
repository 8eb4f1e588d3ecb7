"""A real gateway as a child process: its settings file, its start, its end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

STOP_TIMEOUT_S = 5.0


class HubFiles(NamedTuple):
    """What a hub in a folder reads and writes."""

    settings: Path
    keyring: Path
    trace: Path
    log: Path
    air: Path
    spool: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        names = "taghub.toml", "keyring", "trace", "taghub.log", "air", "spool.db"
        return cls(*(folder / name for name in names))


Table = Mapping[str, str | int | float]


def settings_toml(tables: Mapping[str, Table | list[Table]]) -> str:
    """A settings file as an operator would write it; a list is an array of tables, such as "radio"."""
    lines = []
    for name, table in tables.items():
        for one in table if isinstance(table, list) else (table,):
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            # A JSON string is a TOML basic string, and its numbers and booleans are TOML's.
            lines += [f"{key} = {json.dumps(value)}" for key, value in one.items()]
    return "\n".join(lines) + "\n"


class HubFailed(Exception):
    """The gateway ended by itself; the text holds its exit code and its last words."""

    def __init__(self, exit_code: int, last_line: str) -> None:
        super().__init__(f"taghub ended with exit code {exit_code}: {last_line}")
        self.exit_code = exit_code


class HubProcess:
    """`taghub run` on the settings file, from entering to leaving the context; nothing of it stays behind.

    It has a session of its own, so a Ctrl-C in the terminal does not reach it before its samples are delivered, and a
    leash, so it ends when this process is killed.
    """

    def __init__(self, files: HubFiles) -> None:
        self._files = files
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start(keep_trace=False)
        return self

    async def start(self, keep_trace: bool) -> None:
        """Start it; again, after a `kill`, with the trace of its earlier life."""
        if not keep_trace:
            self._files.trace.unlink(missing_ok=True)  # the hub appends; an earlier run's trace is not about this one
        with self._files.log.open("ab" if keep_trace else "wb") as log:
            leash = (sys.executable, "-m", "tagfleet.leash", str(os.getpid()))
            self._process = await asyncio.create_subprocess_exec(
                *leash,
                *(sys.executable, "-m", "taghub", "run", str(self._files.settings)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """SIGKILL: what a power cut looks like to a process."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    @property
    def pid(self) -> int:
        """0 before it was started."""
        return 0 if self._process is None else self._process.pid

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.returncode

    def check(self) -> None:
        """Raises HubFailed when it has ended."""
        if self.exit_code is not None:
            raise HubFailed(self.exit_code, self.last_line())

    def last_line(self) -> str:
        """The last line that it logged."""
        lines = self._files.log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "(it said nothing)")
