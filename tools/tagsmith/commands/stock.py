"""`tagsmith inventory ...`: which tags there are, and their history."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tagsmith import store
from tagsmith.calibration import calibrations
from tagsmith.commands import copies, keyrings, lives
from tagsmith.commands.bench_options import (
    DEFAULT_INVENTORY,
    BoardName,
    CompanyId,
    InventoryFile,
    Reference,
    SettingOptions,
    TagArgument,
    change_of,
    order_of,
    parsed,
    tag_id_of,
    tag_name,
)
from tagsmith.commands.sources import Json, content, write
from tagsmith.errors import FileError
from tagsmith.identity import TAG_ID_MAX, readable_id
from tagsmith.imports import add_imported
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import MOVES
from tagsmith.orders import OrderFault, csv_text, parse_tags
from tagsmith.output import result
from tagsmith.records import TagRow

Ids = Annotated[str, typer.Option("--ids", metavar="FIRST-LAST", help="Ids that no other bench gives out.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    group = typer.Typer(
        no_args_is_help=True, help="The inventory: list, search, export, change, calibrate, rotate, revoke, back up."
    )
    for name, command in (
        ("init", init),
        ("range", set_range),
        ("plan", plan),
        ("list", list_tags),
        ("show", show),
        ("log", log),
        ("import", import_tags),
    ):
        group.command(name)(command)
    for part in (lives, keyrings, copies):
        part.register(group)
    app.add_typer(group, name="inventory")


def _id_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last) <= TAG_ID_MAX):
        raise ValueError(f"{text!r} is not a range such as 1000-1999 within 0 to {TAG_ID_MAX}")
    return int(first), int(last)


def init(ids: Ids, inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False) -> None:
    """Make this bench's inventory, once. Two benches must never share ids: give each its own range."""
    first, last = parsed(_id_range, ids)
    store.create(inventory, first, last)
    text = f"{inventory}: made, for ids {first} to {last}. It holds keys: back it up (`tagsmith inventory backup`)."
    result({"inventory": str(inventory), "first_id": first, "last_id": last}, text, as_json=json)


def set_range(ids: Ids, inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False) -> None:
    """Give out the ids of another range from now on; tags that exist stay as they are."""
    first, last = parsed(_id_range, ids)
    with Inventory(inventory) as stock:
        stock.set_range(first, last)
    result({"first_id": first, "last_id": last}, f"ids {first} to {last} from now on", as_json=json)


def plan(
    board: BoardName = None,
    reference: Reference = None,
    company_id: CompanyId = None,
    setting: SettingOptions = None,
    tag: Annotated[str | None, typer.Option("--id", help="This id; default: the next one.")] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Set an id aside for a tag that is made later, with `tagsmith provision --id`."""
    order = order_of(change_of(board, company_id, setting, reference))
    wanted = None if tag is None else tag_id_of(tag)
    with Inventory(inventory) as stock:
        tag_id = stock.new_tag(order, wanted)
    result({"tag_id": tag_id, "label": readable_id(tag_id)}, f"{tag_name(tag_id)} is planned", as_json=json)


def _day(unix_s: int | None) -> str:
    return "" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def _values(row: TagRow) -> dict[str, object]:
    return {**row._asdict(), "label": readable_id(row.tag_id), "due": row.due}


def _cells(row: TagRow) -> list[object]:
    made = [row.tag_id, readable_id(row.tag_id), row.state, row.generation]
    return [*made, row.reference, row.board, row.company_id, row.chip, _day(row.changed_s)]


def list_tags(
    search: Annotated[str, typer.Argument(help="Part of an id, a reference, a board's name or a chip.")] = "",
    state: Annotated[str | None, typer.Option(help="planned, written, verified, ready, failed, revoked.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the list to this file, for a spreadsheet.")] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """List tags, all or those that match. No keys are shown."""
    if state not in (None, *MOVES):
        raise typer.BadParameter(f"{state!r} is none of {', '.join(MOVES)}", param_hint="--state")
    with Inventory(inventory) as stock:
        rows = stock.tags(search, state)
        next_id = stock.range()[2]
    if csv is not None:
        header = ("id", "label", "state", "generation", "reference", "board", "company_id", "chip", "changed")
        write(csv, csv_text(header, map(_cells, rows)).encode())
    lines = [
        f"{row.tag_id:>10}  {readable_id(row.tag_id)}  {row.state:<8}  "
        f"{'-' if row.generation is None else row.generation:>3}  {row.board:<16}  {row.chip or '-':<12}  "
        f"{row.reference}{'  (due)' if row.due else ''}"
        for row in rows
    ]
    head = f"{'id':>10}  {'label':<9}  {'state':<8}  gen  {'board':<16}  {'chip':<12}  reference"
    text = "\n".join([head, *lines, f"{len(rows)} tags; the next id is {next_id}"])
    result({"tags": [_values(row) for row in rows], "next_id": next_id}, text, as_json=json)


def show(tag: TagArgument, inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False) -> None:
    """Show one tag: what it is, its calibrations, and everything that was ever done to it."""
    tag_id = tag_id_of(tag)
    with Inventory(inventory) as stock:
        row = stock.tag(tag_id)
        measured = calibrations(stock, tag_id)
        audit = list(stock.audit(tag_id))
    settings = ", ".join(f"{name} = {value}" for name, value in row.settings.items()) or "all by default"
    lines = [
        f"{tag_name(tag_id)}: {row.state}" + ("" if row.generation is None else f", generation {row.generation}"),
        f"  reference   {row.reference or '-'}",
        f"  board       {row.board}, chip {row.chip or '-'}",
        f"  company id  0x{row.company_id:04X}",
        f"  settings    {settings}",
    ]
    if row.due is not None:
        lines.append(f"  due         on a bench: {row.due}")
    for item in measured:
        deviation = "" if item.deviation is None else f", deviation {item.deviation:+g}"
        lines.append(
            f"  calibrated  {item.measured_on} {item.quantity} against {item.reference}, certificate {item.certificate}"
            + deviation
        )
    lines += [f"  {_day(item.at_s)}  {item.who}  {item.action}  {item.detail}" for item in audit]
    values = {
        **_values(row),
        "calibrations": [item._asdict() for item in measured],
        "audit": [item._asdict() for item in audit],
    }
    result(values, "\n".join(lines), as_json=json)


def log(inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False) -> None:
    """Print the audit log: who did what to which tag when. It can only grow."""
    with Inventory(inventory) as stock:
        rows = list(stock.audit())
    lines = [
        f"{_day(row.at_s)}  {row.who:<12}  {row.action:<9}  {'-' if row.tag_id is None else row.tag_id:>10}  "
        f"{row.detail}"
        for row in rows
    ]
    result({"audit": [row._asdict() for row in rows]}, "\n".join(lines), as_json=json)


def import_tags(
    file: Annotated[
        Path, typer.Argument(help="CSV: id, reference, board, company_id, settings; for made tags also keys.")
    ],
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Enter tags from a CSV file, all or none: ids that somebody else planned, or tags of an older bench.

    A tag that is made already has its root_key (32 hexadecimal digits), generation and chip: such a file is a key.
    """
    try:
        rows = parse_tags(content(file).decode("utf-8"))
    except UnicodeDecodeError:
        raise FileError(f"{file} is not text in UTF-8.", "export it as CSV UTF-8") from None
    except OrderFault as fault:
        raise FileError(f"{file}, {fault}.", "correct it; nothing was imported") from None
    with Inventory(inventory) as stock:
        add_imported(stock, rows)
    result({"imported": len(rows)}, f"{len(rows)} tags from {file}", as_json=json)
