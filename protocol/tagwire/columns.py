"""A batch's columns of integers to bytes and back, as SPEC.md, "Columns", lays it down. Host only, no I/O.

The samples stand in groups, one a tag. A column is one byte that says how it was made, then lists (tagwire.packing).
Values are predicted from the same tag's sample before, or from the sample before in time: of the tags in one truck,
whichever spoke last knows best where the next one is, and the order of time costs nothing, as it follows from a column.
"""

import math
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagwire.packing import (
    FORM_PACKED,
    Codecs,
    Cursor,
    Int64s,
    decode_list,
    encode_list,
    encode_signed,
    encode_unsigned,
    format_error,
    packed_bytes,
)

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

PREDICT_NOTHING = 0
PREDICT_TAG = 1
PREDICT_TIME = 2
PATCHED = 4
SHIFT_AT = 3  # bits 3-4
SHIFT_MAX = 3
ESTIMATE_FROM = 128  # so many values tell how a column spreads
_total = np.add.reduce  # values.sum() without its detour through Python
NARROW = 8  # values that span less are states: runs suit them, differences do not


class Layout(NamedTuple):
    """What the lists of a column refer to: the index of each group's first sample, of all others, how many samples each
    group has, and the samples' order of time, None as long as that is not known."""

    heads: Indices
    rest: Indices
    sizes: Indices
    by_time: Indices | None


def make_layout(tags: Int64s) -> Layout:
    """The layout of one or more samples, those of each tag in a row."""
    is_head = np.ones(len(tags), np.bool_)
    np.not_equal(tags[1:], tags[:-1], out=is_head[1:])
    heads = np.flatnonzero(is_head)
    return Layout(heads, np.flatnonzero(~is_head), np.diff(heads, append=len(tags)), None)


def time_order(time_s: Int64s) -> Indices:
    """At most 65,536 samples' order of time, those of the same second in their own order."""
    # Sorting numbers that hold time and index is three times faster than a stable argsort.
    keys = (time_s - time_s.min()) << 16 | np.arange(len(time_s))
    keys.sort()
    order: Indices = keys & 0xFFFF
    return order


def encode_groups(tags: Int64s, layout: Layout, codecs: Codecs) -> bytes:
    """The column of tags: how many groups, the first one's tag, the difference of each further group's to the one
    before, the sizes less one."""
    ids = tags[layout.heads]
    head = encode_unsigned(len(ids)) + encode_unsigned(int(ids[0]))
    return head + encode_list(ids[1:] - ids[:-1], codecs) + encode_list(layout.sizes - 1, codecs)


def decode_groups(data: bytes, count: int, codecs: Codecs) -> Int64s:
    """The tags of `count` samples. Raises DecodeError("format")."""
    cursor = Cursor(data)
    groups = cursor.unsigned()
    if not 1 <= groups <= count:
        raise format_error(f"{groups} groups of {count} samples")
    tags = np.empty(groups, np.int64)
    tags[0] = cursor.unsigned()
    tags[1:] = decode_list(cursor, groups - 1, codecs)
    sizes = decode_list(cursor, groups, codecs)
    cursor.end()
    if sizes.min() < 0 or sizes.max() >= count or int(sizes.sum()) + groups != count:
        raise format_error(f"groups that do not make {count} samples")
    return np.repeat(np.cumsum(tags), sizes + 1)


def encode_constant(value: int) -> bytes:
    """A column of one value throughout, as `encode_column` would make it."""
    return bytes([PREDICT_NOTHING, FORM_PACKED]) + encode_signed(value)


def encode_column(
    values: Int64s, span: tuple[int, int], absent_from: int | None, layout: Layout, codecs: Codecs
) -> bytes:
    """A column of at least one value, in the way that promises to be shortest.

    span: the smallest and the largest value. absent_from: values from here on mean 'not available' and stay out of the
    prediction. The order of time is tried where the layout has one.
    """
    low, high = span
    if high - low < NARROW:
        return bytes([PREDICT_NOTHING]) + encode_list(values, codecs, span)
    patches = b""
    absent = None
    if absent_from is not None and low < absent_from <= high:
        absent = values >= absent_from
        patches = _encode_patches(values, absent, codecs)
    best = _best_prediction(values, absent, layout, codecs)
    coded = bytes([best[0] | (PATCHED if patches else 0)]) + patches + best[1:]
    # What was estimated may have been wrong; no column is ever longer than plain bit-packing.
    if len(coded) > 8 + packed_bytes(len(values), (high - low).bit_length()):
        coded = bytes([PREDICT_NOTHING]) + encode_list(values, codecs, span)
    return coded


def _best_prediction(values: Int64s, absent: Mask | None, layout: Layout, codecs: Codecs) -> bytes:
    of_tag = values if absent is None else _filled(values, absent)
    shift = _shift(of_tag)
    if shift:
        of_tag = of_tag >> shift
    ways = [(_estimated_bits(of_tag), PREDICT_NOTHING, b"", [of_tag])]
    if len(layout.rest):
        heads, rest = of_tag[layout.heads], (of_tag[1:] - of_tag[:-1])[layout.rest - 1]
        ways.append((_estimated_bits(heads) + _estimated_bits(rest), PREDICT_TAG, b"", [heads, rest]))
    if layout.by_time is not None:
        in_time = values[layout.by_time]
        if absent is not None:
            in_time = _filled(in_time, absent[layout.by_time])
        if shift:
            in_time = in_time >> shift
        steps = in_time[1:] - in_time[:-1]
        ways.append((_estimated_bits(steps), PREDICT_TIME, encode_signed(int(in_time[0])), [steps]))
    _, prediction, first, lists = min(ways, key=itemgetter(0))
    return bytes([prediction | shift << SHIFT_AT]) + first + b"".join([encode_list(each, codecs) for each in lists])


def _shift(values: Int64s) -> int:
    """How many low bits are 0 in all values: times of beacons are multiples of 4."""
    if int(values[0] | values[-1]) & 1:
        return 0
    used = int(np.bitwise_or.reduce(values))
    return min((used & -used).bit_length() - 1, SHIFT_MAX) if used else 0


def _estimated_bits(values: Int64s) -> float:
    """What noise of this spread takes, up to a constant a value."""
    count = len(values)
    some = values[:: max(count // ESTIMATE_FROM, 1)]
    if not len(some):
        return 0.0
    deviations = np.abs(some - int(_total(some)) // len(some))
    return count * math.log2(1 + int(_total(deviations)) / len(some))


def _filled(values: Int64s, absent: Mask) -> Int64s:
    """Each absent value replaced by the last one that is there, or by the first."""
    there = np.flatnonzero(~absent)
    filled: Int64s = values[there[np.maximum(np.cumsum(~absent) - 1, 0)]]
    return filled


def _encode_patches(values: Int64s, absent: Mask, codecs: Codecs) -> bytes:
    at = np.flatnonzero(absent)
    steps = np.diff(at, prepend=-1) - 1
    return encode_unsigned(len(at)) + encode_list(steps, codecs) + encode_list(values[at], codecs)


def decode_column(data: bytes, count: int, layout: Layout, codecs: Codecs) -> Int64s:
    """`count` values. Work and memory are bounded by `count`, whatever the bytes say. Raises DecodeError("format")."""
    cursor = Cursor(data)
    octet = cursor.octet()
    prediction, shift = octet & 3, octet >> SHIFT_AT
    if prediction > PREDICT_TIME or shift > SHIFT_MAX:
        raise format_error("an unknown way to code a column")
    patches = _decode_patches(cursor, count, codecs) if octet & PATCHED else None
    if prediction == PREDICT_NOTHING:
        values = decode_list(cursor, count, codecs)
    elif prediction == PREDICT_TAG:
        values = np.zeros(count, np.int64)
        heads = decode_list(cursor, len(layout.heads), codecs)
        values[layout.rest] = decode_list(cursor, len(layout.rest), codecs)
        values = np.cumsum(values)
        values += np.repeat(heads - values[layout.heads], layout.sizes)
    elif layout.by_time is None:
        raise format_error("the order of time for the times themselves")
    else:
        steps = np.empty(count, np.int64)
        steps[0] = cursor.signed()
        steps[1:] = decode_list(cursor, count - 1, codecs)
        values = np.empty(count, np.int64)
        values[layout.by_time] = np.cumsum(steps)
    cursor.end()
    values = values << shift
    if patches is not None:
        at, patched = patches
        values[at] = patched
    return values


def _decode_patches(cursor: Cursor, count: int, codecs: Codecs) -> tuple[Int64s, Int64s]:
    patched = cursor.unsigned()
    if not 1 <= patched <= count:
        raise format_error(f"{patched} patches of {count} values")
    steps = decode_list(cursor, patched, codecs)
    if steps.min() < 0 or int(steps.max()) >= count or int(steps.sum()) + patched > count:
        raise format_error("patches beyond the column")
    return np.cumsum(steps + 1) - 1, decode_list(cursor, patched, codecs)
