"""`tagsmith images, image, flash, ports, doctor`: from files to a board that has the firmware but no identity."""

from pathlib import Path
from typing import Annotated

import typer

from tagsmith import doctor as examination
from tagsmith import flash as flashing
from tagsmith import ports as serial_ports
from tagsmith.commands.bench_options import DEFAULT_INVENTORY, InventoryFile
from tagsmith.commands.sources import (
    Firmware,
    Json,
    PortArgument,
    Source,
    Trust,
    bundle_files,
    content,
    firmware_files,
    write,
)
from tagsmith.errors import ToolError
from tagsmith.esp_image import parse_micropython
from tagsmith.esptool_program import DetectedChip
from tagsmith.image import BLOCK_BYTES, make_image
from tagsmith.inventory import Inventory
from tagsmith.official_images import find_official, official_images
from tagsmith.output import progress, result
from tagsmith.provision import chip_id, refuse_ready

DEFAULT_IMAGE_KB = 2048


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(flash)
    app.command()(image)
    app.command()(images)
    app.command()(ports)
    app.command()(doctor)


def flash(
    port: PortArgument,
    micropython: Annotated[Path, typer.Option("--micropython", help="MicroPython file for the chip.")],
    firmware: Firmware = None,
    source: Source = False,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Signed bundle instead of a firmware.")] = None,
    trust: Trust = None,
    baud: Annotated[int, typer.Option(min=9600, help="Speed while writing; 115200 if a cable or bridge is poor.")] = (
        flashing.DEFAULT_BAUD
    ),
    stub: Annotated[bool, typer.Option(help="--no-stub: talk to the chip's ROM only, slower.")] = True,
    accept_unlisted: Annotated[
        bool, typer.Option("--accept-unlisted", help="Accept a MicroPython file that `images` does not list.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also a board that the inventory knows as a tag that is ready.")
    ] = False,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Write MicroPython and the tag's files to a board, and verify them.

    Everything that was on the board is erased, a tag's identity too. Afterwards: `tagsmith provision PORT`. Where there
    is an inventory, a board that it knows as ready is refused without --yes.
    """
    files = bundle_files(bundle, trust) if bundle else firmware_files(firmware, source)
    plan = flashing.plan_flash(micropython, files, accept_unlisted=accept_unlisted)

    def keep_ready(chip: DetectedChip) -> None:
        if not yes and inventory.exists():
            with Inventory(inventory) as stock:
                refuse_ready(stock, chip_id(chip))

    with progress(as_json=json) as show:
        report = flashing.flash(port, plan, baud=baud, use_stub=stub, show=show, allow=keep_ready)
    result(
        report._asdict(),
        f"{report.port}: {report.chip} {report.mac}, {report.flash_bytes >> 20} MB of flash, "
        f"MicroPython {report.micropython or 'of your own'} and {report.files} files written and verified "
        f"in {report.seconds:.0f} s. Next: tagsmith provision {report.port}",
        as_json=json,
    )


def image(
    output: Annotated[Path, typer.Argument(help="The image to write.")],
    firmware: Firmware = None,
    source: Source = False,
    size_kb: Annotated[
        int, typer.Option(min=64, help="Size of the file system's partition in KB; it must be exact.")
    ] = DEFAULT_IMAGE_KB,
    json: Json = False,
) -> None:
    """Make the tag's file system as a LittleFS image, without identity; show what takes how much.

    `flash` makes its own, to the size of the chip it finds. This one is for programming machines and for a look.
    """
    files = firmware_files(firmware, source)
    made = make_image(files, size_kb * 1024)
    write(output, made)
    blocks = range(0, len(made), BLOCK_BYTES)
    used = sum(made.count(0xFF, start, start + BLOCK_BYTES) < BLOCK_BYTES for start in blocks)
    sizes = {path: len(data) for path, data in sorted(files.items())}
    lines = [f"{size:>7}  {path}" for path, size in sizes.items()]
    lines.append(f"{sum(sizes.values()):>7}  bytes in {len(sizes)} files; {used} of {len(blocks)} blocks used")
    result({"image": str(output), "files": sizes, "blocks_used": used}, "\n".join(lines), as_json=json)


def images(
    file: Annotated[Path | None, typer.Argument(help="A MicroPython file to check.")] = None, json: Json = False
) -> None:
    """List the official MicroPython files that tagsmith knows, or check one that you have."""
    if file is None:
        rows = [known._asdict() for known in official_images()]
        lines = [f"{row['chip']:<8} {row['version']:<8} {row['url']}\n{'':17} sha256 {row['sha256']}" for row in rows]
        result({"images": rows}, "\n".join(lines), as_json=json)
        return
    found = parse_micropython(content(file))
    official = find_official(found.sha256)
    said = f"official MicroPython {official.version}" if official else "whole, but not an official file that we know"
    result(
        {"chip": found.chip.name, "sha256": found.sha256, "official": official.version if official else None},
        f"{file}: for {found.chip.name}, {said}, sha256 {found.sha256}",
        as_json=json,
    )


def ports(json: Json = False) -> None:
    """List the serial ports, development boards first."""
    found = serial_ports.listed()
    lines = [f"{port.device:<20} {port.bridge or '-':<24} {port.description}" for port in found]
    result(
        {"ports": [port._asdict() for port in found]},
        "\n".join(lines) or "No serial port. Plug a board in; `tagsmith doctor` says what may be missing.",
        as_json=json,
    )


def doctor(json: Json = False) -> None:
    """Check programs, permissions and ports of this machine; touches no board."""
    findings = examination.examine()
    lines = [
        f"{'ok ' if finding.ok else 'BAD'} {finding.subject:<18} {finding.said}"
        + (f"\n    try: {finding.try_next}" if finding.try_next else "")
        for finding in findings
    ]
    result({"findings": [finding._asdict() for finding in findings]}, "\n".join(lines), as_json=json)
    missing = [finding.subject for finding in findings if finding.subject in examination.PROGRAMS and not finding.ok]
    if missing:
        raise ToolError(f"This machine lacks {', '.join(missing)}.", examination.INSTALL)
