"""What can still be read of a damaged spool file. Blocking."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIXES = ("", "-wal", "-shm")
KEPT_MAX = 3  # damaged files kept beside the spool; the oldest goes

Row = tuple[Any, ...]


def set_aside(path: Path, now_ms: int) -> Path | None:
    """Rename a spool file and what belongs to it, so that a new one can take its place; its new name, or None where it
    is gone. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for suffix in reversed(SUFFIXES):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    kept = sorted(file for file in path.parent.glob(f"{path.name}.damaged-*") if file.suffix[-4:] not in SUFFIXES[1:])
    for old in [file for file in kept if not file.name.endswith(SUFFIXES[1:])][:-KEPT_MAX]:
        for suffix in SUFFIXES:
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside if aside.exists() else None


def readable_rows(database: sqlite3.Connection, table: str, key: str, columns: str) -> Iterator[Row]:
    """The rows of a table that can be reached, each once: from its first on until the damage, then from its last back.
    Never raises for what is wrong with the file."""
    last_key = None
    try:
        for row in database.execute(f"SELECT {key}, {columns} FROM {table} ORDER BY {key}"):
            last_key = row[0]
            yield row
        return
    except (sqlite3.Error, UnicodeDecodeError):
        pass
    try:
        for row in database.execute(f"SELECT {key}, {columns} FROM {table} ORDER BY {key} DESC"):
            if last_key is not None and row[0] <= last_key:
                return
            yield row
    except (sqlite3.Error, UnicodeDecodeError):
        return
