"""`tagsmith dump, journal`: what a tag has measured, by its cable."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagsmith.board_files import dump as dump_files
from tagsmith.commands.bench_options import Baud, tag_name
from tagsmith.commands.sources import Json, PortArgument, write
from tagsmith.errors import FileError
from tagsmith.orders import csv_text
from tagsmith.output import note, progress, result
from tagsmith.rawrepl import BAUD, ENTER_TIMEOUT_S, board_on

if TYPE_CHECKING:
    from tagsmith.journal import Journal

SHOWN = 20
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all samples to this file, for a spreadsheet.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(dump)
    app.command()(journal)


def dump(
    port: PortArgument,
    folder: Annotated[Path, typer.Argument(help="Where the files go; it is made, and must be empty.")],
    csv: Csv = None,
    wait_s: Annotated[
        float | None, typer.Option("--wait-s", min=1, help="Wait so long for a sleeping tag to wake; do not reset it.")
    ] = None,
    baud: Baud = BAUD,
    json: Json = False,
) -> None:
    """Copy what is on the tag's flash into FOLDER, its journal and its counter among it, but not its key.

    The samples in it are shown, the latest ones; all of them with --csv or --json. Nothing changes on the tag, but a
    sleeping one is reset, and forgets the samples (up to eight) that are not in flash yet. --wait-s with its interval
    and some seconds more gets those, too.
    """
    patience_s = ENTER_TIMEOUT_S if wait_s is None else wait_s
    with board_on(port, baud, patience_s, resets=wait_s is None) as live, progress(as_json=json) as show:
        sizes = dump_files(live, folder, show)
        live.restart()
    values = {"folder": str(folder), "files": sizes}
    head = f"{len(sizes)} files, {sum(sizes.values()) // 1024} kB, in {folder}"
    _tell(_decoded(folder), values, head, csv, as_json=json)


def journal(
    folder: Annotated[Path, typer.Argument(help="What `tagsmith dump` made.")], csv: Csv = None, json: Json = False
) -> None:
    """Show the samples in FOLDER, which `tagsmith dump` made; no board is needed."""
    if not folder.is_dir():
        raise FileError(f"There is no folder {folder}.", "`tagsmith dump PORT FOLDER`")
    _tell(_decoded(folder), {"folder": str(folder)}, str(folder), csv, as_json=json)


def _decoded(folder: Path) -> "Journal":
    from tagsmith.journal import decode_journal  # numpy loads with it

    try:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    except OSError as error:
        raise FileError(f"{folder} cannot be read: {error.strerror}.", "the right to read it") from None
    return decode_journal(files)


def _tell(found: "Journal", values: dict[str, Any], head: str, csv: Path | None, *, as_json: bool) -> None:
    from tagsmith.journal import row_of

    rows = [row_of(entry) for entry in found.entries]
    if csv is not None:
        header = list(rows[0]) if rows else ["tag", "counter"]
        write(csv, csv_text(header, [row.values() for row in rows]).encode())
    for remark in found.remarks:
        note(remark)
    values |= {"samples": rows, "damaged": found.damaged, "lost": found.lost}
    result(values, f"{head}\n{_table(rows, found)}", as_json=as_json)


def _table(rows: Sequence[dict[str, Any]], found: "Journal") -> str:
    waiting = sum(not row["in_flash"] for row in rows)
    unsettled = sum(not row["settled"] for row in rows)
    last = f"{len(rows)} samples, {unsettled} not settled yet, {waiting} not in flash yet"
    last += f", {found.damaged} damaged" if found.damaged else ""
    last += f"; {found.lost} gave way before a broker had them" if found.lost else ""
    if not rows:
        return f"no samples{f', {found.damaged} damaged' if found.damaged else ''}"
    lines = [
        f"{'counter':>10}  {'time (UTC)':<19}  {'°C':>5}  {'% RH':>5}  {'V':>4}  {'latitude':>9}  {'longitude':>10}  "
        "motion   alarm"
    ]
    last_tag = None
    for row in rows[-SHOWN:]:
        if row["tag"] != last_tag:
            last_tag = row["tag"]
            lines.append(tag_name(last_tag))
        lines.append(
            f"{row['counter']:>10}  {_when(row['time']):<19}  {_number(row['temperature_c'], 1):>5}  "
            f"{_number(row['humidity_pct'], 1):>5}  {_number(row['battery_v'], 2):>4}  "
            f"{_number(row['latitude'], 5):>9}  {_number(row['longitude'], 5):>10}  {row['motion']:<7}  "
            f"{row['alarm'] or '-'}"
        )
    left_out = f"the {SHOWN} latest of " if len(rows) > SHOWN else ""
    return "\n".join([*lines, left_out + last])


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _when(unix_s: int | None) -> str:
    return "-" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
