"""The platform's commands: sealed with a tag's K_platform, kept before they are sent, and answered one day.

Hubs carry the envelopes and can read neither these nor the replies (SPEC.md, "Commands"). One number seals one command:
the row is on the disk before anybody gets the envelope, and never changes.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tagsmith import store
from tagsmith.errors import InventoryError, TrustError
from tagsmith.firmware_rules import default_of
from tagsmith.inventory import OF_ONE, Inventory
from tagsmith.lifecycle import GENERATION_MAX, ON_BOARD
from tagsmith.records import Change, TagRow
from tagwire import command, messages
from tagwire.counter import COUNTER_MAX
from tagwire.errors import DecodeError
from tagwire.hubend import STATUS_NAMES
from tagwire.seal import aes128

WORDS = {
    command.SETTINGS: "settings",
    command.REBOOT: "reboot",
    command.ROTATE: "rotate",
    command.REVOKE: "revoke-hub",
    command.UPDATE: "update",
}
EVERY_HUB = 0xFFFFFFFF


class Sealed(NamedTuple):
    """One command. envelope: what a hub carries. status: the tag's STATUS_*, None until it has answered; detail and
    answered_s come with it. expires_s: Unix time, `command.EXPIRES_NEVER` for no end."""

    tag_id: int
    number: int
    generation: int
    opcode: int
    value: bytes
    expires_s: int
    envelope: bytes
    why: str
    made_s: int
    status: int | None = None
    detail: bytes | None = None
    answered_s: int | None = None


def seal(inventory: Inventory, tag_id: int, opcode: int, value: bytes, expires_s: int, why: str) -> Sealed:
    """A new command, on the disk. Raises InventoryError when the tag has no key, or nobody knows which."""
    with store.transaction(inventory.connection):
        tag = inventory.tag(tag_id)
        key = inventory.newest(tag_id)
        if key is None or key.state not in ON_BOARD:
            raise InventoryError(
                f"Tag {tag_id} is {tag.state}: it takes no commands.", "`tagsmith provision`, with the board in hand"
            )
        if len(value) > command.VALUE_BYTES_MAX:
            raise InventoryError(
                f"{len(value)} bytes are too many for one command of {command.VALUE_BYTES_MAX}.",
                "fewer settings at once",
            )
        (last,) = inventory.connection.execute("SELECT max(number) FROM command WHERE tag_id = ?", (tag_id,)).fetchone()
        number = max(command.first_number(key.raised_to), -1 if last is None else last + 1)
        if number > COUNTER_MAX:
            raise InventoryError(f"Tag {tag_id} has no command number left.", "`tagsmith provision --again`")
        root_key = inventory.provision_of(tag_id, key.generation).root_key
        envelope = command.seal_command(
            aes128(command.platform_key(root_key)), tag_id, command.Command(number, opcode, expires_s, value)
        )
        row = Sealed(tag_id, number, key.generation, opcode, value, expires_s, envelope, why, inventory.now_s())
        inventory.connection.execute("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        inventory.note("command", tag_id, ", ".join(filter(None, (f"{WORDS[opcode]}, number {number}", why))))
    return row


def seal_settings(
    inventory: Inventory, tag_id: int, change: Mapping[str, int | bool | str | None], expires_s: int, why: str
) -> Sealed:
    """The tag shall have these settings, and the command that tells it all that it does not have yet. Raises
    InventoryError, also where nothing differs or what differs cannot be told over the air."""
    with store.transaction(inventory.connection):
        tag = inventory.change(tag_id, Change(settings=change), why)
        value = _what_differs(tag)
        return seal(inventory, tag_id, command.SETTINGS, value, expires_s, why)


def _what_differs(tag: TagRow) -> bytes:
    board, company_id, settings = tag.written or (tag.board, tag.company_id, tag.settings)
    if (board, company_id) != (tag.board, tag.company_id):
        raise InventoryError(
            f"Tag {tag.tag_id} shall change what no command can: {'; '.join(tag.changes)}.",
            "`tagsmith provision`, with the board in hand",
        )
    names = sorted(settings.keys() | tag.settings.keys())
    wanted = {name: tag.settings.get(name, default_of(name)) for name in names}
    differs = {name: wanted[name] for name in names if wanted[name] != settings.get(name, default_of(name))}
    if not differs:
        raise InventoryError(f"Tag {tag.tag_id} has these settings already.", "`tagsmith inventory show`")
    return json.dumps(differs, separators=(",", ":")).encode()


def seal_rotate(inventory: Inventory, tag_id: int, expires_s: int, why: str) -> Sealed:
    """The tag shall go on with its next generation. From here on keyrings have both. Raises InventoryError while an
    earlier rotation is open."""
    with store.transaction(inventory.connection):
        key = inventory.newest(tag_id)
        tag = inventory.tag(tag_id)
        if key is not None and key.raised_to != tag.generation and _is_open(inventory, tag_id, command.ROTATE):
            raise InventoryError(
                f"Tag {tag_id} has not answered its last rotation.",
                "its envelope again: `tagsmith command list --open`",
            )
        generation = 0 if key is None else key.raised_to + 1
        if generation > GENERATION_MAX:
            raise InventoryError(f"Tag {tag_id} has used up its {GENERATION_MAX + 1} generations.", "another tag")
        row = seal(inventory, tag_id, command.ROTATE, bytes([generation]), expires_s, why)
        inventory.connection.execute(
            f"UPDATE identity SET raised_to = ? {OF_ONE}", (generation, tag_id, row.generation)
        )
    return row


def _is_open(inventory: Inventory, tag_id: int, opcode: int) -> bool:
    return any(row.opcode == opcode and row.status is None for row in sealed(inventory, [tag_id]))


def seal_revoke_hub(
    inventory: Inventory, tag_ids: Iterable[int], hub_id: int, epoch: int, expires_s: int, why: str
) -> list[Sealed]:
    """These tags shall refuse that hub's keys of days before `epoch`. Raises InventoryError."""
    value = hub_id.to_bytes(4, "little") + epoch.to_bytes(2, "little")
    with store.transaction(inventory.connection):
        return [seal(inventory, tag_id, command.REVOKE, value, expires_s, why) for tag_id in tag_ids]


def sealed(inventory: Inventory, tag_ids: Iterable[int] | None = None, *, is_open: bool = False) -> list[Sealed]:
    """All commands, or those of these tags, or those that are neither answered nor expired; by tag and number."""
    rows = [Sealed(*row) for row in inventory.connection.execute("SELECT * FROM command ORDER BY tag_id, number")]
    wanted = None if tag_ids is None else set(tag_ids)
    now_s = inventory.now_s()
    return [
        row
        for row in rows
        if (wanted is None or row.tag_id in wanted) and (not is_open or (row.status is None and now_s <= row.expires_s))
    ]


def take_reply(inventory: Inventory, tag_id: int, envelope: bytes) -> Sealed:
    """Note what a tag answered; the same reply may come again. Raises InventoryError for one to a command that this
    inventory never sealed, TrustError for one that the tag did not seal."""
    with store.transaction(inventory.connection):
        number = command.number_of(envelope)
        found = [row for row in sealed(inventory, [tag_id]) if row.number == number]
        if not found:
            raise InventoryError(f"Tag {tag_id} answers command {number}, which is not of this bench.", "its own bench")
        (row,) = found
        root_key = inventory.provision_of(tag_id, row.generation).root_key
        try:
            _, status, detail = command.open_reply(aes128(command.platform_key(root_key)), tag_id, envelope)
        except DecodeError as error:
            raise TrustError(
                f"The reply of tag {tag_id} to command {number} is {error.reason}.", "the hub's log"
            ) from None
        if row.status is not None:
            return row
        answered = row._replace(status=status, detail=detail, answered_s=inventory.now_s())
        inventory.connection.execute(
            "UPDATE command SET status = ?, detail = ?, answered_s = ? WHERE (tag_id, number) = (?, ?)",
            (status, detail, answered.answered_s, tag_id, number),
        )
        inventory.note("reply", tag_id, f"{WORDS[row.opcode]}, number {number}: {word_of(status)}")
        _note_outcome(inventory, answered)
    return answered


def _note_outcome(inventory: Inventory, row: Sealed) -> None:
    """What the board has now."""
    key = (row.tag_id, row.generation)
    if row.opcode == command.SETTINGS and row.status == messages.STATUS_OK:
        (told,) = inventory.connection.execute(f"SELECT told FROM identity {OF_ONE}", key).fetchone()
        wanted = inventory.tag(row.tag_id).settings
        now = {
            name: None if name not in wanted and value == default_of(name) else value  # None: the default, as asked for
            for name, value in json.loads(row.value).items()
        }
        told = json.dumps(json.loads(told) | now)
        inventory.connection.execute(f"UPDATE identity SET told = ? {OF_ONE}", (told, *key))
    elif row.opcode == command.ROTATE:
        generation = row.value[0]
        if row.status == messages.STATUS_VALUE and row.detail:
            generation = row.detail[0]  # the tag had gone further already, and says how far
        elif row.status != messages.STATUS_OK:
            return
        inventory.connection.execute(
            f"UPDATE identity SET reached = max(reached, min(raised_to, ?)) {OF_ONE}", (generation, *key)
        )
        inventory.connection.execute("UPDATE tag SET rotate = NULL WHERE tag_id = ?", (row.tag_id,))


def word_of(status: int) -> str:
    """A STATUS_* in a word, as SPEC.md has it."""
    return STATUS_NAMES.get(status, f"status {status}")
