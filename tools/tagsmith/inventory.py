"""The inventory: which tags there are, which key each was given, and who did what when.

One `Inventory` per thread; several of them, and several processes, work on one file. Each method is one transaction,
on the disk when it returns.
"""

import getpass
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tagsmith import store
from tagsmith.errors import InventoryError
from tagsmith.identity import TAG_ID_MAX, new_root_key, readable_id
from tagsmith.lifecycle import (
    GENERATION_MAX,
    MAY_BE_HEARD,
    MOVES,
    ON_BOARD,
    PLANNED,
    READY,
    REPLACED,
    REVOKED,
    VERIFIED,
    WRITTEN,
    Identity,
)
from tagwire.keyring import PRIVATE_IDS, KeyringEntry, hub_key_of
from tagwire.keys import beacon_key, id_key
from tagwire.provision import Provision

Settings = dict[str, int | bool | str]


class Order(NamedTuple):
    """What a tag shall be. reference: the customer's name for it, stands on the label; may be empty."""

    board: str
    company_id: int
    settings: Settings
    reference: str


class TagRow(NamedTuple):
    """One tag in its newest generation. generation, chip, changed_s: None while no key was made for it. rotate: why it
    shall get a new key the next time it is on a bench, None if it shall not."""

    tag_id: int
    board: str
    company_id: int
    settings: Settings
    reference: str
    created_s: int
    rotate: str | None
    generation: int | None
    state: str
    chip: str | None
    changed_s: int | None


class Calibration(NamedTuple):
    """One comparison with a reference. measured_on: ISO date. deviation: tag minus reference in the quantity's unit
    (degrees Celsius, % RH, mV), None when the certificate alone says it."""

    tag_id: int
    quantity: str
    reference: str
    measured_on: str
    certificate: str
    deviation: float | None


class Imported(NamedTuple):
    """A tag from elsewhere. root_key: None for one that is still to be made; then generation and chip say nothing."""

    tag_id: int
    order: Order
    generation: int
    root_key: bytes | None
    chip: str | None


class AuditRow(NamedTuple):
    """One thing that was done."""

    at_s: int
    who: str
    action: str
    tag_id: int | None
    generation: int | None
    detail: str


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
            return self.take_id(order, tag_id)

    def take_id(self, order: Order, tag_id: int | None = None) -> int:
        """As `new_tag`, within the caller's transaction."""
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
        self._add_tag(tag_id, order)
        self._note("plan", tag_id, None, order.reference)
        return tag_id

    def _add_tag(self, tag_id: int, order: Order) -> None:
        row = (tag_id, order.board, order.company_id, json.dumps(order.settings), order.reference, self.now_s())
        try:
            self.connection.execute("INSERT INTO tag VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        except sqlite3.IntegrityError:
            raise InventoryError(f"Tag {tag_id} exists already.", "`tagsmith inventory show`, or another id") from None

    def add_imported(self, rows: Iterable[Imported]) -> None:
        """Enter tags that were made elsewhere, all or none. Raises InventoryError for an id that is taken."""
        with store.transaction(self.connection):
            for row in rows:
                self._add_tag(row.tag_id, row.order)
                if row.root_key is not None:
                    known = row.chip and self.of_chip(row.chip)
                    if known and known.state != REVOKED:
                        raise InventoryError(
                            f"Chip {row.chip} of tag {row.tag_id} is that of tag {known.tag_id}.",
                            "a file in which each board is one tag",
                        )
                    try:
                        self.connection.execute(
                            "INSERT INTO identity VALUES (?, ?, ?, ?, ?, ?)",
                            (row.tag_id, row.generation, row.root_key, READY, row.chip, self.now_s()),
                        )
                    except sqlite3.IntegrityError:
                        raise InventoryError(
                            f"Tag {row.tag_id} has the key of another tag.", "a file in which each tag has its own key"
                        ) from None
                self._note("import", row.tag_id, None if row.root_key is None else row.generation, row.order.reference)

    def set_range(self, first_id: int, last_id: int) -> None:
        """Give out the ids first_id to last_id from now on. Raises InventoryError when it is no range."""
        if not 0 <= first_id <= last_id <= TAG_ID_MAX:
            raise InventoryError(f"{first_id} to {last_id} is not a range of tag ids.", f"within 0 to {TAG_ID_MAX}")
        with store.transaction(self.connection):
            for name, value in (("first_id", first_id), ("last_id", last_id), ("next_id", first_id)):
                self.connection.execute("UPDATE bench SET value = ? WHERE name = ?", (value, name))
            self._note("range", None, None, f"{first_id} to {last_id}")

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
            newest = self._newest(tag_id)
            if newest is not None:
                if newest.state == REVOKED:
                    raise InventoryError(f"Tag {tag_id} is revoked.", "a new id: provision the board without --id")
                if newest.chip not in (None, chip):
                    raise InventoryError(
                        f"Tag {tag_id} belongs to the board with chip {newest.chip}, this is {chip}.",
                        f"that board; if it is lost: `tagsmith inventory revoke {tag_id}` and a new id for this one",
                    )
                if generation <= newest.generation:
                    raise InventoryError(
                        f"Generation {generation} of tag {tag_id} would not be above {newest.generation}.",
                        f"`tagsmith provision` with --again, which takes generation {newest.generation + 1}",
                    )
            if generation > GENERATION_MAX:
                raise InventoryError(
                    f"Tag {tag_id} has used up its {GENERATION_MAX + 1} generations.", new_id_instead_of(tag_id)
                )
            root_key = new_root_key()
            self.connection.execute(
                "INSERT INTO identity VALUES (?, ?, ?, ?, ?, ?)",
                (tag_id, generation, root_key, WRITTEN, chip, self.now_s()),
            )
            self._note("write", tag_id, generation, f"chip {chip}{', ' + why if why else ''}")
        return Provision(tag_id, root_key, generation, tag["company_id"], tag["board"], json.loads(tag["settings"]))

    def bind(self, tag_id: int, generation: int, chip: str) -> None:
        """Note the chip of a tag that was imported without one. Raises InventoryError when it has another."""
        with store.transaction(self.connection):
            if self._identity(tag_id, generation)["chip"] is not None:
                raise InventoryError(f"Tag {tag_id} has its board already.", "`tagsmith inventory show`")
            self.connection.execute(
                "UPDATE identity SET chip = ? WHERE (tag_id, generation) = (?, ?)", (chip, tag_id, generation)
            )
            self._note("bind", tag_id, generation, f"chip {chip}")

    def move(self, tag_id: int, generation: int, state: str, detail: str = "") -> None:
        """The identity's next state. Raises InventoryError for a move that `lifecycle.MOVES` does not have."""
        with store.transaction(self.connection):
            self._move(tag_id, generation, state, detail)

    def _move(self, tag_id: int, generation: int, state: str, detail: str) -> None:
        key = (tag_id, generation)
        row = self.connection.execute(
            "SELECT state, chip FROM identity WHERE (tag_id, generation) = (?, ?)", key
        ).fetchone()
        if row is None or state not in MOVES[row["state"]]:
            was = "unknown" if row is None else row["state"]
            raise InventoryError(
                f"Tag {tag_id}, generation {generation}, is {was} and cannot become {state}.",
                "`tagsmith inventory show`",
            )
        self.connection.execute(
            "UPDATE identity SET state = ?, changed_s = ? WHERE (tag_id, generation) = (?, ?)",
            (state, self.now_s(), *key),
        )
        self._note(state, tag_id, generation, detail)
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
            self._note("rotate", tag_id, None, why)

    def revoke(self, tag_id: int, why: str) -> None:
        """No keyring holds this tag from now on; its id is burnt. Raises InventoryError when there is no such tag."""
        with store.transaction(self.connection):
            if self.connection.execute("SELECT 1 FROM tag WHERE tag_id = ?", (tag_id,)).fetchone() is None:
                raise _no_tag(tag_id)
            rows = self.connection.execute(
                "SELECT generation, state FROM identity WHERE tag_id = ?", (tag_id,)
            ).fetchall()
            if not rows:  # only an id was set aside: an identity that nobody has records that it is burnt
                self.connection.execute(
                    "INSERT INTO identity VALUES (?, 0, ?, ?, NULL, ?)", (tag_id, new_root_key(), PLANNED, self.now_s())
                )
                rows = self.connection.execute(
                    "SELECT generation, state FROM identity WHERE tag_id = ?", (tag_id,)
                ).fetchall()
            for row in rows:
                if row["state"] != REVOKED:
                    self._move(tag_id, row["generation"], REVOKED, why)

    # Looking

    def _newest(self, tag_id: int) -> Identity | None:
        row = self.connection.execute(
            "SELECT tag_id, generation, state, chip FROM identity WHERE tag_id = ? ORDER BY generation DESC LIMIT 1",
            (tag_id,),
        ).fetchone()
        return Identity(*row) if row else None

    def newest(self, tag_id: int) -> Identity | None:
        """The newest generation of a tag; None when it has none, or there is no such tag."""
        return self._newest(tag_id)

    def state_of(self, tag_id: int, generation: int) -> str:
        """The state of one generation of a tag. Raises InventoryError when there is none."""
        return str(self._identity(tag_id, generation)["state"])

    def provision_of(self, tag_id: int, generation: int) -> Provision:
        """What was written, or was to be written, for one generation. Raises InventoryError when there is none."""
        tag = self.tag(tag_id)
        root_key = self._identity(tag_id, generation)["root_key"]
        return Provision(tag_id, root_key, generation, tag.company_id, tag.board, tag.settings)

    def _identity(self, tag_id: int, generation: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self.connection.execute(
            "SELECT * FROM identity WHERE (tag_id, generation) = (?, ?)", (tag_id, generation)
        ).fetchone()
        if row is None:
            raise InventoryError(f"Tag {tag_id} has no generation {generation}.", "`tagsmith inventory list`")
        return row

    def of_chip(self, chip: str) -> Identity | None:
        """The identity that was last given to this chip, whatever became of it."""
        row = self.connection.execute(
            "SELECT tag_id, generation, state, chip FROM audit JOIN identity USING (tag_id, generation) "
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
            "SELECT tag.*, generation, coalesce(state, 'planned') AS state, chip, changed_s FROM tag "
            "LEFT JOIN identity ON identity.tag_id = tag.tag_id "
            "AND generation = (SELECT max(generation) FROM identity WHERE tag_id = tag.tag_id) "
            f"{where} ORDER BY tag.tag_id",
            values,
        ):
            yield TagRow(**{**dict(row), "settings": json.loads(row["settings"])})

    def audit(self, tag_id: int | None = None) -> Iterator[AuditRow]:
        """What was done, oldest first; of one tag or of all."""
        wanted = "" if tag_id is None else "WHERE tag_id = ?"
        for row in self.connection.execute(
            f"SELECT at_s, who, action, tag_id, generation, detail FROM audit {wanted} ORDER BY number",
            () if tag_id is None else (tag_id,),
        ):
            yield AuditRow(*row)

    # Keys for hubs

    def keyring(
        self, tag_ids: Iterable[int] | None = None, expires_s: int | None = None, hub: tuple[int, int] | None = None
    ) -> list[KeyringEntry]:
        """Derived keys of all tags that may be heard, or of these. hub: (hub id, epoch); with it that hub's K_hub too.

        A tag whose writing was interrupted may run with the new generation or with the one before: hubs get both, but
        K_hub of the new one alone.
        """
        rows = self.connection.execute(
            "SELECT tag_id, generation, root_key, state FROM identity ORDER BY tag_id, generation DESC"
        ).fetchall()
        of_tag: dict[int, list[sqlite3.Row]] = {}
        for row in rows:
            of_tag.setdefault(row["tag_id"], []).append(row)
        wanted = None if tag_ids is None else set(tag_ids)
        private = {tag.tag_id for tag in self._rows("", ()) if tag.settings.get(PRIVATE_IDS) is True}
        entries = []
        for tag_id, identities in of_tag.items():
            current = identities[0]
            if current["state"] not in MAY_BE_HEARD or (wanted is not None and tag_id not in wanted):
                continue
            previous = None
            if current["state"] == WRITTEN:
                previous = next((row for row in identities[1:] if row["state"] in ON_BOARD), None)
            entries.append(
                KeyringEntry(
                    tag_id,
                    current["generation"],
                    _beacon_key(current),
                    previous_generation=previous["generation"] if previous else None,
                    previous_beacon_key=_beacon_key(previous) if previous else None,
                    expires_s=expires_s,
                    id_key=_id_key(current) if current["tag_id"] in private else None,
                    previous_id_key=_id_key(previous) if previous and current["tag_id"] in private else None,
                    hub=hub_key_of(current["root_key"], *hub) if hub else None,
                )
            )
        self.note("export", None, f"{len(entries)} tags" + (f", for hub {hub[0]} to day {hub[1]}" if hub else ""))
        return entries

    # Calibration

    def add_calibration(self, record: Calibration) -> None:
        """Note a comparison with a reference. Raises InventoryError when there is no such tag."""
        with store.transaction(self.connection):
            try:
                self.connection.execute("INSERT INTO calibration VALUES (?, ?, ?, ?, ?, ?, ?)", (*record, self.now_s()))
            except sqlite3.IntegrityError:
                raise _no_tag(record.tag_id) from None
            self._note("calibrate", record.tag_id, None, f"{record.quantity}, certificate {record.certificate}")

    def calibrations(self, tag_id: int) -> list[Calibration]:
        """A tag's comparisons, in the order in which they were noted."""
        rows = self.connection.execute(
            "SELECT tag_id, quantity, reference, measured_on, certificate, deviation FROM calibration "
            "WHERE tag_id = ? ORDER BY rowid",
            (tag_id,),
        )
        return [Calibration(*row) for row in rows]

    # The log

    def note(self, action: str, tag_id: int | None, detail: str, generation: int | None = None) -> None:
        """Add a line to the audit log."""
        self._note(action, tag_id, generation, detail)

    def _note(self, action: str, tag_id: int | None, generation: int | None, detail: str) -> None:
        self.connection.execute(
            "INSERT INTO audit (at_s, who, action, tag_id, generation, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (self.now_s(), self._who, action, tag_id, generation, detail),
        )


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


def _beacon_key(identity: sqlite3.Row) -> bytes:
    return beacon_key(identity["root_key"], identity["generation"])


def _id_key(identity: sqlite3.Row) -> bytes:
    return id_key(identity["root_key"], identity["generation"])


def _no_tag(tag_id: int) -> InventoryError:
    return InventoryError(f"There is no tag {tag_id}.", "`tagsmith inventory list`")
