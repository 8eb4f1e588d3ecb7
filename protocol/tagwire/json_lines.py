"""Batches as JSON lines, one object a sample, and back: for people, brokers' rule engines and scripts. Host, no I/O."""

import json
from typing import Any

from tagwire import fields
from tagwire.batch import Batch, Sample, samples
from tagwire.errors import REASON_FORMAT, DecodeError
from tagwire.words import ALARM_WORDS, FIX_WORDS, MOTION_WORDS, SOURCE_WORDS, TIME_WORDS

CONTENT_TYPE = "application/vnd.tagstack.samples.v1+jsonl"
LINE_BYTES_MAX = 4_096


def to_json_lines(batch: Batch) -> str:
    """One JSON object a sample and a line, in the units of people; null where a value is not available."""
    return "".join(json_line(batch.hub, sample) + "\n" for sample in samples(batch))


def json_line(hub: str, sample: Sample) -> str:
    """One sample as one line, without its end. Members that say nothing special (alarm, source) are left out."""
    return json.dumps(members(hub, sample), separators=(",", ":"), ensure_ascii=False)


def members(hub: str, sample: Sample) -> dict[str, Any]:
    """What a line says, before it is text."""
    reading = sample.reading
    row: dict[str, Any] = {
        "hub": hub,
        "tag": sample.tag_id,
        "counter": sample.counter,
        "time": reading.time_s,
        "time_quality": TIME_WORDS[reading.time_quality],
        "latitude": _scaled(reading.latitude_e7, 1e7),
        "longitude": _scaled(reading.longitude_e7, 1e7),
        "fix": FIX_WORDS[reading.fix],
        "temperature_c": _scaled(reading.temperature_mc, 1e3),
        "humidity_pct": _scaled(reading.humidity_mpct, 1e3),
        "battery_v": _scaled(reading.battery_mv, 1e3),
        "motion": MOTION_WORDS[reading.motion],
        "heard": sample.heard_s,
        "rssi_dbm": sample.rssi_dbm,
        "unconfirmed": sample.unconfirmed,
    }
    if sample.alarm_reason is not None:
        row["alarm"] = ALARM_WORDS.get(sample.alarm_reason, str(sample.alarm_reason))
    if sample.source:
        row["source"] = SOURCE_WORDS.get(sample.source, str(sample.source))
    return row


def _scaled(value: int | None, per_unit: float) -> float | None:
    return None if value is None else value / per_unit


def parse_json_line(line: str | bytes) -> tuple[str, Sample]:
    """The hub's name and the sample of one line; the opposite of `json_line`. Unknown members are ignored.

    Raises DecodeError("format").
    """
    if len(line) > LINE_BYTES_MAX:
        raise DecodeError(REASON_FORMAT, f"a line of {len(line)} bytes")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DecodeError(REASON_FORMAT, f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise DecodeError(REASON_FORMAT, "a line is a JSON object")
    take = _Members(row)
    reading = fields.Reading(
        take.scaled("latitude", 1e7, 90),
        take.scaled("longitude", 1e7, 180),
        take.scaled("temperature_c", 1e3, 1_000),
        take.scaled("humidity_pct", 1e3, 1_000),
        take.scaled("battery_v", 1e3, 1_000),
        take.word("fix", dict(enumerate(FIX_WORDS))),
        take.word("motion", dict(enumerate(MOTION_WORDS[:3]))),
        None if row.get("time") is None else take.whole("time", 1 << 34),
        take.word("time_quality", dict(enumerate(TIME_WORDS))),
    )
    hub, unconfirmed = row.get("hub"), row.get("unconfirmed")
    if not isinstance(hub, str) or not isinstance(unconfirmed, bool):
        raise DecodeError(REASON_FORMAT, "hub is a text and unconfirmed a boolean")
    sample = Sample(
        take.whole("tag", (1 << 64) - 1),
        take.whole("counter", (1 << 32) - 1),
        reading,
        take.whole("heard", 1 << 34, -(1 << 34)),
        take.whole("rssi_dbm", 127, -128),
        unconfirmed,
        take.word("alarm", ALARM_WORDS, 15) if "alarm" in row else None,
        take.word("source", SOURCE_WORDS, 255) if "source" in row else 0,
    )
    return hub, sample


class _Members:
    """The members of a line, checked."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row

    def whole(self, name: str, largest: int, smallest: int = 0) -> int:
        value = self._row.get(name)
        if type(value) is not int or not smallest <= value <= largest:
            raise DecodeError(REASON_FORMAT, f"{name} is no number from {smallest} to {largest}")
        return value

    def scaled(self, name: str, per_unit: float, largest: float) -> int | None:
        value = self._row.get(name)
        if value is None and name in self._row:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and -largest <= value <= largest:
            return round(value * per_unit)
        raise DecodeError(REASON_FORMAT, f"{name} is neither null nor a number within {largest:g}")

    def word(self, name: str, words: dict[int, str], largest: int = -1) -> int:
        value = self._row.get(name)
        for code, word in words.items():
            if value == word:
                return code
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4 and int(value) <= largest:
            return int(value)
        raise DecodeError(REASON_FORMAT, f"{name} is {value!r:.40}")
