"""The inventory's tables, and how a file of an earlier edition becomes one of this. Pure SQL.

Editions: 1, the first. 2: what was written to a board stands beside its key, so that a tag's settings can be changed
afterwards; commands of the platform.
"""

import sqlite3

EDITION = 2

# A row of `identity` is one key: it is given to one board, at most once, and never changes or goes away. board,
# company_id and settings were written with it; told are the settings that the tag has confirmed in answer to commands,
# and keeps beside those. What it shall have stands in `tag`. Commands raise the generation under the same root key:
# raised_to is the highest that one was sealed for, reached the highest that the tag has confirmed.
_IDENTITY = """
CREATE TABLE identity (
    tag_id INTEGER NOT NULL REFERENCES tag,
    generation INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 255),
    root_key BLOB NOT NULL UNIQUE CHECK (length(root_key) = 16),
    state TEXT NOT NULL,
    chip TEXT,
    changed_s INTEGER NOT NULL,
    board TEXT NOT NULL,
    company_id INTEGER NOT NULL,
    settings TEXT NOT NULL,
    told TEXT NOT NULL,
    reached INTEGER NOT NULL CHECK (reached >= generation),
    raised_to INTEGER NOT NULL CHECK (raised_to >= reached AND raised_to <= 255),
    PRIMARY KEY (tag_id, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_of_chip ON identity (chip);
CREATE TRIGGER key_stays_d BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'a key is never forgotten'); END;
CREATE TRIGGER key_stays_u BEFORE UPDATE OF tag_id, generation, root_key ON identity
BEGIN SELECT RAISE(ABORT, 'a key never changes'); END;
CREATE TRIGGER chip_stays BEFORE UPDATE OF chip ON identity WHEN OLD.chip IS NOT NULL AND NEW.chip IS NOT OLD.chip
BEGIN SELECT RAISE(ABORT, 'a key never moves to another board'); END;
"""
# An envelope is kept before it is sent, and its number never seals another one. status: NULL until the tag answered.
_COMMAND = """
CREATE TABLE command (
    tag_id INTEGER NOT NULL REFERENCES tag,
    number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 4294967295),
    generation INTEGER NOT NULL,
    opcode INTEGER NOT NULL,
    value BLOB NOT NULL,
    expires_s INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    why TEXT NOT NULL,
    made_s INTEGER NOT NULL,
    status INTEGER,
    detail BLOB,
    answered_s INTEGER,
    PRIMARY KEY (tag_id, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER command_stays_d BEFORE DELETE ON command BEGIN SELECT RAISE(ABORT, 'a command is never forgotten'); END;
CREATE TRIGGER command_stays_u
BEFORE UPDATE OF tag_id, number, generation, opcode, value, expires_s, envelope ON command
BEGIN SELECT RAISE(ABORT, 'a command never changes'); END;
"""
SCHEMA = (
    """
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
"""
    + _IDENTITY
    + _COMMAND
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open inventory of an earlier edition to this one, in the caller's transaction. Nothing is lost."""
    (edition,) = connection.execute("PRAGMA user_version").fetchone()
    if edition == EDITION:  # another process was faster
        return
    # SQLite cannot add a NOT NULL column without a default: the table is made anew, its keys copied.
    connection.execute("ALTER TABLE identity RENAME TO identity_1")
    connection.execute("DROP INDEX identity_of_chip")
    for name in ("key_stays_d", "key_stays_u", "chip_stays"):
        connection.execute(f"DROP TRIGGER {name}")
    _run(connection, _IDENTITY)
    connection.execute(
        "INSERT INTO identity SELECT tag_id, generation, root_key, state, chip, changed_s, board, company_id, "
        "settings, '{}', generation, generation FROM identity_1 JOIN tag USING (tag_id)"
    )
    connection.execute("DROP TABLE identity_1")
    _run(connection, _COMMAND)
    connection.execute(
        "INSERT INTO audit (at_s, who, action, detail) VALUES (unixepoch(), 'tagsmith', 'edition', ?)",
        (f"{edition} to {EDITION}",),
    )
    connection.execute(f"PRAGMA user_version = {EDITION}")


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Several statements, without the COMMIT that `executescript` begins with."""
    statement = ""
    for piece in script.strip().split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
