"""A tag's journal: from the files that `tagsmith dump` copied to samples. Pure, but that the firmware's own files say
how a record looks."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tagsmith.firmware_rules import firmware_module
from tagwire.alarm import alarm_reading, reason_of
from tagwire.batch import Sample
from tagwire.counter import COUNTER_MAX
from tagwire.fields import TIME_STEP_S, TIME_UNKNOWN, from_codes, unpack_body
from tagwire.history import Record, codes_of
from tagwire.json_lines import members

_RUN = r"(?P<base>[0-9a-f]{8})(?P<waiting>\.waiting)?"  # base: the counter of its first sample
_FILE = re.compile(rf"journal-(?P<tag>[0-9a-f]{{8}})/(?:(?P<settled>settled)|{_RUN})")
_NOT_OF_A_DUMP = ("hub", "heard", "rssi_dbm", "unconfirmed")


class Entry(NamedTuple):
    """One sample of a journal. in_flash: False for one that waited in RTC memory. settled: a broker has it."""

    tag_id: int
    record: Record
    in_flash: bool
    settled: bool


class Journal(NamedTuple):
    """All journals of a dump. damaged: records whose checksum does not fit. lost: samples that gave way to newer ones
    before a broker had them. remarks: a sentence for each file that cannot be read as what it should be."""

    entries: list[Entry]
    damaged: int
    lost: int
    remarks: list[str]


def decode_journal(files: Mapping[str, bytes]) -> Journal:
    """The samples of all journals among these files (path on the tag to content), by tag and counter, each once.

    Files that are no journal's are left alone; nothing in the bytes is an error. `*.waiting` is what `ontag/dump.py`
    makes of the samples in RTC memory.
    """
    found: dict[tuple[int, int], Entry] = {}
    settled: dict[int, list[tuple[int, int]]] = {}
    damaged = lost = 0
    remarks = []
    runs = []
    for path, data in files.items():
        name = _FILE.fullmatch(path)
        if name is None:
            continue
        tag_id = int(name["tag"], 16)
        if name["base"]:
            runs.append((name["waiting"] is not None, int(name["base"], 16), tag_id, data))
        elif (known := firmware_module("tag/settled.py").decode_settled(data)) is not None:
            settled[tag_id], lost = known.ranges, lost + known.lost
        else:
            remarks.append(f"{path} is damaged: the samples of tag {tag_id} count as unsettled")
    for waits, base, tag_id, data in sorted(runs):  # flash first: what still waits may be there already
        records, bad = decode_run(base, data)
        damaged += bad
        for record in records:
            is_settled = any(first <= record.counter <= last for first, last in settled.get(tag_id, ()))
            found.setdefault((tag_id, record.counter), Entry(tag_id, record, not waits, is_settled))
    return Journal([found[key] for key in sorted(found)], damaged, lost, remarks)


def decode_run(base: int, data: bytes) -> tuple[list[Record], int]:
    """The intact records of one file, and how many are not; a torn last one counts as one. base: the file's name."""
    records = firmware_module("tag/records.py")
    pieces = [data[at : at + records.RECORD_BYTES] for at in range(0, len(data), records.RECORD_BYTES)]
    intact = []
    for piece in pieces:
        if not records.is_intact(base, piece) or records.counter_of(base, piece) > COUNTER_MAX:
            continue
        codes = unpack_body(piece[:11])
        time_4s = 0 if codes.time_quality == TIME_UNKNOWN else records.time_high_of(piece) << 10 | codes.time
        counter, is_alarm = records.counter_of(base, piece), records.is_alarm(piece)
        intact.append(Record(counter, time_4s, *codes[:7], codes.time_quality, is_alarm))
    return intact, len(pieces) - len(intact)


def row_of(entry: Entry) -> dict[str, Any]:
    """One sample for people and programs, with the members of JSON lines that a tag itself knows."""
    record = entry.record
    codes = codes_of(record)
    reading = alarm_reading(codes) if record.alarm else from_codes(codes)
    time_s = None if record.time_quality == TIME_UNKNOWN else record.time_4s * TIME_STEP_S
    reason = reason_of(codes) if record.alarm else None
    sample = Sample(entry.tag_id, record.counter, reading._replace(time_s=time_s), 0, 0, False, reason)
    row = {name: value for name, value in members("", sample).items() if name not in _NOT_OF_A_DUMP}
    return {**row, "alarm": row.get("alarm"), "in_flash": entry.in_flash, "settled": entry.settled}
