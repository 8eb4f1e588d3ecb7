"""Beacons: sealed ones, what must be refused and why, and the AdvData around them."""

from typing import Any

from tagwire import reference
from vector_cases.subject import (
    BERLIN,
    COMPANY_ID,
    MAXIMUM,
    MINIMUM,
    NOTHING,
    NOW_S,
    OTHER_KEY,
    ROOT_KEY,
    TAG_ID,
    Case,
    Reading,
)


def beacon_case(
    name: str,
    reading: Reading,
    counter: int,
    tag_id: int = TAG_ID,
    hints: int = 0,
    reason: int | None = None,
    epoch: int | None = None,
) -> Case:
    """A sealed beacon from its reading: an alarm where it has a reason, with a private id where it has an epoch."""
    generation = counter >> 24
    key = reference.beacon_key(ROOT_KEY, generation)
    id_key = None if epoch is None else reference.id_key(ROOT_KEY, generation)
    codes = reference.codes_of(reading) if reason is None else reference.alarm_codes_of(reading, reason)
    body = reference.build_body(codes)
    kind = "sample" if reason is None else "alarm"
    shown = bool(hints & 0x10), bool(hints & 0x40)
    beacon = reference.seal(key, tag_id, counter, body, *shown, kind, id_key, epoch or 0)
    nonce = reference.nonce_of(beacon[0], tag_id, counter, epoch or 0)
    case: Case = {
        "name": name,
        "root_key": ROOT_KEY.hex(),
        "generation": generation,
        "beacon_key": key.hex(),
        "tag_id": tag_id,
        "counter": counter,
        "hints": hints,
        "reading": reading,
        "body": body.hex(),
        "nonce": nonce.hex(),
        "b0": reference.B0.build({"flags": 0x51, "nonce": nonce, "message_bytes": len(body)}).hex(),
        "beacon": beacon.hex(),
        "company_id": COMPANY_ID,
        "adv_data": reference.advertisement(COMPANY_ID, beacon).hex(),
    }
    if reason is not None:
        case["reason"] = reason
    if id_key is not None:
        case.update(id_key=id_key.hex(), epoch=epoch)
    return case


def beacons() -> Case:
    """Sealed beacons; what must be refused, and why; AdvData around them."""
    valid = [
        beacon_case("typical", BERLIN, 0x0000_002A),
        beacon_case("minimum", MINIMUM, 0, tag_id=0),
        beacon_case("maximum", MAXIMUM, 0xFFFF_FFFF, tag_id=0xFFFF_FFFF, hints=0x50),
        beacon_case("nothing available", NOTHING, 1),
        beacon_case("backlog hint", BERLIN, 0x0000_002A, hints=0x10),
        beacon_case("connectable hint", BERLIN, 0x0000_002A, hints=0x40),
        beacon_case("generation 3, low half of the counter about to wrap", BERLIN, 0x0301_FFFF),
        beacon_case("generation 3, low half of the counter wrapped", BERLIN, 0x0302_0000),
    ]
    epoch = NOW_S // 1024
    valid += [
        beacon_case("alarm: temperature high", BERLIN, 43, reason=1),
        beacon_case("alarm without a position, all bits of the reason", NOTHING, 44, reason=15, hints=0x50),
        beacon_case("private id", BERLIN, 45, epoch=epoch),
        beacon_case("the same sample in the next epoch", BERLIN, 45, epoch=epoch + 1),
        beacon_case("alarm with a private id and hints, generation 3", BERLIN, 0x0301_FFFF, TAG_ID, 0x50, 6, epoch),
        beacon_case("private id in the first epoch", MINIMUM, 0, tag_id=0, epoch=0),
        beacon_case("private id in the last epoch", MAXIMUM, 0xFFFF_FFFF, 0xFFFF_FFFF, epoch=0xFF_FFFF),
    ]
    good = valid[0]
    private = valid[10]
    hidden = bytes.fromhex(private["beacon"])
    frame = bytes.fromhex(good["beacon"])

    def refused(name: str, data: bytes, reason: str, **changes: Any) -> Case:
        case = {"name": name, "beacon": data.hex(), "beacon_key": good["beacon_key"], "counter": good["counter"]}
        return {**case, "reason": reason, **changes}

    def flipped(at: int, mask: int) -> bytes:
        return frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :]

    opened = {"beacon_key": private["beacon_key"], "counter": 45, "tag_id": TAG_ID, "epoch": epoch}
    refuse = [
        refused("backlog hint set by a third party", flipped(0, 0x10), "forged"),
        refused("connectable hint set by a third party", flipped(0, 0x40), "forged"),
        refused("spare bit set by a third party", flipped(0, 0x80), "forged"),
        *(refused(f"tag id, byte {i}", flipped(i, 0x01), "forged") for i in range(1, 5)),
        *(
            # The receiver tries the counter that the flipped bits point to.
            refused(f"counter, byte {i}", flipped(i, 0x01), "forged", counter=good["counter"] ^ 1 << 8 * (i - 5))
            for i in (5, 6)
        ),
        *(refused(f"sealed body, byte {i}", flipped(i, 0x80), "forged") for i in range(7, 18)),
        *(refused(f"MIC, byte {i}", flipped(i, 0x01), "forged") for i in range(18, 24)),
        refused("another tag's key", frame, "forged", beacon_key=reference.beacon_key(OTHER_KEY, 0).hex()),
        refused("the next generation's key", frame, "forged", beacon_key=reference.beacon_key(ROOT_KEY, 1).hex()),
        refused("another high half of the counter", frame, "forged", counter=good["counter"] + 0x10000),
        refused("another generation's counter", frame, "forged", counter=good["counter"] + 0x1000000),
        *(refused(f"truncated to {n} bytes", frame[:n], "length") for n in (0, 1, 6, 7, 17, 18, 23)),
        refused("one byte too many", frame + b"\x00", "length"),
        *(refused(f"version {v}", bytes([v]) + frame[1:], "version") for v in (0, 2, 3)),
        refused("kind 3", bytes([0x0D]) + frame[1:], "kind"),
        refused("service: never a sample", bytes([0x09]) + frame[1:], "kind"),
        refused("a sample turned into an alarm", flipped(0, 0x04), "forged"),
        refused("private hint set by a third party", flipped(0, 0x20), "forged", tag_id=TAG_ID, epoch=epoch),
        *(
            refused(name, data, "forged", **{**opened, **changes})
            for name, data, changes in (
                ("private id, opened for another tag", hidden, {"tag_id": TAG_ID + 1}),
                ("private id, opened for the epoch before", hidden, {"epoch": epoch - 1}),
                ("private id, opened for the epoch after", hidden, {"epoch": epoch + 1}),
                ("private id, opened as the next sample", hidden, {"counter": 46}),
                ("private id of another tag", hidden[:1] + b"\x00" + hidden[2:], {}),
                ("private id, the counter's mask changed", hidden[:5] + bytes([hidden[5] ^ 1]) + hidden[6:], {}),
            )
        ),
    ]
    adv = bytes.fromhex(good["adv_data"])
    company = COMPANY_ID.to_bytes(2, "little")
    apple = bytes.fromhex("1aff4c000215") + bytes(16) + bytes.fromhex("00010002c5")
    find = [
        (name, data, None if payload is None else payload.hex())
        for name, data, payload in (
            ("ours", adv, frame),
            ("without flags", adv[3:], frame),
            ("after a name", b"\x05\x09abcd" + adv[3:], frame),
            ("after another company's data (not from one legacy PDU)", apple + adv[3:], frame),
            ("zero padding behind", adv + bytes(4), frame),
            ("another company", apple, None),
            ("company id without payload", b"\x03\xff" + company, b""),
            ("structure longer than the data", adv[:-1], None),
            ("length byte alone", b"\x1b", None),
            ("zero length ends the data", b"\x00" + adv, None),
            ("company id cut in half", b"\x02\xff\xff", None),
            ("empty", b"", None),
            ("all ones", b"\xff" * 31, None),
        )
    ]
    return {
        "about": "valid: from key, counter and reading to 31 bytes, and back; an alarm has a `reason`, a private id "
        "an `id_key` and an `epoch`. refuse: what a receiver that tries `counter` with `beacon_key` (for `tag_id` and "
        "`epoch`, where the id is private) must say. find: the manufacturer payload for company_id 65535 within "
        "AdvData, or null.",
        "valid": valid,
        "refuse": refuse,
        "find": [{"name": name, "adv_data": data.hex(), "payload": payload} for name, data, payload in find],
    }
