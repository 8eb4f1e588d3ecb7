"""Service beacons."""

from tagwire import reference
from vector_cases.subject import ROOT_KEY, TAG_ID, Case

_EPOCH = 1_748_046


def services() -> Case:
    """Service beacons, and what must be refused."""
    rows = (
        ("nothing known", 0, [0, 0, 0], 0, None, 0, 0, 0),
        ("no key", 1, [1, 4, 2], 1, 3_720, 12, 0, 0),
        ("counter lost, of a known tag", 3, [1, 4, 2], 2, 1_800, 86_400, TAG_ID, 0),
        ("battery low, the next counter is known", 6, [255, 255, 255], 255, 4_200, 0xFFFFFF, 0xFFFF_FFFF, 0xFFFF),
        ("a reason of a later version", 200, [2, 0, 0], 1, 3_000, 60, TAG_ID, 42),
    )
    good: list[Case] = []
    for name, reason, version, board, battery_mv, uptime_s, tag_id, counter_low in rows:
        beacon = reference.service(reason, version, board, battery_mv, uptime_s, tag_id, counter_low)
        values = {"reason": reason, "version": version, "board": board, "battery": battery_mv, "uptime_s": uptime_s}
        good.append({"name": name, **values, "tag_id": tag_id, "counter_low": counter_low, "beacon": beacon.hex()})
    plain = bytes.fromhex(good[1]["beacon"])
    private_id = reference.private_name(reference.id_key(ROOT_KEY, 0), _EPOCH)[0].to_bytes(4, "little")
    same = [
        ("spare bit set", bytes([plain[0] | 0x80]) + plain[1:]),
        ("a later version's bytes 16-23", plain[:16] + b"\x01\x02\x03\x04\x05\x06\x07\x08"),
        ("private id", bytes([plain[0] | 0x20]) + private_id + plain[5:]),
    ]
    bad = [
        ("truncated", plain[:23], "length"),
        ("version 2", bytes([0x0A]) + plain[1:], "version"),
        ("a sample", bytes([0x01]) + plain[1:], "kind"),
        ("kind 3", bytes([0x0D]) + plain[1:], "kind"),
    ]
    return {
        "about": "Service beacons: unsealed, and never samples. same: these read as the second good one; a private id "
        "is no tag id, so that tag_id and counter_low are 0. bad: with the reason for the refusal.",
        "good": good,
        "same": [{"name": name, "beacon": data.hex()} for name, data in same],
        "bad": [{"name": name, "beacon": data.hex(), "reason": reason} for name, data, reason in bad],
    }
