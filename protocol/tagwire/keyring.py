"""The keyring: what a hub needs to open the beacons of the tags on its route. Host only.

JSON lines, one tag each; SPEC.md, "Keyring", is the authority. It holds derived keys only, never a root key.
"""

import json
import os
import tempfile
from binascii import unhexlify
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tagwire.counter import COUNTER_MAX
from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError
from tagwire.json_members import MemberTwiceError, unique_members
from tagwire.keys import beacon_key, id_key
from tagwire.provision import Provision
from tagwire.seal import KEY_BYTES
from tagwire.session import EPOCH_FOREVER, hub_key

PRIVATE_IDS = "private_ids"  # the provisioning file's setting that makes a tag change its name every epoch


class HubKey(NamedTuple):
    """What lets one hub open sessions with one tag: the hub's id, the last Unix day on which the key is good
    (EPOCH_FOREVER: no end), K_hub."""

    hub_id: int
    epoch: int
    key: bytes


class KeyringEntry(NamedTuple):
    """One tag's keys.

    beacon_key: K_beacon of `generation`. id_key: its K_id, None where the tag has no private ids. previous_*: the
    generation before and its keys (the first two belong together), while beacons of it may still be around, which is
    until previous_expires_s (Unix time; None: until the newer generation is heard). last_counter: the last counter
    that whoever wrote the keyring knows to be accepted, None for a fresh tag. expires_s: Unix time from which the entry
    must not be used, None for never. hub: the hub's own key for sessions, None where it is to open none.
    """

    tag_id: int
    generation: int
    beacon_key: bytes
    id_key: bytes | None = None
    previous_generation: int | None = None
    previous_beacon_key: bytes | None = None
    last_counter: int | None = None
    expires_s: int | None = None
    previous_id_key: bytes | None = None
    previous_expires_s: int | None = None
    hub: HubKey | None = None


def entry_from_provision(provision: Provision, hub_id: int | None = None, epoch: int = EPOCH_FOREVER) -> KeyringEntry:
    """The entry of a tag that was just provisioned; with K_id where its settings say `private_ids`, and with K_hub of
    `hub_id` where one is given, good until the end of Unix day `epoch`. Raises EncodeError for those out of range."""
    root_key, generation = provision.root_key, provision.generation
    private = provision.settings.get(PRIVATE_IDS) is True
    names = id_key(root_key, generation) if private else None
    hub = None if hub_id is None else hub_key_of(root_key, hub_id, epoch)
    return KeyringEntry(provision.tag_id, generation, beacon_key(root_key, generation), names, hub=hub)


def hub_key_of(root_key: bytes, hub_id: int, epoch: int = EPOCH_FOREVER) -> HubKey:
    """K_hub with what it is for, as a keyring carries it. Raises EncodeError for an id or epoch out of range."""
    return HubKey(hub_id, epoch, hub_key(root_key, hub_id, epoch))


def load_keyring(path: str | Path) -> dict[int, KeyringEntry]:
    """Tag id to entry. Blank lines and unknown keys are ignored.

    Raises OSError for a file that cannot be read, DecodeError("format") with the line's number for one that is wrong.
    """
    entries: dict[int, KeyringEntry] = {}
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entry = decode_entry(line)
        except DecodeError as error:
            raise DecodeError(REASON_FORMAT, f"line {number}: {error.detail}") from None
        if entry.tag_id in entries:
            raise DecodeError(REASON_FORMAT, f"line {number}: tag {entry.tag_id} is there already")
        entries[entry.tag_id] = entry
    return entries


def write_keyring(path: str | Path, entries: Iterable[KeyringEntry]) -> None:
    """Replace the file in one step, readable by its owner only. Raises OSError, EncodeError."""
    path = Path(path)
    text = "".join(encode_entry(entry) + "\n" for entry in entries)
    descriptor, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mkstemp creates with mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def encode_entry(entry: KeyringEntry) -> str:
    """An entry as one line of JSON, without its newline. Raises EncodeError for an entry that no reader would take."""
    row: dict[str, Any] = {
        "id": entry.tag_id,
        "generation": entry.generation,
        "beacon_key": entry.beacon_key.hex(),
    }
    if entry.id_key is not None:
        row["id_key"] = entry.id_key.hex()
    if entry.previous_generation is not None and entry.previous_beacon_key is not None:
        previous = {"generation": entry.previous_generation, "beacon_key": entry.previous_beacon_key.hex()}
        if entry.previous_id_key is not None:
            previous["id_key"] = entry.previous_id_key.hex()
        if entry.previous_expires_s is not None:
            previous["expires_s"] = entry.previous_expires_s
        row["previous"] = previous
    if entry.last_counter is not None:
        row["last_counter"] = entry.last_counter
    if entry.expires_s is not None:
        row["expires_s"] = entry.expires_s
    if entry.hub is not None:
        row["hub"] = {"id": entry.hub.hub_id, "epoch": entry.hub.epoch, "key": entry.hub.key.hex()}
    line = json.dumps(row, separators=(",", ":"))
    try:
        if decode_entry(line.encode()) != entry:
            raise EncodeError("what belongs to a previous generation comes with it and its key")
    except DecodeError as error:
        raise EncodeError(error.detail) from None
    return line


def decode_entry(line: bytes) -> KeyringEntry:
    """One line's entry. Raises DecodeError("format"), whose text names the key but never shows its value."""
    try:
        row = json.loads(line, object_pairs_hook=unique_members)
    except MemberTwiceError as error:
        raise _wrong(str(error)) from None
    except (ValueError, RecursionError):
        raise _wrong("not JSON") from None
    if not isinstance(row, dict):
        raise _wrong("not a JSON object")
    previous = row.get("previous")
    if previous is not None and not isinstance(previous, dict):
        raise _wrong("previous is not an object")
    hub = row.get("hub")
    if hub is not None and not isinstance(hub, dict):
        raise _wrong("hub is not an object")
    generation = _integer(row, "generation", 255)
    previous_generation = None if previous is None else _integer(previous, "generation", 255)
    if previous_generation is not None and previous_generation >= generation:
        raise _wrong(f"previous generation {previous_generation} is not below generation {generation}")
    return KeyringEntry(
        _integer(row, "id", 0xFFFFFFFF),
        generation,
        _key(row, "beacon_key"),
        None if row.get("id_key") is None else _key(row, "id_key"),
        previous_generation,
        None if previous is None else _key(previous, "beacon_key"),
        None if row.get("last_counter") is None else _integer(row, "last_counter", COUNTER_MAX),
        None if row.get("expires_s") is None else _integer(row, "expires_s", _TIME_MAX_S),
        None if previous is None or previous.get("id_key") is None else _key(previous, "id_key"),
        None if previous is None or previous.get("expires_s") is None else _integer(previous, "expires_s", _TIME_MAX_S),
        None
        if hub is None
        else HubKey(_integer(hub, "id", 0xFFFFFFFF), _integer(hub, "epoch", EPOCH_FOREVER), _key(hub, "key")),
    )


_TIME_MAX_S = (1 << 33) - 1


def _wrong(detail: str) -> DecodeError:
    return DecodeError(REASON_FORMAT, detail)


def _integer(row: dict[str, Any], name: str, largest: int) -> int:
    value = row.get(name)
    if type(value) is not int or not 0 <= value <= largest:
        raise _wrong(f"{name} is not an integer within 0 to {largest}" if name in row else f"no {name}")
    return value


def _key(row: dict[str, Any], name: str) -> bytes:
    value = row.get(name)
    try:
        key = unhexlify(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _wrong(f"{name} is not hexadecimal" if name in row else f"no {name}") from None
    if len(key) != KEY_BYTES:
        raise _wrong(f"{name} has {len(key)} bytes, not {KEY_BYTES}")
    return key
