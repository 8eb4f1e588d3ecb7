"""The inventory's file: SQLite, its schema, its permissions, its copies. What stands in it is `inventory`'s business.

Everything that the bench must not forget has its one home here. Root keys are in it, so it is readable by its owner
only, and so is each copy of it.
"""

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tagsmith.errors import InventoryError, TrustError
from tagsmith.schema import EDITION, SCHEMA, migrate

APPLICATION_ID = 0x54614753  # "TaGS": tells our file from any other SQLite file
BUSY_TIMEOUT_MS = 30_000  # fifty ports write through one file, each for a millisecond
UNSURE = "unsure:"  # in `bench`: with the first of some ids that may be on tags unknown here; its value is the last one


def create(path: Path, first_id: int, last_id: int) -> None:
    """A new inventory that gives out the ids first_id to last_id. Raises InventoryError when the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise InventoryError(
            f"{path} exists already.", "use it as it is, or name another file with --inventory"
        ) from None
    except OSError as error:
        raise InventoryError(f"{path} cannot be created: {error.strerror}.", "another folder") from None
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; COMMIT;")
        rows = [("first_id", first_id), ("last_id", last_id), ("next_id", first_id), ("backup", 0)]
        connection.executemany("INSERT INTO bench VALUES (?, ?)", rows)
        connection.execute(f"PRAGMA user_version = {EDITION}")  # last: without it nobody opens the file
        connection.close()
    except BaseException as error:
        connection.close()
        _remove(path)  # half an inventory would stand in the way of the next try
        if isinstance(error, sqlite3.Error):
            raise InventoryError(f"{path} cannot be created: {error}.", "another folder, with room") from None
        raise


def connect(path: Path) -> sqlite3.Connection:
    """An open inventory, in autocommit mode; use `transaction` for more than one statement. One of an earlier edition
    is brought to this one first, in one transaction.

    Raises InventoryError for a file that is missing, of another kind or edition, or a backup, TrustError for one that
    other users may read.
    """
    if not path.is_file():
        raise InventoryError(
            f"There is no inventory {path}.", "`tagsmith inventory init --ids FIRST-LAST` makes one, once per bench"
        )
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise TrustError(f"Other users may read the keys in {path}.", f"`chmod 600 {path}`")
    connection = open_any(path)
    try:
        if connection.execute("SELECT value FROM bench WHERE name = 'backup'").fetchone()[0]:
            raise InventoryError(
                f"{path} is a backup, which does not know what came after it.",
                "`tagsmith inventory restore`, which asks for the first id that is surely unused",
            )
        if _edition(connection) != EDITION:
            with transaction(connection):
                migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _cannot_read(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def open_any(path: Path) -> sqlite3.Connection:
    """An open inventory or backup, of this edition or an earlier one, as it is. Raises InventoryError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    except sqlite3.Error as error:
        raise _cannot_read(path, error) from None
    try:
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        edition = _edition(connection)
        is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if kind != APPLICATION_ID and not is_empty:
            raise InventoryError(f"{path} is not an inventory of tagsmith.", "the file that `inventory init` made")
        if edition == 0:
            raise InventoryError(
                f"{path} was begun and never finished; no tag is in it.",
                "delete it, and `tagsmith inventory init` once more",
            )
        if edition > EDITION:
            raise InventoryError(
                f"{path} is of edition {edition}; this tagsmith knows editions up to {EDITION}.", "a newer tagsmith"
            )
        connection.execute("PRAGMA synchronous = FULL")  # a key on a board whose row was lost would be lost for good
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        connection.close()
        raise _cannot_read(path, error) from None
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements within, or none; it is on the disk when the block has ended. One within another is part of it."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself when the disk is full
            connection.execute("ROLLBACK")
        raise


def copy(source: sqlite3.Connection, target: Path, *, backup: bool, next_id: int | None = None) -> None:
    """A consistent copy, made while others write. `backup` marks it so that it is not used by mistake.

    next_id: where a restored inventory goes on; the ids from the source's own next one up to it may be on tags that the
    source does not know, and are never given out. Wherever this is interrupted there is the whole copy, with its mark,
    or none. Raises InventoryError when the target exists or cannot be written.
    """
    # SQLite would play the log of a lost inventory into the file that takes its name.
    log = target.with_name(target.name + "-wal")
    if log.exists():
        raise InventoryError(f"{log} is left of an inventory of that name.", "move it away, and the -shm file too")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise InventoryError(f"{target} exists already.", "another file name, or move that one away") from None
    except OSError as error:
        raise InventoryError(f"{target} cannot be written: {error.strerror}.", "another place, with room") from None
    part: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(".part", target.name + ".", target.parent)  # mode 0600
        os.close(descriptor)
        part = Path(name)
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            source.backup(connection)
            with transaction(connection):
                if next_id is not None:
                    _go_on_at(connection, next_id)
                connection.execute("UPDATE bench SET value = ? WHERE name = 'backup'", (int(backup),))
            connection.execute(f"PRAGMA journal_mode = {'DELETE' if backup else 'WAL'}")  # a backup is one file
        os.replace(part, target)
    except BaseException as error:
        if part is not None:
            _remove(part)
        _remove(target)
        if isinstance(error, (OSError, sqlite3.Error)):
            raise InventoryError(f"{target} cannot be written: {error}.", "another place, with room") from None
        raise


def _go_on_at(connection: sqlite3.Connection, next_id: int) -> None:
    """Give out ids from next_id on, and never those between, by hand or in another range."""
    known = connection.execute("SELECT value FROM bench WHERE name = 'next_id'").fetchone()[0]
    connection.execute("UPDATE bench SET value = ? WHERE name = 'next_id'", (next_id,))
    if next_id > known:
        connection.execute("INSERT OR REPLACE INTO bench VALUES (?, ?)", (f"{UNSURE}{known}", next_id - 1))


def _edition(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _remove(path: Path) -> None:
    """A file that we made in this call, and what SQLite puts beside it."""
    for ending in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink()


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another program has held the file for longer than BUSY_TIMEOUT_MS."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def busy(path: Path) -> InventoryError:
    """What is said then."""
    return InventoryError(
        f"Another program holds {path}.", "end it (another tagsmith, a database browser); then the same again"
    )


def _cannot_read(path: Path, error: sqlite3.Error) -> InventoryError:
    if is_busy(error):
        return busy(path)
    if "malformed" in str(error) or "not a database" in str(error):
        return InventoryError(
            f"{path} is damaged: {error}.", "move it away, then your last backup with `tagsmith inventory restore`"
        )
    return InventoryError(
        f"{path} cannot be read: {error}.", "free disk space, and the right to write in its folder; then the same again"
    )
