"""From what a radio reported to samples that are authentic and new. Pure: time comes with each report.

A beacon carries 16 of its counter's 32 bits. The intake tries the smallest counter above the last accepted one, which
is right unless the tag was away for 65,536 samples; only then, and on first contact, it searches, under a budget.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from taghub.budget import SearchBudget
from taghub.heard import Heard
from taghub.registry import Epoch, Registry, Tag
from tagwire.beacon import BEACON_BYTES, HEADER_BYTES, HINT_PRIVATE, KIND_SAMPLE, parse_header
from tagwire.counter import LOW_STEP, next_with_low
from tagwire.errors import REASON_FORGED, REASON_KIND, REASON_LENGTH, REASON_VERSION, DecodeError
from tagwire.fields import Reading, from_codes, unpack_body

ACCEPTED = "accepted"
REPEAT = "repeat"  # the sample that was accepted last, once more: a burst has many events
REPLAYED = "replayed"  # authentic, but not above the last accepted counter
FORGED = REASON_FORGED  # no counter that this tag could be at opens it
BUDGET = "budget"  # not proven, and no tries left to search with; a genuine tag is heard again in a moment
UNKNOWN = "unknown"  # no such tag in the keyring
EXPIRED = "expired"  # the keyring's permission for this tag has ended
LENGTH = REASON_LENGTH  # of the payload; version and kind likewise: a frame of another edition, or chance
VERSION = REASON_VERSION
KIND = REASON_KIND
OUTCOMES = (ACCEPTED, REPEAT, REPLAYED, FORGED, BUDGET, UNKNOWN, EXPIRED, LENGTH, VERSION, KIND)


class Accepted(NamedTuple):
    """A new authentic sample as it was first heard. `body` is the opened body, 11 bytes; `unconfirmed` marks the first
    sample ever accepted from a tag, which a recording could have been."""

    tag_id: int
    counter: int
    body: bytes
    t_us: int
    rssi_dbm: int
    unconfirmed: bool

    @property
    def reading(self) -> Reading:
        """The sample's values; `time_s` modulo 4,096 s, see `tagwire.fields.resolve_time`."""
        return from_codes(unpack_body(self.body))


def _reason_of_byte0(byte0: int) -> str:
    """Why a beacon that begins with this byte is no public sample; empty where it is one."""
    try:
        header = parse_header(bytes([byte0]) + bytes(BEACON_BYTES - 1))
    except DecodeError as error:
        return error.reason
    return "" if header.kind == KIND_SAMPLE and not header.hints & HINT_PRIVATE else KIND


_REASON_OF_BYTE0 = tuple(_reason_of_byte0(byte0) for byte0 in range(256))


class Intake:
    """Opens beacons, drops repeats and replays, and counts every report under one of OUTCOMES."""

    def __init__(self, registry: Registry, budget: SearchBudget | None = None) -> None:
        self.registry = registry
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self._budget = budget or SearchBudget()

    def take(self, reports: Iterable[Heard]) -> list[Accepted]:
        """The new samples among `reports`, in their order. Never raises for what came over the air."""
        tags = self.registry.tags
        counts = self.counts
        accepted: list[Accepted] = []
        new = tuple.__new__  # what Accepted(...) comes to, at a third of its cost
        for t_us, rssi_dbm, frame in reports:
            if len(frame) != BEACON_BYTES:
                counts[LENGTH] += 1
                continue
            if reason := _REASON_OF_BYTE0[frame[0]]:
                counts[reason] += 1
                continue
            tag = tags.get(frame[1:5])
            if tag is None:
                counts[UNKNOWN] += 1
                continue
            if frame == tag.last_frame:
                counts[REPEAT] += 1
                continue
            if t_us >= tag.expires_us:
                counts[EXPIRED] += 1
                continue
            # next_with_low and _opened, inlined: this loop is the hub's hottest
            last = tag.last
            counter = last & ~0xFFFF | frame[5] | frame[6] << 8
            if counter <= last:
                counter += LOW_STEP
            epoch = tag.epoch
            try:
                if counter > epoch.final:
                    raise InvalidTag
                body = epoch.decrypt(frame[:5] + counter.to_bytes(8, "little"), frame[7:], frame[:7])
            except InvalidTag:
                found = self._search(tag, frame, counter, t_us)
                if isinstance(found, str):
                    counts[found] += 1
                    continue
                counter, body = found
            accepted.append(new(Accepted, (tag.tag_id, counter, body, t_us, rssi_dbm, not tag.last_frame)))
            tag.last = counter
            tag.last_frame = frame
        counts[ACCEPTED] += len(accepted)
        return accepted

    def _search(self, tag: Tag, frame: bytes, first: int, now_us: int) -> tuple[int, bytes] | str:
        """What `frame` is, when `first`, the likeliest counter, did not open it: its counter and body if it is new (the
        tag then stands in that counter's generation), else the outcome to count it under."""
        epoch = tag.epoch
        below = first - LOW_STEP
        if below >= epoch.first and _opened(epoch, frame, below) is not None:
            # The same counter in another frame is the same sample with another hint.
            return REPEAT if below == tag.last else REPLAYED
        candidates = [(epoch, counter) for counter in range(first + LOW_STEP, epoch.final + 1, LOW_STEP)]
        if tag.newer is not None:
            start = next_with_low(tag.newer.first - 1, first & 0xFFFF)
            if (body := _opened(tag.newer, frame, start)) is not None:
                tag.enter_newer()
                return start, body
            candidates += [(tag.newer, counter) for counter in range(start + LOW_STEP, tag.newer.final + 1, LOW_STEP)]
        if not self._budget.spend(len(candidates), now_us):
            return BUDGET
        for tries, (candidate_epoch, counter) in enumerate(candidates, 1):
            if (body := _opened(candidate_epoch, frame, counter)) is not None:
                self._budget.give_back(len(candidates) - tries)
                if candidate_epoch is not epoch:
                    tag.enter_newer()
                return counter, body
        return FORGED


def _opened(epoch: Epoch, frame: bytes, counter: int) -> bytes | None:
    """The frame's body if `counter` is the one it was sealed under, else None.

    The nonce (SPEC.md, "Seal") is byte 0 and the tag id as they stand in the frame, the counter, and four zero bytes:
    a beacon's frame kind and direction, and the epoch of public mode.
    """
    try:
        return epoch.decrypt(frame[:5] + counter.to_bytes(8, "little"), frame[HEADER_BYTES:], frame[:HEADER_BYTES])
    except InvalidTag:
        return None
