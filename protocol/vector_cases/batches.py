"""Batches: each coding of a column, made by a plain encoder of their own, and what a decoder must refuse."""

from collections.abc import Sequence
from typing import Any

import cbor2

from tagwire import reference
from vector_cases.subject import BERLIN, NOW_S, TAG_ID, Case

COLUMNS = ["tag", "counter", "time", "latitude", "longitude", "temperature", "humidity", "battery"]
COLUMNS += ["fix", "motion", "quality", "heard", "rssi", "flags"]  # in the order of their ids, from 0
VARINTS, PACKED, DELTA, ZSTD = 0, 2, 1, 4


def varint(value: int) -> bytes:
    code = 2 * value if value >= 0 else -2 * value - 1  # zigzag: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4
    out = bytearray()
    while code > 0x7F:
        out.append(code & 0x7F | 0x80)
        code >>= 7
    return bytes([*out, code])


def zstd_stored(data: bytes) -> bytes:
    """A zstd frame (RFC 8878, section 3.1.1) with the data as it is, in one raw block: the same from every library."""
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + len(data).to_bytes(4, "little")  # single segment, 4-byte content size
    return header + (len(data) << 3 | 1).to_bytes(3, "little") + data


def column(values: Sequence[int], coding: int) -> bytes:
    if coding & DELTA:
        values = [value - before for value, before in zip(values, [0, *values], strict=False)]
    if coding & PACKED:
        width = (max(values) - min(values)).bit_length()
        bits = sum(value - min(values) << width * i for i, value in enumerate(values))
        payload = varint(min(values)) + bytes([width]) + bits.to_bytes((width * len(values) + 7) // 8, "little")
    else:
        payload = b"".join(map(varint, values))
    return bytes([coding]) + (zstd_stored(payload) if coding & ZSTD else payload)


def batches() -> Case:
    codes = reference.codes_of(BERLIN)
    wire = [codes[name] for name in ("latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion")]
    time_s = NOW_S // 4 * 4
    one = [TAG_ID, 42, time_s, *wire, 3, 1, -18, 0]
    nothing = [0, 0, 0, 8_388_607, 16_777_215, 2047, 255, 31, 0, 0, 0, 0, 0, 1]
    low = [0] * 11 + [-(2**31), -32, 0]
    high = [2**32 - 1, 2**32 - 1, 2**33 - 1, 8_388_607, 16_777_215, 2047, 255, 31, 7, 3, 3, 2**31 - 1, 31, 255]
    three = [one, [TAG_ID, 43, time_s + 300, *wire, 3, -1, -19, 0], [TAG_ID + 9, 7, time_s, *wire, 2, 0, -17, 1]]

    def build(rows: Sequence[Sequence[int]], coding: int, position: Any = None, **changes: Any) -> bytes:
        columns = {i: column([row[i] for row in rows], coding) for i in range(len(COLUMNS))}
        columns.update(changes.pop("columns", {}))
        head = {"version": 1, "hub": "truck-17", "sequence": 7, "created_s": NOW_S, "clock": 2, "position": position}
        item = {**head, "count": len(rows), **changes}
        return cbor2.dumps([*item.values(), columns])

    here = [525_200_000, 134_000_000]
    good = [
        (name, rows, coding, position)
        for name, rows, coding, position in (
            ("one sample, varints", [one], VARINTS, here),
            ("nothing available, hub without a position, bit-packed", [nothing], PACKED, None),
            ("ends of every column, varints", [low, high], VARINTS, [-900_000_000, 1_800_000_000]),
            ("ends of every column, bit-packed", [low, high], PACKED, None),
            ("ends of every column, delta varints", [high, low, high], DELTA, None),
            ("ends of every column, delta bit-packed", [high, low, high], DELTA | PACKED, None),
            ("three samples, delta varints", three, DELTA, here),
            ("three samples, bit-packed", three, PACKED, here),
            ("three samples, zstd around delta varints", three, DELTA | ZSTD, here),
            ("three samples, zstd around bit-packing", three, PACKED | ZSTD, here),
        )
    ]
    plain = build(three, DELTA, here)
    short, three_ids = bytes([VARINTS]) + varint(1) * 2, column([row[0] for row in three], VARINTS)
    bomb = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    bad: dict[str, bytes] = {
        "empty": b"",
        "not an array": cbor2.dumps({"version": 1}),
        "only a number": b"\x01",
        "cut short": plain[:-1],
        "a byte behind it": plain + b"\x00",
        "indefinite length": b"\x9f" + plain[1:] + b"\xff",
        "a CBOR tag around it": b"\xd9\xd9\xf7" + plain,
        "an integer in more bytes than it needs": b"\x88\x18\x01" + plain[2:],
        "a float for an integer": build(three, DELTA, clock=2.0),
        "version 2": build(three, DELTA, version=2),
        "hub is a number": build(three, DELTA, hub=17),
        "hub is empty": build(three, DELTA, hub=""),
        "hub of 65 bytes": build(three, DELTA, hub="x" * 65),
        "sequence negative": build(three, DELTA, sequence=-1),
        "sequence is a boolean": build(three, DELTA, sequence=True),
        "clock quality 4": build(three, DELTA, clock=4),
        "half a position": build(three, DELTA, [525_200_000]),
        "latitude beyond the pole": build(three, DELTA, [900_000_001, 0]),
        "no samples": build(three, DELTA, count=0),
        "65,537 samples": build(three, DELTA, count=65_537),
        "more samples than values": build(three, DELTA, count=4),
        "fewer samples than values": build(three, DELTA, count=2),
        "a column is text": build(three, DELTA, columns={0: "text"}),
        "a column is missing": build(three, DELTA, columns={13: None}),
        "a column is empty": build(three, DELTA, columns={0: b""}),
        "a column with an unknown coding": build(three, DELTA, columns={0: b"\x08" + three_ids[1:]}),
        "a column with too few varints": build(three, DELTA, columns={8: short}),
        "a column with too many varints": build(three, DELTA, columns={8: short + varint(1) * 2}),
        "a column that ends inside a varint": build(three, DELTA, columns={8: short + b"\x80"}),
        "a varint of seven bytes": build(three, DELTA, columns={8: short + b"\x80" * 6 + b"\x00"}),
        "a value above its range": build(three, DELTA, columns={8: column([1, 8, 1], VARINTS)}),
        "a value below its range": build(three, DELTA, columns={12: column([-1, -33, -1], VARINTS)}),
        "bit-packed without a width": build(three, DELTA, columns={8: bytes([PACKED]) + varint(0)}),
        "bit-packed too short": build(three, DELTA, columns={8: bytes([PACKED]) + varint(0) + b"\x03\x00"}),
        "bit-packed too long": build(three, DELTA, columns={8: bytes([PACKED]) + varint(0) + b"\x02\x00\x00"}),
        "bit-packed 42 bits wide": build(three, DELTA, columns={8: bytes([PACKED]) + varint(0) + b"\x2a" + bytes(16)}),
        "bit-packed padding not zero": build(three, DELTA, columns={8: bytes([PACKED]) + varint(0) + b"\x02\x40"}),
        "zstd that is none": build(three, DELTA, columns={8: bytes([ZSTD]) + b"none"}),
        "zstd with bytes behind it": build(three, DELTA, columns={8: column([1, 1, 1], ZSTD) + b"\x00"}),
        "zstd that promises a terabyte": build(three, DELTA, columns={8: bytes([ZSTD]) + bomb}),
        "zstd without its content size": build(
            three, DELTA, columns={8: bytes([ZSTD]) + b"\x28\xb5\x2f\xfd\x00\x00\x19\x00\x00" + varint(1) * 3}
        ),
    }
    ignored = {
        "an unknown column": build(three, DELTA, here, columns={99: b"\xff\xff"}),
        "a further header element": b"\x89" + plain[1:] + b"\x63new",
    }
    return {
        "about": "Batches. rows: the samples in the order of `columns`, as wire codes; an encoder may order and "
        "code them otherwise. same: what else decodes to the rows of 'three samples'. bad: refused with the "
        "reason 'format'.",
        "columns": COLUMNS,
        "good": [
            {
                "name": name,
                "batch": build(rows, coding, position).hex(),
                "hub": "truck-17",
                "sequence": 7,
                "created_s": NOW_S,
                "clock": 2,
                "position": position,
                "rows": rows,
            }
            for name, rows, coding, position in good
        ],
        "same": [{"name": name, "batch": data.hex(), "rows": three} for name, data in ignored.items()],
        "bad": [{"name": name, "batch": data.hex()} for name, data in bad.items()],
    }
