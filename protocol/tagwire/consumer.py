"""What a consumer of the MQTT topics needs: any publish to samples, and each sample once. Host only, no I/O."""

from array import array
from collections import OrderedDict
from typing import NamedTuple

from tagwire import batch, json_lines
from tagwire.batch import MAX_SAMPLES, Sample, decode_batch, samples
from tagwire.errors import REASON_FORMAT, DecodeError

PAGE_SAMPLES = 128
_QUALITY_BITS = 2
_DIGEST_MASK = (1 << 30) - 1


class Publish(NamedTuple):
    """What one MQTT publish holds.

    hub: the name of the hub that heard the samples. sequence: of the batch, None in JSON lines. position: where the hub
    was, (latitude, longitude) in 1e-7 degree, or None.
    """

    hub: str
    sequence: int | None
    position: tuple[int, int] | None
    samples: list[Sample]


def decode_publish(payload: bytes, content_type: str | None = None) -> Publish:
    """Any payload of a `samples` or `backlog` topic.

    content_type: the MQTT 5 property; where there is none (MQTT 3.1.1), the payload's first byte tells. Raises
    DecodeError("format").
    """
    if not content_type:
        content_type = json_lines.CONTENT_TYPE if payload[:1] == b"{" else batch.CONTENT_TYPE
    if content_type == batch.CONTENT_TYPE:
        decoded = decode_batch(payload)
        return Publish(decoded.hub, decoded.sequence, decoded.position, samples(decoded))
    if content_type != json_lines.CONTENT_TYPE:
        raise DecodeError(REASON_FORMAT, f"content type {content_type[:80]!r}")
    if len(payload) > MAX_SAMPLES * 100:
        raise DecodeError(REASON_FORMAT, f"JSON lines of {len(payload)} bytes")
    rows = [json_lines.parse_json_line(line) for line in payload.splitlines() if line]
    if not rows or any(hub != rows[0][0] for hub, _ in rows):
        raise DecodeError(REASON_FORMAT, "JSON lines of one hub belong here")
    return Publish(rows[0][0], None, None, [sample for _, sample in rows])


class Conflict(NamedTuple):
    """A sample whose measured values are not those that were taken for the same identity before."""

    hub: str
    sample: Sample


class Merged(NamedTuple):
    """What a publish adds to what is known.

    new: samples that were not there yet. retimed: samples that are known, but now come with a better time. conflicts:
    other values than before under the same identity; the first ones stand. repeats: how many said nothing new.
    """

    new: list[Sample]
    retimed: list[Sample]
    conflicts: list[Conflict]
    repeats: int


class Merger:
    """Takes publishes in any order, any number of times, from any number of hubs, and hands out each sample once.

    A sample's identity is (tag id, counter); a foreign tag's counters belong to its hub. Of each sample 4 bytes are
    kept: a digest of its values and its time's quality, in pages of 128 counters. At most `max_pages` pages stay, some
    50 MB for 65,536: the one that was touched longest ago goes first, and a sample of a forgotten page is new again.
    The same is true after a restart, so store what is new by its identity ("insert or ignore").
    """

    def __init__(self, max_pages: int = 65_536) -> None:
        if max_pages < 1:
            raise ValueError("a merger needs a page")
        self.forgotten_pages = 0
        self._max_pages = max_pages
        self._pages: OrderedDict[tuple[object, ...], array[int]] = OrderedDict()

    def add(self, publish: Publish) -> Merged:
        """The samples of a publish, sorted into what is new and what is not."""
        new: list[Sample] = []
        retimed: list[Sample] = []
        conflicts: list[Conflict] = []
        for sample in publish.samples:
            page, slot = self._slot(publish.hub, sample)
            known = page[slot]
            reading = sample.reading
            quality = reading.time_quality
            digest = hash((*reading[:7], sample.alarm_reason)) & _DIGEST_MASK or 1  # 0 is a free slot
            if not known:
                page[slot] = digest << _QUALITY_BITS | quality
                new.append(sample)
            elif known >> _QUALITY_BITS != digest:
                conflicts.append(Conflict(publish.hub, sample))
            elif known & 3 < quality:
                page[slot] = digest << _QUALITY_BITS | quality
                retimed.append(sample)
        repeats = len(publish.samples) - len(new) - len(retimed) - len(conflicts)
        return Merged(new, retimed, conflicts, repeats)

    def _slot(self, hub: str, sample: Sample) -> "tuple[array[int], int]":
        number, slot = divmod(sample.counter, PAGE_SAMPLES)
        # A foreign tag's counter is the hub's own, so the hub belongs to the identity.
        key = (sample.tag_id, number, sample.source, hub) if sample.source else (sample.tag_id, number)
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = array("I", bytes(4 * PAGE_SAMPLES))
            if len(self._pages) > self._max_pages:
                self._pages.popitem(last=False)
                self.forgotten_pages += 1
        else:
            self._pages.move_to_end(key)
        return page, slot
