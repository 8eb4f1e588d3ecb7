"""The columns of a batch as a whole: which there are, what they may hold, and how each is coded. Host only, no I/O."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagwire import alarm, fields
from tagwire.columns import (
    decode_column,
    decode_groups,
    encode_column,
    encode_constant,
    encode_groups,
    make_layout,
    time_order,
)
from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError
from tagwire.packing import Int64s, make_codecs

MAX_SAMPLES = 65_536


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
"""The columns of every batch."""

FOREIGN_COLUMNS = {
    "source": Column(14, 0, 255),
    "tag_high": Column(15, 0, 0xFFFFFFFF),
}
"""In batches with other makers' tags: whose tag it is (0: ours), and bits 32-63 of its id, whose low bits are `tag`."""

ABSENT_FROM = {
    "latitude": alarm.LATITUDE_CELL_NA << 2,
    "longitude": alarm.LONGITUDE_CELL_NA << 2,
    "temperature": fields.TEMPERATURE_NA,
    "humidity": fields.HUMIDITY_NA,
    "battery": fields.BATTERY_NA,
}
"""Codes from here on mean 'not available', in samples and in alarms."""

IN_TIME = ("latitude", "longitude")
"""Columns in which the samples that are next in time may be close: who rides in one truck is at one place."""


def encode_table(columns: Mapping[str, ArrayLike]) -> tuple[int, dict[int, bytes]]:
    """How many samples, and column id to bytes: the samples grouped by tag and in the order of their counters.

    FOREIGN_COLUMNS that are 0 throughout are left out. Raises EncodeError.
    """
    missing = COLUMNS.keys() - columns.keys()
    if missing:
        raise EncodeError(f"a batch needs the columns {', '.join(sorted(missing))}")
    foreign = [name for name in FOREIGN_COLUMNS if np.any(columns.get(name, 0))]
    arrays = {name: np.asarray(columns[name], np.int64) for name in (*COLUMNS, *foreign)}
    count = arrays["tag"].size
    if not 1 <= count <= MAX_SAMPLES:
        raise EncodeError(f"a batch has 1 to {MAX_SAMPLES} samples, not {count}")
    spans = _spans(arrays, count)
    order = _order(arrays, foreign)
    codecs = make_codecs()
    tags = arrays["tag"][order]
    layout = make_layout(tags)
    timed = layout._replace(by_time=time_order(arrays["time"][order]))
    encoded = {COLUMNS["tag"].id: encode_groups(tags, layout, codecs)}
    # Column by column: one table of all of them is slower to make than to encode.
    for name, values in arrays.items():
        low, high = spans[name]
        if name != "tag" and low == high:
            encoded[_column(name).id] = encode_constant(low)
        elif name != "tag":
            of_column = timed if name in IN_TIME else layout
            absent_from = ABSENT_FROM.get(name)
            encoded[_column(name).id] = encode_column(values[order], spans[name], absent_from, of_column, codecs)
    return count, encoded


def _spans(arrays: Mapping[str, Int64s], count: int) -> dict[str, tuple[int, int]]:
    """The smallest and the largest value of each column."""
    for name, values in arrays.items():
        if values.shape != (count,):
            raise EncodeError(f"column {name} has the shape {values.shape} where {count} samples are")
    together = np.array(list(arrays.values()))  # of a usual batch, two calls for all cost half of two for each
    lows, highs = np.minimum.reduce(together, 1).tolist(), np.maximum.reduce(together, 1).tolist()
    spans = dict(zip(arrays, zip(lows, highs, strict=True), strict=True))
    for name, (low, high) in spans.items():
        column = _column(name)
        if low < column.minimum or high > column.maximum:
            raise EncodeError(f"column {name} has a value out of range")
    return spans


def _order(arrays: Mapping[str, Int64s], foreign: Sequence[str]) -> NDArray[np.intp]:
    """By tag, then by counter."""
    if foreign:
        return np.lexsort((arrays["counter"], arrays["tag"], *(arrays[name] for name in foreign)))
    return np.argsort(arrays["tag"].astype(np.uint64) << 32 | arrays["counter"].astype(np.uint64))


def decode_table(encoded: Mapping[object, object], count: int) -> dict[str, Int64s]:
    """The columns of `count` samples (at most MAX_SAMPLES) by name; unknown ids are skipped. Raises DecodeError."""
    foreign = [name for name, column in FOREIGN_COLUMNS.items() if column.id in encoded]
    return decode_some(encoded, count, (*COLUMNS, *foreign))


def decode_some(encoded: Mapping[object, object], count: int, names: Sequence[str]) -> dict[str, Int64s]:
    """As `decode_table`, but only these columns, in this order; the others are not looked at. Raises DecodeError."""
    codecs = make_codecs()
    tags = _in_range("tag", decode_groups(_payload("tag", encoded), count, codecs))
    layout = make_layout(tags)
    times = _in_range("time", decode_column(_payload("time", encoded), count, layout, codecs))
    layout = layout._replace(by_time=time_order(times))
    known = {"tag": tags, "time": times}
    return {
        name: known[name]
        if name in known
        else _in_range(name, decode_column(_payload(name, encoded), count, layout, codecs))
        for name in names
    }


def _column(name: str) -> Column:
    return COLUMNS.get(name) or FOREIGN_COLUMNS[name]


def _payload(name: str, encoded: Mapping[object, object]) -> bytes:
    payload = encoded.get(_column(name).id)
    if not isinstance(payload, bytes):
        raise DecodeError(REASON_FORMAT, f"no column {name}")
    return payload


def _in_range(name: str, values: Int64s) -> Int64s:
    column = _column(name)
    if values.min() < column.minimum or values.max() > column.maximum:
        raise DecodeError(REASON_FORMAT, f"column {name} has a value out of range")
    return values
