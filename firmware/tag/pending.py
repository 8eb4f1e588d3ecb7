"""The journal's latest samples, which wait in RTC memory for their write to flash: its bytes. Pure."""

import struct

from tag.records import DELTA_MAX, RECORD_BYTES, counter_of, encode_record

WRITE_RECORDS = 8  # go to flash at once: what a power cut costs at most
PENDING_MAX = 16  # twice what is written at once: that many are kept while flash refuses
UNKNOWN = 0xFFFFFFFF
PREFIX = "journal-"
_FORMAT = "<IIIHB"
PENDING_HEADER_BYTES = struct.calcsize(_FORMAT)


class Pending:
    """What the journal remembers through deep sleep.

    base, records: a run of records that are not in flash yet. unsettled: how many samples of the journal no broker has
    acknowledged, None when that has to be counted. newest: counter of the latest sample, None before the first since
    power came. dropped: samples that were given up because flash took none.
    """

    def __init__(
        self,
        base: int = 0,
        records: bytes = b"",
        unsettled: "int | None" = None,
        newest: "int | None" = None,
        dropped: int = 0,
    ) -> None:
        self.base = base
        self.records = records
        self.unsettled = unsettled
        self.newest = newest
        self.dropped = dropped

    def count(self) -> int:
        """How many samples wait."""
        return len(self.records) // RECORD_BYTES

    def is_due(self) -> bool:
        """Whether they should be written now."""
        return self.count() >= WRITE_RECORDS

    def takes(self, counter: int) -> bool:
        """Whether a sample of that counter can join those that wait."""
        return not self.records or counter - self.base <= DELTA_MAX

    def add(self, counter: int, body: bytes, time_4s: int, alarm: bool) -> None:
        """One more sample, which `takes` allows; beyond PENDING_MAX the oldest is given up."""
        if not self.records:
            self.base = counter
        self.records += encode_record(self.base, counter, body, time_4s, alarm)
        self.newest = counter
        if self.unsettled is not None:
            self.unsettled += 1
        if self.count() > PENDING_MAX:
            self.records = self.records[RECORD_BYTES:]
            self.dropped = min(self.dropped + 1, 0xFFFF)
            self.unsettled = None  # it may have been a settled one

    def after(self, counter: int) -> "list[bytes]":
        """The records above that counter, oldest first."""
        records = [self.records[at : at + RECORD_BYTES] for at in range(0, len(self.records), RECORD_BYTES)]
        return [record for record in records if counter_of(self.base, record) > counter]

    def clear(self) -> None:
        """All that waited is in flash."""
        self.records = b""

    def give_up(self) -> None:
        """None of it gets into flash, and there is no room to wait on."""
        self.dropped = min(self.dropped + self.count(), 0xFFFF)
        self.unsettled = None
        self.clear()


def folder_of(tag_id: int) -> str:
    """Where a tag's journal is."""
    return "/%s%08x" % (PREFIX, tag_id)


def encode_pending(pending: Pending) -> bytes:
    """Its bytes; the caller adds a checksum."""
    unsettled = UNKNOWN if pending.unsettled is None else pending.unsettled
    newest = UNKNOWN if pending.newest is None else pending.newest
    header = struct.pack(_FORMAT, pending.base, unsettled, newest, pending.dropped, pending.count())
    return header + pending.records


def pending_bytes(data: bytes) -> int:
    """How many bytes `encode_pending` made, from the first PENDING_HEADER_BYTES of them."""
    return PENDING_HEADER_BYTES + data[PENDING_HEADER_BYTES - 1] * RECORD_BYTES


def decode_pending(data: bytes) -> Pending:
    """What `encode_pending` made, at the start of these bytes, which are known to be intact."""
    base, unsettled, newest, dropped, count = struct.unpack(_FORMAT, data[:PENDING_HEADER_BYTES])
    records = data[PENDING_HEADER_BYTES : PENDING_HEADER_BYTES + count * RECORD_BYTES]
    return Pending(
        base, records, None if unsettled == UNKNOWN else unsettled, None if newest == UNKNOWN else newest, dropped
    )
