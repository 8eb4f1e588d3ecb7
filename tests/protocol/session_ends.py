"""Two ends of a session joined in memory: a tag with a journal, a link that breaks, a nonce oracle over all."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tagfleet.oracle import NonceOracle
from tagwire.fields import Codes
from tagwire.history import Record, record_of
from tagwire.hubend import Absent, Event, HubEnd, Received
from tagwire.messages import STATUS_OK, STATUS_UNKNOWN
from tagwire.ranges import Ranges, normalized, union
from tagwire.session import (
    TOWARDS_TAG,
    TYPE_SEALED,
    HubHandshake,
    TagHandshake,
    hub_key,
    session_key,
    session_nonce,
)
from tagwire.tagend import Hole, TagEnd

TAG_ID = 0x0A0B0C0D
HUB_ID = 77
EPOCH = 20_454
ROOT_KEY = bytes(range(16))


def sample(counter: int) -> Record:
    """Some record of this counter; the same one each time."""
    draw = random.Random(counter)
    time_s = 1_767_225_600 + counter * 300 + draw.randint(0, 9)
    position = (4_000_000 + draw.randint(0, 5), 9_000_000 + draw.randint(0, 5))
    return record_of(
        counter, Codes(*position, 850, 110, 20, 1, 1, (time_s + 2) // 4 % 1024, 3), time_s, alarm=draw.random() < 0.1
    )


@dataclass
class JournalTag:
    """A tag whose journal holds some counters; of the others some are gone, the rest were never made."""

    held: set[int]
    gone: set[int] = field(default_factory=set)
    settled: Ranges = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    identified: list[int] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    fails_at: int | None = None
    log_text: bytes = b""
    log_fails: bool = False

    def newest(self) -> int:
        return max(self.held | self.gone, default=0)

    def unsettled(self) -> int:
        return len(self.held)

    def read(self, ranges: Ranges) -> Iterator[Record | Hole]:
        for first, last in ranges:
            for counter in range(first, last + 1):
                if counter == self.fails_at:
                    raise OSError(5)
                yield sample(counter) if counter in self.held else Hole(counter, counter, counter in self.gone)

    def settle(self, ranges: Ranges) -> int:
        self.settled = union(self.settled, ranges)
        return STATUS_OK

    def set_time(self, unix_s: int, quality: int) -> int:
        self.times.append((unix_s, quality))
        return STATUS_OK

    def identify(self, seconds: int) -> int:
        self.identified.append(seconds)
        return STATUS_OK

    def command(self, envelope: bytes) -> tuple[int, bytes]:
        self.commands.append(envelope)
        return STATUS_UNKNOWN, b"sealed reply"

    def log(self, offset: int, size: int) -> bytes:
        if self.log_fails:
            raise OSError(5)
        return self.log_text[offset : offset + size]


class Connection:
    """One connection between a tag and a hub; every sealed frame is shown to the oracle."""

    def __init__(
        self,
        tag: JournalTag,
        wanted: Ranges,
        oracle: NonceOracle,
        seed: int = 0,
        frame_bytes: int = 244,
        root_key: bytes = ROOT_KEY,
    ) -> None:
        draw = random.Random(f"link {seed}")
        self.key = hub_key(ROOT_KEY, HUB_ID, EPOCH)
        self.tag_handshake = TagHandshake(TAG_ID, self._key_for, draw.randbytes)
        self.tag = TagEnd(self.tag_handshake, tag, frame_bytes)
        hub_handshake = HubHandshake(TAG_ID, hub_key(root_key, HUB_ID, EPOCH), HUB_ID, EPOCH, draw.randbytes(8))
        self.hub = HubEnd(hub_handshake, wanted, frame_bytes)
        self.oracle = oracle
        self.frame_bytes = frame_bytes
        self.events: list[Event] = []
        self._randoms = [b"", b""]
        self.sent: list[tuple[bool, bytes]] = []  # (towards the tag, frame)

    def _key_for(self, hub_id: int, epoch: int) -> bytes | None:
        return self.key if (hub_id, epoch) == (HUB_ID, EPOCH) else None

    def run(self, frames: int | None = None) -> None:
        """Carry frames both ways until both are silent, or the link breaks after `frames` of them."""
        left = frames if frames is not None else 100_000
        progress = True
        while progress:
            progress = False
            for towards_tag, end in ((True, self.hub), (False, self.tag)):
                while (frame := end.next_frame()) is not None:
                    self._watch(towards_tag, frame)
                    if left == 0:
                        return
                    left -= 1
                    progress = True
                    if towards_tag:
                        self.tag.receive(frame)
                    else:
                        self.events += self.hub.receive(frame)

    def _watch(self, towards_tag: bool, frame: bytes) -> None:
        assert len(frame) <= self.frame_bytes
        self.sent.append((towards_tag, frame))
        if frame[0] >> 2 == TYPE_SEALED:
            key = session_key(self.key, *self._randoms)
            direction = TOWARDS_TAG if towards_tag else 0
            nonce = session_nonce(frame[0], TAG_ID, int.from_bytes(frame[1:3], "little"), direction)
            self.oracle.check(key, nonce, frame[:3], frame[3:])
        else:
            self._randoms[0 if towards_tag else 1] = frame[-8:]

    def records(self) -> list[Record]:
        return [record for event in self.events if isinstance(event, Received) for record in event.records]

    def absent(self, gone: bool) -> Ranges:
        return normalized(
            pair for event in self.events if isinstance(event, Absent) and event.gone == gone for pair in event.ranges
        )
