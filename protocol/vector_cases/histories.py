"""History blocks: what a tag sends for some records, and blocks that are none."""

from tagwire.reference_history import NOT_AVAILABLE, RECORD, Record, build_block, shape_of, sized
from vector_cases.subject import NOW_S, Case

FIRST = 0x0100_0FFE
STILL: Record = {
    "counter": FIRST,
    "time": NOW_S // 4,
    "latitude": 6_641_234,
    "longitude": 9_012_345,
    "temperature": 842,
    "humidity": 122,
    "battery": 23,
    "fix": 1,
    "motion": 1,
    "time_quality": 3,
    "alarm": 0,
}


def _walk(count: int, **steps: int) -> list[Record]:
    """Records from STILL on, with steps per sample and a little noise that needs no generator."""
    records = []
    for i in range(count):
        noise = i * i * 7 % 5 - 2
        record = {**STILL, "counter": FIRST + i, "time": STILL["time"] + 75 * i + (i % 3 == 0)}
        for name in ("latitude", "longitude", "temperature"):
            record[name] = STILL[name] + steps.get(name, 0) * i + noise * (i % 2 + 1)
        records.append(record)
    return records


def _case(name: str, records: list[Record]) -> Case:
    return {
        "name": name,
        "records": [[record[field] for field in RECORD] for record in records],
        "block": build_block(records).hex(),
    }


def _by_hand(bits: str, samples: int) -> bytes:
    """A block that `build_block` would not make."""
    filled = bits + "0" * (-len(bits) % 8)
    return (
        FIRST.to_bytes(4, "little") + samples.to_bytes(2, "little") + int(filled, 2).to_bytes(len(filled) // 8, "big")
    )


def histories() -> Case:
    """History blocks, good and bad."""
    still = _walk(40)
    moving = _walk(30, latitude=1_900, longitude=-2_300)
    stops = _walk(12, latitude=2_000)
    for record in stops[6:]:
        record["latitude"] = stops[6]["latitude"]
    nothing = {
        **STILL,
        **NOT_AVAILABLE,
        "time": 0,
        "battery": 31,
        "fix": 0,
        "motion": 0,
        "time_quality": 0,
    }
    minimum = {**dict.fromkeys(RECORD, 0), "time_quality": 1}
    maximum = {
        **{name: largest - 1 for name, largest in NOT_AVAILABLE.items()},
        "counter": 0xFFFF_FFFF,
        "time": (1 << 30) - 1,
        "battery": 31,
        "fix": 7,
        "motion": 3,
        "time_quality": 3,
        "alarm": 1,
    }
    alarms = [{**record, "alarm": int(i in (3, 4)), "battery": 23 - i % 4} for i, record in enumerate(_walk(10))]
    partial = _walk(8)
    for record, missing in zip(
        partial, ("", "temperature", "humidity", "", "latitude", "longitude", "", ""), strict=True
    ):
        if missing:
            record[missing] = NOT_AVAILABLE[missing]
    partial[6] = {**nothing, "counter": partial[6]["counter"]}
    steady = [
        {**minimum, "counter": n, "time": 75 * time}
        for n, time in ((0, 0), (1, 1), (2, 2), (302, 302), (303, 303), (304, 304))
    ]
    years = [
        {**minimum, "counter": n, "time": time} for n, time in ((0, 0), (1, 10**7), (2, 2 * 10**7), (202, 3 * 10**7))
    ]
    block = build_block(still[:5])
    no_gap = build_block([STILL, {**STILL, "counter": FIRST + 2}])
    shapes = [{**nothing, "counter": FIRST + i, "battery": battery} for i, battery in enumerate((1, 2, 3, 2, 1))]
    in_full = "".join("1110" + shape_of(record) for record in shapes[:4]) + "110"  # the fourth names what is kept
    present = f"1110{shape_of({**nothing, 'temperature': 0, 'humidity': 0})}{2047:b}{255:b}" + "0" + "00"
    unknown = [{**nothing, "counter": FIRST + i} for i in (0, 1)]
    plain = "1110" + shape_of(nothing)
    return {
        "about": "History blocks. A record is [" + ", ".join(RECORD) + "], in wire codes; time in units of 4 s. "
        "decode: what no encoder writes, but a decoder takes.",
        "valid": [
            _case("at rest", still),
            _case("on the road", moving),
            _case("stops", stops),
            _case("one sample", [STILL]),
            _case("nothing known", [nothing, {**nothing, "counter": FIRST + 1}]),
            _case("columns come and go", partial),
            _case("alarms, and more shapes than are kept", alarms),
            _case("minimum to maximum and back", [minimum, {**maximum, "counter": 1}, {**minimum, "counter": 2}]),
            _case(
                "gaps of 2, 255, 256 and the rest", [{**minimum, "counter": n} for n in (0, 1, 3, 258, 514)] + [maximum]
            ),
            _case("a gap of 300 teaches no step", steady),
            _case("a step that is too long for its gap", years),
            _case(
                "the clock goes back",
                [{**record, "time": record["time"] - 500 * (i > 4)} for i, record in enumerate(still[:9])],
            ),
        ],
        "decode": [
            {"name": name, "records": [[record[field] for field in RECORD] for record in records], "block": block.hex()}
            for name, records, block in (
                ("a shape in full that is kept moves to the front", shapes, _by_hand(in_full, 5)),
                ("columns that are present with 'not available'", unknown, _by_hand(present, 2)),
            )
        ],
        "refuse": [
            {"name": name, "block": data.hex(), "reason": "format"}
            for name, data in {
                "empty": b"",
                "header only": block[:6],
                "no sample": block[:4] + b"\x00\x00" + block[6:],
                "truncated": block[:-1],
                "a byte too many": block + b"\x00",
                "one sample more than there is": block[:4] + b"\x06\x00" + block[6:],
                "65,535 samples in 40 bytes": block[:4] + b"\xff\xff" + bytes(40),
                "counters beyond 32 bits": b"\xff\xff\xff\xff" + block[4:],
                "bits after the last sample": block[:-1] + bytes([block[-1] | 1]),
                "a gap before the first sample": b"\x00\x00\x00\x00\x01\x00" + b"\xf0" + bytes(20),
                "a shape that was not sent": b"\x00\x00\x00\x00\x01\x00" + bytes(20),
                "a gap of 1": _by_hand(plain + "1111" + sized(1) + "0", 2),
                "two gaps in a row": _by_hand(plain + ("1111" + sized(5)) * 2 + "0", 2),
                "a gap that is cut off": no_gap[:4] + b"\x03\x00" + no_gap[6:-1] + b"\xff",
            }.items()
        ],
    }
