"""Tags from elsewhere, into the inventory."""

import sqlite3
from collections.abc import Iterable

from tagsmith import store
from tagsmith.errors import InventoryError
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import READY, REVOKED
from tagsmith.records import Imported


def add_imported(inventory: Inventory, rows: Iterable[Imported]) -> None:
    """Enter tags that were made elsewhere, all or none. Raises InventoryError for an id, chip or key that is taken."""
    with store.transaction(inventory.connection):
        for row in rows:
            inventory.add_tag(row.tag_id, row.order)
            if row.root_key is not None:
                _add_key(inventory, row, row.root_key)
            inventory.note("import", row.tag_id, row.order.reference, None if row.root_key is None else row.generation)


def _add_key(inventory: Inventory, row: Imported, root_key: bytes) -> None:
    known = row.chip and inventory.of_chip(row.chip)
    if known and known.state != REVOKED:
        raise InventoryError(
            f"Chip {row.chip} of tag {row.tag_id} is that of tag {known.tag_id}.",
            "a file in which each board is one tag",
        )
    try:
        inventory.add_key(row.tag_id, row.generation, root_key, READY, row.chip)
    except sqlite3.IntegrityError:
        raise InventoryError(
            f"Tag {row.tag_id} has the key of another tag.", "a file in which each tag has its own key"
        ) from None
