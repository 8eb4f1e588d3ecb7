"""Alarms: readings with a reason to codes and back."""

from tagwire import reference
from vector_cases.subject import BERLIN, MAXIMUM, MINIMUM, NOTHING, Case, Reading


def alarm_case(name: str, reading: Reading, reason: int) -> Case:
    codes = reference.alarm_codes_of(reading, reason)
    read_back, found = reference.alarm_reading_of(codes)
    assert found == reason
    body = reference.build_body(codes).hex()
    return {"name": name, "reading": reading, "reason": reason, "codes": codes, "body": body, "read_back": read_back}


def alarms() -> Case:
    """Readings with a reason to codes, bytes and back."""
    north = {**MAXIMUM, "latitude": 899_999_000, "longitude": 1_799_999_000}
    encode = [
        *(alarm_case(f"reason {reason}", BERLIN, reason) for reason in range(16)),
        alarm_case("no position: the cells' bits are all one", NOTHING, 0),
        alarm_case("no position, reason 15: all bits of the position are one", NOTHING, 15),
        alarm_case("minimum of every field", MINIMUM, 9),
        alarm_case("the pole and the date line: one cell less", MAXIMUM, 0),
        alarm_case("within the last cell but one", north, 5),
        alarm_case("no fix class: the position is not sent", {**BERLIN, "fix": 0}, 6),
    ]
    decode = []
    for name, changes in (
        ("latitude not available: no position at all, fix class 0", {"latitude": 0x7FFFFC}),
        ("longitude not available: no position at all, fix class 0", {"longitude": 0xFFFFFF}),
        ("fix class 0 with coordinates: no position", {"fix": 0}),
        ("reserved motion 3 reads as unknown", {"motion": 3}),
    ):
        codes = {**reference.alarm_codes_of(BERLIN, 3), **changes}
        reading, reason = reference.alarm_reading_of(codes)
        body = reference.build_body(codes).hex()
        decode.append({"name": name, "reason": reason, "codes": codes, "body": body, "read_back": reading})
    return {
        "about": "Alarms' bodies. encode: reading and reason -> codes -> body -> read_back. decode: body -> codes -> "
        "reason and read_back, whose position is the middle of its cell.",
        "encode": encode,
        "decode": decode,
    }
