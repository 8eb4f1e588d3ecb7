"""The tag's end of a session: answers a hub from its journal. Sans-IO, portable.

Feed `receive` what the hub wrote, then send what `next_frame` returns until it returns None. Where the link has no room
(`gatts_notify` raises OSError), keep that frame and send the same bytes later. `tagwire.history` is loaded when history
is asked for: a tag has no room for it beside what a command needs.
"""

from tagwire.errors import REASON_FLOW, DecodeError, EncodeError
from tagwire.fields import TIME_GNSS, TIME_UNKNOWN
from tagwire.messages import (
    BLOCK,
    COMMAND,
    CREDIT,
    END,
    GONE,
    HISTORY,
    IDENTIFY,
    LOG,
    LOG_TEXT,
    MESSAGES_MAX,
    NEVER_MADE,
    REPLY,
    SETTLED,
    STATE,
    STATUS_BUSY,
    STATUS_LIMITED,
    STATUS_OK,
    STATUS_STORAGE,
    STATUS_UNKNOWN,
    STATUS_VALUE,
    TIME,
    decode_messages,
    encode_message,
    read_u32,
    u32,
)
from tagwire.ranges import RANGES_MAX, decode_ranges, encode_ranges, intersection
from tagwire.session import FRAME_BYTES_MAX, FRAME_OVERHEAD, TYPE_HELLO, TagHandshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple, Protocol

    from tagwire.history import BlockEncoder, Record
    from tagwire.ranges import Ranges

    class Hole(NamedTuple):
        """Counters of a request that have no sample: `gone` (made, overwritten since), else never made."""

        first: int
        last: int
        gone: bool

    class Tag(Protocol):
        """What the firmware gives the session."""

        def newest(self) -> int:
            """The counter of the latest sample; before the first, the one below the first."""

        def unsettled(self) -> int:
            """How many samples in the journal are not settled."""

        def read(self, ranges: "Ranges") -> "Iterator[Record | Hole]":
            """Everything about these counters, none of them above the newest, in rising order: each is a record or in a
            hole. May raise OSError."""

        def settle(self, ranges: "Ranges") -> int:
            """Mark these as settled; a STATUS_*."""

        def set_time(self, unix_s: int, quality: int) -> int:
            """Take the hub's time, within `bounded_time`; a STATUS_*."""

        def identify(self, seconds: int) -> int:
            """Blink; a STATUS_*."""

        def command(self, envelope: bytes) -> "tuple[int, bytes]":
            """A platform's command, see `command.CommandReceiver.receive`; a STATUS_* and the sealed reply."""

        def log(self, offset: int, size: int) -> bytes:
            """Up to `size` bytes of the log from this byte on, none at its end. May raise OSError."""

else:
    from collections import namedtuple

    Hole = namedtuple("Hole", ("first", "last", "gone"))

FRAME_BYTES_MIN = 64  # an MTU of 67; below it a block's header and first sample leave no room for a second
CREDIT_MAX = 255
ANSWERS_MAX = 3 * MESSAGES_MAX  # a hub keeps to MESSAGES_MAX; the rest is slack
MESSAGE_HEADER_BYTES = 2
END_BYTES = 6
LOG_HEADER_BYTES = 4  # message header and offset
HOLE_BYTES_MAX = 11  # a count and one range of two five-byte varints


class TagEnd:
    """One connection's session. `frame_bytes`: what one notification carries, MTU - 3."""

    def __init__(self, handshake: TagHandshake, tag: "Tag", frame_bytes: int = FRAME_BYTES_MAX) -> None:
        if frame_bytes < FRAME_BYTES_MIN:
            raise EncodeError("frames of %d bytes" % frame_bytes)
        self._handshake = handshake
        self._tag = tag
        self._room = min(frame_bytes, FRAME_BYTES_MAX) - FRAME_OVERHEAD
        self._welcome = b""
        self._begin()

    def _begin(self) -> None:
        """Start clean, whatever an earlier session on this connection asked for."""
        self._answers: "list[bytes]" = []
        self._credit = 0
        self._items: "Iterator[Record | Hole] | None" = None
        self._newest = 0  # when the request came: later samples are not part of its answer
        self._pushed_back: "Record | None" = None
        self._holes: "tuple[Ranges, Ranges]" = ([], [])  # never made, gone
        self._log_offset: "int | None" = None  # asked for and not sent yet

    def _stop(self) -> None:
        self._items = None
        self._pushed_back = None
        self._holes = ([], [])

    def receive(self, frame: bytes) -> None:
        """Take one frame from the hub. Raises DecodeError, and then nothing has been done: after "flow" disconnect,
        else go on."""
        if frame and len(frame) <= FRAME_BYTES_MAX and frame[0] >> 2 == TYPE_HELLO:
            self._welcome = self._handshake.hello(frame)
            return
        if len(self._answers) > ANSWERS_MAX - MESSAGES_MAX:
            raise DecodeError(REASON_FLOW, "%d answers not fetched" % len(self._answers))
        plaintext, begins = self._handshake.open(frame)
        if begins:
            self._begin()
            self._answers.append(encode_message(STATE, u32(self._tag.newest()) + u32(self._tag.unsettled())))
        for kind, value in decode_messages(plaintext):
            self._act(kind, value)

    def next_frame(self) -> "bytes | None":
        """The next frame to send, None when there is nothing to say or no credit to say it. Raises EncodeError after
        65,536 frames: disconnect."""
        if self._welcome:
            frame = self._welcome
            self._welcome = b""
            return frame
        channel = self._handshake.channel
        if channel is None:
            return None
        plaintext = self._packed_answers()
        if self._log_offset is not None and not self._answers and len(plaintext) + LOG_HEADER_BYTES < self._room:
            plaintext += self._log_text(self._log_offset, self._room - len(plaintext) - LOG_HEADER_BYTES)
            self._log_offset = None
        if not plaintext and self._items is not None and self._credit:
            plaintext = self._history()
            self._credit -= 1
        return channel.seal(plaintext) if plaintext else None

    def _packed_answers(self) -> bytes:
        plaintext = b""
        count = 0
        while self._answers and count < MESSAGES_MAX and len(plaintext) + len(self._answers[0]) <= self._room:
            plaintext += self._answers.pop(0)
            count += 1
        return plaintext

    def _log_text(self, offset: int, size: int) -> bytes:
        try:
            return encode_message(LOG_TEXT, offset.to_bytes(2, "little") + self._tag.log(offset, size))
        except OSError:
            return encode_message(REPLY, bytes([LOG, STATUS_STORAGE]))

    def _act(self, kind: int, value: bytes) -> None:
        status = STATUS_OK
        reply = b""
        if kind == CREDIT:
            self._credit = min(self._credit + value[0], CREDIT_MAX)
            return
        if kind == HISTORY:
            ranges = decode_ranges(value)
            if not ranges:
                self._stop()
            elif self._items is None:
                self._newest = self._tag.newest()
                self._items = iter(self._tag.read(intersection(ranges, [(0, self._newest)])))
                return
            else:
                status = STATUS_BUSY
        elif kind == SETTLED:
            status = self._tag.settle(decode_ranges(value))
        elif kind == TIME:
            status = (
                self._tag.set_time(read_u32(value), value[4]) if TIME_UNKNOWN < value[4] <= TIME_GNSS else STATUS_VALUE
            )
        elif kind == IDENTIFY:
            status = self._tag.identify(value[0])
        elif kind == LOG:
            if self._log_offset is None:
                self._log_offset = value[0] | value[1] << 8
                return
            status = STATUS_BUSY
        elif kind == COMMAND:
            status, reply = self._tag.command(value)
        else:
            status = STATUS_UNKNOWN
        self._answers.append(encode_message(REPLY, bytes([kind, status]) + reply))

    def _history(self) -> bytes:
        """One frame: a block as full as it gets, holes once enough have gathered or all is read, and then the end."""
        from tagwire.history import BlockEncoder

        block = BlockEncoder(self._room - MESSAGE_HEADER_BYTES)
        answers = b""
        done = False
        try:
            done = self._fill(block)
        except OSError:
            self._stop()
            answers = encode_message(REPLY, bytes([HISTORY, STATUS_STORAGE]))
        plaintext = encode_message(BLOCK, block.finish()) if block.count else b""
        if len(plaintext) + len(answers) > self._room:
            self._answers.append(answers)
            return plaintext
        plaintext += answers
        for kind in (NEVER_MADE, GONE):
            holes = self._holes[kind == GONE]
            room = self._room - len(plaintext) - MESSAGE_HEADER_BYTES
            if holes and (done or len(holes) == RANGES_MAX) and room > HOLE_BYTES_MAX:
                ranges, left = encode_ranges(holes, room)
                holes[:] = left
                plaintext += encode_message(kind, ranges)
        if done and not self._holes[0] and not self._holes[1] and len(plaintext) + END_BYTES <= self._room:
            self._stop()
            plaintext += encode_message(END, u32(self._newest))
        return plaintext

    def _fill(self, block: "BlockEncoder") -> bool:
        """Read on until the block or a list of holes is full; whether all has been read."""
        from tagwire.history import Record

        while max(len(self._holes[0]), len(self._holes[1])) < RANGES_MAX:
            item = self._pushed_back or _next(self._items)
            self._pushed_back = None
            if item is None:
                return True
            if isinstance(item, Record):
                if not block.add(item):
                    self._pushed_back = item
                    break
            else:
                holes = self._holes[item.gone]
                if holes and holes[-1][1] + 1 == item.first:
                    holes[-1] = (holes[-1][0], item.last)
                else:
                    holes.append((item.first, item.last))
        return False


def _next(items: "Iterator[Record | Hole] | None") -> "Record | Hole | None":
    if items is not None:
        for item in items:
            return item
    return None


def bounded_time(now_s: int, age_s: "int | None", offered_s: int) -> "tuple[int, int]":
    """What a tag does with a hub's time: STATUS_OK or STATUS_LIMITED, and the Unix time to take.

    `age_s`: how long ago the tag's clock was last set, None when it never was. The clock moves no further than the
    worst drift of a sleeping ESP32 explains (20 minutes in 15 hours were reported: 2.2 %; 2.5 % is granted), and
    setting it starts `age_s` anew, so that a stolen hub cannot walk a tag through time, however often it tries. A tag
    whose time comes from GNSS does not ask this.
    """
    if age_s is None:
        return STATUS_OK, offered_s
    limit_s = age_s // 40
    if offered_s > now_s + limit_s:
        return STATUS_LIMITED, now_s + limit_s
    if offered_s < now_s - limit_s:
        return STATUS_LIMITED, now_s - limit_s
    return STATUS_OK, offered_s
