"""`tagsmith monitor, sniff, decode`: what a tag says on its cable and on the air."""

import asyncio
import contextlib
import json as json_lines
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from tagsmith import monitor as console_of_board
from tagsmith.commands.bench_options import (
    DEFAULT_COMPANY_ID,
    DEFAULT_INVENTORY,
    Baud,
    InventoryFile,
    company_id_of,
    parsed,
)
from tagsmith.commands.sources import Json, PortArgument
from tagsmith.errors import FileError
from tagsmith.hub_keys import keyring as keys_for_hubs
from tagsmith.inventory import Inventory
from tagsmith.rawrepl import BAUD
from tagwire.beacon import parse_header
from tagwire.errors import DecodeError
from tagwire.fields import resolve_time
from tagwire.keyring import KeyringEntry, load_keyring, write_keyring

if TYPE_CHECKING:
    from taghub.intake import Accepted

REFRESH_S = 0.5
Seconds = Annotated[float | None, typer.Option("--seconds", min=0.1, help="End after so long; default: Ctrl-C.")]
Keyring = Annotated[Path | None, typer.Option("--keyring", help="Keys to open beacons with; default: the inventory's.")]
CompanyId = Annotated[str, typer.Option("--company-id", help="Company id of the tags.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(monitor)
    app.command()(sniff)
    app.command()(decode)


def monitor(
    port: PortArgument,
    radio: Annotated[str | None, typer.Option("--radio", help="Show beacons too; as for `tagsmith sniff`.")] = None,
    keyring: Keyring = None,
    company_id: CompanyId = DEFAULT_COMPANY_ID,
    seconds: Seconds = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    baud: Baud = BAUD,
) -> None:
    """Show what the tag on PORT prints, and with --radio the beacons around, until Ctrl-C.

    Listens only: the tag is not reset. When the cable is pulled it waits for it to come back.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def say(source: str, text: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {source} {text}")

    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        if radio is not None:
            stack.enter_context(_sniffing(radio, company_id, _entries(keyring, inventory), say))
        if seconds is not None:
            timer = threading.Timer(seconds, stop.set)
            stack.callback(timer.cancel)
            timer.start()
        console_of_board.follow(port, stop, lambda line: say("cable", line), lambda state: say("-----", state), baud)


def _sniffing(
    radio: str, company_id: str, entries: list[KeyringEntry], say: Callable[[str, str], None]
) -> AbstractContextManager[None]:
    from taghub.scan import Scan, describe
    from tagsmith import sniff as listening

    source = parsed(partial(listening.radio_named, company_id=company_id_of(company_id)), radio)

    def tell(sample: "Accepted") -> None:
        say("air  ", f"tag {sample.tag_id} #{sample.counter} {sample.rssi_dbm} dBm  {describe(sample)}")

    return listening.sniffing(source, Scan(entries), tell, lambda error: say("air  ", str(error)))


def sniff(
    radio: Annotated[
        str, typer.Option("--radio", help="bleak, bleak:hci1, bumble:usb:0, bumble:serial:/dev/ttyUSB0,115200, ...")
    ] = "bleak",
    keyring: Keyring = None,
    company_id: CompanyId = DEFAULT_COMPANY_ID,
    seconds: Seconds = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Show the tags on the air in a live table, those opened whose keys are at hand; with --json a line per sample."""
    from taghub.scan import Scan, describe  # bleak loads in a quarter of a second: only where it is used
    from taghub.scan_table import scan_table
    from taghub.strangers import Strangers
    from tagsmith import sniff as listening

    scan, strangers = Scan(_entries(keyring, inventory)), Strangers(company_id_of(company_id))
    source = parsed(partial(listening.radio_named, company_id=company_id_of(company_id)), radio)
    console = Console()
    if json or not console.is_terminal:

        def tell(sample: "Accepted") -> None:
            if json:
                reading = sample.reading._asdict()
                reading["time_s"] = (
                    None if reading["time_s"] is None else resolve_time(reading["time_s"], int(time.time()))
                )
                values = {"tag_id": sample.tag_id, "counter": sample.counter, "rssi_dbm": sample.rssi_dbm, **reading}
                print(json_lines.dumps(values), flush=True)
            else:
                print(f"tag {sample.tag_id} #{sample.counter} {sample.rssi_dbm} dBm  {describe(sample)}", flush=True)

        asyncio.run(listening.sniff(source, scan, tell, seconds))
        return

    async def live_table() -> None:
        source.tap = strangers.take
        with Live(scan_table(scan, time.time_ns() // 1000, strangers), console=console, auto_refresh=False) as live:

            async def redraw() -> None:
                while True:
                    live.update(scan_table(scan, time.time_ns() // 1000, strangers), refresh=True)
                    await asyncio.sleep(REFRESH_S)

            drawing = asyncio.create_task(redraw(), name="redraw")
            try:
                await listening.sniff(source, scan, lambda sample: None, seconds)
            finally:
                drawing.cancel()

    asyncio.run(live_table())


def decode(
    what: Annotated[list[str], typer.Argument(help="Hexadecimal digits of a beacon, a file with a batch, or - .")],
    keyring: Keyring = None,
    company_id: CompanyId = DEFAULT_COMPANY_ID,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Explain a beacon byte by byte, or a batch from MQTT. The inventory's keys open it, or those of --keyring."""
    from tagwire.__main__ import main as tagwire_main  # numpy loads with it

    number = company_id_of(company_id)
    arguments = ["decode", *what, "--company-id", str(number)]
    if json:
        arguments.append("--json")
    with tempfile.TemporaryDirectory() as folder:
        if keyring is None:
            # The inventory's key for this one tag, if it has one; the clear part can be explained without.
            tag_id = _tag_id_in(" ".join(what), number)
            entries = [entry for entry in _entries(None, inventory) if entry.tag_id == tag_id]
            if entries:
                keyring = Path(folder, "keyring")
                write_keyring(keyring, entries)
        if keyring is not None:
            arguments += ["--keyring", str(keyring)]
        code = tagwire_main(arguments)
    if code:
        raise typer.Exit(FileError.exit_code if code == 1 else code)


def _tag_id_in(text: str, company_id: int) -> int | None:
    """Whose beacon these digits are; None when they are none."""
    from tagwire.explain import split

    try:
        _, frame = split(bytes.fromhex(text.replace(":", "").replace("-", "")), company_id)
        return parse_header(frame).tag_id
    except (ValueError, DecodeError):
        return None


def _entries(keyring: Path | None, inventory: Path) -> list[KeyringEntry]:
    if keyring is None:
        if not inventory.is_file():
            return []
        with Inventory(inventory) as stock:
            return keys_for_hubs(stock)
    try:
        return list(load_keyring(keyring).values())
    except OSError as error:
        raise FileError(f"{keyring} cannot be read: {error.strerror}.", "`tagsmith inventory export`") from None
    except DecodeError as error:
        raise FileError(f"{keyring}, {error.detail}.", "`tagsmith inventory export` writes it anew") from None
