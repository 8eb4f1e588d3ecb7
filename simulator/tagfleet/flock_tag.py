"""What a session asks of a flock tag: its journal is made anew as it is read. Pure."""

from collections.abc import Iterator

from tagfleet.flock import Flock
from tagfleet.journals import Journals
from tagwire.command import Command, CommandReceiver
from tagwire.fields import TIME_UNKNOWN
from tagwire.history import Record
from tagwire.messages import STATUS_OK, STATUS_UNKNOWN, STATUS_VALUE
from tagwire.provision import Provision
from tagwire.ranges import Ranges, intersection, total
from tagwire.tagend import Hole

_CHUNK = 256  # samples that are made anew at once


class FlockTag:
    """`tagwire.tagend.Tag` for one tag of a flock (its index). `commands` lives as long as the tag, see
    `command_receiver`."""

    def __init__(self, flock: Flock, journals: Journals, tag: int, commands: CommandReceiver, now_s: int) -> None:
        self._flock = flock
        self._journals = journals
        self._tag = tag
        self._first = int(flock.first_counters[tag])
        self._commands = commands
        self._now_s = now_s

    def newest(self) -> int:
        return self._first + self._flock.made(self._tag) - 1

    def unsettled(self) -> int:
        made = self._flock.made(self._tag)
        held = [(self._journals.oldest(made), made - 1)] if made else []
        return total(held) - total(intersection(self._journals.settled(self._tag), held))

    def read(self, ranges: Ranges) -> "Iterator[Record | Hole]":
        oldest = self._first + self._journals.oldest(self._flock.made(self._tag))
        for first, last in ranges:
            if first < oldest:
                yield Hole(first, min(last, oldest - 1), True)
            for start in range(max(first, oldest), last + 1, _CHUNK):
                end = min(start + _CHUNK - 1, last)
                yield from self._flock.records(self._tag, start - self._first, end - self._first)

    def settle(self, ranges: Ranges) -> int:
        made = self._flock.made(self._tag)
        held = intersection(ranges, [(self._first, self._first + made - 1)]) if made else []
        self._journals.settle(self._tag, [(a - self._first, b - self._first) for a, b in held], made)
        return STATUS_OK

    def set_time(self, unix_s: int, quality: int) -> int:
        """Taken and forgotten: a flock tag's clock is the world's."""
        return STATUS_VALUE if quality == TIME_UNKNOWN else STATUS_OK

    def identify(self, seconds: int) -> int:
        return STATUS_OK

    def command(self, envelope: bytes) -> tuple[int, bytes]:
        return self._commands.receive(envelope, self._now_s)

    def log(self, offset: int, size: int) -> bytes:
        return b""


def command_receiver(provision: Provision) -> CommandReceiver:
    """A tag's end of the platform's commands: each is taken once, answered under seal, and not known."""
    return CommandReceiver(provision.root_key, provision.tag_id, provision.generation, _Memory(), _Actions())


class _Actions:
    """A flock tag takes commands, answers them with a sealed reply, and knows none of them."""

    def ready(self, command: Command) -> int:
        return STATUS_OK

    def execute(self, command: Command) -> tuple[int, bytes]:
        return STATUS_UNKNOWN, b""


class _Memory:
    """One place, never lost."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def load(self) -> bytes | None:
        return self._data

    def save(self, data: bytes) -> None:
        self._data = data
