"""Batches: each way to code a column, made by a plain encoder of its own, and what a decoder must refuse."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import cbor2

from tagwire import reference
from vector_cases.subject import BERLIN, NOW_S, TAG_ID, Case

COLUMNS = ["tag", "counter", "time", "latitude", "longitude", "temperature", "humidity", "battery"]
COLUMNS += ["fix", "motion", "quality", "heard", "rssi", "flags"]  # in the order of their ids, from 0
TIME = 2
PACKED, SPLIT, SPLIT_ZSTD, RUNS = 0, 1, 2, 3  # forms of a list
NOTHING, TAG, BY_TIME = 0, 1, 2  # predictions of a column


def unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1  # 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4


def signed(value: int) -> bytes:
    return unsigned(zigzag(value))


def zstd_stored(data: bytes) -> bytes:
    """A zstd frame (RFC 8878, section 3.1.1) with the data as it is, in one raw block: the same from every library."""
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + len(data).to_bytes(4, "little")  # single segment, 4-byte content size
    return header + (len(data) << 3 | 1).to_bytes(3, "little") + data


def bits(values: Sequence[int], width: int) -> bytes:
    number = sum(value << width * i for i, value in enumerate(values))
    return number.to_bytes((width * len(values) + 7) // 8, "little")


def listed(values: Sequence[int], form: int = PACKED, low_bits: int = 2) -> bytes:
    """A list in one of its forms; `low_bits` of a split list are packed."""
    if not values:
        return b""
    if form == RUNS:
        runs = [(value, len(list(equal))) for value, equal in groupby(values)]
        lengths = listed([length - 1 for _, length in runs])
        return bytes([RUNS]) + unsigned(len(runs)) + lengths + listed([value for value, _ in runs])
    if form == PACKED:
        width = (max(values) - min(values)).bit_length()
        return bytes([PACKED | width << 2]) + signed(min(values)) + bits([v - min(values) for v in values], width)
    codes = [zigzag(value - values[0]) for value in values]  # any centre will do
    rest = b"".join(unsigned(code >> low_bits) for code in codes)
    if form == SPLIT_ZSTD:
        rest = zstd_stored(rest)
    low = bits([code & (1 << low_bits) - 1 for code in codes], low_bits)
    return bytes([form | low_bits << 2]) + signed(values[0]) + low + unsigned(len(rest)) + rest


def groups(tags: Sequence[int], form: int = PACKED) -> bytes:
    """The column of tags."""
    runs = [(tag, len(list(equal))) for tag, equal in groupby(tags)]
    steps = [after - before for (before, _), (after, _) in pairwise(runs)]
    sizes = [size - 1 for _, size in runs]
    return unsigned(len(runs)) + unsigned(tags[0]) + listed(steps, form) + listed(sizes, form)


class Way(NamedTuple):
    """How a column is made: prediction, form of its lists, how many zero bits are shifted out, value to patch."""

    prediction: int = NOTHING
    form: int = PACKED
    shift: int = 0
    patched: int | None = None


def column(values: Sequence[int], way: Way, tags: Sequence[int], times: Sequence[int]) -> bytes:
    """Any column but that of tags, of samples whose tags and times are given."""
    head, patches = way.prediction | way.shift << 3, b""
    if way.patched in values:
        head |= 4
        at = [i for i, value in enumerate(values) if value == way.patched]
        steps = [i - before - 1 for i, before in zip(at, [-1, *at], strict=False)]
        patches = unsigned(len(at)) + listed(steps) + listed([values[i] for i in at])
        values = [0 if value == way.patched else value for value in values]  # anything will do
    values = [value >> way.shift for value in values]
    if way.prediction == BY_TIME:
        ordered = [values[i] for i in sorted(range(len(times)), key=lambda i: times[i])]
        steps = [after - before for before, after in pairwise(ordered)]
        return bytes([head]) + patches + signed(ordered[0]) + listed(steps, way.form)
    if way.prediction == TAG:
        heads = [i for i, tag in enumerate(tags) if i == 0 or tag != tags[i - 1]]
        rest = [values[i] - values[i - 1] for i in range(len(tags)) if i not in heads]
        return bytes([head]) + patches + listed([values[i] for i in heads], way.form) + listed(rest, way.form)
    return bytes([head]) + patches + listed(values, way.form)


def batches() -> Case:
    codes = reference.codes_of(BERLIN)
    wire = [codes[name] for name in ("latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion")]
    time_s = NOW_S // 4 * 4
    one = [TAG_ID, 42, time_s, *wire, 3, 1, -18, 0]
    nothing = [0, 0, 0, 8_388_607, 16_777_215, 2047, 255, 31, 0, 0, 0, 0, 0, 1]
    low = [0] * 11 + [-(2**31), -32, 0]
    high = [2**32 - 1, 2**32 - 1, 2**33 - 1, 8_388_607, 16_777_215, 2047, 255, 31, 7, 3, 3, 2**31 - 1, 31, 255]
    three = [one, [TAG_ID, 43, time_s + 300, *wire, 3, -1, -19, 0], [TAG_ID + 9, 7, time_s, *wire, 2, 0, -17, 1]]
    # Two tags of one truck with twelve samples each, in turn every 30 s; some without a position, one an alarm.
    ride = []
    for tag in range(2):
        for i in range(12):
            place = [wire[0] + 8 * i + 3 * tag, wire[1] - 5 * i - tag, *wire[2:]]
            if i in (4, 5, 9 + tag):
                place = [8_388_607, 16_777_215, *wire[2:5], 0, wire[6]]
            ride.append([TAG_ID + 700 * tag, 100 + i, time_s + 60 * i + 32 * tag, *place, 3, i % 3, -18 + i // 6, tag])
    alarm = [*one[:3], wire[0] & ~3 | 1, wire[1] & ~3, *wire[2:], 3, 1, -18, 2]

    def build(rows: Sequence[Sequence[int]], way: Way, position: Any = None, **changes: Any) -> bytes:
        tags, times = [row[0] for row in rows], [row[TIME] for row in rows]
        columns: dict[int, Any] = {0: groups(tags, way.form)}
        for i in range(1, len(rows[0])):
            of_column = way if i > TIME or way.prediction != BY_TIME else way._replace(prediction=TAG)
            if i not in (TIME, 11) or any(row[i] % (1 << way.shift) for row in rows):
                of_column = of_column._replace(shift=0)
            if i in (3, 4):
                of_column = of_column._replace(patched=wire_absent[i] if way.patched is not None else None)
            else:
                of_column = of_column._replace(patched=None)
            columns[i] = column([row[i] for row in rows], of_column, tags, times)
        columns.update(changes.pop("columns", {}))
        head = {"version": 1, "hub": "truck-17", "sequence": 7, "created_s": NOW_S, "clock": 2, "position": position}
        item = {**head, "count": len(rows), **changes}
        return cbor2.dumps([*item.values(), columns])

    wire_absent = {3: 8_388_607, 4: 16_777_215}
    here = [525_200_000, 134_000_000]
    good = [
        ("one sample", [one], Way(), here),
        ("nothing available, hub without a position", [nothing], Way(), None),
        ("an alarm: temperature high", [alarm], Way(), here),
        ("ends of every column, bit-packed", [low, high], Way(), [-900_000_000, 1_800_000_000]),
        ("ends of every column, split", [low, high], Way(form=SPLIT), None),
        ("ends of every column, split with zstd", [low, high], Way(form=SPLIT_ZSTD), None),
        ("ends of every column, predicted by tag", [high, [*high[:2], *low[2:]], high], Way(TAG), None),
        ("ends of every column, predicted by time", [low, high], Way(BY_TIME), None),
        ("three samples, bit-packed", three, Way(), here),
        ("three samples, predicted by tag", three, Way(TAG), here),
        ("three samples, predicted by time", three, Way(BY_TIME), here),
        ("three samples, runs", three, Way(form=RUNS), here),
        ("three samples, split with zstd, by tag", three, Way(TAG, SPLIT_ZSTD), here),
        ("two tags of one truck, by time, patched", ride, Way(BY_TIME, patched=0), here),
        ("two tags of one truck, by tag, patched, split", ride, Way(TAG, SPLIT, patched=0), here),
        ("two tags of one truck, times shifted by 2 bits", ride, Way(TAG, RUNS, 2), here),
    ]
    foreign = [[*one, 0, 0], [0x34AC_CAFE, 1, *one[2:], 1, 0xA4C1], [0x34AC_CAFE, 2, *one[2:], 2, 0xA4C1]]
    plain = build(three, Way(), here)

    def spoilt(index: int, data: Any) -> bytes:
        return build(three, Way(), columns={index: data})

    bomb = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    unsized = b"\x28\xb5\x2f\xfd\x00\x00\x19\x00\x00" + bytes(3)
    stored = zstd_stored(bytes(3))
    split = bytes([NOTHING, SPLIT]) + signed(1)
    zstd = bytes([NOTHING, SPLIT_ZSTD]) + signed(1)
    bad: dict[str, bytes] = {
        "empty": b"",
        "not an array": cbor2.dumps({"version": 1}),
        "only a number": b"\x01",
        "cut short": plain[:-1],
        "a byte behind it": plain + b"\x00",
        "indefinite length": b"\x9f" + plain[1:] + b"\xff",
        "a CBOR tag around it": b"\xd9\xd9\xf7" + plain,
        "an integer in more bytes than it needs": b"\x88\x18\x01" + plain[2:],
        "a float for an integer": build(three, Way(), clock=2.0),
        "version 2": build(three, Way(), version=2),
        "hub is a number": build(three, Way(), hub=17),
        "hub is empty": build(three, Way(), hub=""),
        "hub of 65 bytes": build(three, Way(), hub="x" * 65),
        "sequence negative": build(three, Way(), sequence=-1),
        "sequence is a boolean": build(three, Way(), sequence=True),
        "clock quality 4": build(three, Way(), clock=4),
        "half a position": build(three, Way(), [525_200_000]),
        "latitude beyond the pole": build(three, Way(), [900_000_001, 0]),
        "no samples": build(three, Way(), count=0),
        "65,537 samples": build(three, Way(), count=65_537),
        "more samples than values": build(three, Way(), count=4),
        "fewer samples than values": build(three, Way(), count=2),
        "a column is text": build(three, Way(), columns={0: "text"}),
        "a column twice": plain.replace(b"\xae\x00", b"\xaf\x0d" + cbor2.dumps(groups([0])) + b"\x00", 1),
        "a column id is a boolean": plain.replace(b"\xae\x00", b"\xae\xf4", 1),
        "a column id is text": build(three, Way(), columns={"x": b""}),
        "an element nested five deep": b"\x89" + plain[1:] + b"\x81" * 4 + b"\x01",
        "a column is missing": build(three, Way(), columns={13: None}),
        "a column is empty": build(three, Way(), columns={0: b""}),
        "no groups": spoilt(0, unsigned(0)),
        "more groups than samples": spoilt(0, unsigned(4) + unsigned(1) + listed([1, 1, 1]) + listed([0] * 4)),
        "groups that are too large": spoilt(0, unsigned(2) + unsigned(1) + listed([1]) + listed([1, 1])),
        "a group of less than one sample": spoilt(0, unsigned(2) + unsigned(1) + listed([1]) + listed([2, -1])),
        "bytes behind the groups": spoilt(0, groups([row[0] for row in three]) + b"\x00"),
        "a tag below zero": spoilt(0, unsigned(2) + unsigned(1) + listed([-2]) + listed([1, 0])),
        "prediction 3": spoilt(8, b"\x03" + listed([1, 1, 1])),
        "an unknown bit of a column": spoilt(8, b"\x20" + listed([1, 1, 1])),
        "times in the order of time": spoilt(TIME, bytes([BY_TIME]) + signed(time_s) + listed([1, 1])),
        "no patches": spoilt(8, b"\x04" + unsigned(0) + listed([1, 1, 1])),
        "more patches than samples": spoilt(
            8, b"\x04" + unsigned(4) + listed([0] * 4) + listed([1] * 4) + listed([1] * 3)
        ),
        "a patch behind the last sample": spoilt(
            8, b"\x04" + unsigned(1) + listed([3]) + listed([1]) + listed([1] * 3)
        ),
        "a patch before the first sample": spoilt(
            8, b"\x04" + unsigned(1) + listed([-1]) + listed([1]) + listed([1] * 3)
        ),
        "bytes behind a column": spoilt(8, b"\x00" + listed([1, 1, 1]) + b"\x00"),
        "a value above its range": spoilt(8, b"\x00" + listed([1, 8, 1])),
        "a value below its range": spoilt(12, b"\x00" + listed([-1, -33, -1])),
        "a shifted value above its range": spoilt(8, b"\x18" + listed([0, 1, 0])),
        "bit-packed without a base": spoilt(8, bytes([NOTHING, PACKED])),
        "bit-packed too short": spoilt(8, bytes([NOTHING, PACKED | 3 << 2]) + signed(0) + b"\x00"),
        "bit-packed 42 bits wide": spoilt(8, bytes([NOTHING, PACKED | 42 << 2]) + signed(0) + bytes(16)),
        "bit-packed padding not zero": spoilt(8, bytes([NOTHING, PACKED | 2 << 2]) + signed(0) + b"\x40"),
        "a varint of seven bytes": spoilt(8, bytes([NOTHING, PACKED]) + b"\x80" * 6 + b"\x00"),
        "split with too few varints": spoilt(8, split + unsigned(2) + bytes(2)),
        "split with too many varints": spoilt(8, split + unsigned(4) + bytes(4)),
        "split that ends inside a varint": spoilt(8, split + unsigned(3) + b"\x00\x00\x80"),
        "split with a varint of seven bytes": spoilt(8, split + unsigned(9) + bytes(2) + b"\x80" * 6 + b"\x00"),
        "split longer than the column": spoilt(8, split + unsigned(9) + bytes(3)),
        "split values of 43 bits": spoilt(
            8, bytes([NOTHING, SPLIT | 41 << 2]) + signed(1) + bytes(16) + unsigned(3) + b"\x02\x00\x00"
        ),
        "no runs": spoilt(8, bytes([NOTHING, RUNS]) + unsigned(0)),
        "more runs than values": spoilt(8, bytes([NOTHING, RUNS]) + unsigned(4) + listed([0] * 4) + listed([1] * 4)),
        "runs that are too long": spoilt(8, bytes([NOTHING, RUNS]) + unsigned(1) + listed([3]) + listed([1])),
        "runs inside runs": spoilt(8, bytes([NOTHING, RUNS]) + unsigned(1) + listed([2], RUNS) + listed([1])),
        "zstd that is none": spoilt(8, zstd + unsigned(4) + b"none"),
        "zstd with bytes behind it": spoilt(8, zstd + unsigned(len(stored) + 1) + stored + b"\x00"),
        "zstd that promises a terabyte": spoilt(8, zstd + unsigned(len(bomb)) + bomb),
        "zstd without its content size": spoilt(8, zstd + unsigned(len(unsized)) + unsized),
        "a foreign column out of range": build([[*row, 256] for row in three], Way()),
        "a foreign column that is text": spoilt(15, "text"),
    }
    long_one = b"\x80" * 5 + b"\x00"  # the varint of 0 in six bytes
    longest = zstd_stored(3 * long_one)
    also = {
        "an unknown column": build(three, Way(), here, columns={99: b"\xff\xff"}),
        "an unknown column that is no byte string": build(three, Way(), columns={99: [1, {"a": 2.5}]}),
        "a varint in more bytes than it needs": spoilt(8, b"\x00\x00\x82\x00"),
        "zstd of 6 bytes a value": spoilt(8, zstd + unsigned(len(longest)) + longest),
        "patches are not shifted": spoilt(
            8, b"\x0c" + unsigned(3) + listed([0, 0, 0]) + listed([1, 1, 1]) + listed([0, 0, 0])
        ),
        "a further header element": b"\x89" + plain[1:] + b"\x63new",
    }
    return {
        "about": "Batches. rows: the samples in the order of `columns`, as wire codes; an encoder may order and "
        "code them otherwise. foreign: the same with the columns `source` and `tag_high` behind them. same: what else "
        "decodes to the rows of 'three samples'. bad: refused with the reason 'format'.",
        "columns": COLUMNS,
        "good": [
            {
                "name": name,
                "batch": build(rows, way, position).hex(),
                "hub": "truck-17",
                "sequence": 7,
                "created_s": NOW_S,
                "clock": 2,
                "position": position,
                "rows": rows,
            }
            for name, rows, way, position in good
        ],
        "foreign": [
            {"name": "own tag and two of another maker's", "batch": build(foreign, Way(TAG)).hex(), "rows": foreign}
        ],
        "same": [{"name": name, "batch": data.hex(), "rows": three} for name, data in also.items()],
        "bad": [{"name": name, "batch": data.hex()} for name, data in bad.items()],
    }
