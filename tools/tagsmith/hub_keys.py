"""Keys for hubs: derived from the inventory's root keys, never those themselves."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from tagsmith.inventory import Inventory
from tagsmith.lifecycle import MAY_BE_HEARD, ON_BOARD, WRITTEN
from tagsmith.records import TagRow
from tagwire.keyring import PRIVATE_IDS, HubKey, KeyringEntry, hub_key_of
from tagwire.keys import beacon_key, id_key


class _Key(NamedTuple):
    """What one generation's keys are derived from."""

    root_key: bytes
    generation: int


def keyring(
    inventory: Inventory,
    tag_ids: Iterable[int] | None = None,
    expires_s: int | None = None,
    hub: tuple[int, int] | None = None,
) -> list[KeyringEntry]:
    """Derived keys of all tags that may be heard, or of these. hub: (hub id, epoch); with it that hub's K_hub too.

    A tag whose writing was interrupted, or for which a command was sealed that raises its generation, may run with the
    new generation or with the one before: hubs get both, but K_hub of the new one alone.
    """
    wanted = None if tag_ids is None else set(tag_ids)
    private = {tag.tag_id for tag in inventory.tags() if _may_be_private(tag)}
    rows = inventory.connection.execute("SELECT * FROM identity ORDER BY tag_id, generation DESC").fetchall()
    entries = []
    for tag_id, keys in _may_run_with(rows):
        if wanted is not None and tag_id not in wanted:
            continue
        current, previous = keys[0], keys[1] if len(keys) > 1 else None
        entries.append(
            KeyringEntry(
                tag_id,
                current.generation,
                beacon_key(*current),
                previous_generation=previous.generation if previous else None,
                previous_beacon_key=beacon_key(*previous) if previous else None,
                expires_s=expires_s,
                id_key=id_key(*current) if tag_id in private else None,
                previous_id_key=id_key(*previous) if previous and tag_id in private else None,
                hub=_hub_key(current, hub),
            )
        )
    inventory.note("export", None, f"{len(entries)} tags" + (f", for hub {hub[0]} to day {hub[1]}" if hub else ""))
    return entries


def _may_run_with(rows: Iterable[sqlite3.Row]) -> Iterator[tuple[int, Sequence[_Key]]]:
    """For each tag that may be heard, the keys that it may run with, one or two, the newest first."""
    for tag_id, group in itertools.groupby(rows, key=itemgetter("tag_id")):
        newest, *older = group
        if newest["state"] not in MAY_BE_HEARD:
            continue
        keys = [_Key(newest["root_key"], newest["raised_to"])]
        if newest["reached"] != newest["raised_to"]:
            keys.append(_Key(newest["root_key"], newest["reached"]))
        elif newest["state"] == WRITTEN:
            before = next((row for row in older if row["state"] in ON_BOARD), None)
            keys += [_Key(before["root_key"], before["reached"])] if before else []
        yield tag_id, keys


def _may_be_private(tag: TagRow) -> bool:
    """Whether the tag has private ids, or shall get them the next time it is on a bench."""
    now = tag.written[2] if tag.written else {}
    return tag.settings.get(PRIVATE_IDS) is True or now.get(PRIVATE_IDS) is True


def _hub_key(key: _Key, hub: tuple[int, int] | None) -> HubKey | None:
    return None if hub is None else hub_key_of(key.root_key, *hub)
