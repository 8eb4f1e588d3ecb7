"""`tagsmith inventory backup, restore`."""

from pathlib import Path
from typing import Annotated

import typer

from tagsmith import store
from tagsmith.commands.bench_options import DEFAULT_INVENTORY, InventoryFile
from tagsmith.commands.sources import Json
from tagsmith.errors import FileError
from tagsmith.identity import TAG_ID_MAX
from tagsmith.inventory import Inventory
from tagsmith.output import result


def register(group: typer.Typer) -> None:
    """Adds these commands to `tagsmith inventory`."""
    group.command()(backup)
    group.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="The copy to write; keep it where only you can read it.")],
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Copy the inventory while others work with it. The copy holds every key, and cannot be used by mistake."""
    with Inventory(inventory) as stock:
        store.copy(stock.connection, file, backup=True)
        stock.note("backup", None, str(file))
    result({"backup": str(file)}, f"{file}: written", as_json=json)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    next_id: Annotated[int, typer.Option(min=0, max=TAG_ID_MAX, help="First id that is surely on no tag.")],
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Make the inventory from a backup, where it was lost.

    The backup does not know which ids were given out after it. Look at your labels: --next-id is above the last one.
    """
    if not file.is_file():
        raise FileError(f"There is no file {file}.", "the name that `inventory backup` was given")
    source = store.open_any(file)
    try:
        known = source.execute("SELECT value FROM bench WHERE name = 'next_id'").fetchone()[0]
        if next_id < known:
            raise FileError(f"The backup itself gave out ids up to {known - 1}.", f"--next-id {known} or more")
        store.copy(source, inventory, backup=False, next_id=next_id)
    finally:
        source.close()
    with Inventory(inventory) as stock:
        stock.note("restore", None, f"{file}, next id {next_id}")
    result({"inventory": str(inventory), "next_id": next_id}, f"{inventory}: restored from {file}", as_json=json)
