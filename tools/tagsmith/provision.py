"""Makes a board somebody's tag: one board, from who it is to tested, with the inventory written at every step.

The order of steps is the promise. The inventory knows the key and the chip before the first byte leaves; the board's
script puts the key in place last; and what is on the board is believed only after it was read back. Wherever the cable
is pulled, the same command on the same board goes on, and on another board takes another id.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tagsmith import store
from tagsmith.errors import BoardError, CheckError, InventoryError
from tagsmith.esptool_program import DetectedChip
from tagsmith.firmware_rules import default_of
from tagsmith.identity import TAG_ID_MAX
from tagsmith.inventory import Inventory, new_id_instead_of
from tagsmith.lifecycle import (
    CHECK,
    FAILED,
    GENERATION_MAX,
    ON_BOARD,
    READY,
    REVOKED,
    VERIFIED,
    WRITTEN,
    Found,
    Identity,
    Refusal,
    Step,
    next_step,
)
from tagsmith.output import ShowProgress, silent
from tagsmith.rawrepl import Board
from tagsmith.records import Change
from tagsmith.selftest import Limits, Verdict, fitted_by, judge, missing, parts_of
from tagwire.counter import COUNTER_MAX, generation_of, make_counter
from tagwire.provision import Provision, encode_provision

_LARGEST = {
    "tag_id": TAG_ID_MAX,
    "generation": GENERATION_MAX,
    "in_force": GENERATION_MAX,
    "company_id": 0xFFFF,
    "counter": COUNTER_MAX,
}


class Done(NamedTuple):
    """A provisioned tag. written: False when its key was on the board already. verdicts: of the self test."""

    tag_id: int
    generation: int
    chip: str
    written: bool
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        """Whether the self test found every part within its limits."""
        return all(verdict.passed for verdict in self.verdicts)


def identify(board: Board) -> Found:
    """Who a board is. Raises BoardError when it does not tell its chip."""
    values = board.run("whoami")
    about = values[0] if values and isinstance(values[0], dict) else {}
    release = about.get("release")
    texts = {name: _said(about, name, str) for name in ("board", "fault")}
    numbers = {name: _said(about, name, int) for name in ("tag_id", "generation", "in_force", "company_id", "counter")}
    settings = _said(about, "settings", dict)
    if settings is not None and not all(type(value) in (int, bool, str) for value in settings.values()):
        raise _nonsense("settings")
    found = Found(
        chip=str(about.get("chip", "")),
        release=".".join(str(part) for part in release[:3]) if isinstance(release, list) else "unknown",
        machine=str(about.get("machine", "")),
        firmware=about.get("firmware") is True,
        settings=settings,
        **texts,
        **numbers,
    )
    if not found.chip:
        raise BoardError("The board does not tell its chip's id.", "a MicroPython for ESP32, 1.27 or later")
    return found


def _said(about: dict[str, Any], name: str, kind: type) -> Any:
    """One thing that a board says of itself, None when it says nothing. Raises BoardError for nonsense."""
    value = about.get(name)
    if value is None or (type(value) is kind and (not isinstance(value, int) or 0 <= value <= _LARGEST[name])):
        return value
    raise _nonsense(name)


def _nonsense(name: str) -> BoardError:
    return BoardError(f"The board says something impossible as its {name}.", "`tagsmith flash`, which makes it anew")


def known_as(board: Board, found: Found, inventory: Inventory) -> Identity | None:
    """What was last given to this board's chip, as the inventory knows it.

    A tag that was imported without its chip is bound here, to the board that carries exactly its key.
    """
    known = inventory.of_chip(found.chip)
    if found.tag_id is None or not found.firmware or (known is not None and known.state != REVOKED):
        return known
    carried = inventory.newest(found.tag_id)
    if carried is None or carried.chip is not None or carried.state not in ON_BOARD:
        return known
    if carried.generation == found.generation and _reads_back(
        board, inventory.provision_of(carried.tag_id, carried.generation)
    ):
        inventory.bind(carried.tag_id, carried.generation, found.chip)
    return inventory.of_chip(found.chip)


def chip_id(chip: DetectedChip) -> str:
    """What MicroPython on this chip will call it, from what esptool calls it."""
    return chip.mac.replace(":", "")


def refuse_ready(inventory: Inventory, chip: str) -> None:
    """Keeps a tag that works from being erased; one that is due for a new key may be. Raises InventoryError."""
    identity = inventory.of_chip(chip)
    if identity is not None and identity.state == READY and inventory.tag(identity.tag_id).due is None:
        raise InventoryError(
            f"This board is tag {identity.tag_id} and ready.",
            "another board, or `tagsmith flash --yes` for this one alone",
        )


def provision_board(
    board: Board,
    found: Found,
    inventory: Inventory,
    new_id: Callable[[], int],
    *,
    again: str | None = None,
    change: Change | None = None,
    limits: Limits | None = None,
    on_progress: ShowProgress = silent,
) -> Done:
    """Give a board its identity and test it. The board stays at its prompt; restart it to let the tag run.

    found: what `identify` said of it. new_id: gives the id for a board that has none in this inventory. again: why a
    tag that works shall get a new key. change: what it shall be from then on, where it shall be something else. Raises
    BoardError, CheckError (what was written does not read back),
    InventoryError (refused). A failed self test is no error: see `Done.passed`.
    """
    limits = limits or Limits()
    if not found.firmware:
        raise BoardError("The board has MicroPython but not the tag's firmware.", "`tagsmith flash` on this port")
    known = known_as(board, found, inventory)
    if known is not None and known.state != REVOKED:
        again = again or inventory.tag(known.tag_id).due
    step = _step(inventory, found, known, again)
    tag_id, generation = step.tag_id, step.generation
    if step.action == CHECK and tag_id is not None:
        raised_to = generation if known is None else known.raised_to
        if _reads_back(board, inventory.provision_of(tag_id, generation), raised_to):
            if inventory.state_of(tag_id, generation) == WRITTEN:
                inventory.move(tag_id, generation, VERIFIED, "found on the board")
            return _tested(board, inventory, tag_id, generation, found.chip, False, limits, on_progress)
        generation = raised_to + 1
    if tag_id is None:
        tag_id = new_id()
        newest = inventory.newest(tag_id)
        if newest is not None:  # a tag from elsewhere: its board may be ahead of what was imported
            carried = found.generation if found.tag_id == tag_id else None
            generation = max(newest.raised_to, carried or 0) + 1
    on_progress("write", 0.0)
    with store.transaction(inventory.connection):
        if change is not None:
            inventory.change(tag_id, change, again or "")
        provision = inventory.begin(tag_id, generation, found.chip, again or "")
    board.run("store", [encode_provision(provision), make_counter(generation, 0)])
    on_progress("write", 0.5)
    if not _reads_back(board, provision):
        raise CheckError(
            f"What was written for tag {tag_id} does not read back.", "the same command again; then another board"
        )
    inventory.move(tag_id, generation, VERIFIED, f"chip {found.chip}")
    on_progress("write", 1.0)
    return _tested(board, inventory, tag_id, generation, found.chip, True, limits, on_progress)


def _step(inventory: Inventory, found: Found, known: Identity | None, again: str | None) -> Step:
    carried = None if found.tag_id is None else inventory.newest(found.tag_id)
    try:
        return next_step(found, known, carried, again=again is not None)
    except Refusal as refusal:
        try_next = 'provision with --again "why", if that is what you want'
        if not refusal.again and known is not None:
            try_next = new_id_instead_of(known.tag_id)
        elif carried is not None and carried.chip is None and carried.state in ON_BOARD:
            try_next = f'--again "why" with --id {carried.tag_id} for a new key, or without it for a new tag'
        raise InventoryError(str(refusal), try_next) from None


def _reads_back(board: Board, provision: Provision, raised_to: int | None = None) -> bool:
    """Whether the board's flash holds exactly this identity, and in each place a counter of its generation, or of one
    up to `raised_to`, which a command has raised it to."""
    values = board.run("check")
    said = values[0] if values and isinstance(values[0], dict) else {}
    if said.get("provision") != hashlib.sha256(encode_provision(provision)).hexdigest():
        return False
    limits = said.get("limits")
    return isinstance(limits, list) and all(
        type(limit) is int and provision.generation <= generation_of(limit) <= (raised_to or provision.generation)
        for limit in limits
    )


def run_selftest(
    board: Board,
    board_name: str,
    settings: Mapping[str, int | bool | str],
    limits: Limits | None = None,
    on_progress: ShowProgress = silent,
) -> list[Verdict]:
    """The self test of a board that has the firmware: of the parts that the settings say it has.

    Raises BoardError when it stops answering.
    """
    limits = limits or Limits()
    parts = parts_of(settings)
    verdicts: list[Verdict] = []

    def on_line(line: object) -> None:
        if isinstance(line, list) and len(line) == 2 and isinstance(line[1], dict):
            verdicts.append(judge(str(line[0]), line[1], limits))
            on_progress("test", min(len(verdicts) / len(parts), 1.0))

    arguments = {
        "board": board_name,
        "fitted": fitted_by(settings),
        "gnss_s": limits.gnss_s,
        "gnss_baud": settings.get("gnss_baud", default_of("gnss_baud")),
    }
    board.run("selftest", arguments, limits.gnss_s + 10.0, on_line)
    return verdicts + missing(verdicts, parts)


def _tested(
    board: Board,
    inventory: Inventory,
    tag_id: int,
    generation: int,
    chip: str,
    written: bool,
    limits: Limits,
    on_progress: ShowProgress,
) -> Done:
    has = inventory.provision_of(tag_id, generation)
    verdicts = run_selftest(board, has.board, has.settings, limits, on_progress)
    done = Done(tag_id, generation, chip, written, verdicts)
    detail = "; ".join(f"{verdict.part} {verdict.measured}" for verdict in verdicts if not verdict.passed)
    inventory.move(tag_id, generation, READY if done.passed else FAILED, detail)
    return done
