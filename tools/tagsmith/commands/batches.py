"""`tagsmith batch run, show, release`: a file of orders, many ports."""

import json as json_lines
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tagsmith import jobs
from tagsmith import ports as serial_ports
from tagsmith.batch import BatchRun, Options, Row
from tagsmith.commands.bench_options import (
    DEFAULT_GNSS_S,
    DEFAULT_INVENTORY,
    GnssSeconds,
    InventoryFile,
    Why,
    end_with,
    limits_of,
)
from tagsmith.commands.labels import warn_of_letters
from tagsmith.commands.sources import Firmware, Json, content, firmware_files, write
from tagsmith.errors import BatchError, FileError, PortError
from tagsmith.flash import DEFAULT_BAUD, FlashPlan, plan_flash
from tagsmith.identity import readable_id
from tagsmith.inventory import Inventory
from tagsmith.jobs import Batch, Job
from tagsmith.label import SHEETS, Label, pdf
from tagsmith.orders import OrderFault, csv_text, parse_orders
from tagsmith.output import result, shown
from tagsmith.rawrepl import BAUD
from tagsmith.records import Order

Name = Annotated[str | None, typer.Option("--name", help="What it is resumed by; default: the file's name.")]
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's name.")]
REPORT_COLUMNS = ("line", "reference", "state", "id", "label", "chip", "attempts", "result")
BAR_CELLS = 10
SHOWN_LAST = {"failed": 0, "wait": 2, "ready": 3}  # the stages at work, in between, are 1


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    group = typer.Typer(no_args_is_help=True, help="Make many tags: orders in, tags, a report and labels out.")
    group.command("run")(run)
    group.command("show")(show)
    group.command("release")(release)
    app.add_typer(group, name="batch")


def run(
    orders: Annotated[Path, typer.Argument(help="CSV: reference, board, company_id, count, settings; all optional.")],
    port: Annotated[list[str] | None, typer.Option("--port", help="A port; may be repeated. Default: all.")] = None,
    micropython: Annotated[
        Path | None, typer.Option("--micropython", help="Flash each board first, with this file for the chip.")
    ] = None,
    firmware: Firmware = None,
    accept_unlisted: Annotated[
        bool, typer.Option("--accept-unlisted", help="Accept a MicroPython file that `images` does not list.")
    ] = False,
    stub: Annotated[bool, typer.Option(help="--no-stub: talk to the chip's ROM only, slower.")] = True,
    once: Annotated[
        bool, typer.Option("--once", help="The boards that are plugged in now, then the end; for jigs that stay.")
    ] = False,
    attempts: Annotated[int, typer.Option(min=1, max=20, help="Tries per board.")] = 3,
    report: Annotated[Path | None, typer.Option("--report", help="CSV to write at the end.")] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="PDF of labels to write at the end.")] = None,
    sheet: Annotated[str, typer.Option(help=f"Label sheet: {', '.join(SHEETS)}.")] = "a4-24",
    name: Name = None,
    gnss_s: GnssSeconds = DEFAULT_GNSS_S,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    flash_baud: Annotated[int, typer.Option(min=9600, help="Speed while flashing.")] = DEFAULT_BAUD,
    json: Json = False,
) -> None:
    """Make every tag of ORDERS, on all ports at once; unplug a board that is ready and plug in the next.

    Interrupt it, pull cables, lose power: the same command goes on. No id is ever given to two boards.
    """
    if sheet not in SHEETS:
        raise typer.BadParameter(f"{sheet!r} is none of {', '.join(SHEETS)}", param_hint="--sheet")
    wanted = _orders(orders)
    plan: FlashPlan | None = None
    if micropython is not None:
        plan = plan_flash(micropython, firmware_files(firmware, False), accept_unlisted=accept_unlisted)
    ports = list(dict.fromkeys(port or [found.device for found in serial_ports.listed() if found.bridge is not None]))
    if not ports:
        raise PortError("No port has a board.", "plug one in, or name the ports with --port")
    options = Options(plan, once, attempts, limits_of(gnss_s), flash_baud, stub, BAUD)
    batch_name = name or orders.stem
    with Inventory(inventory):  # one that cannot be used is said before a table is drawn
        pass
    try:
        with _watching(ports, as_json=json) as on_row:
            is_done = BatchRun(inventory, batch_name, ports, options, on_row).run(wanted)
    finally:
        _write_results(inventory, batch_name, report, labels, sheet)
    with Inventory(inventory) as stock:
        lines = Batch(stock, batch_name).jobs()
    _print(batch_name, lines, json)
    if not is_done:
        ready = sum(job.state == jobs.READY for job in lines)
        error = BatchError(
            f"{ready} of {len(lines)} tags of batch {batch_name} are ready.",
            "the same command with the boards that are missing; `tagsmith batch release` gives a lost one up",
        )
        end_with(error, as_json=json)


def show(batch: BatchName, inventory: InventoryFile = DEFAULT_INVENTORY, json: Json = False) -> None:
    """Show each line of a batch: its tag, its board, what became of it."""
    with Inventory(inventory) as stock:
        _print(batch, _begun(stock, batch).jobs(), json)


def release(
    batch: BatchName,
    line: Annotated[int, typer.Argument(help="The line whose board is lost, as `batch show` counts.")],
    why: Why = "board lost",
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Give up the board of one line: its id is revoked for good, and another board can take the line."""
    with Inventory(inventory) as stock:
        _begun(stock, batch).release(line, why)
    result({"batch": batch, "line": line}, f"line {line} of {batch} waits for a board again", as_json=json)


def _begun(stock: Inventory, name: str) -> Batch:
    batch = Batch(stock, name)
    if not batch.jobs():
        raise FileError(f"There is no batch {name}.", "its name; by default that of the CSV file, without .csv")
    return batch


def _orders(file: Path) -> list[Order]:
    try:
        return parse_orders(content(file).decode("utf-8"))
    except UnicodeDecodeError:
        raise FileError(f"{file} is not text in UTF-8.", "export it as CSV UTF-8") from None
    except OrderFault as fault:
        raise FileError(f"{file}, {fault}.", "correct it; nothing was begun") from None


def _cells(job: Job) -> list[object]:
    label = None if job.tag_id is None else readable_id(job.tag_id)
    return [job.line, job.order.reference, job.state, job.tag_id, label, job.chip, job.attempts, job.result]


def _write_results(inventory: Path, name: str, report: Path | None, labels: Path | None, sheet: str) -> None:
    with Inventory(inventory) as stock:
        lines = Batch(stock, name).jobs()
    if report is not None and lines:
        write(report, csv_text(REPORT_COLUMNS, map(_cells, lines)).encode())
    ready = [
        Label(job.tag_id, job.order.reference) for job in lines if job.tag_id is not None and job.state == jobs.READY
    ]
    if labels is not None and ready:
        warn_of_letters(ready)
        write(labels, pdf(ready, SHEETS[sheet]))


def _print(name: str, lines: list[Job], as_json: bool) -> None:
    rows = [dict(zip(REPORT_COLUMNS, _cells(job), strict=True)) for job in lines]
    text = "\n".join(
        f"{job.line:>5}  {job.state:<8}  {'-' if job.tag_id is None else job.tag_id:>10}  {job.order.reference}"
        + (f"  ({job.result})" if job.result else "")
        for job in lines
    )
    ready = sum(job.state == jobs.READY for job in lines)
    result({"batch": name, "lines": rows}, f"{text}\n{ready} of {len(lines)} ready", as_json=as_json)


@contextmanager
def _watching(ports: list[str], *, as_json: bool) -> Iterator[Callable[[Row], None]]:
    """On standard error: a table with a row per port; not on a terminal a line, with --json an object, per change."""
    console = Console(stderr=True)
    lock = threading.Lock()
    rows = {port: Row(port, "wait", 0.0, None, 0, "") for port in ports}
    if console.is_terminal and not as_json:
        try:
            with Live(_table(rows, console.height), console=console, refresh_per_second=8) as live:

                def redraw(row: Row) -> None:
                    with lock:
                        rows[row.port] = row
                        live.update(_table(rows, console.height))

                yield redraw
        finally:  # the table had no room for whole sentences
            for row in rows.values():
                if row.stage == "failed":
                    _tell(console, row, as_json)
        return

    def tell(row: Row) -> None:
        with lock:
            before = rows[row.port]
            rows[row.port] = row
            if (row.stage, row.attempt, row.said) != (before.stage, before.attempt, before.said):
                _tell(console, row, as_json)

    yield tell


def _tell(console: Console, row: Row, as_json: bool) -> None:
    if as_json:
        text = json_lines.dumps(row._asdict(), ensure_ascii=False)
    else:
        name = "" if row.tag_id is None else f" tag {row.tag_id}"
        text = f"{row.port}:{name} {row.stage} {shown(row.said)}".rstrip()
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _table(rows: dict[str, Row], height: int) -> Table:
    """A line per port, what needs a person first; what does not fit on a terminal of this height is counted."""
    table = Table(box=None, expand=True)
    for name, ratio in (("port", None), ("tag", None), ("stage", None), ("", None), ("try", None), ("", 1)):
        table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
    colours = {"ready": "green", "failed": "red", "wait": "dim"}
    ordered = sorted(rows.values(), key=lambda row: (SHOWN_LAST.get(row.stage, 1), row.port))
    room = max(height - 2, 1)  # the header, and the line on which the cursor stands
    if len(ordered) > room:
        room = max(room - 1, 1)
        left_out = Counter(row.stage for row in ordered[room:])
        table.caption = "and " + ", ".join(f"{count} {stage}" for stage, count in left_out.items())
        table.caption_justify = "left"
    for row in ordered[:room]:
        filled = round(row.share * BAR_CELLS)
        table.add_row(
            row.port.removeprefix("/dev/"),
            "" if row.tag_id is None else str(row.tag_id),
            row.stage,
            "█" * filled + "░" * (BAR_CELLS - filled),
            str(row.attempt or ""),
            shown(row.said).replace("[", "\\["),
            style=colours.get(row.stage, ""),
        )
    return table
