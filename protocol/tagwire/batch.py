"""The batch: many samples in one MQTT publish, as columns inside one CBOR item. Host only, no I/O.

SPEC.md, "Batch", is the authority for the bytes.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import cbor2
import numpy as np
from numpy.typing import NDArray

from tagwire import alarm, fields
from tagwire.bulk import NOT_AVAILABLE, CodeColumns, from_codes, reasons_of
from tagwire.columns import decode_column, encode_column
from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError

VERSION = 1
CONTENT_TYPE = "application/vnd.tagstack.batch.v1+cbor"
MAX_BATCH_BYTES = 60 * 1024  # brokers' usual limit for a publish is 64 KB
MAX_SAMPLES = 65_536
SAFE_SAMPLES = 2_000  # so many fit MAX_BATCH_BYTES whatever their values: 221 bits each, and 14 columns' headers
HUB_NAME_BYTES_MAX = 64

FLAG_UNCONFIRMED = 1
FLAG_ALARM = 2  # an alarm: its reason stands in the position codes as in the beacon's body, see tagwire.alarm
RSSI_STEP_DB = 4


class Column(NamedTuple):
    """A column's id on the wire and the range of its values, both ends included."""

    id: int
    minimum: int
    maximum: int


COLUMNS = {
    "tag": Column(0, 0, 0xFFFFFFFF),
    "counter": Column(1, 0, 0xFFFFFFFF),
    "time": Column(2, 0, (1 << 33) - 1),
    "latitude": Column(3, 0, fields.LATITUDE_NA),
    "longitude": Column(4, 0, fields.LONGITUDE_NA),
    "temperature": Column(5, 0, fields.TEMPERATURE_NA),
    "humidity": Column(6, 0, fields.HUMIDITY_NA),
    "battery": Column(7, 0, fields.BATTERY_NA),
    "fix": Column(8, 0, 7),
    "motion": Column(9, 0, 3),
    "quality": Column(10, 0, 3),
    "heard": Column(11, -(1 << 31), (1 << 31) - 1),
    "rssi": Column(12, -32, 31),
    "flags": Column(13, 0, 255),
}


class Batch(NamedTuple):
    """What one publish says.

    hub: the hub's name, up to 64 bytes of UTF-8. sequence: rises by one per batch of that hub; (hub, sequence)
    names a batch, so a consumer can drop one that was sent again. created_s: Unix seconds. clock: the quality of
    the hub's own clock, a fields.TIME_* code. position: where the hub was, (latitude, longitude) in 1e-7 degree,
    or None. columns: for each name of COLUMNS an int64 array, all equally long. `latitude` to `quality` are wire codes
    of tagwire.fields, 'not available' codes included; `time` is Unix seconds, `heard` the seconds from then to the
    first hearing, `rssi` is dBm // 4, `flags` are FLAG_* bits.
    """

    hub: str
    sequence: int
    created_s: int
    clock: int
    position: tuple[int, int] | None
    columns: dict[str, NDArray[np.int64]]


class Sample(NamedTuple):
    """One sample of a batch. `reading.time_s` is full Unix time; `rssi_dbm` is the middle of a 4 dB step.

    alarm_reason: an alarm.REASON_* or a reserved number up to 15, None where the sample is no alarm.
    """

    tag_id: int
    counter: int
    reading: fields.Reading
    heard_s: int
    rssi_dbm: int
    unconfirmed: bool
    alarm_reason: int | None = None


def encode_batch(batch: Batch) -> bytes:
    """A batch of 1 to 65,536 samples to at most 60 KB. The samples' order is not kept: it is chosen for its size.

    Raises EncodeError: a missing column, a value out of its range, or more than 60 KB (up to SAFE_SAMPLES always fit).
    """
    missing = COLUMNS.keys() - batch.columns.keys()
    if missing:
        raise EncodeError(f"a batch needs the columns {', '.join(sorted(missing))}")
    columns = {name: np.asarray(batch.columns[name], np.int64) for name in COLUMNS}
    count = len(columns["tag"])
    if not 1 <= count <= MAX_SAMPLES:
        raise EncodeError(f"a batch has 1 to {MAX_SAMPLES} samples, not {count}")
    for name, values in columns.items():
        if values.shape != (count,):
            raise EncodeError(f"column {name} has the shape {values.shape} where {count} samples are")
        if values.min() < COLUMNS[name].minimum or values.max() > COLUMNS[name].maximum:
            raise EncodeError(f"column {name} has a value out of range")
    header = [VERSION, *_checked_header(batch.hub, batch.sequence, batch.created_s, batch.clock, batch.position), count]
    by_tag = np.lexsort((columns["counter"], columns["tag"]))
    # Tags of one truck are at one place: with many tags that saves more in the position than it costs in the ids.
    by_place = np.lexsort((columns["counter"], columns["tag"], columns["longitude"], columns["latitude"]))
    data = min((cbor2.dumps([*header, _encoded_columns(columns, order)]) for order in (by_tag, by_place)), key=len)
    if len(data) > MAX_BATCH_BYTES:
        raise EncodeError(f"{count} samples take {len(data)} bytes, more than {MAX_BATCH_BYTES}")
    return data


def _encoded_columns(columns: Mapping[str, NDArray[np.int64]], order: NDArray[np.intp]) -> dict[int, bytes]:
    return {COLUMNS[name].id: encode_column(values[order]) for name, values in columns.items()}


def _checked_header(hub: Any, sequence: Any, created_s: Any, clock: Any, position: Any) -> list[Any]:
    """The header's values as they stand in CBOR; whoever made them, a caller or a peer. Raises EncodeError."""
    if not isinstance(hub, str) or not 1 <= len(hub.encode()) <= HUB_NAME_BYTES_MAX:
        raise EncodeError("a hub's name has 1 to 64 bytes")
    for name, value, largest in (("sequence", sequence, (1 << 64) - 1), ("created", created_s, (1 << 33) - 1)):
        if type(value) is not int or not 0 <= value <= largest:
            raise EncodeError(f"{name} is {value!r}")
    if type(clock) is not int or not 0 <= clock <= 3:
        raise EncodeError(f"clock quality is {clock!r}")
    if position is not None:
        if not isinstance(position, (tuple, list)) or len(position) != 2:
            raise EncodeError("a position is a pair")
        for value, span in zip(position, (fields.LATITUDE_SPAN_E7, fields.LONGITUDE_SPAN_E7), strict=True):
            if type(value) is not int or not -span // 2 <= value <= span // 2:
                raise EncodeError(f"a position's value is {value!r}")
        position = list(position)
    return [hub, sequence, created_s, clock, position]


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("CBOR tags have no place in a batch")


_NO_TAGS: defaultdict[int, Any] = defaultdict(lambda: _refuse_tag)
"""A decoder for each CBOR tag: dates, regular expressions and big floats from the outside are not even built."""


def decode_batch(data: bytes) -> Batch:
    """The batch that a publish holds. Unknown columns and further header elements are skipped.

    Work and memory are bounded whatever the bytes are. Raises DecodeError("format").
    """
    if len(data) > MAX_BATCH_BYTES:
        raise DecodeError(REASON_FORMAT, f"a batch of {len(data)} bytes")
    try:
        item = cbor2.loads(
            data, semantic_decoders=_NO_TAGS, max_depth=4, allow_indefinite=False, allow_duplicate_keys=False
        )
        # Equal only for a single item in its shortest form: nothing can hide behind it or in it.
        whole = cbor2.dumps(item) == data
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise DecodeError(REASON_FORMAT, f"not CBOR: {error}") from None
    if not whole:
        raise DecodeError(REASON_FORMAT, "not one CBOR item in its shortest form")
    if not isinstance(item, list) or len(item) < 8 or type(item[0]) is not int:
        raise DecodeError(REASON_FORMAT, "not a batch")
    if item[0] != VERSION:
        raise DecodeError(REASON_FORMAT, f"batch version {item[0]}")
    try:
        hub, sequence, created_s, clock, position = _checked_header(*item[1:6])
    except EncodeError as error:
        raise DecodeError(REASON_FORMAT, str(error)) from None
    count, encoded = item[6], item[7]
    if type(count) is not int or not 1 <= count <= MAX_SAMPLES or not isinstance(encoded, dict):
        raise DecodeError(REASON_FORMAT, f"a batch of {count!r} samples")
    columns = {}
    for name, column in COLUMNS.items():
        payload = encoded.get(column.id)
        if not isinstance(payload, bytes):
            raise DecodeError(REASON_FORMAT, f"no column {name}")
        values = decode_column(payload, count)
        if values.min() < column.minimum or values.max() > column.maximum:
            raise DecodeError(REASON_FORMAT, f"column {name} has a value out of range")
        columns[name] = values
    return Batch(hub, sequence, created_s, clock, None if position is None else tuple(position), columns)


def samples(batch: Batch) -> list[Sample]:
    """The samples of a batch in engineering units, in the batch's own order, which has no meaning."""
    columns = batch.columns
    time_s, quality = columns["time"], columns["quality"]
    codes = CodeColumns(
        columns["latitude"],
        columns["longitude"],
        columns["temperature"],
        columns["humidity"],
        columns["battery"],
        columns["fix"],
        columns["motion"],
        np.zeros_like(time_s),  # the batch has the full time
        quality,
    )
    alarms = columns["flags"] & FLAG_ALARM != 0
    readings = from_codes(codes, alarms)
    readings = readings._replace(time_s=np.where(quality == fields.TIME_UNKNOWN, NOT_AVAILABLE, time_s))
    values = np.stack(readings).astype(object)
    values[values == NOT_AVAILABLE] = None
    return [
        Sample(
            tag_id,
            counter,
            fields.Reading(*row),
            heard_s,
            rssi_dbm,
            bool(flags & FLAG_UNCONFIRMED),
            reason if flags & FLAG_ALARM else None,
        )
        for tag_id, counter, row, heard_s, rssi_dbm, flags, reason in zip(
            columns["tag"].tolist(),
            columns["counter"].tolist(),
            values.T.tolist(),
            (time_s + columns["heard"]).tolist(),
            (columns["rssi"] * RSSI_STEP_DB + RSSI_STEP_DB // 2).tolist(),
            columns["flags"].tolist(),
            reasons_of(codes).tolist(),
            strict=True,
        )
    ]


FIX_WORDS = ("none", "5 m", "15 m", "50 m", "poor", "10 min old", "1 h old", "1 d old")
MOTION_WORDS = ("unknown", "still", "moving", "unknown")
ALARM_WORDS = {
    alarm.REASON_UNSPECIFIED: "unspecified",
    alarm.REASON_TEMPERATURE_HIGH: "temperature high",
    alarm.REASON_TEMPERATURE_LOW: "temperature low",
    alarm.REASON_HUMIDITY_HIGH: "humidity high",
    alarm.REASON_HUMIDITY_LOW: "humidity low",
    alarm.REASON_BATTERY_LOW: "battery low",
    alarm.REASON_OPENED: "opened",
    alarm.REASON_SHOCK: "shock",
    alarm.REASON_SENSOR_FAULT: "sensor fault",
    alarm.REASON_CLEARED: "cleared",
}
TIME_WORDS = ("unknown", "estimated", "hub", "gnss")


def to_json_lines(batch: Batch) -> str:
    """One JSON object a sample and a line, in the units of people; null where a value is not available."""
    lines = []
    for sample in samples(batch):
        reading = sample.reading
        row = {
            "hub": batch.hub,
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
        lines.append(json.dumps(row, separators=(",", ":"), ensure_ascii=False))
    return "".join(line + "\n" for line in lines)


def _scaled(value: int | None, per_unit: float) -> float | None:
    return None if value is None else value / per_unit
