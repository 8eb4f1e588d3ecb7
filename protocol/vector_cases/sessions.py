"""Sessions: keys, ranges, messages, frames, and one session as a whole."""

from tagwire import reference_session as reference
from tagwire.reference_history import RECORD, build_block
from vector_cases.histories import FIRST, STILL
from vector_cases.subject import OTHER_KEY, ROOT_KEY, TAG_ID, Case

HUB_ID = 0x0000_B00B
EPOCH = 20_800
HUB_RANDOM = bytes(range(0x40, 0x48))
TAG_RANDOM = bytes(range(0x50, 0x58))
HUB_KEY = reference.hub_key(ROOT_KEY, HUB_ID, EPOCH)
SESSION_KEY = reference.session_key(HUB_KEY, HUB_RANDOM, TAG_RANDOM)
HELLO = bytes(
    reference.Hello.build(
        {"byte0": reference.byte0("hello"), "hub_id": HUB_ID, "epoch": EPOCH, "hub_random": HUB_RANDOM}
    )
)
WELCOME = bytes(reference.Welcome.build({"byte0": reference.byte0("welcome"), "tag_random": TAG_RANDOM}))


def _frame(name: str, number: int, towards_tag: bool, plaintext: bytes) -> Case:
    frame = reference.seal_frame(SESSION_KEY, TAG_ID, number, towards_tag, plaintext)
    return {
        "name": name,
        "number": number,
        "towards_tag": towards_tag,
        "plaintext": plaintext.hex(),
        "nonce": reference.nonce(frame[0], TAG_ID, number, reference.FRAME_SESSION, towards_tag).hex(),
        "frame": frame.hex(),
    }


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _flipped(frame: bytes, at: int) -> bytes:
    return frame[:at] + bytes([frame[at] ^ 0x80]) + frame[at + 1 :]


def _refused() -> list[Case]:
    """Frames that a tag whose next frame is number 1 refuses."""
    one = reference.seal_frame(SESSION_KEY, TAG_ID, 1, True, b"\x05\x01\x05")
    frames = {
        "ciphertext changed": (_flipped(one, 4), "forged"),
        "MIC changed": (_flipped(one, len(one) - 1), "forged"),
        "another root key": (reference.seal_frame(OTHER_KEY, TAG_ID, 1, True, b""), "forged"),
        "another tag": (reference.seal_frame(SESSION_KEY, TAG_ID + 1, 1, True, b""), "forged"),
        "the tag's own frame reflected": (reference.seal_frame(SESSION_KEY, TAG_ID, 1, False, b""), "forged"),
        "number changed": (_flipped(one, 1), "order"),
        "a later frame": (reference.seal_frame(SESSION_KEY, TAG_ID, 2, True, b""), "order"),
        "an earlier frame": (reference.seal_frame(SESSION_KEY, TAG_ID, 0, True, b""), "replayed"),
        "truncated": (one[:-1], "forged"),
        "shorter than a header and a MIC": (one[:10], "length"),
        "empty": (b"", "length"),
        "too long": (one + bytes(244), "length"),
        "a future version": (bytes([one[0] + 1]) + one[1:], "version"),
        "a future type": (bytes([0x11]) + one[1:], "kind"),
        "a future type, too short": (b"\x11", "kind"),
        "not sealed": (WELCOME, "kind"),
        "neither sealed nor a whole welcome": (WELCOME[:8], "length"),
    }
    return [{"name": name, "frame": frame.hex(), "reason": reason} for name, (frame, reason) in frames.items()]


REFUSED = bytes(reference.Refused.build({"byte0": reference.byte0("refused"), "status": 2}))


def _clear() -> dict[str, list[Case]]:
    """The frames that open a session: read, refused, and what a tag answers."""
    good: list[Case] = [
        {"name": "hello", "frame": HELLO.hex(), "hub_id": HUB_ID, "epoch": EPOCH, "hub_random": HUB_RANDOM.hex()},
        {"name": "welcome", "frame": WELCOME.hex(), "tag_random": TAG_RANDOM.hex()},
        {"name": "refused", "frame": REFUSED.hex(), "status": 2},
    ]
    bad = {
        "empty": (b"", "length"),
        "hello, truncated": (HELLO[:-1], "length"),
        "hello, too long": (HELLO + b"\x00", "length"),
        "welcome, truncated": (WELCOME[:-1], "length"),
        "refused without a status": (REFUSED[:1], "length"),
        "version 2": (b"\x02" + HELLO[1:], "version"),
        "version 0": (b"\x00" + HELLO[1:], "version"),
        "type 4": (b"\x11" + HELLO[1:], "kind"),
        "a bit that is 0 so far": (b"\x21" + HELLO[1:], "kind"),
    }
    answers = {
        "hello": (HELLO, WELCOME),
        "version 2, of any length": (b"\x02", b"\x09\x0b"),
        "another hub": (b"\x01\x07" + HELLO[2:], REFUSED),
        "another epoch": (HELLO[:5] + b"\xff\xff" + HELLO[7:], REFUSED),
    }
    return {
        "clear": good,
        "bad_clear": [{"name": name, "frame": data.hex(), "reason": reason} for name, (data, reason) in bad.items()],
        "answers": [
            {"name": name, "hub": hello.hex(), "tag": answer.hex()} for name, (hello, answer) in answers.items()
        ],
    }


def _listed(*messages: tuple[str, bytes]) -> list[list[object]]:
    return [[reference.MESSAGES[kind], value.hex()] for kind, value in messages]


def _whole() -> Case:
    """A session from hello to end: what the tag has, what the hub writes, what the tag must answer."""
    records = [{**STILL, "counter": FIRST + i, "time": STILL["time"] + 75 * i} for i in (0, 1, 2, 5, 6)]
    wanted = [(FIRST, FIRST + 4), (FIRST + 6, FIRST + 9)]
    newest = FIRST + 6
    hub = [
        [("history", reference.build_ranges(wanted)), ("credit", b"\x08"), ("identify", b"\x05")],
        [("settled", reference.build_ranges([(FIRST, FIRST + 2)]))],
    ]
    tag = [
        [
            ("state", bytes(reference.State.build({"newest": newest, "unsettled": 5}))),
            ("reply", bytes(reference.Reply.build({"message": 0x05, "status": 0, "sealed": b""}))),
        ],
        [
            ("block", build_block([records[i] for i in (0, 1, 2, 4)])),
            ("never_made", reference.build_ranges([(FIRST + 4, FIRST + 4)])),
            ("gone", reference.build_ranges([(FIRST + 3, FIRST + 3)])),
            ("end", _u32(newest)),
        ],
        [("reply", bytes(reference.Reply.build({"message": 3, "status": 0, "sealed": b""})))],
    ]

    def sealed(frames: list[list[tuple[str, bytes]]], towards_tag: bool) -> list[str]:
        plaintexts = [reference.build_messages(*messages) for messages in frames]
        return [
            reference.seal_frame(SESSION_KEY, TAG_ID, i, towards_tag, each).hex() for i, each in enumerate(plaintexts)
        ]

    sealed_hub, sealed_tag = sealed(hub, True), sealed(tag, False)
    return {
        "about": f"The hub writes each frame of `hub`; the tag answers with the frames listed beside it. It asks for "
        f"{wanted[0][0]} to {wanted[0][1]} and {wanted[1][0]} to {wanted[1][1]}; {FIRST + 5} is in the tag's journal, "
        "is not asked for and never sent. hub_messages, tag_messages: what the sealed frames say.",
        "journal": [[record[name] for name in RECORD] for record in records],
        "gone": [FIRST + 3],
        "steps": [
            {"hub": HELLO.hex(), "tag": [WELCOME.hex()]},
            {
                "hub": sealed_hub[0],
                "tag": sealed_tag[:2],
                "hub_messages": _listed(*hub[0]),
                "tag_messages": [_listed(*messages) for messages in tag[:2]],
            },
            {
                "hub": sealed_hub[1],
                "tag": sealed_tag[2:],
                "hub_messages": _listed(*hub[1]),
                "tag_messages": [_listed(*messages) for messages in tag[2:]],
            },
        ],
    }


def _info() -> dict[str, list[Case]]:
    """The info characteristic: what a tag says of itself to anybody."""
    values = {
        "typical": (1, (0, 1, 0), 1),
        "largest": (255, (255, 254, 253), 252),
    }
    good = {
        name: reference.Info.build({"protocol": protocol, "firmware": firmware, "board": board})
        for name, (protocol, firmware, board) in values.items()
    }
    good["typical, of a later version with more bytes"] = good["typical"][:5] + bytes(range(1, 8))
    return {
        "info": [
            {"name": name, "bytes": bytes(data).hex(), "protocol": data[0], "firmware": [*data[1:4]], "board": data[4]}
            for name, data in good.items()
        ],
        "bad_info": [{"name": "seven bytes", "bytes": bytes(7).hex(), "reason": "length"}],
    }


def sessions() -> Case:
    """Everything about sessions."""
    ranges: dict[str, list[tuple[int, int]]] = {
        "none": [],
        "one counter": [(5, 5)],
        "the first and the last": [(0, 0), (0xFFFF_FFFF, 0xFFFF_FFFF)],
        "all": [(0, 0xFFFF_FFFF)],
        "as near as can be": [(1, 2), (4, 4), (6, 300)],
        "32 of them": [(1000 * i, 1000 * i + i) for i in range(32)],
    }
    bad_ranges = {
        "empty": "",
        "fewer than it says": "0205",
        "more than it says": "01050000",
        "33 of them": "21" + "0000" * 33,
        "a number in more bytes than it needs": "018000" + "00",
        "a number of six bytes": "01" + "808080808001" + "00",
        "a range that ends beyond 32 bits": "01" + "ffffffff0f" + "01",
        "a number beyond 32 bits": "01" + "00" + "8080808010",
    }
    status = bytes(reference.Reply.build({"message": 0x06, "status": 4, "sealed": b"envelope"}))
    messages = {
        "none": [],
        "one of each that a hub sends": [
            ["history", reference.build_ranges([(7, 9)])],
            ["credit", b"\xff"],
            ["settled", reference.build_ranges([])],
            ["time", bytes(reference.Time.build({"unix_s": 1_790_000_123, "quality": 3}))],
            ["identify", b"\x00"],
            ["command", b"opaque"],
            ["log", b"\x00\x01"],
        ],
        "one of each that a tag sends": [
            ["state", _u32(9) + _u32(4)],
            ["block", b"opaque"],
            ["never_made", reference.build_ranges([(8, 8)])],
            ["gone", reference.build_ranges([(1, 2)])],
            ["end", _u32(9)],
            ["reply", status],
            ["log_text", bytes(reference.LogText.build({"offset": 256, "text": b"MemoryError"}))],
        ],
        "what a frame is not refused for: a time without quality, or with an unknown one, and what is opaque": [
            ["time", bytes(5)],
            ["time", bytes([0, 0, 0, 0, 4])],
            ["command", b""],
            ["block", b""],
            ["log_text", bytes(2)],
        ],
    }
    bad_messages = {
        "a type without a length": "05",
        "longer than the frame": "050201",
        "an identify of two bytes": "05020102",
        "a time of four bytes": "0404" + "00" * 4,
        "a reply of one byte": "460105",
        "a log request of one byte": "070100",
        "a piece of log without its offset": "470100",
        "ranges that are none": "010121",
        "17 of them": "050101" * 17,
    }
    return {
        "about": "Sessions of one hub with one tag; see SPEC.md, 'Session'. All keys and frames are hexadecimal. "
        "clear: the frames that open a session; bad_clear: refused whoever gets them; answers: a tag's to each as the "
        "first frame of a connection, where it knows the hub and epoch of `keys` alone. refuse: by a tag whose next "
        "frame is number 1. info: the value of the characteristic; a tag of this version sends exactly eight bytes.",
        "keys": {
            "root_key": ROOT_KEY.hex(),
            "tag_id": TAG_ID,
            "hub_id": HUB_ID,
            "epoch": EPOCH,
            "hub_random": HUB_RANDOM.hex(),
            "tag_random": TAG_RANDOM.hex(),
            "hub_key": HUB_KEY.hex(),
            "session_key": SESSION_KEY.hex(),
        },
        **_clear(),
        "ranges": [
            {"name": name, "ranges": value, "bytes": reference.build_ranges(value).hex()}
            for name, value in ranges.items()
        ],
        "bad_ranges": [{"name": name, "bytes": data, "reason": "format"} for name, data in bad_ranges.items()],
        "messages": [
            {
                "name": name,
                "messages": [[reference.MESSAGES[str(kind)], bytes(value).hex()] for kind, value in content],  # type: ignore[arg-type]
                "plaintext": reference.build_messages(*content).hex(),  # type: ignore[arg-type]
            }
            for name, content in messages.items()
        ],
        "bad_messages": [{"name": name, "plaintext": data, "reason": "format"} for name, data in bad_messages.items()],
        "frames": [
            _frame("the hub's first, empty", 0, True, b""),
            _frame("the hub's second", 1, True, reference.build_messages(("identify", b"\x05"))),
            _frame("the tag's first", 0, False, reference.build_messages(("state", _u32(9) + _u32(4)))),
            _frame("the tag's last possible, full", 0xFFFF, False, bytes([0x7F, 231]) + bytes(231)),
        ],
        "refuse": _refused(),
        **_info(),
        "whole": _whole(),
    }
