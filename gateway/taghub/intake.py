"""From what a radio reported to samples that are authentic and new. Pure: time comes with each report.

A beacon carries 16 of its counter's 32 bits. The intake tries the smallest counter above the last accepted one, which
is right unless the tag was away for 65,536 samples; only then, and on first contact, it searches, under a budget.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from taghub.budget import SearchBudget
from taghub.heard import Heard
from taghub.names import PrivateNames
from taghub.notices import Notice, Notices
from taghub.registry import Generation, Keyring, Registry, Tag
from taghub.waiting import WaitingFrames
from tagwire.alarm import alarm_reading
from tagwire.beacon import (
    BEACON_BYTES,
    HEADER_BYTES,
    HINT_BACKLOG,
    HINT_CONNECTABLE,
    HINT_PRIVATE,
    KIND_ALARM,
    KIND_SERVICE,
    parse_header,
)
from tagwire.counter import LOW_STEP, next_with_low
from tagwire.errors import REASON_FORGED, REASON_KIND, REASON_LENGTH, REASON_VERSION, DecodeError
from tagwire.fields import Reading, from_codes, unpack_body

ACCEPTED = "accepted"
REPEAT = "repeat"  # the sample that was accepted last, once more: a burst has many events
REPLAYED = "replayed"  # authentic, but not above the last accepted counter
FORGED = REASON_FORGED  # no counter that this tag could be at opens it
BUDGET = "budget"  # not proven, and no tries left to search with; a genuine tag is heard again in a moment
UNKNOWN = "unknown"  # no such tag in the keyring, or nobody bears that private id now; it waits for a key
EXPIRED = "expired"  # the keyring's permission for this tag has ended
SERVICE = "service"  # a tag, or anybody, says that a tag needs service
LENGTH = REASON_LENGTH  # of the payload; version and kind likewise: a frame of another edition, or chance
VERSION = REASON_VERSION
KIND = REASON_KIND
OUTCOMES = (ACCEPTED, REPEAT, REPLAYED, FORGED, BUDGET, UNKNOWN, EXPIRED, SERVICE, LENGTH, VERSION, KIND)

RESOLVED_MAX = 100_000  # senders that the hot path knows, some 200 bytes each


class Accepted(NamedTuple):
    """A new authentic sample as it was first heard. `body` is the opened body, 11 bytes; `unconfirmed` marks the first
    sample ever accepted from a tag, which a recording could have been; `byte0` is the beacon's first byte, 1 for a
    plain sample."""

    tag_id: int
    counter: int
    body: bytes
    t_us: int
    rssi_dbm: int
    unconfirmed: bool
    byte0: int = 1

    @property
    def alarm(self) -> bool:
        """Whether it is an alarm; its reason is `tagwire.alarm.reason_of` its codes."""
        return self.byte0 >> 2 & 3 == KIND_ALARM

    @property
    def backlog(self) -> bool:
        """Whether the tag says that it holds samples which nobody has acknowledged."""
        return bool(self.byte0 & HINT_BACKLOG)

    @property
    def connectable(self) -> bool:
        """Whether the tag accepts a connection at this moment."""
        return bool(self.byte0 & HINT_CONNECTABLE)

    @property
    def reading(self) -> Reading:
        """The sample's values; `time_s` modulo 4,096 s, see `tagwire.fields.resolve_time`."""
        codes = unpack_body(self.body)
        return alarm_reading(codes) if self.alarm else from_codes(codes)


Sender = tuple[Tag, Callable[[bytes, bytes, bytes], bytes], int, bytes, int, int]
"""A proven claim: tag, its generation's `decrypt` and `final`, the nonce's first five bytes, the claim's mask and epoch
(in bits 40 to 63)."""


class _Claim(NamedTuple):
    """Whom a frame may be from: a tag in one of its generations, what masks the counter, and what the nonce has beyond
    the counter: the epoch, in bits 40 to 63. Both are 0 for a public id."""

    tag: Tag
    generation: Generation
    mask: int
    epoch_bits: int


def _way_of_byte0(byte0: int) -> str:
    """The word to count a beacon with this first byte under; empty for a sealed one."""
    try:
        header = parse_header(bytes([byte0]) + bytes(BEACON_BYTES - 1))
    except DecodeError as error:
        return error.reason
    return SERVICE if header.kind == KIND_SERVICE else ""


_WAY_OF_BYTE0 = tuple(_way_of_byte0(byte0) for byte0 in range(256))


class Intake:
    """Opens beacons, drops repeats and replays, and counts every report under one of OUTCOMES."""

    def __init__(self, registry: Registry, budget: SearchBudget | None = None, last_epoch: int = 0) -> None:
        self.registry = registry
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.names = PrivateNames(registry.id_keys, last_epoch)
        self.waiting = WaitingFrames()
        self.notices = Notices()
        self.news: list[Notice] = []
        """Notices worth a line in the log; whoever writes them clears the list. Bounded by Notices' own rate."""
        self._budget = budget or SearchBudget()
        self._epoch = -1
        self.senders: dict[bytes, Sender] = {}
        """From byte 0 and the id as sent to a claim that was proven. Of a generation that is over, `final` is below the
        tag's `last`, which ends it here too."""

    def take(self, reports: Iterable[Heard]) -> list[Accepted]:
        """The new samples among `reports`, in their order. Never raises for what came over the air."""
        senders = self.senders
        counts = self.counts
        accepted: list[Accepted] = []
        new = tuple.__new__  # what Accepted(...) comes to, at a third of its cost
        for t_us, rssi_dbm, frame, _ in reports:
            sender = senders.get(frame[:5])
            if sender is not None and len(frame) == BEACON_BYTES:
                # next_with_low and _opened, inlined: this is the hub's hottest path
                tag, decrypt, final, nonce_head, mask, epoch_bits = sender
                if frame == tag.last_frame:
                    counts[REPEAT] += 1
                    continue
                last = tag.last
                counter = last & ~0xFFFF | (frame[5] | frame[6] << 8) ^ mask
                if counter <= last:
                    counter += LOW_STEP
                try:
                    if counter > final or t_us >= tag.limit_us:
                        raise InvalidTag
                    body = decrypt(nonce_head + (counter | epoch_bits).to_bytes(8, "little"), frame[7:], frame[:7])
                except InvalidTag:
                    sender = None
            else:
                sender = None
            if sender is None:
                outcome = self._identify(t_us, rssi_dbm, frame)
                if isinstance(outcome, str):
                    counts[outcome] += 1
                    continue
                tag, counter, body = outcome
                tag.advance(counter)
            accepted.append(new(Accepted, (tag.tag_id, counter, body, t_us, rssi_dbm, not tag.heard, frame[0])))
            tag.last = counter
            tag.last_frame = frame
            tag.heard = True
        counts[ACCEPTED] += len(accepted)
        return accepted

    def replace_keyring(self, keyring: Keyring, now_us: int) -> list[Accepted]:
        """Take another keyring: the samples among the waiting frames that it opens."""
        self.registry.replace(keyring)
        self.senders.clear()
        self.names.replace(self.registry.id_keys)
        return self._take_waiting(now_us)

    def work(self, now_us: int, certain: bool) -> list[Accepted]:
        """A slice of what private ids need, some milliseconds long: the samples among the waiting frames that have
        found their tag by it. `certain`: whether the clock of `now_us` is synchronised."""
        epoch = self.names.epoch(now_us, certain)
        if epoch != self._epoch:
            self._epoch = epoch
            if self.registry.identities:  # a name that is out of the window has to be unknown; public ids stay
                self.senders = {name: sender for name, sender in self.senders.items() if not name[0] & HINT_PRIVATE}
        if self.names.work(now_us, certain):
            return self._take_waiting(now_us)
        if certain or not self.names.complete:
            return []
        frames = {frame[1:5]: frame for frame in self.waiting.frames() if frame[0] & HINT_PRIVATE}
        for candidate in self.names.search(now_us, list(frames)):
            claim = self._claim(*candidate)
            if any(isinstance(self._search([claim], frame, now_us), tuple) for frame in frames.values()):
                self.names.found(now_us, candidate.epoch)
                break
        return []

    @property
    def has_work(self) -> bool:
        """Whether `work` should be called again soon."""
        return not self.names.complete or self.names.searching

    def _identify(self, t_us: int, rssi_dbm: int, frame: bytes) -> tuple[Tag, int, bytes] | str:
        """What a frame is that the hot path does not know: as `_search`. Remembers the sender of a new sample."""
        if len(frame) != BEACON_BYTES:
            return LENGTH
        way = _WAY_OF_BYTE0[frame[0]]
        if way is SERVICE:
            if (notice := self.notices.add(t_us, rssi_dbm, frame)) is not None:
                self.news.append(notice)
            return SERVICE
        if way:
            return way
        claims = self._claims(frame)
        if not claims:
            self.waiting.add(Heard(t_us, rssi_dbm, frame))
            return UNKNOWN
        if any(frame == claim.tag.last_frame for claim in claims):
            return REPEAT
        if all(t_us >= claim.tag.expires_us for claim in claims):
            return EXPIRED
        valid = [claim for claim in claims if claim.generation in claim.tag.open_generations(t_us)]
        found = self._search(valid, frame, t_us)
        if isinstance(found, Tag):  # the sample that was accepted last, in another frame
            found.last_frame = frame
            return REPEAT
        if isinstance(found, str):
            return found
        claim, counter, body = found
        if len(self.senders) >= RESOLVED_MAX:
            self.senders.clear()
        tag, generation, mask, epoch_bits = claim
        nonce_head = frame[:1] + tag.id_bytes
        self.senders[frame[:5]] = (tag, generation.decrypt, generation.final, nonce_head, mask, epoch_bits)
        return tag, counter, body

    def sender(self, frame: bytes) -> Tag | None:
        """Whose last sample a frame is, which proves that the tag has sent it; None where it is anything else."""
        if len(frame) != BEACON_BYTES:
            return None
        return next((claim.tag for claim in self._claims(frame) if frame == claim.tag.last_frame), None)

    def _take_waiting(self, now_us: int) -> list[Accepted]:
        def known(frame: bytes) -> bool:
            return bool(self.names.find(frame[1:5])) if frame[0] & HINT_PRIVATE else frame[1:5] in self.registry.tags

        reports = self.waiting.take(now_us, known)
        self.counts[UNKNOWN] -= len(reports)  # each is counted under what it turns out to be
        return self.take(reports)

    def _claims(self, frame: bytes) -> list[_Claim]:
        """Whom a frame may be from."""
        if frame[0] & HINT_PRIVATE:
            return [self._claim(*candidate) for candidate in self.names.find(frame[1:5])]
        tag = self.registry.tags.get(frame[1:5])
        if tag is None:
            return []
        generations = [tag.generation] if tag.newer is None else [tag.generation, tag.newer]
        return [_Claim(tag, generation, 0, 0) for generation in generations]

    def _claim(self, key_index: int, mask: int, epoch: int) -> _Claim:
        return _Claim(*self.registry.identities[key_index], mask, epoch << 40)

    def _search(self, claims: list[_Claim], frame: bytes, now_us: int) -> tuple[_Claim, int, bytes] | Tag | str:
        """What `frame` is: whose, its counter and body if it is new; the tag whose last sample it repeats; else the
        outcome to count it under. Changes nothing but the budget."""
        rest: list[tuple[_Claim, int]] = []
        for claim in claims:
            tag, generation, mask, _ = claim
            low = (frame[5] | frame[6] << 8) ^ mask
            first = next_with_low(max(tag.last, generation.first - 1), low)
            if first <= generation.final and (body := _opened(claim, frame, first)) is not None:
                return claim, first, body
            rest += [(claim, counter) for counter in range(first + LOW_STEP, generation.final + 1, LOW_STEP)]
            below = first - LOW_STEP
            if below >= generation.first and _opened(claim, frame, below) is not None:
                # The same counter in another frame is the same sample: another hint, or another epoch's name.
                return tag if below == tag.last else REPLAYED
        if not self._budget.spend(len(rest), now_us):
            return BUDGET
        for tries, (claim, counter) in enumerate(rest, 1):
            if (body := _opened(claim, frame, counter)) is not None:
                self._budget.give_back(len(rest) - tries)
                return claim, counter, body
        return FORGED


def _opened(claim: _Claim, frame: bytes, counter: int) -> bytes | None:
    """The frame's body if `counter` is the one it was sealed under, else None.

    The nonce (SPEC.md, "Seal"): byte 0, the true tag id, the counter, a zero for a beacon's kind and direction, the
    epoch.
    """
    nonce = frame[:1] + claim.tag.id_bytes + (counter | claim.epoch_bits).to_bytes(8, "little")
    try:
        return claim.generation.decrypt(nonce, frame[HEADER_BYTES:], frame[:HEADER_BYTES])
    except InvalidTag:
        return None
