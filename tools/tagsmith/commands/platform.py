"""`tagsmith command ...`: what the platform tells tags, sealed end to end and carried by hubs."""

import json as json_lines
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tagsmith import mailbox
from tagsmith.carrier import Reply, exchange, parse_broker, parse_reply, to_message
from tagsmith.commands.bench_options import (
    DEFAULT_INVENTORY,
    InventoryFile,
    SettingOptions,
    TagArguments,
    Why,
    parsed,
    setting_values,
    tag_id_of,
    tag_name,
)
from tagsmith.commands.sources import Json, content, write
from tagsmith.errors import BenchError, FileError, InventoryError
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import ON_BOARD
from tagsmith.mailbox import Sealed
from tagsmith.output import note, result
from tagsmith.store import transaction
from tagwire import command as wire
from tagwire.session import EPOCH_FOREVER

DAY_S = 86_400
Days = Annotated[
    int,
    typer.Option("--days", min=0, max=10_000, help="Tags refuse it after so long; 0: never. A tag without time waits."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the envelopes to this file, as hubs take them: JSON lines.")
]
SomeTags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only this tag; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Commands over the air: seal settings, reboot, rotate or revoke-hub, send them, take the replies.",
    )
    for name, command in (
        ("settings", settings),
        ("reboot", reboot),
        ("rotate", rotate),
        ("revoke-hub", revoke_hub),
        ("list", list_commands),
        ("send", send),
        ("reply", reply),
    ):
        group.command(name)(command)
    app.add_typer(group, name="command")


def settings(
    tag: TagArguments,
    setting: SettingOptions = None,
    days: Days = 7,
    why: Why = "",
    output: Output = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Seal new settings. Without --set: those that `inventory change` or `calibrate` has left due."""
    values = setting_values(setting)
    rows = _seal_each(
        inventory, tag, days, lambda stock, one, expires_s: mailbox.seal_settings(stock, one, values, expires_s, why)
    )
    _tell(rows, output, json)


def reboot(
    tag: TagArguments,
    days: Days = 1,
    why: Why = "",
    output: Output = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Seal a restart, which loses no sample."""
    rows = _seal_each(
        inventory, tag, days, lambda stock, one, expires_s: mailbox.seal(stock, one, wire.REBOOT, b"", expires_s, why)
    )
    _tell(rows, output, json)


def rotate(
    tag: TagArguments,
    days: Days = 7,
    why: Why = "",
    output: Output = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Seal the next generation of keys. Give hubs the new keyring first: from now on `inventory export` has both."""
    rows = _seal_each(
        inventory, tag, days, lambda stock, one, expires_s: mailbox.seal_rotate(stock, one, expires_s, why)
    )
    note("hubs need the keyring of now (`tagsmith inventory export`) before the tags hear of it")
    _tell(rows, output, json)


def revoke_hub(
    hub_id: Annotated[str, typer.Argument(metavar="HUB", help="The hub's id; `every` for all hubs.")],
    epoch: Annotated[
        int,
        typer.Option(
            min=0, max=EPOCH_FOREVER, help="Keys of that hub for days before this Unix day (Unix time / 86,400) end."
        ),
    ] = EPOCH_FOREVER,
    tag: SomeTags = None,
    days: Days = 0,
    why: Why = "",
    output: Output = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Seal the end of a stolen hub's keys, for every tag that works or for some. Other hubs carry it."""
    number = mailbox.EVERY_HUB if hub_id == "every" else parsed(_hub_id, hub_id)
    with Inventory(inventory) as stock, transaction(stock.connection):
        tag_ids = (
            [row.tag_id for row in stock.tags() if row.state in ON_BOARD] if tag is None else list(map(tag_id_of, tag))
        )
        expires_s = _expiry(stock, days)
        rows = mailbox.seal_revoke_hub(stock, tag_ids, number, epoch, expires_s, why)
    _tell(rows, output, json)


def list_commands(
    tag: SomeTags = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are neither answered nor expired.")] = False,
    output: Output = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """List commands and what tags answered. With -o their envelopes once more: sending one again does no harm."""
    with Inventory(inventory) as stock:
        rows = mailbox.sealed(stock, None if tag is None else map(tag_id_of, tag), is_open=is_open)
    _tell(rows, output, json)


def send(
    broker: Annotated[str, typer.Option(help="mqtt://host or mqtts://host:8883")],
    site: Annotated[str, typer.Option(help="The hub's site, as in its settings.")],
    hub: Annotated[str, typer.Option(help="The hub's name, as in its settings.")],
    tag: SomeTags = None,
    wait_s: Annotated[float, typer.Option(min=0, help="Wait so long for the tags' answers.")] = 60.0,
    user: Annotated[str | None, typer.Option(help="Name at the broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="A file with the password; never on a command line.")
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option("--ca", help="The CA that the broker's certificate is of.")
    ] = None,
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Give every open command to a hub over MQTT, and note what the tags answer meanwhile.

    The hub keeps a command until the tag is in reach and connectable, which may take hours. What comes later is noted
    with `tagsmith command reply`, or by the same command again.
    """
    password = None if password_file is None else content(password_file).decode(errors="replace").rstrip("\r\n")
    to = parsed(parse_broker, broker)._replace(
        user=user, password=password, certificates=None if certificates is None else str(certificates)
    )
    with Inventory(inventory) as stock:
        wanted = None if tag is None else [tag_id_of(text) for text in tag]
        rows = mailbox.sealed(stock, wanted, is_open=True)
        if not rows:
            raise InventoryError("No command is open.", "`tagsmith command settings`, `reboot`, `rotate`, `revoke-hub`")

        def take(answer: Reply) -> None:
            _take(stock, answer)

        exchange(to, f"tags/v1/{site}/{hub}", rows, wait_s, take)
        numbers = {(row.tag_id, row.number) for row in rows}
        rows = [row for row in mailbox.sealed(stock, wanted) if (row.tag_id, row.number) in numbers]
    _tell(rows, None, json)


def reply(
    file: Annotated[Path, typer.Argument(help="Messages of a hub's reply topic, one a line; - for standard input.")],
    inventory: InventoryFile = DEFAULT_INVENTORY,
    json: Json = False,
) -> None:
    """Note what tags answered, from a file of a hub's replies. The same reply may come any number of times."""
    text = sys.stdin.buffer.read() if str(file) == "-" else content(file)
    answers = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                answers.append(parse_reply(line))
            except ValueError as error:
                raise FileError(
                    f"Line {number} of {file} cannot be taken: {error}.", "the hub's messages as they came"
                ) from None
    with Inventory(inventory) as stock:
        rows = [row for answer in answers if (row := _take(stock, answer)) is not None]
    _tell(rows, None, json)


def _take(stock: Inventory, answer: Reply) -> Sealed | None:
    """The command that this answers; None, with a remark, where it answers none of ours."""
    if not answer.envelope:
        note(f"{tag_name(answer.tag_id)} did not take a command: {answer.status}")
        return None
    try:
        return mailbox.take_reply(stock, answer.tag_id, answer.envelope)
    except BenchError as error:  # others may write on the topic
        note(error.sentence)
        return None


def _seal_each(
    inventory: Path, tags: list[str], days: int, seal: Callable[[Inventory, int, int], Sealed]
) -> list[Sealed]:
    """One command for each tag, or none at all. seal: from the inventory, the tag's id and when it expires."""
    tag_ids = [tag_id_of(text) for text in tags]
    with Inventory(inventory) as stock, transaction(stock.connection):
        expires_s = _expiry(stock, days)
        return [seal(stock, tag_id, expires_s) for tag_id in tag_ids]


def _hub_id(text: str) -> int:
    if not text.isdigit() or int(text) >= mailbox.EVERY_HUB:
        raise ValueError(f"{text!r} is not a hub id from 0 to {mailbox.EVERY_HUB - 1}, nor `every`")
    return int(text)


def _expiry(stock: Inventory, days: int) -> int:
    return wire.EXPIRES_NEVER if days == 0 else min(stock.now_s() + days * DAY_S, wire.EXPIRES_NEVER - 1)


def _tell(rows: list[Sealed], output: Path | None, as_json: bool) -> None:
    messages = [to_message(row) for row in rows]
    if output is not None:
        write(output, "".join(message + "\n" for message in messages).encode())
    lines = [
        f"{tag_name(row.tag_id):<26} {row.number:>10}  {mailbox.WORDS[row.opcode]:<10}  {_when(row):<22}  {_value(row)}"
        for row in rows
    ]
    values = [
        {
            **json_lines.loads(message),
            "number": row.number,
            "command": mailbox.WORDS[row.opcode],
            "outcome": _outcome(row),
        }
        for message, row in zip(messages, rows, strict=True)
    ]
    answered = sum(row.status is not None for row in rows)
    result(
        {"commands": values},
        "\n".join([*lines, f"{len(rows)} command{'' if len(rows) == 1 else 's'}, {answered} answered"]),
        as_json=as_json,
    )


def _outcome(row: Sealed) -> str | None:
    return None if row.status is None else mailbox.word_of(row.status)


def _when(row: Sealed) -> str:
    if row.status is not None:
        return mailbox.word_of(row.status)
    if row.expires_s == wire.EXPIRES_NEVER:
        return "open"
    until = datetime.fromtimestamp(row.expires_s, UTC).strftime("%Y-%m-%d %H:%M")
    return f"open to {until}" if time.time() <= row.expires_s else f"ended {until}"


def _value(row: Sealed) -> str:
    if row.opcode == wire.SETTINGS:
        return row.value.decode()
    if row.opcode == wire.ROTATE:
        return f"generation {row.value[0]}"
    if row.opcode == wire.REVOKE:
        hub_id, epoch = (int.from_bytes(part, "little") for part in (row.value[:4], row.value[4:]))
        return f"hub {'every' if hub_id == mailbox.EVERY_HUB else hub_id}, days before {epoch}"
    return ""
