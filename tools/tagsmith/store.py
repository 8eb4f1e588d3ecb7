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

APPLICATION_ID = 0x54614753  # "TaGS": tells our file from any other SQLite file
EDITION = 1
BUSY_TIMEOUT_MS = 30_000  # fifty ports write through one file, each for a millisecond
UNSURE = "unsure:"  # in `bench`: with the first of some ids that may be on tags unknown here; its value is the last one

# A row of `identity` is one key: it is given to one board, at most once, and never changes or goes away.
SCHEMA = """
CREATE TABLE bench (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tag (
    tag_id INTEGER PRIMARY KEY CHECK (tag_id BETWEEN 0 AND 4294967295),
    board TEXT NOT NULL,
    company_id INTEGER NOT NULL CHECK (company_id BETWEEN 0 AND 65535),
    settings TEXT NOT NULL,
    reference TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    rotate TEXT
) STRICT;
CREATE TABLE identity (
    tag_id INTEGER NOT NULL REFERENCES tag,
    generation INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 255),
    root_key BLOB NOT NULL UNIQUE CHECK (length(root_key) = 16),
    state TEXT NOT NULL,
    chip TEXT,
    changed_s INTEGER NOT NULL,
    PRIMARY KEY (tag_id, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_of_chip ON identity (chip);
CREATE TABLE calibration (
    tag_id INTEGER NOT NULL REFERENCES tag,
    quantity TEXT NOT NULL,
    reference TEXT NOT NULL,
    measured_on TEXT NOT NULL,
    certificate TEXT NOT NULL,
    deviation REAL,
    noted_s INTEGER NOT NULL
) STRICT;
CREATE INDEX calibration_of_tag ON calibration (tag_id);
CREATE TABLE job (
    batch TEXT NOT NULL,
    line INTEGER NOT NULL,
    board TEXT NOT NULL,
    company_id INTEGER NOT NULL,
    settings TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL,
    tag_id INTEGER REFERENCES tag,
    chip TEXT,
    attempts INTEGER NOT NULL,
    result TEXT NOT NULL,
    changed_s INTEGER NOT NULL,
    PRIMARY KEY (batch, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    tag_id INTEGER,
    generation INTEGER,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_tag ON audit (tag_id);
CREATE TRIGGER audit_stays_u BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays_d BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER tag_stays BEFORE DELETE ON tag BEGIN SELECT RAISE(ABORT, 'an id is never given back'); END;
CREATE TRIGGER key_stays_d BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'a key is never forgotten'); END;
CREATE TRIGGER key_stays_u BEFORE UPDATE OF tag_id, generation, root_key ON identity
BEGIN SELECT RAISE(ABORT, 'a key never changes'); END;
CREATE TRIGGER chip_stays BEFORE UPDATE OF chip ON identity WHEN OLD.chip IS NOT NULL AND NEW.chip IS NOT OLD.chip
BEGIN SELECT RAISE(ABORT, 'a key never moves to another board'); END;
"""


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
    """An open inventory, in autocommit mode; use `transaction` for more than one statement.

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
    except sqlite3.Error as error:
        connection.close()
        raise _cannot_read(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def open_any(path: Path) -> sqlite3.Connection:
    """An open inventory or backup; the edition is checked. Raises InventoryError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    except sqlite3.Error as error:
        raise _cannot_read(path, error) from None
    try:
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        edition = connection.execute("PRAGMA user_version").fetchone()[0]
        is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if kind != APPLICATION_ID and not is_empty:
            raise InventoryError(f"{path} is not an inventory of tagsmith.", "the file that `inventory init` made")
        if edition == 0:
            raise InventoryError(
                f"{path} was begun and never finished; no tag is in it.",
                "delete it, and `tagsmith inventory init` once more",
            )
        if edition != EDITION:
            raise InventoryError(
                f"{path} is of edition {edition}; this tagsmith knows edition {EDITION}.",
                "a newer tagsmith" if edition > EDITION else "the tagsmith that wrote it, then `inventory backup`",
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
    """All statements within, or none; it is on the disk when the block has ended."""
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


def _remove(path: Path) -> None:
    """A file that we made in this call, and what SQLite puts beside it."""
    for ending in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink()


def _cannot_read(path: Path, error: sqlite3.Error) -> InventoryError:
    if "malformed" in str(error) or "not a database" in str(error):
        return InventoryError(
            f"{path} is damaged: {error}.", "move it away, then your last backup with `tagsmith inventory restore`"
        )
    return InventoryError(
        f"{path} cannot be read: {error}.", "free disk space, and the right to write in its folder; then the same again"
    )
