"""`tagsmith inventory change, calibrate, rotate, revoke`: what becomes of tags that exist."""

from datetime import date
from typing import Annotated

import typer

from tagsmith.calibration import CORRECTIONS, QUANTITIES, add_calibration
from tagsmith.commands.bench_options import (
    DEFAULT_INVENTORY,
    BoardName,
    CompanyId,
    InventoryFile,
    Reference,
    SettingOptions,
    TagArgument,
    TagArguments,
    Why,
    change_of,
    parsed,
    tag_id_of,
    tag_name,
)
from tagsmith.commands.sources import Json
from tagsmith.inventory import Inventory
from tagsmith.output import result
from tagsmith.records import Calibration
from tagsmith.store import transaction


def register(group: typer.Typer) -> None:
    """Adds these commands to `tagsmith inventory`."""
    for command in (change, calibrate, rotate, revoke):
        group.command()(command)


def change(
    tag: TagArguments,
    board: BoardName = None,
    reference: Reference = None,
    company_id: CompanyId = None,
    setting: SettingOptions = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="NAME", help="Back to the firmware's default; may be repeated."),
    ] = None,
    why: Why = "",
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Change what tags shall be. Made ones get it the next time they are on a bench, from `provision` or `batch`.

    They get a new key with it, as with every writing. `tagsmith command settings` sends settings over the air instead.
    """
    wanted = change_of(board, company_id, setting, reference, unset)
    tag_ids = [tag_id_of(text) for text in tag]
    with Inventory(inventory) as stock, transaction(stock.connection):
        rows = [stock.change(tag_id, wanted, why) for tag_id in tag_ids]
    lines = [f"{tag_name(row.tag_id)}: {'as it shall be' if row.due is None else 'due, ' + row.due}" for row in rows]
    values = {"tags": [{"tag_id": row.tag_id, "settings": row.settings, "due": row.due} for row in rows]}
    result(values, "\n".join(lines), as_json=json)


def calibrate(
    tag: TagArgument,
    quantity: Annotated[str, typer.Option(help="temperature, humidity or battery.")],
    reference: Annotated[str, typer.Option(help="The instrument it was compared with, and its number.")],
    certificate: Annotated[str, typer.Option(help="The certificate's number.")],
    measured_on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="Day of the comparison.")],
    deviation: Annotated[float | None, typer.Option(help="Tag minus reference, in °C, % RH or mV.")] = None,
    correct: Annotated[
        bool, typer.Option("--correct", help="The tag shall add an offset, so that it reads as the reference did.")
    ] = False,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Note that a tag was compared with a reference; with --correct it shall be corrected, too.

    The record stays with the tag for good. A correction is a setting: a tag that is made already gets it the next time
    it is on a bench, or by `tagsmith command settings`.
    """
    if quantity not in QUANTITIES:
        raise typer.BadParameter(f"{quantity!r} is none of {', '.join(QUANTITIES)}")
    if correct and deviation is None:
        raise typer.BadParameter("--correct needs --deviation, tag minus reference")
    record = Calibration(
        tag_id_of(tag),
        quantity,
        reference,
        parsed(date.fromisoformat, measured_on).isoformat(),
        certificate,
        deviation,
    )
    with Inventory(inventory) as stock:
        row = add_calibration(stock, record, correct=correct)
    text = f"{tag_name(record.tag_id)}: {quantity} noted"
    if correct:
        name = CORRECTIONS[quantity].setting
        text += f", {name} = {row.settings[name]}" + (f"; due, {row.due}" if row.due else "")
    result({**record._asdict(), "settings": row.settings, "due": row.due}, text, as_json=json)


def rotate(
    tag: TagArguments,
    why: Why = "rotated",
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Mark tags for a new key: `provision` and `batch` give it the next time they are on a bench."""
    tag_ids = [tag_id_of(text) for text in tag]
    with Inventory(inventory) as stock, transaction(stock.connection):  # all of them, or none
        for tag_id in tag_ids:
            stock.rotate(tag_id, why)
    result({"tag_ids": tag_ids}, f"{len(tag_ids)} tags get new keys the next time they are here", as_json=json)


def revoke(
    tag: TagArgument, why: Why = "revoked", inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False
) -> None:
    """Leave a tag out of every keyring from now on, lost or stolen as it is. Its id is never given out again."""
    tag_id = tag_id_of(tag)
    with Inventory(inventory) as stock:
        stock.revoke(tag_id, why)
    text = f"{tag_name(tag_id)} is revoked; hubs believe it until they have a new keyring"
    result({"tag_id": tag_id, "state": "revoked"}, text, as_json=json)
