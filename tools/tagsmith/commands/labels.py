"""`tagsmith label`: QR codes and readable ids on paper."""

from pathlib import Path
from typing import Annotated

import typer

from tagsmith.commands.bench_options import DEFAULT_INVENTORY, InventoryFile, tag_id_of
from tagsmith.commands.sources import Json, write
from tagsmith.identity import readable_id
from tagsmith.inventory import Inventory
from tagsmith.label import SHEETS, Label, pdf, png, unprintable
from tagsmith.output import note, result


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(label)


def warn_of_letters(labels: list[Label]) -> None:
    """Says which references will not come out as they are."""
    for item in labels:
        if letters := unprintable(item.reference):
            note(f"label {readable_id(item.tag_id)}: {letters} cannot be printed, and will be boxes; the id is whole")


def label(
    tag: Annotated[list[str], typer.Argument(metavar="TAG...", help="Tag ids, as numbers or as on labels.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A PDF, or a folder for one PNG per tag.")],
    sheet: Annotated[str, typer.Option(help=f"For a PDF: {', '.join(SHEETS)}.")] = "a4-24",
    skip: Annotated[int, typer.Option(min=0, help="For a PDF: labels that are gone from the first sheet.")] = 0,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Print labels: a QR code, the id as people read it, its number, and the customer's reference. Latin letters only.

    The QR code says TAG: and the id; its last two characters are a check, so that a typed id with a slip is refused.
    """
    if sheet not in SHEETS:
        raise typer.BadParameter(f"{sheet!r} is none of {', '.join(SHEETS)}", param_hint="--sheet")
    with Inventory(inventory) as stock:
        rows = [stock.tag(tag_id_of(text)) for text in tag]
    labels = [Label(row.tag_id, row.reference) for row in rows]
    warn_of_letters(labels)
    if output.suffix.lower() == ".pdf":
        write(output, pdf(labels, SHEETS[sheet], skip))
        files = [str(output)]
    else:
        files = [str(output / f"{readable_id(item.tag_id)}.png") for item in labels]
        for file, item in zip(files, labels, strict=True):
            write(Path(file), png(item))
    result({"files": files}, "\n".join(files), as_json=json)
