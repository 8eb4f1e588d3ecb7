"""Makes a bare board a tag without identity: MicroPython, its partition table and the tag's files, in one pass."""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tagsmith.errors import BoardError, FileError, TrustError
from tagsmith.esp_image import MicroPythonImage, file_system_region, parse_micropython
from tagsmith.esptool_program import DetectedChip, detect_chip, write_flash
from tagsmith.image import make_image
from tagsmith.official_images import find_official, where_to_get
from tagsmith.output import ShowProgress, silent
from tagsmith.ports import claimed

DEFAULT_BAUD = 460_800  # what CP210x and CH340 bridges do reliably


class FlashPlan(NamedTuple):
    """What goes on a board; one plan serves a whole batch. files: path on the tag to content, no identity in them."""

    micropython: bytes
    image: MicroPythonImage
    version: str | None
    files: Mapping[str, bytes]


class FlashReport(NamedTuple):
    """What was done to one board. micropython: its version, None for a build of your own."""

    port: str
    chip: str
    mac: str
    flash_bytes: int
    micropython: str | None
    written_bytes: int
    files: int
    seconds: float


def plan_flash(micropython: Path, files: Mapping[str, bytes], *, accept_unlisted: bool = False) -> FlashPlan:
    """Reads and checks the MicroPython file before any board is touched. Raises FileError, TrustError."""
    try:
        data = micropython.read_bytes()
    except OSError as error:
        raise FileError(
            f"{micropython} cannot be read: {error.strerror}.", "`tagsmith images` says which file, and where it is"
        ) from None
    image = parse_micropython(data)
    official = find_official(image.sha256)
    if official is None and not accept_unlisted:
        raise TrustError(
            f"{micropython.name} is whole, but none of the official builds that tagsmith knows.",
            f"{where_to_get(image.chip.name)}, or --accept-unlisted if you trust where this file comes from",
        )
    return FlashPlan(data, image, official.version if official else None, files)


def flash(
    port: str,
    plan: FlashPlan,
    *,
    baud: int = DEFAULT_BAUD,
    use_stub: bool = True,
    show: ShowProgress = silent,
    allow: Callable[[DetectedChip], None] = lambda chip: None,
) -> FlashReport:
    """Writes and verifies the plan on the board at `port`. All that was on the board is gone, its identity too.

    allow: called with the chip before anything is written; it raises to keep the board as it is.

    use_stub: let esptool run its faster loader in the chip's RAM; a few boards only work without. Raises PortError,
    BoardError, FileError, CheckError, ToolError. Nothing is written unless chip and flash size fit the plan.
    """
    begun_s = time.monotonic()
    with claimed(port):
        show("detect", 0.0)
        chip = detect_chip(port)
        show("detect", 1.0)
        if chip.name != plan.image.chip.name:
            raise BoardError(
                f"The board on {port} is an {chip.name}; the MicroPython file is for an {plan.image.chip.name}.",
                f"a file for the {chip.name} (`tagsmith images`), or another board",
            )
        allow(chip)
        region = file_system_region(plan.image.partitions, chip.flash_bytes)
        file_system = make_image(plan.files, region.size)
        with tempfile.TemporaryDirectory() as folder:
            parts = [
                (plan.image.chip.flash_offset, Path(folder, "micropython.bin"), plan.micropython),
                (region.offset, Path(folder, "files.bin"), file_system),
            ]
            for _, path, content in parts:
                path.write_bytes(content)
            offsets = [(offset, path) for offset, path, _ in parts]
            write_flash(port, chip.name, offsets, baud=baud, use_stub=use_stub, show=show)
    return FlashReport(
        port=port,
        chip=chip.name,
        mac=chip.mac,
        flash_bytes=chip.flash_bytes,
        micropython=plan.version,
        written_bytes=len(plan.micropython) + len(file_system),
        files=len(plan.files),
        seconds=time.monotonic() - begun_s,
    )
