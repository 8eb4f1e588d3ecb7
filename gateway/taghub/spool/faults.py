"""SQLite's errors as those of this package: the file cannot be written now, or it is damaged. Pure."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from taghub.spool.commit import StoreDamagedError, StoreError

# From the codes of sqlite3's errors; every other error of an open file leaves the file as it is. A flipped bit may also
# have changed a column's name, or made a row that breaks a rule.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
}


@contextlib.contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """What is done to the spool file within raises StoreError or StoreDamagedError."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite quotes what it cannot read
        raise StoreDamagedError("text that is none") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE or "decode to UTF-8" in str(error):
            raise StoreDamagedError(str(error)) from error
        raise StoreError(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
