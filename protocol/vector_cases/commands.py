"""Commands of the platform: envelopes, replies, what a tag does with them, and its list of revoked hubs."""

from binascii import crc32

from tagwire import reference_session as reference
from vector_cases.subject import NOW_S, OTHER_KEY, ROOT_KEY, TAG_ID, Case

GENERATION = 1
FIRST = GENERATION << 24
KEY = reference.platform_key(ROOT_KEY)
NEVER = 0xFFFF_FFFF


def _command(number: int, opcode: int = 2, expires_s: int = NEVER, value: bytes = b"", key: bytes = KEY) -> bytes:
    body = reference.CommandBody.build({"opcode": opcode, "expires_s": expires_s, "value": value})
    return reference.seal_envelope(key, TAG_ID, number, True, bytes(body))


def _reply(number: int, status: int, detail: bytes = b"") -> bytes:
    body = reference.ReplyBody.build({"status": status, "detail": detail})
    return reference.seal_envelope(KEY, TAG_ID, number, False, bytes(body))


def _memory(number: int, status: int, detail: bytes = b"") -> bytes:
    data = number.to_bytes(4, "little") + bytes([status]) + detail
    return data + crc32(data).to_bytes(4, "little")


def _receiver() -> list[Case]:
    """One tag, step by step."""
    first, fourth = _command(FIRST), _command(FIRST + 3, 1, NOW_S, b'{"interval_s":600}')
    late = _command(FIRST + 9, 2, NOW_S - 1)
    done = _reply(FIRST, 0, b"ok")
    steps: list[tuple[str, bytes, int | None, int, bytes]] = [
        ("below the generation", _command(FIRST - 1), NOW_S, 4, b""),
        ("carried out", first, None, 0, done),
        ("the same again gets the same reply", first, NOW_S, 0, done),
        ("an expiry, and no time to check it", fourth, None, 35, b""),
        ("numbers may have gaps", fourth, NOW_S, 0, _reply(FIRST + 3, 0, b"ok")),
        ("an older number", _command(FIRST + 2), NOW_S, 4, b""),
        ("the first again", first, NOW_S, 4, b""),
        ("sealed with another key", _command(FIRST + 4, key=OTHER_KEY), NOW_S, 3, b""),
        ("number changed", late[:1] + b"\xff" + late[2:], NOW_S, 3, b""),
        ("a reply is no command", _reply(FIRST + 4, 0), NOW_S, 3, b""),
        ("truncated", late[:-1], NOW_S, 3, b""),
        ("shorter than a header and a MIC", late[:12], NOW_S, 3, b""),
        ("no opcode and expiry", reference.seal_envelope(KEY, TAG_ID, FIRST + 4, True, b"\x02"), NOW_S, 3, b""),
        ("too short, of a future version", b"\x02" + late[1:17], NOW_S, 3, b""),
        ("too long", late + bytes(193), NOW_S, 3, b""),
        ("a future version", b"\x02" + late[1:], NOW_S, 11, b""),
        ("in its last second", _command(FIRST + 5, expires_s=NOW_S), NOW_S, 0, _reply(FIRST + 5, 0, b"ok")),
        ("expired", late, NOW_S, 5, _reply(FIRST + 9, 5)),
        ("expired, and asked again with the clock set back", late, NOW_S - 9, 5, _reply(FIRST + 9, 5)),
    ]
    return [
        {"name": name, "envelope": envelope.hex(), "now_s": now_s, "status": status, "reply": reply.hex()}
        for name, envelope, now_s, status, reply in steps
    ]


def commands() -> Case:
    """Everything about commands."""
    values = {
        "settings": (1, b'{"interval_s":600}'),
        "reboot": (2, b""),
        "rotate": (3, b"\x02"),
        "revoke": (4, (0xB00B).to_bytes(4, "little") + (20_900).to_bytes(2, "little")),
        "update": (5, bytes(range(32)) + (12_345).to_bytes(4, "little")),
        "the longest": (1, bytes(192)),
    }
    floors = [{"hub_id": 4, "epoch": 100}, {"hub_id": 5, "epoch": 300}, {"hub_id": 0xFFFF_FFFF, "epoch": 200}]
    return {
        "about": "Commands of the platform under K_platform of one tag; see SPEC.md, 'Commands'. receiver: one tag's "
        "sequence, with nothing stored before it. This tag carries out every command with status 0 and the detail "
        "'ok'; the reply to one that has expired has no detail. `status` is for the hub, `reply` the sealed one, '' "
        "for none.",
        "keys": {
            "root_key": ROOT_KEY.hex(),
            "tag_id": TAG_ID,
            "generation": GENERATION,
            "platform_key": KEY.hex(),
        },
        "commands": [
            {
                "name": name,
                "number": FIRST + i,
                "opcode": opcode,
                "expires_s": NOW_S if i % 2 else NEVER,
                "value": value.hex(),
                "nonce": reference.nonce(1, TAG_ID, FIRST + i, reference.FRAME_COMMAND, True).hex(),
                "envelope": _command(FIRST + i, opcode, NOW_S if i % 2 else NEVER, value).hex(),
            }
            for i, (name, (opcode, value)) in enumerate(values.items())
        ],
        "replies": [
            {"name": name, "number": FIRST, "status": status, "detail": detail.hex(), "envelope": envelope.hex()}
            for name, status, detail, envelope in (
                ("done", 0, b"", _reply(FIRST, 0)),
                ("refused, with detail", 6, b"interval_s", _reply(FIRST, 6, b"interval_s")),
            )
        ],
        "receiver": _receiver(),
        "memory": [
            {
                "name": name,
                "number": number,
                "status": status,
                "detail": detail.hex(),
                "bytes": _memory(number, status, detail).hex(),
            }
            for name, number, status, detail in (("plain", FIRST, 0, b""), ("largest", 0xFFFF_FFFF, 255, bytes(16)))
        ],
        "bad_memory": [
            {"name": "empty", "bytes": ""},
            {"name": "erased flash", "bytes": "ff" * 9},
            {"name": "one bit flipped", "bytes": "01" + _memory(FIRST, 0).hex()[2:]},
            {"name": "too long", "bytes": _memory(FIRST, 0, bytes(17)).hex()},
        ],
        "revoked": {
            "bytes": bytes(reference.RevokedHubs.build(floors)).hex(),
            "permits": [
                {"hub_id": hub_id, "epoch": epoch, "now_s": now_s, "permitted": permitted}
                for hub_id, epoch, now_s, permitted in (
                    (4, 199, None, False),
                    (4, 200, None, True),
                    (5, 299, None, False),
                    (5, 300, None, True),
                    (6, 199, None, False),
                    (6, 200, None, True),
                    (6, 200, 200 * 86400 + 86399, True),
                    (6, 200, 201 * 86400, False),
                    (6, 0xFFFF, NEVER, True),
                )
            ],
            "bad": [
                {"name": "truncated", "bytes": "050000002c"},
                {"name": "not rising", "bytes": "060000002c01" + "050000002c01"},
                {"name": "17 hubs", "bytes": "".join(f"{i:02x}0000000100" for i in range(17))},
            ],
        },
    }
