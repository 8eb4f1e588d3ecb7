"""The inventory: which tags there are, which key each was given, and who did what when.

One `Inventory` per thread; several of them, and several processes, work on one file. Each method is one transaction,
on the disk when it returns. What is made of it stands elsewhere: `hub_keys` for hubs, `calibration`, `mailbox` for the
platform's commands, `jobs` for batches.
"""

import getpass
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from tagsmith import store
from tagsmith.errors import InventoryError
from tagsmith.identity import TAG_ID_MAX, new_root_key, readable_id
from tagsmith.lifecycle import (
    GENERATION_MAX,
    MOVES,
    PLANNED,
    REPLACED,
    REVOKED,
    VERIFIED,
    WRITTEN,
    Identity,
)
from tagsmith.records import AuditRow, Change, Order, Settings, TagRow
from tagwire.provision import Provision

_IDENTITY = "SELECT tag_id, generation, state, chip, raised_to FROM identity"
OF_ONE = "WHERE (tag_id, generation) = (?, ?)"


class Inventory:
    """An open inventory; `with` closes it. Errors of SQLite (disk full, disk broken) surface as InventoryError."""

    def __init__(self, path: Path, who: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.connection = store.connect(path)
        self._who = who or _login_name()
        self._clock = clock

    def __enter__(self) -> "Inventory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if isinstance(error, sqlite3.Error) and store.is_busy(error):
            raise store.busy(self.path) from error
        if isinstance(error, sqlite3.Error):
            raise InventoryError(
                f"{self.path} could not be used: {error}.", "free disk space, or the last backup"
            ) from error

    def now_s(self) -> int:
        """Unix time, as this inventory notes it."""
        return int(self._clock())

    # Making identities

    def new_tag(self, order: Order, tag_id: int | None = None) -> int:
        """Set a tag id aside: the next one of this bench's range, or the one that is given. Raises InventoryError."""
        with store.transaction(self.connection):
            return self._new_tag(order, tag_id)

    def _new_tag(self, order: Order, tag_id: int | None) -> int:
        limits = dict(self.connection.execute("SELECT name, value FROM bench").fetchall())
        if tag_id is None:
            tag_id = limits["next_id"]
            while True:
                unsure_last = _unsure_last(limits, tag_id)
                if unsure_last is not None:
                    tag_id = unsure_last + 1
                elif self.connection.execute("SELECT 1 FROM tag WHERE tag_id = ?", (tag_id,)).fetchone():
                    tag_id += 1  # given out by hand or imported
                else:
                    break
            if tag_id > limits["last_id"]:
                raise InventoryError(
                    f"All ids up to {limits['last_id']} are given out.", "`tagsmith inventory range` with new ids"
                )
            self.connection.execute("UPDATE bench SET value = ? WHERE name = 'next_id'", (tag_id + 1,))
        elif not 0 <= tag_id <= TAG_ID_MAX:
            raise InventoryError(f"{tag_id} is not a tag id.", f"an id from 0 to {TAG_ID_MAX}")
        elif _unsure_last(limits, tag_id) is not None:
            raise InventoryError(
                f"Tag id {tag_id} may be on a tag that the restored backup does not know.", "another id"
            )
        self.add_tag(tag_id, order)
        self.note("plan", tag_id, order.reference)
        return tag_id

    def add_tag(self, tag_id: int, order: Order) -> None:
        """Enter a tag under this id, within the caller's transaction. Raises InventoryError when the id is taken."""
        row = (tag_id, order.board, order.company_id, json.dumps(order.settings), order.reference, self.now_s())
        try:
            self.connection.execute("INSERT INTO tag VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        except sqlite3.IntegrityError:
            raise InventoryError(f"Tag {tag_id} exists already.", "`tagsmith inventory show`, or another id") from None

    def set_range(self, first_id: int, last_id: int) -> None:
        """Give out the ids first_id to last_id from now on. Raises InventoryError when it is no range."""
        if not 0 <= first_id <= last_id <= TAG_ID_MAX:
            raise InventoryError(f"{first_id} to {last_id} is not a range of tag ids.", f"within 0 to {TAG_ID_MAX}")
        with store.transaction(self.connection):
            for name, value in (("first_id", first_id), ("last_id", last_id), ("next_id", first_id)):
                self.connection.execute("UPDATE bench SET value = ? WHERE name = ?", (value, name))
            self.note("range", None, f"{first_id} to {last_id}")

    def range(self) -> tuple[int, int, int]:
        """The first and the last id that this bench gives out, and the next one."""
        values = dict(self.connection.execute("SELECT name, value FROM bench").fetchall())
        return values["first_id"], values["last_id"], values["next_id"]

    def begin(self, tag_id: int, generation: int, chip: str, why: str = "") -> Provision:
        """A fresh key for a tag, given to a chip: everything to write. The key counts as being out from here on.

        Raises InventoryError: the generation does not rise or is beyond the last, or the tag belongs to another chip.
        """
        with store.transaction(self.connection):
            tag = self.connection.execute("SELECT * FROM tag WHERE tag_id = ?", (tag_id,)).fetchone()
            if tag is None:
                raise _no_tag(tag_id)
            newest = self.newest(tag_id)
            if newest is not None:
                if newest.state == REVOKED:
                    raise InventoryError(f"Tag {tag_id} is revoked.", "a new id: provision the board without --id")
                if newest.chip not in (None, chip):
                    raise InventoryError(
                        f"Tag {tag_id} belongs to the board with chip {newest.chip}, this is {chip}.",
                        f"that board; if it is lost: `tagsmith inventory revoke {tag_id}` and a new id for this one",
                    )
                if generation <= newest.raised_to:
                    raise InventoryError(
                        f"Generation {generation} of tag {tag_id} would not be above {newest.raised_to}.",
                        f"`tagsmith provision` with --again, which takes generation {newest.raised_to + 1}",
                    )
            if generation > GENERATION_MAX:
                raise InventoryError(
                    f"Tag {tag_id} has used up its {GENERATION_MAX + 1} generations.", new_id_instead_of(tag_id)
                )
            root_key = new_root_key()
            self.add_key(tag_id, generation, root_key, WRITTEN, chip)
            self.note("write", tag_id, f"chip {chip}{', ' + why if why else ''}", generation)
        return Provision(tag_id, root_key, generation, tag["company_id"], tag["board"], json.loads(tag["settings"]))

    def add_key(self, tag_id: int, generation: int, root_key: bytes, state: str, chip: str | None) -> None:
        """Enter a key for a tag as it shall be now, within the caller's transaction. Raises sqlite3.IntegrityError when
        the key or the generation is there already."""
        self.connection.execute(
            "INSERT INTO identity SELECT tag_id, ?, ?, ?, ?, ?, board, company_id, settings, '{}', ?, ? "
            "FROM tag WHERE tag_id = ?",
            (generation, root_key, state, chip, self.now_s(), generation, generation, tag_id),
        )

    def bind(self, tag_id: int, generation: int, chip: str) -> None:
        """Note the chip of a tag that was imported without one. Raises InventoryError when it has another."""
        with store.transaction(self.connection):
            if self._identity(tag_id, generation)["chip"] is not None:
                raise InventoryError(f"Tag {tag_id} has its board already.", "`tagsmith inventory show`")
            self.connection.execute(f"UPDATE identity SET chip = ? {OF_ONE}", (chip, tag_id, generation))
            self.note("bind", tag_id, f"chip {chip}", generation)

    def move(self, tag_id: int, generation: int, state: str, detail: str = "") -> None:
        """The identity's next state. Raises InventoryError for a move that `lifecycle.MOVES` does not have."""
        with store.transaction(self.connection):
            self._move(tag_id, generation, state, detail)

    def _move(self, tag_id: int, generation: int, state: str, detail: str) -> None:
        key = (tag_id, generation)
        row = self.connection.execute(f"SELECT state, chip FROM identity {OF_ONE}", key).fetchone()
        if row is None or state not in MOVES[row["state"]]:
            was = "unknown" if row is None else row["state"]
            raise InventoryError(
                f"Tag {tag_id}, generation {generation}, is {was} and cannot become {state}.",
                "`tagsmith inventory show`",
            )
        self.connection.execute(f"UPDATE identity SET state = ?, changed_s = ? {OF_ONE}", (state, self.now_s(), *key))
        self.note(state, tag_id, detail, generation)
        if state == VERIFIED:
            self.connection.execute("UPDATE tag SET rotate = NULL WHERE tag_id = ?", (tag_id,))
            # What this chip, or this tag, was before is gone.
            before = self.connection.execute(
                "SELECT tag_id, generation, state FROM identity WHERE (tag_id = ? OR chip = ?) "
                "AND NOT (tag_id = ? AND generation = ?)",
                (tag_id, row["chip"], *key),
            ).fetchall()
            for other in before:
                if REPLACED in MOVES[other["state"]]:
                    detail = f"by tag {tag_id}, generation {generation}"
                    self._move(other["tag_id"], other["generation"], REPLACED, detail)

    def rotate(self, tag_id: int, why: str) -> None:
        """A tag shall get a new key and generation the next time it is on a bench. Raises InventoryError."""
        tag = self.tag(tag_id)
        if tag.state in (PLANNED, REVOKED):
            raise InventoryError(f"Tag {tag_id} is {tag.state}: it has no key to rotate.", "`tagsmith inventory show`")
        with store.transaction(self.connection):
            self.connection.execute("UPDATE tag SET rotate = ? WHERE tag_id = ?", (why, tag_id))
            self.note("rotate", tag_id, why)

    def change(self, tag_id: int, change: Change, why: str = "") -> TagRow:
        """A tag shall be something else. A made tag gets it, with a new key, the next time it is on a bench; its
        reference changes at once. Returns it as it is then. Raises InventoryError."""
        with store.transaction(self.connection):
            before = self.tag(tag_id)
            if before.state == REVOKED:
                raise InventoryError(f"Tag {tag_id} is revoked.", "a new id")
            wanted = before._replace(
                board=change.board or before.board,
                company_id=before.company_id if change.company_id is None else change.company_id,
                settings=_merged(before.settings, change.settings),
                reference=before.reference if change.reference is None else change.reference,
            )
            self.connection.execute(
                "UPDATE tag SET board = ?, company_id = ?, settings = ?, reference = ? WHERE tag_id = ?",
                (wanted.board, wanted.company_id, json.dumps(wanted.settings), wanted.reference, tag_id),
            )
            told = wanted._replace(written=(before.board, before.company_id, before.settings)).changes
            if wanted.reference != before.reference:
                told.append(f"reference {before.reference} -> {wanted.reference}")
            if told:
                self.note("change", tag_id, "; ".join(filter(None, (*told, why))))
            return wanted

    def revoke(self, tag_id: int, why: str) -> None:
        """No keyring holds this tag from now on; its id is burnt. Raises InventoryError when there is no such tag."""
        with store.transaction(self.connection):
            if self.connection.execute("SELECT 1 FROM tag WHERE tag_id = ?", (tag_id,)).fetchone() is None:
                raise _no_tag(tag_id)
            rows = self.connection.execute(
                "SELECT generation, state FROM identity WHERE tag_id = ?", (tag_id,)
            ).fetchall()
            if not rows:  # only an id was set aside: an identity that nobody has records that it is burnt
                self.add_key(tag_id, 0, new_root_key(), PLANNED, None)
                rows = self.connection.execute(
                    "SELECT generation, state FROM identity WHERE tag_id = ?", (tag_id,)
                ).fetchall()
            for row in rows:
                if row["state"] != REVOKED:
                    self._move(tag_id, row["generation"], REVOKED, why)

    # Looking

    def newest(self, tag_id: int) -> Identity | None:
        """The newest key of a tag; None when it has none, or there is no such tag."""
        row = self.connection.execute(
            f"{_IDENTITY} WHERE tag_id = ? ORDER BY generation DESC LIMIT 1", (tag_id,)
        ).fetchone()
        return Identity(*row) if row else None

    def state_of(self, tag_id: int, generation: int) -> str:
        """The state of one generation of a tag. Raises InventoryError when there is none."""
        return str(self._identity(tag_id, generation)["state"])

    def provision_of(self, tag_id: int, generation: int) -> Provision:
        """What was written, or was to be written, for one generation. Raises InventoryError when there is none."""
        row = self._identity(tag_id, generation)
        settings = json.loads(row["settings"])
        return Provision(tag_id, row["root_key"], generation, row["company_id"], row["board"], settings)

    def _identity(self, tag_id: int, generation: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self.connection.execute(
            f"SELECT * FROM identity {OF_ONE}", (tag_id, generation)
        ).fetchone()
        if row is None:
            raise InventoryError(f"Tag {tag_id} has no generation {generation}.", "`tagsmith inventory list`")
        return row

    def of_chip(self, chip: str) -> Identity | None:
        """The identity that was last given to this chip, whatever became of it."""
        row = self.connection.execute(
            f"{_IDENTITY} JOIN audit USING (tag_id, generation) "
            "WHERE action IN ('write', 'import', 'bind') AND chip = ? ORDER BY number DESC LIMIT 1",
            (chip,),
        ).fetchone()
        return Identity(*row) if row else None

    def tags(self, search: str = "", state: str | None = None) -> list[TagRow]:
        """Tags by id. search: part of the id in either form, the reference, the board or the chip."""
        wanted = search.casefold()
        return [
            tag
            for tag in self._rows("", ())
            if state in (None, tag.state)
            and any(
                wanted in text.casefold()
                for text in (str(tag.tag_id), readable_id(tag.tag_id), tag.reference, tag.board, tag.chip or "")
            )
        ]

    def has(self, tag_id: int) -> bool:
        """Whether there is such a tag."""
        return self.connection.execute("SELECT 1 FROM tag WHERE tag_id = ?", (tag_id,)).fetchone() is not None

    def tag(self, tag_id: int) -> TagRow:
        """One tag. Raises InventoryError when there is none."""
        for tag in self._rows("WHERE tag.tag_id = ?", (tag_id,)):
            return tag
        raise _no_tag(tag_id)

    def _rows(self, where: str, values: tuple[int, ...]) -> Iterator[TagRow]:
        for row in self.connection.execute(
            "SELECT tag.*, reached AS generation, coalesce(state, 'planned') AS state, chip, changed_s, "
            "identity.board AS board_written, identity.company_id AS company_id_written, "
            "identity.settings AS settings_written, told FROM tag "
            "LEFT JOIN identity ON identity.tag_id = tag.tag_id "
            "AND generation = (SELECT max(generation) FROM identity WHERE tag_id = tag.tag_id) "
            f"{where} ORDER BY tag.tag_id",
            values,
        ):
            fields = dict(row)
            fields["settings"] = json.loads(fields["settings"])
            board, company_id, settings = (
                fields.pop(f"{name}_written") for name in ("board", "company_id", "settings")
            )
            told = fields.pop("told")
            written = None if settings is None else (board, company_id, _merged(json.loads(settings), json.loads(told)))
            yield TagRow(**fields, written=written)

    def audit(self, tag_id: int | None = None) -> Iterator[AuditRow]:
        """What was done, oldest first; of one tag or of all."""
        wanted = "" if tag_id is None else "WHERE tag_id = ?"
        for row in self.connection.execute(
            f"SELECT at_s, who, action, tag_id, generation, detail FROM audit {wanted} ORDER BY number",
            () if tag_id is None else (tag_id,),
        ):
            yield AuditRow(*row)

    # The log

    def note(self, action: str, tag_id: int | None, detail: str, generation: int | None = None) -> None:
        """Add a line to the audit log."""
        self.connection.execute(
            "INSERT INTO audit (at_s, who, action, tag_id, generation, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (self.now_s(), self._who, action, tag_id, generation, detail),
        )


def _merged(settings: Settings, changes: Mapping[str, int | bool | str | None]) -> Settings:
    """The settings after these changes; None takes one away."""
    return {name: value for name, value in {**settings, **changes}.items() if value is not None}


def _unsure_last(limits: dict[str, int], tag_id: int) -> int | None:
    """The last id of the stretch that a restored backup does not know and that this id lies in; None outside."""
    for name, last_id in limits.items():
        if name.startswith(store.UNSURE) and int(name.removeprefix(store.UNSURE)) <= tag_id <= last_id:
            return last_id
    return None


def new_id_instead_of(tag_id: int) -> str:
    """What to try when a tag cannot go on under its id."""
    return f"`tagsmith inventory revoke {tag_id}`, then the same command: the board takes a new id"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _no_tag(tag_id: int) -> InventoryError:
    return InventoryError(f"There is no tag {tag_id}.", "`tagsmith inventory list`")
