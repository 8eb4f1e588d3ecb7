"""A tag with a journal that answers sessions: the firmware's own TagEnd over a dictionary of samples."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator

from tags import NOW_S, Tag, reading

from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE, advertisement
from tagwire.errors import DecodeError
from tagwire.fields import Reading, to_codes
from tagwire.history import Record, record_of
from tagwire.keyring import KeyringEntry, hub_key_of
from tagwire.messages import STATUS_OK
from tagwire.ranges import Ranges
from tagwire.session import EPOCH_FOREVER, TagHandshake, hub_key
from tagwire.tagend import Hole, TagEnd

HUB_ID = 3
INTERVAL_S = 300


class JournalTag(Tag):
    """Has made samples five minutes apart, the latest at NOW_S. skipped: never made; gone: overwritten since."""

    def __init__(self, tag_id: int, newest: int = 0) -> None:
        super().__init__(tag_id)
        self.newest_counter = newest
        self.born_s = NOW_S // 4 * 4 - newest * INTERVAL_S
        self.skipped: set[int] = set()
        self.gone: set[int] = set()
        self.settled: set[int] = set()
        self.times: list[tuple[int, int]] = []
        self.commands: list[bytes] = []
        self.command_status = STATUS_OK
        self.asked: list[int] = []
        """Every counter that was ever read, in order."""
        self.sessions = 0

    def with_hub(self) -> KeyringEntry:
        """The keyring's entry with the hub's key."""
        return self.entry()._replace(hub=hub_key_of(self.root_key, HUB_ID))

    def values(self, counter: int) -> Reading:
        """The sample's, the same as beacon and in history."""
        return reading(10_000 + counter % 200 * 100, self.born_s + counter * INTERVAL_S)

    def record(self, counter: int) -> Record:
        values = self.values(counter)
        return record_of(counter, to_codes(values), values.time_s or 0, alarm=False)

    def call(self, counter: int | None = None) -> bytes:
        """AdvData of a sample with the hints of a window."""
        counter = self.newest_counter if counter is None else counter
        frame = self.beacon(counter, self.values(counter), HINT_BACKLOG | HINT_CONNECTABLE)
        return advertisement(0xFFFF, frame)

    def end(self, frame_bytes: int = 244, random: Callable[[int], bytes] = os.urandom) -> TagEnd:
        """One connection's session."""
        self.sessions += 1
        key = hub_key(self.root_key, HUB_ID, EPOCH_FOREVER)

        def key_for(hub_id: int, epoch: int) -> bytes | None:
            return key if (hub_id, epoch) == (HUB_ID, EPOCH_FOREVER) else None

        return TagEnd(TagHandshake(self.tag_id, key_for, random), self, frame_bytes)

    # What TagEnd asks of a tag.

    def newest(self) -> int:
        return self.newest_counter

    def unsettled(self) -> int:
        return self.newest_counter + 1 - len(self.settled | self.gone | self.skipped)

    def read(self, ranges: Ranges) -> Iterator[Record | Hole]:
        for first, last in ranges:
            for counter in range(first, last + 1):
                self.asked.append(counter)
                if counter in self.gone or counter in self.skipped:
                    yield Hole(counter, counter, counter in self.gone)
                else:
                    yield self.record(counter)

    def settle(self, ranges: Ranges) -> int:
        self.settled |= {counter for first, last in ranges for counter in range(first, last + 1)}
        return STATUS_OK

    def set_time(self, unix_s: int, quality: int) -> int:
        self.times.append((unix_s, quality))
        return STATUS_OK

    def identify(self, seconds: int) -> int:
        return STATUS_OK

    def command(self, envelope: bytes) -> tuple[int, bytes]:
        self.commands.append(envelope)
        return self.command_status, b"sealed reply"

    def log(self, offset: int, size: int) -> bytes:
        return b""


class TagSession:
    """A tag's end with its queue of frames: `write` what the hub sends, `frames` what it answers."""

    def __init__(self, tag: JournalTag, frame_bytes: int = 244) -> None:
        self.tag_end = tag.end(frame_bytes)

    def write(self, frame: bytes) -> list[bytes]:
        with contextlib.suppress(DecodeError):  # nothing has been done then; a tag goes on
            self.tag_end.receive(frame)
        answers = []
        while (answer := self.tag_end.next_frame()) is not None:
            answers.append(answer)
        return answers


class MemoryLink:
    """A taghub.radio.link.Link to a tag in memory. Subclasses misbehave."""

    def __init__(self, tag: JournalTag, frame_bytes: int = 244) -> None:
        self.frame_bytes = frame_bytes
        self.session = TagSession(tag, frame_bytes)
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def write(self, frame: bytes) -> None:
        for answer in self.session.write(frame):
            self.queue.put_nowait(answer)

    async def read(self) -> bytes:
        return await self.queue.get()
