"""The lines of a batch, in the inventory: which line got which id, on which chip, and what became of it.

A line is bound to an id and a chip in one transaction, before anything is written. From then on only that chip can
have that id: a board that was pulled keeps its line until it comes back, or until a person gives it up (`release`).
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from tagsmith import lifecycle, store
from tagsmith.errors import InventoryError
from tagsmith.inventory import Inventory
from tagsmith.records import Order

WAITING = "waiting"  # no board yet
WORKING = "working"  # bound to a chip; being written, or interrupted
READY = "ready"
FAILED = "failed"  # the self test found a fault: repair the board and plug it in again, or release the line


class Job(NamedTuple):
    """One line of a batch. tag_id, chip: None while it waits for a board. attempts: tries on its board, failed ones
    too. result: what the last one found, for a person."""

    line: int
    order: Order
    state: str
    tag_id: int | None
    chip: str | None
    attempts: int
    result: str


class Batch:
    """One batch in an open inventory. name: what it is resumed by."""

    def __init__(self, inventory: Inventory, name: str) -> None:
        self.name = name
        self._inventory = inventory
        self._connection = inventory.connection

    def begin(self, orders: Sequence[Order]) -> None:
        """Enter the orders, or find them there from the last time. Raises InventoryError when those were others.

        A line whose tag became ready just before the last run was killed is ready.
        """
        with store.transaction(self._connection):
            known = self.jobs()
            if known:
                if [job.order for job in known] != list(orders):
                    raise InventoryError(
                        f"Batch {self.name} was begun with other orders.", "another --name, or the file as it was"
                    )
                self._connection.executemany(
                    "UPDATE job SET state = ?, result = '' WHERE (batch, line) = (?, ?)",
                    [(READY, self.name, job.line) for job in known if self._was_finished(job)],
                )
                return
            self._connection.executemany(
                "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, '', ?)",
                [
                    (self.name, line, *order[:2], json.dumps(order.settings), order.reference, WAITING, self._now_s())
                    for line, order in enumerate(orders, 1)
                ],
            )
            self._inventory.note("batch", None, f"{self.name}: {len(orders)} tags")

    def _was_finished(self, job: Job) -> bool:
        if job.state != WORKING or job.tag_id is None:
            return False
        tag = self._inventory.tag(job.tag_id)
        return tag.state == lifecycle.READY and tag.due is None

    def jobs(self) -> list[Job]:
        """Every line, in order."""
        rows = self._connection.execute("SELECT * FROM job WHERE batch = ? ORDER BY line", (self.name,))
        return [_job(row) for row in rows]

    def of_chip(self, chip: str) -> Job | None:
        """The line that is bound to this chip."""
        row = self._connection.execute("SELECT * FROM job WHERE (batch, chip) = (?, ?)", (self.name, chip)).fetchone()
        return None if row is None else _job(row)

    def claim(self, chip: str) -> int:
        """The tag id for this chip: that of its line, or a new one for the next line that waits.

        Raises InventoryError when no line waits.
        """
        with store.transaction(self._connection):
            job = self.of_chip(chip)
            if job is not None and job.tag_id is not None:
                return job.tag_id
            row = self._connection.execute(
                "SELECT * FROM job WHERE (batch, state) = (?, ?) ORDER BY line LIMIT 1", (self.name, WAITING)
            ).fetchone()
            if row is None:
                raise self.has_no_line()
            job = _job(row)
            tag_id = self._inventory.new_tag(job.order)
            self._connection.execute(
                "UPDATE job SET state = ?, tag_id = ?, chip = ?, changed_s = ? WHERE (batch, line) = (?, ?)",
                (WORKING, tag_id, chip, self._now_s(), self.name, job.line),
            )
        return tag_id

    def has_no_line(self) -> InventoryError:
        """What is said of a board for which nothing is ordered any more."""
        return InventoryError(f"Batch {self.name} has no line left for this board.", "the next batch")

    def finish(self, chip: str, state: str, result: str) -> None:
        """What became of this chip's line; nothing happens for a chip that has none."""
        self._connection.execute(
            "UPDATE job SET state = ?, result = ?, attempts = attempts + 1, changed_s = ? WHERE (batch, chip) = (?, ?)",
            (state, result, self._now_s(), self.name, chip),
        )

    def note_failure(self, chip: str, reason: str) -> None:
        """Why a try on this chip's line ended early; the line stays as it is, and a ready one says nothing."""
        self._connection.execute(
            "UPDATE job SET result = ?, attempts = attempts + 1, changed_s = ? WHERE (batch, chip) = (?, ?) "
            "AND state <> ?",
            (reason, self._now_s(), self.name, chip, READY),
        )

    def reopen(self, chip: str) -> None:
        """This chip's line, if it has one, is worked on once more: its tag gets a new key."""
        self._connection.execute(
            "UPDATE job SET state = ?, changed_s = ? WHERE (batch, chip) = (?, ?)",
            (WORKING, self._now_s(), self.name, chip),
        )

    def release(self, line: int, why: str) -> None:
        """Give up the board that a line is bound to: its id is revoked for good, the line waits for another board.

        Raises InventoryError when there is no such line, or it is ready or waits already.
        """
        with store.transaction(self._connection):  # a batch that runs may finish the line in this moment
            job = {job.line: job for job in self.jobs()}.get(line)
            if job is None or job.tag_id is None or job.state == READY:
                raise InventoryError(
                    f"Line {line} of batch {self.name} is not bound to a board that is missing.",
                    "`tagsmith batch show`",
                )
            self._inventory.revoke(job.tag_id, f"batch {self.name}, line {line}: {why}")
            self._connection.execute(
                "UPDATE job SET state = ?, tag_id = NULL, chip = NULL, result = ?, changed_s = ? "
                "WHERE (batch, line) = (?, ?)",
                (WAITING, f"tag {job.tag_id} given up", self._now_s(), self.name, line),
            )

    def is_done(self) -> bool:
        """Whether every line is ready."""
        return all(job.state == READY for job in self.jobs())

    def waits(self) -> bool:
        """Whether a line waits for a board."""
        return any(job.state == WAITING for job in self.jobs())

    def _now_s(self) -> int:
        return self._inventory.now_s()


def _job(row: sqlite3.Row) -> Job:
    order = Order(row["board"], row["company_id"], json.loads(row["settings"]), row["reference"])
    return Job(row["line"], order, row["state"], row["tag_id"], row["chip"], row["attempts"], row["result"])
