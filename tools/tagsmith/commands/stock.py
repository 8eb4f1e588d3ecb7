"""`tagsmith inventory ...`: which tags there are, their keys for hubs, their history, and copies of it all."""

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from tagsmith import store
from tagsmith.commands.bench_options import (
    DEFAULT_COMPANY_ID,
    DEFAULT_INVENTORY,
    BoardName,
    CompanyId,
    InventoryFile,
    Reference,
    SettingOptions,
    Why,
    order_of,
    parsed,
    tag_id_of,
    tag_name,
)
from tagsmith.commands.sources import Json, content, write
from tagsmith.errors import FileError, InventoryError
from tagsmith.identity import TAG_ID_MAX, readable_id
from tagsmith.inventory import Calibration, Inventory, TagRow
from tagsmith.lifecycle import MAY_BE_HEARD, MOVES
from tagsmith.orders import DEFAULT_BOARD, OrderFault, csv_text, parse_tags
from tagsmith.output import result
from tagwire.keyring import write_keyring
from tagwire.session import EPOCH_DAY_S, EPOCH_FOREVER

DAYS_MAX = 36_500  # what a keyring can carry is far beyond
QUANTITIES = ("temperature", "humidity", "battery")
Ids = Annotated[str, typer.Option("--ids", metavar="FIRST-LAST", help="Ids that no other bench gives out.")]
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="A tag id: a number, or as on its label.")]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only this tag; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    group = typer.Typer(no_args_is_help=True, help="The inventory: list, search, export, revoke, rotate, back up.")
    for name, command in (
        ("init", init),
        ("range", set_range),
        ("plan", plan),
        ("list", list_tags),
        ("show", show),
        ("log", log),
        ("export", export),
        ("revoke", revoke),
        ("rotate", rotate),
        ("import", import_tags),
        ("calibrate", calibrate),
        ("backup", backup),
        ("restore", restore),
    ):
        group.command(name)(command)
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
    board: BoardName = DEFAULT_BOARD,
    reference: Reference = "",
    company_id: CompanyId = DEFAULT_COMPANY_ID,
    setting: SettingOptions = None,
    tag: Annotated[str | None, typer.Option("--id", help="This id; default: the next one.")] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Set an id aside for a tag that is made later, with `tagsmith provision --id`."""
    order = order_of(board, company_id, setting, reference)
    wanted = None if tag is None else tag_id_of(tag)
    with Inventory(inventory) as stock:
        tag_id = stock.new_tag(order, wanted)
    result({"tag_id": tag_id, "label": readable_id(tag_id)}, f"{tag_name(tag_id)} is planned", as_json=json)


def _day(unix_s: int | None) -> str:
    return "" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def _values(row: TagRow) -> dict[str, object]:
    return {**row._asdict(), "label": readable_id(row.tag_id)}


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
        f"{row.reference}"
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
        calibrations = stock.calibrations(tag_id)
        audit = list(stock.audit(tag_id))
    settings = ", ".join(f"{name} = {value}" for name, value in row.settings.items()) or "all by default"
    lines = [
        f"{tag_name(tag_id)}: {row.state}" + ("" if row.generation is None else f", generation {row.generation}"),
        f"  reference   {row.reference or '-'}",
        f"  board       {row.board}, chip {row.chip or '-'}",
        f"  company id  0x{row.company_id:04X}",
        f"  settings    {settings}",
    ]
    if row.rotate is not None:
        lines.append(f"  rotate      the next time it is on a bench: {row.rotate}")
    for item in calibrations:
        deviation = "" if item.deviation is None else f", deviation {item.deviation:+g}"
        lines.append(
            f"  calibrated  {item.measured_on} {item.quantity} against {item.reference}, certificate {item.certificate}"
            + deviation
        )
    lines += [f"  {_day(item.at_s)}  {item.who}  {item.action}  {item.detail}" for item in audit]
    values = {
        **_values(row),
        "calibrations": [item._asdict() for item in calibrations],
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
        entries = stock.keyring(wanted, expires_s, None if hub_id is None else (hub_id, epoch))
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


def revoke(
    tag: TagArgument, why: Why = "revoked", inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False
) -> None:
    """Leave a tag out of every keyring from now on, lost or stolen as it is. Its id is never given out again."""
    tag_id = tag_id_of(tag)
    with Inventory(inventory) as stock:
        stock.revoke(tag_id, why)
    text = f"{tag_name(tag_id)} is revoked; hubs believe it until they have a new keyring"
    result({"tag_id": tag_id, "state": "revoked"}, text, as_json=json)


def rotate(
    tag: Annotated[list[str], typer.Argument(metavar="TAG...", help="Tag ids, as numbers or as on labels.")],
    why: Why = "rotated",
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Mark tags for a new key: `provision` and `batch` give it the next time they are on a bench."""
    tag_ids = [tag_id_of(text) for text in tag]
    with Inventory(inventory) as stock:
        for tag_id in tag_ids:
            stock.rotate(tag_id, why)
    result({"tag_ids": tag_ids}, f"{len(tag_ids)} tags get new keys the next time they are here", as_json=json)


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
        stock.add_imported(rows)
    result({"imported": len(rows)}, f"{len(rows)} tags from {file}", as_json=json)


def calibrate(
    tag: TagArgument,
    quantity: Annotated[str, typer.Option(help="temperature, humidity or battery.")],
    reference: Annotated[str, typer.Option(help="The instrument it was compared with, and its number.")],
    certificate: Annotated[str, typer.Option(help="The certificate's number.")],
    measured_on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="Day of the comparison.")],
    deviation: Annotated[float | None, typer.Option(help="Tag minus reference, in °C, % RH or mV.")] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Note that a tag was compared with a reference. The record stays with the tag; its readings are not changed."""
    if quantity not in QUANTITIES:
        raise typer.BadParameter(f"{quantity!r} is none of {', '.join(QUANTITIES)}")
    record = Calibration(
        tag_id_of(tag),
        quantity,
        reference,
        parsed(date.fromisoformat, measured_on).isoformat(),
        certificate,
        deviation,
    )
    with Inventory(inventory) as stock:
        stock.add_calibration(record)
    result(record._asdict(), f"{tag_name(record.tag_id)}: {quantity} noted", as_json=json)


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
