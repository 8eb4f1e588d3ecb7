"""`taghub scan, capture, replay`: a radio for people who look at the air."""

import asyncio
import contextlib
import json as json_lines
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from taghub.btsnoop import encode_advertisement, encode_header
from taghub.clock import AirClock, SystemClock
from taghub.errors import KeyringError, PortError, RadioError, SettingsError
from taghub.intake import Accepted
from taghub.radio import Advertisement, Radio, keep, make_radio
from taghub.radio.named import EXAMPLES, radio_named
from taghub.scan import Scan, as_json, describe
from taghub.scan_table import scan_table
from taghub.settings import ReplaySettings
from taghub.status import RadioStatus
from taghub.strangers import Strangers
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.errors import DecodeError
from tagwire.keyring import KeyringEntry, load_keyring

REFRESH_S = 0.5
FLUSH_S = 1.0
MAX_MB = 100

RadioName = Annotated[str, typer.Option("--radio", help=f"Which radio: {EXAMPLES}.")]
CompanyId = Annotated[
    int, typer.Option("--company-id", min=0, max=0xFFFF, help="Company id of the tags; 65535 is for tests only.")
]
Keyring = Annotated[
    Path | None, typer.Option("--keyring", help="Keys to open beacons with; without them, only headers are shown.")
]
Seconds = Annotated[float | None, typer.Option("--seconds", min=0.1, help="End after so long; default: Ctrl-C.")]
Passive = Annotated[bool, typer.Option("--passive", help="Scan passively; on BlueZ, our tags alone are heard then.")]
Json = Annotated[bool, typer.Option("--json", help="A line of JSON for each new sample and each new other device.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Capture, btsnoop format.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(scan)
    app.command()(capture)
    app.command()(replay)


def scan(
    radio: RadioName = "bleak",
    keyring: Keyring = None,
    company_id: CompanyId = COMPANY_ID_TEST,
    passive: Passive = False,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Show what is on the air in one live table: our tags, decoded where their keys are at hand, and others by name.

    It listens only; a hub that runs beside it on the same adapter is not disturbed.
    """
    source = _radio(radio, company_id, passive)
    _show(source, Scan(_entries(keyring)), Strangers(company_id), seconds, json)


def replay(
    file: File,
    keyring: Keyring = None,
    speed: Annotated[float, typer.Option("--speed", min=0, help="Times real time; 0 for as fast as possible.")] = 0.0,
    company_id: CompanyId = COMPANY_ID_TEST,
    json: Json = False,
) -> None:
    """Feed a capture through the same intake as a hub's, at any speed, and show what it makes of it.

    Takes what `taghub capture`, `btmon -w` or Wireshark wrote. To replay it into a hub and on to a broker, give the
    hub a [[radio]] of kind "replay".
    """
    settings = ReplaySettings.model_validate({"kind": "replay", "path": file, "speed": speed})
    clock = AirClock()
    _show(make_radio(settings, company_id, clock), Scan(_entries(keyring)), Strangers(company_id), None, json, clock)


def capture(
    file: File,
    radio: RadioName = "bleak",
    company_id: CompanyId = COMPANY_ID_TEST,
    passive: Passive = False,
    seconds: Seconds = None,
    max_mb: Annotated[int, typer.Option("--max-mb", min=1, help="End at so many megabytes.")] = MAX_MB,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Record every advertisement that is heard to FILE, which Wireshark opens and `taghub replay` plays back.

    A radio that fails is brought back, as in a hub. BlueZ tells what is in an advertisement and not its bytes: they are
    put together again, in an order of our own. A bumble radio records them as they were.
    """
    source = _radio(radio, company_id, passive)
    if file.exists() and not force:
        raise SettingsError(f"{file} is there already: --force writes over it")
    try:
        output = file.open("wb")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written: {error.strerror}") from None
    console = Console(stderr=True, highlight=False)
    try:
        with output:
            written = asyncio.run(_capture(source, output.write, output.flush, seconds, max_mb * 1_000_000, console))
    except (RadioError, PortError):  # it was never open: nothing is recorded
        if file.is_file():
            file.unlink()
        raise
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written any more: {error.strerror}") from None
    console.print(f"{file}: {written} advertisements")


async def _capture(
    radio: Radio,
    write: Callable[[bytes], Any],
    flush: Callable[[], None],
    seconds: float | None,
    bytes_max: int,
    console: Console,
) -> int:
    size = write(encode_header())
    written = 0
    full = asyncio.Event()
    fault: OSError | None = None

    def take(advertisement: Advertisement) -> None:
        nonlocal size, written, fault
        if size >= bytes_max or fault is not None:
            full.set()
            return
        try:
            size += write(encode_advertisement(advertisement))
            written += 1
        except OSError as error:  # not the radio's fault, which calls this
            fault = error

    async def keep_flushing() -> None:
        nonlocal fault
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                flush()
            except OSError as error:
                fault = error
                full.set()
                return
            if console.is_terminal:
                console.print(f"{written} advertisements, {size / 1e6:.1f} MB", end="\r")

    radio.tap = take
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep(radio, lambda reports: None, lambda status: _tell(console, status))),
                group.create_task(keep_flushing()),
            ]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await full.wait()
            for task in tasks:
                task.cancel()
    except* (RadioError, PortError) as failures:
        raise failures.exceptions[0] from None
    if fault is not None:
        raise fault
    return written


def _tell(console: Console, status: RadioStatus) -> None:
    if status.problem and not status.open:
        console.print(f"radio {status.name}: {status.problem}")


def _show(
    radio: Radio,
    scan: Scan,
    strangers: Strangers,
    seconds: float | None,
    json: bool,
    clock: AirClock | None = None,
) -> None:
    """The table, or lines where nobody looks at a terminal."""
    console = Console(highlight=False, markup=False)

    def now_us() -> int:
        return time.time_ns() // 1000 if clock is None else clock.unix_us()

    def tell(sample: Accepted) -> None:
        if json:
            print(json_lines.dumps(as_json(sample)), flush=True)
        elif not console.is_terminal:
            print(f"tag {sample.tag_id} #{sample.counter} {sample.rssi_dbm} dBm  {describe(sample)}", flush=True)

    def meet(advertisement: Advertisement) -> None:
        stranger = strangers.take(advertisement)
        if stranger is not None and json:
            values = {"address": stranger.address, "name": stranger.name, "maker": stranger.maker}
            print(json_lines.dumps({**values, "rssi_dbm": stranger.rssi_dbm}), flush=True)

    async def listen() -> None:
        async with radio.listen() as chunks:
            async for chunk in chunks:
                for sample in scan.take(chunk):
                    tell(sample)

    async def run() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if json or not console.is_terminal:
                    await listen()
                    return
                with Live(scan_table(scan, now_us(), strangers), console=console, auto_refresh=False) as live:
                    listening = asyncio.create_task(listen())
                    try:
                        while not listening.done():
                            await asyncio.wait({listening}, timeout=REFRESH_S)
                            live.update(scan_table(scan, now_us(), strangers), refresh=True)
                        await listening
                    finally:
                        listening.cancel()

    radio.tap = meet
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    if not json and not console.is_terminal:
        console.print(scan_table(scan, now_us(), strangers))


def _radio(name: str, company_id: int, passive: bool) -> Radio:
    try:
        return radio_named(name, company_id, SystemClock(), passive)
    except ValueError as error:
        raise SettingsError(f"--radio {error}") from None


def _entries(keyring: Path | None) -> list[KeyringEntry]:
    if keyring is None:
        return []
    try:
        return list(load_keyring(keyring).values())
    except OSError as error:
        raise KeyringError(f"{keyring}: the keyring cannot be read: {error.strerror}") from None
    except DecodeError as error:
        raise KeyringError(f"{keyring}: {error.detail}") from None
