"""A beacon byte by byte, for people. Host only, no I/O: the clock's `now` and the keys come in as arguments."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tagwire import fields
from tagwire.beacon import (
    ADVERTISEMENT_BYTES,
    BEACON_BYTES,
    COMPANY_ID_TEST,
    HEADER_BYTES,
    HINT_BACKLOG,
    HINT_CONNECTABLE,
    MIC_BYTES,
    manufacturer_data,
    open_beacon,
    parse_header,
)
from tagwire.counter import LOW_STEP, SEQUENCE_MAX, generation_of, make_counter, next_with_low
from tagwire.errors import REASON_FORGED, REASON_LENGTH, DecodeError
from tagwire.seal import aes128
from tagwire.words import FIX_WORDS, MOTION_WORDS, TIME_WORDS


class Candidate(NamedTuple):
    """A key that may open a beacon: K_beacon of a generation."""

    generation: int
    beacon_key: bytes


class Row(NamedTuple):
    """Some bytes and what they mean. `at` is their offset in what was given."""

    at: int
    data: bytes
    meaning: str


class Opened(NamedTuple):
    """What was under the seal."""

    counter: int
    codes: fields.Codes
    reading: fields.Reading


def split(data: bytes, company_id: int) -> tuple[list[Row], bytes]:
    """The rows of a beacon, or of AdvData with one in it, and the beacon. Raises DecodeError."""
    rows = []
    start = 0
    frame = data
    if len(data) != BEACON_BYTES:
        payload = manufacturer_data(data, company_id)
        if payload is None:
            raise DecodeError(
                REASON_LENGTH,
                f"{len(data)} bytes are neither a beacon (24) nor AdvData (31) with manufacturer data of company "
                f"0x{company_id:04x}",
            )
        frame = payload
        start = data.index(payload, 4)
        if len(data) == ADVERTISEMENT_BYTES and start == 7:
            rows += [
                Row(0, data[:3], f"Flags 0x{data[2]:02x}"),
                Row(3, data[3:5], f"{data[3]} bytes of Manufacturer Specific Data"),
                Row(5, data[5:7], f"company id 0x{company_id:04x}" + " (for tests)" * (company_id == COMPANY_ID_TEST)),
            ]
        else:
            rows.append(Row(0, data[:start], f"AdvData before the payload of company 0x{company_id:04x}"))
    header = parse_header(frame)
    words = ((HINT_BACKLOG, "backlog"), (HINT_CONNECTABLE, "connectable now"))
    hints = [word for bit, word in words if header.hints & bit]
    mic_at = BEACON_BYTES - MIC_BYTES
    rows += [
        Row(start, frame[:1], f"version 1, kind sample, hints: {', '.join(hints) or 'none'}"),
        Row(start + 1, frame[1:5], f"tag id {header.tag_id} (0x{header.tag_id:08x})"),
        Row(start + 5, frame[5:7], f"counter, low 16 bits: {header.counter_low}"),
        Row(start + HEADER_BYTES, frame[HEADER_BYTES:mic_at], "sealed body"),
        Row(start + mic_at, frame[mic_at:], "MIC"),
    ]
    return rows, frame


def open_with(frame: bytes, candidates: Iterable[Candidate]) -> Opened:
    """Try every counter of each candidate's generation that ends in the beacon's 16 bits: at most 256 a key.

    Raises DecodeError("forged") where none fits.
    """
    low = parse_header(frame).counter_low
    generations = []
    for generation, key in candidates:
        generations.append(str(generation))
        encrypt = aes128(key)
        first = next_with_low(make_counter(generation, 0) - 1, low)
        for counter in range(first, make_counter(generation, SEQUENCE_MAX) + 1, LOW_STEP):
            try:
                codes = fields.unpack_body(open_beacon(encrypt, frame, counter))
            except DecodeError:
                continue
            return Opened(counter, codes, fields.from_codes(codes))
    raise DecodeError(REASON_FORGED, f"no counter of generation {' or '.join(generations)} fits the MIC under this key")


def iso_time(time_s: int) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def values(opened: Opened, now_s: int) -> dict[str, tuple[int, str, Any]]:
    """Name to (code, text with its unit, value for JSON). The time is the one nearest to `now_s`."""
    codes, reading = opened.codes, opened.reading

    def scaled(value: int | None, per_unit: float, unit: str) -> tuple[str, float | None]:
        return ("not available", None) if value is None else (f"{value / per_unit:g} {unit}", value / per_unit)

    def degrees(value_e7: int | None) -> tuple[str, float | None]:
        return ("not available", None) if value_e7 is None else (f"{value_e7 / 1e7:.5f}°", value_e7 / 1e7)

    time_s = None if reading.time_s is None else fields.resolve_time(reading.time_s, now_s)
    time_text = "not available" if time_s is None else f"{iso_time(time_s)} if sent within 34 minutes of now"
    return {
        "latitude": (codes.latitude, *degrees(reading.latitude_e7)),
        "longitude": (codes.longitude, *degrees(reading.longitude_e7)),
        "temperature_c": (codes.temperature, *scaled(reading.temperature_mc, 1e3, "°C")),
        "humidity_pct": (codes.humidity, *scaled(reading.humidity_mpct, 1e3, "%RH")),
        "battery_v": (codes.battery, *scaled(reading.battery_mv, 1e3, "V")),
        "fix": (codes.fix, FIX_WORDS[reading.fix], FIX_WORDS[reading.fix]),
        "motion": (codes.motion, MOTION_WORDS[reading.motion], MOTION_WORDS[reading.motion]),
        "time": (codes.time, time_text, time_s),
        "time_quality": (codes.time_quality, TIME_WORDS[reading.time_quality], TIME_WORDS[reading.time_quality]),
    }


def as_text(rows: list[Row], opened: Opened | None, now_s: int) -> str:
    """The explanation as lines of text."""
    lines = [f"{row.at:3}  {_wrapped_hex(row.data)}  {row.meaning}" for row in rows]
    if opened is not None:
        generation = generation_of(opened.counter)
        sequence = opened.counter & SEQUENCE_MAX
        lines += ["", f"opened; counter {opened.counter}: generation {generation}, sequence {sequence}"]
        lines += [f"  {name:13} {text}  (code {code})" for name, (code, text, _) in values(opened, now_s).items()]
    return "\n".join(lines)


def as_dict(frame: bytes, opened: Opened | None, now_s: int) -> dict[str, Any]:
    """The same for programs; what was under the seal only where it was opened."""
    header = parse_header(frame)
    row: dict[str, Any] = {
        "kind": "sample",
        "tag": header.tag_id,
        "counter_low": header.counter_low,
        "backlog": bool(header.hints & HINT_BACKLOG),
        "connectable": bool(header.hints & HINT_CONNECTABLE),
        "opened": opened is not None,
    }
    if opened is not None:
        row["counter"] = opened.counter
        row.update((name, value) for name, (_, _, value) in values(opened, now_s).items())
    return row


def _wrapped_hex(data: bytes) -> str:
    return f"{data.hex(' '):32}"
