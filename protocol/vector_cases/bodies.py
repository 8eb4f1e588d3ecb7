"""Sample bodies: readings to codes, codes to bytes, and back."""

from tagwire import reference
from tagwire.reference import FIELDS
from vector_cases.subject import BERLIN, MAXIMUM, MINIMUM, NOTHING, NOW_S, Case, Reading


def body_case(name: str, reading: Reading) -> Case:
    codes = reference.codes_of(reading)
    return {
        "name": name,
        "reading": reading,
        "codes": codes,
        "body": reference.build_body(codes).hex(),
        "read_back": reference.reading_of(codes),
    }


def bodies() -> Case:
    """Readings to codes, codes to bytes, and back."""
    encode = [
        body_case("typical: Berlin, cold box, moving, GNSS", BERLIN),
        body_case("minimum of every field", MINIMUM),
        body_case("maximum of every field", MAXIMUM),
        body_case("nothing available", NOTHING),
        body_case("below every range: saturates", {**MINIMUM, "temperature": -80_051, "humidity": -1, "battery": 0}),
        body_case(
            "above every range: saturates", {**MAXIMUM, "temperature": 200_000, "humidity": 100_900, "battery": 5_000}
        ),
        body_case("no fix class: the position is not sent", {**BERLIN, "fix": 0}),
        body_case("time quality unknown: the time is not sent", {**BERLIN, "time_quality": 0}),
        body_case("time 2 s before the code wraps: rounds to code 0", {**BERLIN, "time": 4_096 * 437_011 - 2}),
        body_case("time 3 s before the code wraps: stays at code 1023", {**BERLIN, "time": 4_096 * 437_011 - 3}),
    ]
    for name, low, high in (("temperature", 4_249, 4_250), ("humidity", 61_249, 61_250), ("battery", 3_679, 3_680)):
        encode.append(body_case(f"{name} just below half a step", {**BERLIN, name: low}))
        encode.append(body_case(f"{name} at half a step: upwards", {**BERLIN, name: high}))
    for name in ("latitude", "longitude", "temperature", "humidity", "battery"):
        pair = ("latitude", "longitude") if name.endswith("tude") else (name,)
        encode.append(body_case(f"{name} not available", {**BERLIN, **dict.fromkeys(pair)}))
    for latitude, longitude in (
        (0, 0),
        (-1, 1),
        (107, 107),
        (-337_000_000, 1_512_000_000),
        (899_999_893, -1_799_999_893),
    ):
        encode.append(
            body_case(f"position {latitude}, {longitude}", {**BERLIN, "latitude": latitude, "longitude": longitude})
        )
    decode = []
    typical = reference.codes_of(BERLIN)
    for name, changes in (
        ("reserved humidity 201 reads as not available", {"humidity": 201}),
        ("reserved humidity 254 reads as not available", {"humidity": 254}),
        ("reserved motion 3 reads as unknown", {"motion": 3}),
        ("latitude not available: no position at all, fix class 0", {"latitude": 8_388_607}),
        ("longitude not available: no position at all, fix class 0", {"longitude": 16_777_215}),
        ("fix class 0 with coordinates: no position", {"fix": 0}),
        ("time code with quality unknown: no time", {"time_quality": 0}),
        ("all bits clear", dict.fromkeys(typical, 0)),
        ("all bits set", {field.name: (1 << field.bits) - 1 for field in FIELDS}),
    ):
        codes = {**typical, **changes}
        body = reference.build_body(codes).hex()
        decode.append({"name": name, "body": body, "codes": codes, "read_back": reference.reading_of(codes)})
    for field in FIELDS:  # shows each field's place
        codes = {**dict.fromkeys(typical, 0), field.name: (1 << field.bits) - 1}
        body = reference.build_body(codes).hex()
        decode.append(
            {
                "name": f"only the bits of {field.name}",
                "body": body,
                "codes": codes,
                "read_back": reference.reading_of(codes),
            }
        )
    refuse = [{"name": f"{n} bytes", "body": bytes(n).hex(), "reason": "length"} for n in (0, 10, 12)]
    times = [
        {"name": name, "time_mod_s": time_s % 4096 // 4 * 4, "now_s": now_s, "time_s": time_s // 4 * 4}
        for name, time_s, now_s in (
            ("heard at once", NOW_S, NOW_S + 1),
            ("heard 34 minutes later", NOW_S, NOW_S + 2_040),
            ("the tag's clock is ahead of the hub's", NOW_S + 600, NOW_S),
            ("the code has wrapped in between", 4_096 * 437_011 - 4, 4_096 * 437_011 + 100),
            ("at the epoch", 0, 1),
        )
    ]
    return {
        "about": "Sample bodies. encode: reading -> codes -> body -> read_back. decode: body -> codes -> read_back. "
        "The time of a reading is Unix time, that of read_back what a body says: modulo 4,096 s. "
        "resolve: time_mod_s and the receiver's now_s -> time_s.",
        "encode": encode,
        "decode": decode,
        "refuse": refuse,
        "resolve": times,
    }
