"""`tagsmith provision, whoami, selftest, wipe`: one board on one port."""

from typing import Annotated

import typer

from tagsmith.board_files import wipe as wipe_board
from tagsmith.commands.bench_options import (
    DEFAULT_GNSS_S,
    DEFAULT_INVENTORY,
    Baud,
    BoardName,
    CompanyId,
    GnssSeconds,
    InventoryFile,
    Reference,
    SettingOptions,
    Why,
    change_of,
    end_with,
    limits_of,
    order_of,
    tag_id_of,
    tag_name,
    verdict_lines,
    verdict_values,
)
from tagsmith.commands.sources import Json, PortArgument
from tagsmith.errors import CheckError, InventoryError
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import READY, REVOKED
from tagsmith.orders import TEST_COMPANY_ID
from tagsmith.output import note, progress, result
from tagsmith.provision import identify, known_as, provision_board, run_selftest
from tagsmith.rawrepl import BAUD, board_on
from tagsmith.records import Change, TagRow


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.command()(provision)
    app.command()(whoami)
    app.command()(selftest)
    app.command()(wipe)


def provision(
    port: PortArgument,
    board: BoardName = None,
    reference: Reference = None,
    company_id: CompanyId = None,
    setting: SettingOptions = None,
    tag: Annotated[
        str | None, typer.Option("--id", help="An id that was planned or imported; default: the bench's next one.")
    ] = None,
    again: Annotated[
        str | None, typer.Option("--again", metavar="WHY", help="Give a tag that works a new key and generation.")
    ] = None,
    gnss_s: GnssSeconds = DEFAULT_GNSS_S,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    baud: Baud = BAUD,
    json: Json = False,
) -> None:
    """Make the board on PORT a tag: identity written, read back, every part tested, noted in the inventory.

    A board whose last attempt was interrupted goes on where it was. Afterwards the tag starts by itself. With --again
    the other options say what the tag shall be from now on; what they do not name stays.
    """
    change = change_of(board, company_id, setting, reference)
    wanted = None if tag is None else tag_id_of(tag)
    with Inventory(inventory) as stock:

        def new_id() -> int:
            if wanted is None or not stock.has(wanted):
                return stock.new_tag(order_of(change), wanted)
            newest = stock.newest(wanted)
            if newest is not None and newest.chip is None and newest.state != REVOKED and not again:
                raise InventoryError(
                    f"T{tag_name(wanted)[1:]} was imported with a key that this board does not carry.",
                    'the board that has it, or --again "why" to give it a new key on this one',
                )
            if newest is not None and (newest.chip is not None or newest.state == REVOKED):
                raise InventoryError(
                    f"T{tag_name(wanted)[1:]} is taken by another board or revoked.",
                    f"`tagsmith inventory show {wanted}`, or another id",
                )
            return wanted

        with board_on(port, baud) as live, progress(as_json=json) as show:
            found = identify(live)
            known = known_as(live, found, stock)
            if wanted is not None and known is not None and known.state != REVOKED and known.tag_id != wanted:
                raise InventoryError(
                    f"This board is {tag_name(known.tag_id)}, not {wanted}.",
                    f"without --id, or `tagsmith inventory revoke {known.tag_id}` first",
                )
            tag_id = known.tag_id if known is not None and known.state != REVOKED else wanted
            row = stock.tag(tag_id) if tag_id is not None and stock.has(tag_id) else None
            if row is not None and not again and (row.state != READY or row.due):
                _check_kept(row, change)
            done = provision_board(
                live,
                found,
                stock,
                new_id,
                again=again,
                change=change if row is not None and again else None,
                limits=limits_of(gnss_s),
                on_progress=show,
            )
            if done.passed:
                live.restart()
        row = stock.tag(done.tag_id)
    values = {
        "tag_id": done.tag_id,
        "generation": done.generation,
        "chip": done.chip,
        "written": done.written,
        "state": row.state,
        "parts": verdict_values(done.verdicts),
    }
    head = f"{port}: {tag_name(done.tag_id)}, generation {done.generation}, {row.state}"
    result(values, f"{head}\n{verdict_lines(done.verdicts)}", as_json=json)
    if row.company_id == TEST_COMPANY_ID:
        note("company id 0xFFFF is for tests only: --company-id with your own before tags leave the house")
    if not done.passed:
        faulty = ", ".join(verdict.part for verdict in done.verdicts if not verdict.passed)
        error = CheckError(
            f"The self test found a fault: {faulty}.", "repair it, then the same command again; the identity stays"
        )
        end_with(error, as_json=json)


def _check_kept(row: TagRow, change: Change) -> None:
    """Without --again a tag keeps what it is. Raises InventoryError where an option says something else."""
    differs = {
        "--board": change.board not in (None, row.board),
        "--company-id": change.company_id not in (None, row.company_id),
        "--reference": change.reference not in (None, row.reference),
        "--set": not change.settings.items() <= row.settings.items(),
    }
    options = ", ".join(option for option, is_other in differs.items() if is_other)
    if options:
        raise InventoryError(
            f"T{tag_name(row.tag_id)[1:]} is entered with another {options}.",
            f'the same without {options}, or with --again "why" to make it that from now on',
        )


def whoami(port: PortArgument, baud: Baud = BAUD, json: Json = False) -> None:
    """Say who the board on PORT is: chip, firmware, tag id, generation; never its key. The tag restarts afterwards."""
    with board_on(port, baud) as live:
        found = identify(live)
        live.restart()
    lines = [f"{port}: chip {found.chip}, MicroPython {found.release}, {found.machine}"]
    lines.append("  firmware " + ("is there" if found.firmware else "is missing: `tagsmith flash`"))
    if found.tag_id is not None:
        rotated = f", provisioned as {found.generation}" if found.in_force not in (None, found.generation) else ""
        generation = f"generation {found.generation if found.in_force is None else found.in_force}{rotated}"
        lines.append(f"  {tag_name(found.tag_id)}, {generation}, board {found.board}")
        counted = f"counters below {found.counter} are used or reserved" if found.counter else "no counter is used yet"
        lines.append(f"  company id 0x{found.company_id or 0:04X}, {counted}")
    elif found.fault is not None:
        lines.append(f"  its provisioning file is damaged: {found.fault}")
    else:
        lines.append("  no identity: `tagsmith provision`")
    result(found._asdict(), "\n".join(lines), as_json=json)


def selftest(
    port: PortArgument,
    board: BoardName = None,
    setting: SettingOptions = None,
    gnss_s: GnssSeconds = DEFAULT_GNSS_S,
    baud: Baud = BAUD,
    json: Json = False,
) -> None:
    """Test every part of the board on PORT, and change nothing: flash, memory, sensors, battery, GNSS, radio.

    A tag is tested for what its settings say it has, a bare board for what --set says, such as --set climate=bme280.
    """
    order = order_of(change_of(board, None, setting, None))
    with board_on(port, baud) as live, progress(as_json=json) as show:
        found = identify(live)
        has = found.settings if found.settings is not None and not setting else order.settings
        verdicts = run_selftest(live, found.board or order.board, has, limits_of(gnss_s), show)
        live.restart()
    result({"chip": found.chip, "parts": verdict_values(verdicts)}, verdict_lines(verdicts), as_json=json)
    if not all(verdict.passed for verdict in verdicts):
        error = CheckError("The self test found a fault.", "what it says to look at, then the same command again")
        end_with(error, as_json=json)


def wipe(
    port: PortArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Without it nothing is wiped.")] = False,
    why: Why = "wiped",
    inventory: InventoryFile = DEFAULT_INVENTORY,
    baud: Baud = BAUD,
    json: Json = False,
) -> None:
    """Remove identity and samples from the board on PORT and revoke it in the inventory.

    Its id is never given out again. The firmware stays. LittleFS does not overwrite in place, so flash may keep traces
    of the old key until it is erased with `tagsmith flash`; the revoked key opens nothing any more once hubs have a new
    keyring.
    """
    with Inventory(inventory) as stock, board_on(port, baud) as live:
        found = identify(live)
        known = known_as(live, found, stock)
        if not yes:
            name = "a board without identity" if found.tag_id is None else tag_name(found.tag_id)
            raise InventoryError(f"{port} is {name}; nothing was wiped.", "the same command with --yes")
        wipe_board(live)
        if known is not None and known.state != REVOKED:
            stock.revoke(known.tag_id, why)
        stock.note("wipe", found.tag_id, f"chip {found.chip}: {why}", found.generation)
        live.restart()
    result({"chip": found.chip, "tag_id": found.tag_id}, f"{port}: wiped", as_json=json)
