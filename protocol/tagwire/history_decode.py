"""History blocks read: the hub's side of `history`. Portable."""

from tagwire.bits_read import BitReader, get_rice, get_sized
from tagwire.errors import REASON_FORMAT, DecodeError
from tagwire.fields import HUMIDITY_NA, LATITUDE_NA, LONGITUDE_NA, TEMPERATURE_NA, TIME_UNKNOWN
from tagwire.history import (
    BLOCK_HEADER_BYTES,
    COLUMN_BITS,
    COUNTER_MAX,
    SHAPE_ALARM,
    SHAPE_BITS,
    SHAPES_KEPT,
    TIME_4S_MAX,
    TIME_BITS,
    Model,
    Record,
    columns_present,
)


def decode_block(block: bytes) -> "list[Record]":
    """The records of a block, at most 8 per byte of it. Raises DecodeError("format")."""
    if len(block) <= BLOCK_HEADER_BYTES:
        raise DecodeError(REASON_FORMAT, "a block of %d bytes" % len(block))
    counter = int.from_bytes(block[:4], "little") - 1
    bits = BitReader(block[BLOCK_HEADER_BYTES:])
    model = Model()
    records: "list[Record]" = []
    for _ in range(int.from_bytes(block[4:6], "little")):
        record = _get(bits, model, counter, not records)
        records.append(record)
        counter = record.counter
    bits.finish()
    if not records:
        raise DecodeError(REASON_FORMAT, "a block without a sample")
    return records


def _get(bits: "BitReader", model: "Model", counter: int, is_first: bool) -> "Record":
    gap = 1
    index = bits.ones(4)
    if index == 4 and not is_first:
        gap = get_sized(bits)
        index = bits.ones(4) if gap > 1 else 4
    counter += gap
    if index == 4 or counter > COUNTER_MAX:
        raise DecodeError(REASON_FORMAT, "a gap where none can be")
    shape = model.shape_at(index) if index < SHAPES_KEPT else bits.get(SHAPE_BITS)
    if shape is None:
        raise DecodeError(REASON_FORMAT, "a shape that was not sent")
    model.shape_index(shape)
    time_quality = shape >> 10 & 3
    time_4s = 0
    if time_quality != TIME_UNKNOWN:
        if model.time_4s is None:
            time_4s = bits.get(TIME_BITS)
        else:
            expected, rice = model.expect_step(gap)
            time_4s = model.time_4s + expected + get_rice(bits, rice)
            if not 0 <= time_4s <= TIME_4S_MAX:
                raise DecodeError(REASON_FORMAT, "time %d x 4 s" % time_4s)
        model.learn_time(time_4s, gap)
    values = [LATITUDE_NA, LONGITUDE_NA, TEMPERATURE_NA, HUMIDITY_NA]
    for i in columns_present(shape):
        column = model.columns[i]
        if column.started:
            expected, rice = column.expect()
            value = expected + get_rice(bits, rice)
            if not 0 <= value < 1 << COLUMN_BITS[i]:
                raise DecodeError(REASON_FORMAT, "column %d is %d" % (i, value))
            column.learn(value)
        else:
            value = bits.get(COLUMN_BITS[i])
            column.start(value)
        values[i] = value
    latitude, longitude, temperature, humidity = values
    return Record(
        counter,
        time_4s,
        latitude,
        longitude,
        temperature,
        humidity,
        shape & 31,
        shape >> 7 & 7,
        shape >> 5 & 3,
        time_quality,
        bool(shape & SHAPE_ALARM),
    )
