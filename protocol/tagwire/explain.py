"""A beacon byte by byte, for people. Host only, no I/O: the clock's `now` and the keys come in as arguments."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tagwire import alarm, fields
from tagwire.beacon import (
    ADVERTISEMENT_BYTES,
    BEACON_BYTES,
    COMPANY_ID_TEST,
    EPOCH_MAX,
    HEADER_BYTES,
    HINT_BACKLOG,
    HINT_CONNECTABLE,
    HINT_PRIVATE,
    KIND_ALARM,
    KIND_SERVICE,
    MIC_BYTES,
    Header,
    epoch_of,
    manufacturer_data,
    open_beacon,
    parse_header,
    private_name,
)
from tagwire.counter import LOW_STEP, SEQUENCE_MAX, generation_of, make_counter, next_with_low
from tagwire.errors import REASON_FORGED, REASON_LENGTH, DecodeError
from tagwire.seal import aes128
from tagwire.service import decode_service
from tagwire.words import ALARM_WORDS, BOARD_WORDS, FIX_WORDS, KIND_WORDS, MOTION_WORDS, SERVICE_WORDS, TIME_WORDS

EPOCHS_EACH_SIDE = 84  # a day, for private ids


class Candidate(NamedTuple):
    """Keys that may open a beacon: K_beacon of a generation; K_id and the true tag id where ids may be private."""

    generation: int
    beacon_key: bytes
    id_key: bytes | None = None
    tag_id: int | None = None


class Row(NamedTuple):
    """Some bytes and what they mean. `at` is their offset in what was given."""

    at: int
    data: bytes
    meaning: str


class Opened(NamedTuple):
    """What was under the seal. alarm_reason: None where the beacon is no alarm."""

    tag_id: int
    counter: int
    codes: fields.Codes
    reading: fields.Reading
    alarm_reason: int | None


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
    words = ((HINT_BACKLOG, "backlog"), (HINT_PRIVATE, "private"), (HINT_CONNECTABLE, "connectable now"))
    hints = [word for bit, word in words if header.hints & bit]
    named = f"tag id {header.tag_id} (0x{header.tag_id:08x})"
    low = f"counter, low 16 bits: {header.counter_low}"
    if header.hints & HINT_PRIVATE:
        named, low = "private id, changes every 1,024 s", "counter, low 16 bits, masked"
    rows += [
        Row(start, frame[:1], f"version 1, kind {KIND_WORDS[header.kind]}, hints: {', '.join(hints) or 'none'}"),
        Row(start + 1, frame[1:5], named),
        Row(start + 5, frame[5:7], low),
    ]
    if header.kind == KIND_SERVICE:
        return rows + _service_rows(start, frame), frame
    mic_at = BEACON_BYTES - MIC_BYTES
    rows += [
        Row(start + HEADER_BYTES, frame[HEADER_BYTES:mic_at], "sealed body"),
        Row(start + mic_at, frame[mic_at:], "MIC"),
    ]
    return rows, frame


def _service_rows(start: int, frame: bytes) -> list[Row]:
    service = decode_service(frame)
    battery = "not available" if service.battery_mv is None else f"{service.battery_mv / 1e3:g} V"
    return [
        Row(start + 7, frame[7:8], f"reason: {SERVICE_WORDS.get(service.reason, service.reason)}"),
        Row(start + 8, frame[8:11], f"firmware {'.'.join(map(str, service.version))}"),
        Row(start + 11, frame[11:12], f"board {BOARD_WORDS.get(service.board, service.board)}"),
        Row(start + 12, frame[12:13], f"battery {battery}"),
        Row(start + 13, frame[13:16], f"{service.uptime_s} s since power came"),
        Row(start + 16, frame[16:], "unused; the beacon is not sealed: anybody can send one"),
    ]


def open_with(frame: bytes, candidates: Iterable[Candidate], now_s: int) -> Opened:
    """Try every counter of each candidate's generation that ends in the beacon's 16 bits: at most 256 a key.

    Private ids are looked for within a day of `now_s`. Raises DecodeError("forged") where nothing fits.
    """
    header = parse_header(frame)
    generations = []
    for candidate in candidates:
        generations.append(str(candidate.generation))
        encrypt = aes128(candidate.beacon_key)
        for tag_id, low, epoch in _identities(header, candidate, now_s):
            first = next_with_low(make_counter(candidate.generation, 0) - 1, low)
            for counter in range(first, make_counter(candidate.generation, SEQUENCE_MAX) + 1, LOW_STEP):
                try:
                    codes = fields.unpack_body(open_beacon(encrypt, frame, counter, tag_id, epoch))
                except DecodeError:
                    continue
                if header.kind == KIND_ALARM:
                    return Opened(tag_id, counter, codes, alarm.alarm_reading(codes), alarm.reason_of(codes))
                return Opened(tag_id, counter, codes, fields.from_codes(codes), None)
    tried = " or ".join(dict.fromkeys(generations))
    raise DecodeError(REASON_FORGED, f"no counter of generation {tried} fits the MIC under this key")


def _identities(header: Header, candidate: Candidate, now_s: int) -> Iterator[tuple[int, int, int]]:
    """(true tag id, the counter's low 16 bits, epoch) that the candidate may have sent this header with."""
    if not header.hints & HINT_PRIVATE:
        yield header.tag_id, header.counter_low, 0
    elif candidate.id_key is not None and candidate.tag_id is not None:
        encrypt_id, now = aes128(candidate.id_key), epoch_of(now_s)
        for epoch in range(max(now - EPOCHS_EACH_SIDE, 0), min(now + EPOCHS_EACH_SIDE, EPOCH_MAX) + 1):
            name = private_name(encrypt_id, epoch)
            if int.from_bytes(name[:4], "little") == header.tag_id:
                yield candidate.tag_id, header.counter_low ^ int.from_bytes(name[4:], "little"), epoch


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
        lines += [
            "",
            f"opened; tag {opened.tag_id}, counter {opened.counter}: generation {generation}, sequence {sequence}",
        ]
        if opened.alarm_reason is not None:
            lines.append(f"  {'alarm':13} {_alarm_word(opened.alarm_reason)}  (in the low bits of the position)")
        lines += [f"  {name:13} {text}  (code {code})" for name, (code, text, _) in values(opened, now_s).items()]
    return "\n".join(lines)


def as_dict(frame: bytes, opened: Opened | None, now_s: int) -> dict[str, Any]:
    """The same for programs; what was under the seal only where it was opened."""
    header = parse_header(frame)
    private = bool(header.hints & HINT_PRIVATE)
    row: dict[str, Any] = {
        "kind": KIND_WORDS[header.kind],
        "tag": None if private else header.tag_id,
        "counter_low": None if private else header.counter_low,
        "backlog": bool(header.hints & HINT_BACKLOG),
        "private": private,
        "connectable": bool(header.hints & HINT_CONNECTABLE),
        "opened": opened is not None,
    }
    if header.kind == KIND_SERVICE:
        service = decode_service(frame)
        row["reason"] = SERVICE_WORDS.get(service.reason, str(service.reason))
        row["firmware"] = ".".join(map(str, service.version))
        row["board"] = BOARD_WORDS.get(service.board, str(service.board))
        row["battery_v"] = None if service.battery_mv is None else service.battery_mv / 1e3
        row["uptime_s"] = service.uptime_s
    if opened is not None:
        row["tag"], row["counter"], row["counter_low"] = opened.tag_id, opened.counter, opened.counter & 0xFFFF
        if opened.alarm_reason is not None:
            row["alarm"] = _alarm_word(opened.alarm_reason)
        row.update((name, value) for name, (_, _, value) in values(opened, now_s).items())
    return row


def _alarm_word(reason: int) -> str:
    return ALARM_WORDS.get(reason, str(reason))


def _wrapped_hex(data: bytes) -> str:
    return f"{data.hex(' '):32}"
