"""The platform's commands: taken once, carried out at most once, answered for ever. Loaded when one comes."""

import os

from tag.config import with_keys
from tag.kept import load, owner, save
from tag.log import log
from tag.session import REVOKED_FILE
from tagwire.command import REBOOT, REVOKE, ROTATE, SETTINGS, CommandReceiver
from tagwire.counter import make_counter
from tagwire.keys import beacon_key, id_key
from tagwire.messages import STATUS_OK, STATUS_UNKNOWN, STATUS_VALUE
from tagwire.revocation import EVERY_HUB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.session import SessionTag
    from tagwire.command import Command

PREFIX = "commands-"
CHANGES_BYTES_MAX = 2048  # of settings that differ from the provisioning file's, as JSON


class Orders:
    """One tag's commands. Raises DecodeError when what it remembers is damaged, and OSError: then it takes none."""

    def __init__(self, tag: "SessionTag") -> None:
        self._tag = tag
        provision = tag.provision
        memory = Memory(provision.tag_id, provision.generation)
        self._receiver = CommandReceiver(provision.root_key, provision.tag_id, provision.generation, memory, self)

    def receive(self, envelope: bytes) -> "tuple[int, bytes]":
        """The status for the hub, and the sealed reply for the platform."""
        return self._receiver.receive(envelope, self._tag.known_time_s())

    def ready(self, command: "Command") -> int:
        """Nothing here takes long, or much of the battery."""
        return STATUS_OK

    def execute(self, command: "Command") -> "tuple[int, bytes]":
        """Carry out a command: its status and detail. Raises OSError when flash refused."""
        actions = {SETTINGS: self._settings, REBOOT: self._reboot, ROTATE: self._rotate, REVOKE: self._revoke}
        action = actions.get(command.opcode)
        if action is None:
            return STATUS_UNKNOWN, b""
        status, detail = action(command.value)
        log("command %d: opcode %d, status %d" % (command.number, command.opcode, status))
        return status, detail

    def _settings(self, value: bytes) -> "tuple[int, bytes]":
        """All of them or none. The detail of a refusal is the name that is to blame. null: as provisioned again."""
        import json

        from tag.changes import read_changes, write_changes
        from tag.settings import read_settings

        try:
            given = json.loads(value)
        except ValueError:
            return STATUS_VALUE, b""
        if not isinstance(given, dict):
            return STATUS_VALUE, b""
        generation, settings = read_changes(self._tag.provision)
        for name in given:
            if given[name] is None:
                settings.pop(name, None)
            elif type(given[name]) not in (int, bool, str) or read_settings({name: given[name]})[1]:
                return STATUS_VALUE, name.encode()[:16]
            else:
                settings[name] = given[name]
        if len(json.dumps(settings)) > CHANGES_BYTES_MAX:
            return STATUS_VALUE, b""
        write_changes(self._tag.provision, generation, settings)
        self._reload()
        return STATUS_OK, b""

    def _reboot(self, value: bytes) -> "tuple[int, bytes]":
        if value:
            return STATUS_VALUE, b""
        self._tag.ends = self._tag.reboots = True
        return STATUS_OK, b""

    def _rotate(self, value: bytes) -> "tuple[int, bytes]":
        """From the next sample on. The file says so before anything in RTC memory does: see counter.cold_start."""
        from tag.changes import read_changes, write_changes

        provision = self._tag.provision
        state = self._tag.state
        if len(value) != 1 or value[0] <= state.config.generation:
            return STATUS_VALUE, bytes([state.config.generation])
        generation = value[0]
        write_changes(provision, generation, read_changes(provision)[1])
        root_key = provision.root_key
        state.config = with_keys(
            state.config, generation, beacon_key(root_key, generation), id_key(root_key, generation)
        )
        # The limit in flash is of the generation before: it is raised before the first counter of this one is used.
        state.next_counter = state.limit = make_counter(generation, 0)
        state.repeats = 0  # of a sample that the earlier key has sealed
        self._reload()
        return STATUS_OK, b""

    def _revoke(self, value: bytes) -> "tuple[int, bytes]":
        if len(value) != 6:
            return STATUS_VALUE, b""
        provision = self._tag.provision
        floors = self._tag.floors()
        hub_id = int.from_bytes(value[:4], "little")
        if not floors.revoke(hub_id, int.from_bytes(value[4:], "little")):
            return STATUS_VALUE, b"full"
        save(REVOKED_FILE, owner(provision.tag_id, 0), floors.encode())
        if hub_id in (self._tag.hub_id, EVERY_HUB):
            self._tag.ends = True
        return STATUS_OK, b""

    def _reload(self) -> None:
        self._tag.state.reload = 1
        self._tag.store()


class Memory:
    """The last command's number and outcome. A file for each generation that a bench has provisioned: what an earlier
    one remembers, damaged or not, does not count any more."""

    def __init__(self, tag_id: int, generation: int) -> None:
        self._name = PREFIX + str(generation)
        self._owner = owner(tag_id, generation)

    def load(self) -> "bytes | None":
        return load(self._name, self._owner)

    def save(self, data: bytes) -> None:
        save(self._name, self._owner, data)
        for entry in list(os.ilistdir()):
            if entry[0].startswith(PREFIX) and entry[0] != self._name:
                os.remove(entry[0])
