"""One connection to one tag, from the hello to the last answer. Sans-IO: frames in, frames and findings out.

    phase     waits for                  what must come within
    GREETING  the tag's welcome          GREETING_S
    PROVING   its first sealed frame     GREETING_S
    WORKING   answers                    IDLE_S, each time
    DONE      nothing: hang up

A visit never takes longer than its plan's `limit_s`. What it has found until then is merged; the rest is asked for at
the next one.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from tagwire import messages as m
from tagwire.errors import REASON_FORGED, REASON_ORDER, REASON_REPLAYED, DecodeError, EncodeError
from tagwire.history import Record
from tagwire.hubend import Absent, Established, Finished, HubEnd, Received, Replied
from tagwire.keyring import HubKey
from tagwire.ranges import Ranges, encode_ranges
from tagwire.session import FRAME_BYTES_MAX, FRAME_OVERHEAD, HubHandshake
from tagwire.tagend import FRAME_BYTES_MIN, MESSAGE_HEADER_BYTES

GREETING_S = 3.0
IDLE_S = 4.0  # below the 5 s after which a tag hangs up by itself
FAULTS_MAX = 8  # frames that are forged or out of order; a link that is merely bad repeats none
SETTLE_MESSAGES_MAX = 64  # in one visit, each up to RANGES_MAX ranges; what is left is told at the next one
ADOPT_FIRST = 12  # counters asked for before the first sample that was heard; their times tell how many more are wanted
ADOPT_CHUNK = 1_024  # of these, at a time

GREETING, PROVING, WORKING, DONE = "greeting", "proving", "working", "done"

FAILED_STALLED = "stalled"  # it was connected and then said nothing
FAILED_FAULTS = "faults"  # frames that were not its own, again and again
FAILED_MTU = "mtu"  # frames too small for a session


class Adopt(NamedTuple):
    """Which history of before the first sample to ask for: back from `below`, not before counter `not_before`, until a
    sample is older than `oldest_s` (Unix time; None where the hub does not know the time)."""

    below: int
    not_before: int
    oldest_s: int | None


class Plan(NamedTuple):
    """What to do at a tag.

    missing: counters to ask for. requested: counters to ask for although they may have arrived. settled: counters that
    the broker has. commands: envelopes. time: what to add to the visit's `now_s` for Unix time, and its fields.TIME_*
    quality; None where the hub knows no time to offer. probe: a counter whose sample tells the time, for a hub without
    one. limit_s: of the visit.
    """

    tag_id: int
    key: HubKey
    missing: Ranges
    requested: Sequence[tuple[int, int]] = ()
    settled: Sequence[tuple[int, int]] = ()
    commands: tuple[bytes, ...] = ()
    time: tuple[float, int] | None = None
    probe: int | None = None
    adopt: Adopt | None = None
    limit_s: float = 20.0


class Fetched(NamedTuple):
    """Samples that were missing, or `requested`."""

    records: list[Record]
    requested: bool


class Filled(NamedTuple):
    """Counters that are missing no more, as there is no sample to fetch: never made, `gone`, or `settled_by_others`."""

    ranges: Ranges
    why: str


class Reopened(NamedTuple):
    """History from counter `first` on is missing from now on, and asked for; `done`: nothing before it ever will be."""

    first: int
    done: bool


class Told(NamedTuple):
    """The tag has settled these."""

    ranges: Ranges


class Answered(NamedTuple):
    """What became of a command: an STATUS_* and the sealed reply, often empty."""

    envelope: bytes
    status: int
    sealed: bytes


class TimeTold(NamedTuple):
    """The tag's time of the sample that was asked for as `probe`, and its fields.TIME_* quality."""

    counter: int
    unix_s: int
    quality: int


class Proven(NamedTuple):
    """The tag has proven itself; what it says of its journal."""

    newest: int
    unsettled: int


Finding = Proven | Fetched | Filled | Reopened | Told | Answered | TimeTold


class VisitFailed(Exception):
    """The visit must end; `reason` is one word, counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Visit:
    """`write` what `frames` gives, `receive` what comes, `check` the time. `now_s` is on any scale of seconds."""

    def __init__(self, plan: Plan, frame_bytes: int, hub_random: bytes, now_s: float) -> None:
        """frame_bytes: what the link carries. hub_random: 8 bytes never used before. Raises VisitFailed("mtu")."""
        if frame_bytes < FRAME_BYTES_MIN:
            raise VisitFailed(FAILED_MTU)
        self.phase = GREETING
        self.proven = False
        """Whether the tag has shown that it is the one."""
        self.fetched = 0
        """Samples so far."""
        self._plan = plan
        key = plan.key
        handshake = HubHandshake(plan.tag_id, key.key, key.hub_id, key.epoch, hub_random)
        self._end = HubEnd(handshake, [], frame_bytes)
        self._room = min(frame_bytes, FRAME_BYTES_MAX) - FRAME_OVERHEAD
        self._begun_s = now_s
        self._heard_s = now_s
        self._faults = 0
        self._telling: deque[Ranges] = deque()
        self._commands: deque[bytes] = deque()
        self._adopt = plan.adopt
        self._adopting: tuple[int, int] | None = None
        self._adoptable = 0
        self._oldest: tuple[int, int] | None = None
        """Of the samples from before the first one, the earliest that knows its time: time and counter."""
        self._latest = (0, 0)
        self._asking = False
        self._answers_due = 0

    @property
    def complete(self) -> bool:
        """Whether all that was planned is done."""
        return self.phase == DONE

    def frames(self) -> list[bytes]:
        """What to write now, in order."""
        frames: list[bytes] = []
        while (frame := self._end.next_frame()) is not None:
            frames.append(frame)
        return frames

    @property
    def due_s(self) -> float:
        """When `check` has something to say, on the scale of `now_s`."""
        patience_s = IDLE_S if self.phase == WORKING else GREETING_S
        return min(self._heard_s + patience_s, self._begun_s + self._plan.limit_s)

    def check(self, now_s: float) -> bool:
        """Whether the visit may go on. Raises VisitFailed("stalled")."""
        if self.phase == DONE:
            return False
        if now_s < self.due_s:
            return True
        if now_s >= self._begun_s + self._plan.limit_s and self.phase == WORKING:
            return False
        raise VisitFailed(FAILED_STALLED)

    def receive(self, frame: bytes, now_s: float) -> list[Finding]:
        """Take a notification. Raises VisitFailed: the reason is a wire's reason word, or `faults`."""
        try:
            events = self._end.receive(frame)
        except DecodeError as error:
            if error.reason not in (REASON_FORGED, REASON_ORDER, REASON_REPLAYED):
                raise VisitFailed(error.reason) from None
            self._faults += 1
            if self._faults >= FAULTS_MAX:
                raise VisitFailed(FAILED_FAULTS) from None
            return []
        self._heard_s = now_s
        if self.phase == GREETING:
            self.phase = PROVING
            return []
        findings: list[Finding] = []
        for event in events:
            findings += self._found(event, now_s)
        if self.phase == WORKING and not (self._asking or self._answers_due):
            self.phase = DONE
        return findings

    def _found(self, event: object, now_s: float) -> list[Finding]:
        match event:
            case Established() if self.phase == PROVING:
                return self._proven(event, now_s)
            case Received():
                return self._received(event.records)
            case Absent():
                return [Filled(event.ranges, "gone" if event.gone else "never_made")]
            case Replied():
                return self._replied(event)
            case Finished():
                self._asking = False
                return self._adopt_more()
        return []

    def _proven(self, event: Established, now_s: float) -> list[Finding]:
        self.phase, self.proven = WORKING, True
        plan = self._plan
        findings: list[Finding] = [Proven(event.newest, event.unsettled)]
        if plan.time is not None:
            self._end.set_time(round(now_s + plan.time[0]), plan.time[1])
            self._answers_due += 1
        for envelope in plan.commands:
            try:
                self._end.command(envelope)
            except EncodeError:  # in a visit with larger frames it will fit
                continue
            self._commands.append(envelope)
            self._answers_due += 1
        self._tell(plan.settled)
        missing = plan.missing
        if not event.unsettled and missing:
            # Whatever the journal holds, a broker has it from somebody.
            findings.append(Filled(missing, "settled_by_others"))
            missing = []
        probe = [] if plan.probe is None else [(plan.probe, plan.probe)]
        self._adoptable = event.unsettled
        self._ask([*missing, *plan.requested, *probe])
        return findings + ([] if self._asking else self._adopt_more())

    def _tell(self, settled: Sequence[tuple[int, int]]) -> None:
        left = list(settled)
        for _ in range(SETTLE_MESSAGES_MAX):
            if not left:
                break
            before = left
            _, left = encode_ranges(left, self._room - MESSAGE_HEADER_BYTES)
            part = before[: len(before) - len(left)]
            self._end.settle(part)
            self._telling.append(part)
            self._answers_due += 1

    def _ask(self, ranges: Ranges) -> None:
        if ranges:
            self._end.want(sorted(ranges))
            self._asking = True

    def _received(self, records: list[Record]) -> list[Finding]:
        findings: list[Finding] = []
        requested: list[Record] = []
        missing: list[Record] = []
        for record in records:
            if record.counter == self._plan.probe and record.time_quality:
                findings.append(TimeTold(record.counter, record.time_4s * 4, record.time_quality))
            if _within(record.counter, self._plan.missing) or self._is_adopted(record):
                missing.append(record)
            elif _within(record.counter, self._plan.requested):
                requested.append(record)
        findings += [Fetched(part, flag) for part, flag in ((missing, False), (requested, True)) if part]
        self.fetched += len(missing) + len(requested)
        return findings

    def _is_adopted(self, record: Record) -> bool:
        if self._adopting is None or not self._adopting[0] <= record.counter <= self._adopting[1]:
            return False
        if record.time_quality:
            known = record.time_4s * 4, record.counter
            self._oldest = known if self._oldest is None else min(self._oldest, known)
            self._latest = max(self._latest, known)
        self._adoptable -= 1
        return True

    def _adopt_more(self) -> list[Finding]:
        """The next stretch of history from before the first sample, until the oldest of it is old enough, the tag has
        given all that is not settled, or its generation begins."""
        adopt = self._adopt
        if adopt is None:
            return []
        below = adopt.below if self._adopting is None else self._adopting[0]
        count = min(self._adopt_count(adopt), self._adoptable, below - adopt.not_before)
        if count <= 0:
            self._adopt = None
            return [Reopened(below, True)]
        first = below - count
        self._adopting = (first, below - 1)
        self._ask([self._adopting])
        return [Reopened(first, False)]

    def _adopt_count(self, adopt: Adopt) -> int:
        """How many samples are wanted beyond those that were fetched, from the pace at which these were made."""
        if self._adopting is None:
            return ADOPT_FIRST
        if adopt.oldest_s is None or self._oldest is None:
            return ADOPT_CHUNK
        time_s, counter = self._oldest
        pace_s = max(1, (self._latest[0] - time_s) // max(1, self._latest[1] - counter))
        return min(ADOPT_CHUNK, -(-(time_s - adopt.oldest_s) // pace_s))

    def _replied(self, event: Replied) -> list[Finding]:
        if event.message == m.HISTORY:  # in place of an end: the tag could not read on
            self._adopt = None
            return []
        self._answers_due -= 1
        if event.message == m.SETTLED and self._telling:
            ranges = self._telling.popleft()
            return [Told(ranges)] if event.status == m.STATUS_OK else []
        if event.message == m.COMMAND and self._commands:
            return [Answered(self._commands.popleft(), event.status, event.sealed)]
        return []


def _within(counter: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether a counter is in ranges that are sorted and disjoint."""
    at = bisect_right(ranges, (counter, 0xFFFFFFFF)) - 1
    return at >= 0 and counter <= ranges[at][1]
