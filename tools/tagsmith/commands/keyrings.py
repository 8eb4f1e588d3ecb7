"""`tagsmith inventory export`: keys for hubs."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tagsmith.commands.bench_options import DEFAULT_INVENTORY, InventoryFile, tag_id_of, tag_name
from tagsmith.commands.sources import Json
from tagsmith.errors import FileError, InventoryError
from tagsmith.hub_keys import keyring as keys_for_hubs
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import MAY_BE_HEARD
from tagsmith.output import result
from tagwire.keyring import write_keyring
from tagwire.session import EPOCH_DAY_S, EPOCH_FOREVER

DAYS_MAX = 36_500  # what a keyring can carry is far beyond
TagsOption = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only this tag; may be repeated.")]


def register(group: typer.Typer) -> None:
    """Adds these commands to `tagsmith inventory`."""
    group.command()(export)


def export(
    keyring: Annotated[Path, typer.Argument(help="The keyring to write, JSON lines, readable by its owner only.")],
    tag: TagsOption = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=DAYS_MAX, help="The hub forgets the keys after so long.")
    ] = None,
    hub_id: Annotated[
        int | None,
        typer.Option(
            "--hub-id", min=0, max=0xFFFFFFFF, help="The one hub it is for: lets that hub connect to the tags too."
        ),
    ] = None,
    epoch: Annotated[
        int | None,
        typer.Option(
            "--epoch",
            min=0,
            max=EPOCH_FOREVER,
            help="Last Unix day (Unix time / 86,400) on which the hub may connect; default: that of --days, or no end.",
        ),
    ] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Write a keyring for hubs: derived keys only, of every tag that may be heard; never a root key.

    With --hub-id it is for one hub alone and holds the keys with which that hub fetches what it did not hear.
    """
    if epoch is not None and hub_id is None:
        raise typer.BadParameter("--epoch is about a hub's key: give --hub-id too")
    expires_s = None if days is None else int(time.time()) + days * 86400
    if epoch is None:
        epoch = EPOCH_FOREVER if expires_s is None else min(expires_s // EPOCH_DAY_S, EPOCH_FOREVER)
    with Inventory(inventory) as stock:
        wanted = None if tag is None else [tag_id_of(text) for text in tag]
        for tag_id in wanted or []:
            if (state := stock.tag(tag_id).state) not in MAY_BE_HEARD:
                raise InventoryError(f"T{tag_name(tag_id)[1:]} is {state}: no hub gets a key of it.", "without it")
        entries = keys_for_hubs(stock, wanted, expires_s, None if hub_id is None else (hub_id, epoch))
    try:
        write_keyring(keyring, entries)
    except OSError as error:
        raise FileError(f"{keyring} cannot be written: {error.strerror}.", "another folder") from None
    values: dict[str, object] = {"keyring": str(keyring), "tags": len(entries)}
    text = f"{keyring}: {len(entries)} tags"
    if hub_id is not None:
        values |= {"hub_id": hub_id, "epoch": epoch}
        text += f", for hub {hub_id} alone"
    result(values, text, as_json=json)
