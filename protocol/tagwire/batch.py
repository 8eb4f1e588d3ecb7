"""The batch: many samples in one MQTT publish, as columns inside one CBOR item. Host only, no I/O.

SPEC.md, "Batch", is the authority for the bytes.
"""

from collections import defaultdict
from typing import Any, NamedTuple, NoReturn

import cbor2
import numpy as np
from numpy.typing import NDArray

from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE, CodeColumns, from_codes, reasons_of
from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError
from tagwire.table import COLUMNS, FOREIGN_COLUMNS, MAX_SAMPLES, decode_some, decode_table, encode_table

__all__ = [
    "COLUMNS",
    "CONTENT_TYPE",
    "FLAG_ALARM",
    "FLAG_UNCONFIRMED",
    "FOREIGN_COLUMNS",
    "MAX_BATCH_BYTES",
    "MAX_SAMPLES",
    "RSSI_STEP_DB",
    "SAFE_SAMPLES",
    "Batch",
    "Sample",
    "decode_batch",
    "decode_keys",
    "encode_batch",
    "encode_batches",
    "samples",
]

VERSION = 1
CONTENT_TYPE = "application/vnd.tagstack.batch.v1+cbor"
MAX_BATCH_BYTES = 60 * 1024  # brokers' usual limit for a publish is 64 KB
SAFE_SAMPLES = 2_000  # so many of our own tags fit MAX_BATCH_BYTES whatever their values: 221 bits each, and headers
HUB_NAME_BYTES_MAX = 64

FLAG_UNCONFIRMED = 1
FLAG_ALARM = 2  # an alarm: its reason stands in the position codes as in the beacon's body, see tagwire.alarm
RSSI_STEP_DB = 4


class Batch(NamedTuple):
    """What one publish says.

    hub: the hub's name, up to 64 bytes of UTF-8. sequence: rises by one per batch of that hub; (hub, sequence)
    names a batch, so a consumer can drop one that was sent again. created_s: Unix seconds. clock: the quality of
    the hub's own clock, a fields.TIME_* code. position: where the hub was, (latitude, longitude) in 1e-7 degree,
    or None. columns: for each name of COLUMNS an int64 array, all equally long. `latitude` to `quality` are wire codes
    of tagwire.fields, 'not available' codes included; `time` is Unix seconds, `heard` the seconds from then to the
    first hearing, `rssi` is dBm // 4, `flags` are FLAG_* bits. Either of FOREIGN_COLUMNS may be missing where it is 0
    throughout. A source that is not 0 also says that the hub made up the counter: the tag sends none.
    """

    hub: str
    sequence: int
    created_s: int
    clock: int
    position: tuple[int, int] | None
    columns: dict[str, NDArray[np.int64]]


class Sample(NamedTuple):
    """One sample of a batch. `reading.time_s` is full Unix time; `rssi_dbm` is the middle of a 4 dB step.

    alarm_reason: an alarm.REASON_* or a reserved number up to 15, None where the sample is no alarm. source: 0 for a
    tagstack tag; else tag_id is another maker's, of 64 bits, and the counter the hub's own.
    """

    tag_id: int
    counter: int
    reading: fields.Reading
    heard_s: int
    rssi_dbm: int
    unconfirmed: bool
    alarm_reason: int | None = None
    source: int = 0


def encode_batch(batch: Batch) -> bytes:
    """A batch of 1 to 65,536 samples to at most 60 KB. The samples' order is not kept: it is chosen for its size.

    Raises EncodeError: a missing column, a value out of its range, or more than 60 KB (up to SAFE_SAMPLES always fit;
    encode_batches takes any number).
    """
    count, columns = encode_table(batch.columns)
    header = _checked_header(batch.hub, batch.sequence, batch.created_s, batch.clock, batch.position)
    data = cbor2.dumps([VERSION, *header, count, columns])
    if len(data) > MAX_BATCH_BYTES:
        raise EncodeError(f"{count} samples take {len(data)} bytes, more than {MAX_BATCH_BYTES}")
    return data


def encode_batches(batch: Batch) -> list[bytes]:
    """The same for any number of samples: as many publishes as they need, their sequences from `batch.sequence` on.

    A tag's samples stay together where they can. Raises EncodeError for what is no question of size.
    """
    columns = {name: np.asarray(values, np.int64) for name, values in batch.columns.items()}
    order = np.lexsort((columns["counter"], columns["tag"]))
    parts = -(-len(order) // MAX_SAMPLES)
    while True:
        payloads = []
        for i, rows in enumerate(np.array_split(order, parts)):
            header = _checked_header(batch.hub, batch.sequence + i, batch.created_s, batch.clock, batch.position)
            count, encoded = encode_table({name: values[rows] for name, values in columns.items()})
            payloads.append(cbor2.dumps([VERSION, *header, count, encoded]))
        largest = max(map(len, payloads))
        if largest <= MAX_BATCH_BYTES:
            return payloads
        parts = max(parts + 1, -(-parts * largest // MAX_BATCH_BYTES))


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
    (hub, sequence, created_s, clock, position), count, encoded = _opened(data)
    columns = decode_table(encoded, count)
    return Batch(hub, sequence, created_s, clock, None if position is None else tuple(position), columns)


def decode_keys(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tag ids and counters of the samples in a batch, for whoever only has to know which they are: a quarter of the
    work of `decode_batch`. What other columns hold is not looked at. Raises DecodeError("format")."""
    _, count, encoded = _opened(data)
    columns = decode_some(encoded, count, ("tag", "counter"))
    return columns["tag"], columns["counter"]


def _opened(data: bytes) -> tuple[list[Any], int, dict[object, object]]:
    """The header's values, how many samples there are, and the encoded columns. Raises DecodeError("format")."""
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
        header = _checked_header(*item[1:6])
    except EncodeError as error:
        raise DecodeError(REASON_FORMAT, str(error)) from None
    count, encoded = item[6], item[7]
    if type(count) is not int or not 1 <= count <= MAX_SAMPLES or not isinstance(encoded, dict):
        raise DecodeError(REASON_FORMAT, f"a batch of {count!r} samples")
    if any(type(column_id) is not int for column_id in encoded):  # False and 0.0 would pass for 0
        raise DecodeError(REASON_FORMAT, "a column id that is no integer")
    return header, count, encoded


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
    tag_ids, sources = columns["tag"].tolist(), [0] * len(time_s)
    if "tag_high" in columns:
        tag_ids = [high << 32 | low for high, low in zip(columns["tag_high"].tolist(), tag_ids, strict=True)]
    if "source" in columns:
        sources = columns["source"].tolist()
    alarms = columns["flags"] & FLAG_ALARM != 0
    readings = from_codes(codes, alarms)._replace(
        time_s=np.where(quality == fields.TIME_UNKNOWN, NOT_AVAILABLE, time_s)
    )
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
            source,
        )
        for tag_id, counter, row, heard_s, rssi_dbm, flags, reason, source in zip(
            tag_ids,
            columns["counter"].tolist(),
            values.T.tolist(),
            (time_s + columns["heard"]).tolist(),
            (columns["rssi"] * RSSI_STEP_DB + RSSI_STEP_DB // 2).tolist(),
            columns["flags"].tolist(),
            reasons_of(codes).tolist(),
            sources,
            strict=True,
        )
    ]
