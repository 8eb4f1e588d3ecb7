"""The hub's end of a session: asks a tag for what is missing, and gives it what the hub has to say. Sans-IO, host only.

What is still missing when a connection breaks stands in `missing`; a new session asks for just that, at any frame size.
"""

from collections import deque
from typing import NamedTuple

from tagwire import messages as m
from tagwire.errors import REASON_STATE, REASON_UNASKED, DecodeError, EncodeError
from tagwire.history import Record
from tagwire.history_decode import decode_block
from tagwire.ranges import Ranges, decode_ranges, difference, encode_ranges, normalized, total, union
from tagwire.session import FRAME_BYTES_MAX, FRAME_OVERHEAD, Channel, HubHandshake

LOG_BYTES_MAX = 0xFFFF  # offsets have 16 bits
CREDIT_FRAMES = 8  # the tag never has more history frames under way; granted anew when half is used

STATUS_NAMES = {
    value: name.removeprefix("STATUS_").lower() for name, value in vars(m).items() if name.startswith("STATUS_")
}


class Established(NamedTuple):
    """The tag has proven itself. newest: counter of its latest sample; unsettled: how many it has to give away."""

    newest: int
    unsettled: int


class Received(NamedTuple):
    """Samples that were asked for; none of them was received before by this object."""

    records: list[Record]


class Absent(NamedTuple):
    """Counters that were asked for and have no sample: `gone` (overwritten), else never made. Final."""

    ranges: Ranges
    gone: bool


class Replied(NamedTuple):
    """What became of a message of that type: a STATUS_*. `sealed` is for the platform to open, often empty."""

    message: int
    status: int
    sealed: bytes


class Log(NamedTuple):
    """The tag's log, whole: UTF-8 as a tag writes it, oldest line first. Whoever shows it escapes it first."""

    text: bytes


class Finished(NamedTuple):
    """All requests are answered as far as the tag could; the rest is in `missing`. newest: None after a fault."""

    newest: int | None


Event = Established | Received | Absent | Replied | Log | Finished


class HubEnd:
    """One session with one tag.

    `wanted`: the counters to ask for, any number of ranges. `frame_bytes`: what one write carries, MTU - 3.
    """

    def __init__(self, handshake: HubHandshake, wanted: Ranges, frame_bytes: int = FRAME_BYTES_MAX) -> None:
        self._handshake = handshake
        self._room = min(frame_bytes, FRAME_BYTES_MAX) - FRAME_OVERHEAD
        self._hello: bytes | None = handshake.hello
        self._channel: Channel | None = None
        self._queue: deque[bytes] = deque()
        self._wanted = normalized(wanted)
        self._asked: Ranges = []
        self._unanswered: Ranges = []
        self._requested = False
        self._credit = 0  # frames of history that the tag may still send, as far as known here
        self._first = True
        self._unreplied = 0
        self._log: bytes | None = None  # as far as it has come; None: not asked for

    @property
    def missing(self) -> Ranges:
        """What was wanted and has not been answered."""
        return union(union(self._wanted, self._asked), self._unanswered)

    def want(self, ranges: Ranges) -> None:
        """Ask for these counters as well; what is under way is not asked for again."""
        self._wanted = union(self._wanted, difference(normalized(ranges), self._asked))

    def settle(self, ranges: Ranges) -> None:
        """Tell the tag that the broker has acknowledged these."""
        left = normalized(ranges)
        while left:
            value, left = encode_ranges(left, self._room - 2)
            self._queue.append(m.encode_message(m.SETTLED, value))

    def set_time(self, unix_s: int, quality: int) -> None:
        """Offer the hub's time with its fields.TIME_* quality."""
        self._queue.append(m.encode_message(m.TIME, m.u32(unix_s) + bytes([quality])))

    def identify(self, seconds: int) -> None:
        """Let the tag show itself."""
        self._queue.append(m.encode_message(m.IDENTIFY, bytes([seconds])))

    def read_log(self) -> None:
        """Ask for the tag's log, once; `Log` brings it, or `Replied` says why not. Asking again starts anew."""
        if self._log is None:
            self._ask_log(b"")

    def _ask_log(self, so_far: bytes) -> None:
        self._log = so_far
        self._queue.append(m.encode_message(m.LOG, len(so_far).to_bytes(2, "little")))

    def command(self, envelope: bytes) -> None:
        """Carry a platform's sealed command. Raises EncodeError when it does not fit a frame."""
        if len(envelope) + 2 > self._room:
            raise EncodeError(f"a command of {len(envelope)} bytes in frames with room for {self._room}")
        self._queue.append(m.encode_message(m.COMMAND, envelope))

    def next_frame(self) -> bytes | None:
        """The next frame to write, None when it is the tag's turn. The first is the hello, the second proves us."""
        if self._hello is not None:
            frame, self._hello = self._hello, None
            return frame
        if self._channel is None:
            return None
        self._ask()
        plaintext = b""
        count = 0
        while self._queue and count < m.MESSAGES_MAX and len(plaintext) + len(self._queue[0]) <= self._room:
            if self._queue[0][0] not in (m.HISTORY, m.CREDIT):
                if self._unreplied == m.MESSAGES_MAX:
                    break
                self._unreplied += 1
            plaintext += self._queue.popleft()
            count += 1
        if not plaintext and not self._first:
            return None
        self._first = False
        return self._channel.seal(plaintext)

    def receive(self, frame: bytes) -> list[Event]:
        """Take one frame from the tag. Raises DecodeError, and then nothing has been merged: after "forged", "replayed"
        and "order" the session goes on, after any other reason disconnect and resume."""
        if self._channel is None:
            if self._hello is not None:
                raise DecodeError(REASON_STATE, "a frame before the hello")
            self._channel = self._handshake.welcome(frame)
            return []
        messages = m.decode_messages(self._channel.open(frame))
        events: list[Event] = []
        asked = self._asked
        log = self._log
        ended = False
        answers = False
        for kind, value in messages:
            if kind == m.STATE:
                events.append(Established(m.read_u32(value), m.read_u32(value, 4)))
            elif kind == m.BLOCK:
                records = decode_block(value)
                asked = _without(asked, normalized((record.counter, record.counter) for record in records))
                events.append(Received(records))
            elif kind in (m.NEVER_MADE, m.GONE):
                ranges = decode_ranges(value)
                asked = _without(asked, ranges)
                events.append(Absent(ranges, kind == m.GONE))
            elif kind == m.LOG_TEXT:
                if log is None or int.from_bytes(value[:2], "little") != len(log):
                    raise DecodeError(REASON_UNASKED, "a piece of log that was not asked for")
                self._unreplied -= self._unreplied > 0
                log += value[2:]
                if len(value) == 2 or len(log) > LOG_BYTES_MAX:
                    events.append(Log(log))
                    log = None
            elif kind == m.REPLY:
                if value[0] == m.LOG:
                    log = None
                events.append(Replied(value[0], value[1], value[2:]))
                self._unreplied -= value[0] != m.HISTORY and self._unreplied > 0
            answers = answers or kind in (m.BLOCK, m.NEVER_MADE, m.GONE)
            if kind == m.END or (kind == m.REPLY and value[0] == m.HISTORY):
                ended = answers = True
                if not self._wanted:
                    events.append(Finished(m.read_u32(value) if kind == m.END else None))
        self._asked = asked
        if log is not None and log != self._log:
            self._ask_log(log)
        self._log = log
        if answers and self._credit:
            self._credit -= 1
        if ended:  # what was not answered is newer than the tag's newest, or could not be read; not asked again here
            self._unanswered = union(self._unanswered, asked)
            self._asked = []
            self._requested = False
        return events

    def _ask(self) -> None:
        if not self._requested and self._wanted:
            self._requested = True
            value, left = encode_ranges(self._wanted, self._room - 2)
            self._asked = self._wanted[: len(self._wanted) - len(left)]
            self._wanted = left
            self._queue.append(m.encode_message(m.HISTORY, value))
        if self._requested and self._credit <= CREDIT_FRAMES // 2:
            self._queue.append(m.encode_message(m.CREDIT, bytes([CREDIT_FRAMES - self._credit])))
            self._credit = CREDIT_FRAMES


def _without(asked: Ranges, answered: Ranges) -> Ranges:
    left = difference(asked, answered)
    if total(left) != total(asked) - total(answered):
        raise DecodeError(REASON_UNASKED, f"an answer to what was not asked, or a second one: {answered[:3]}")
    return left
