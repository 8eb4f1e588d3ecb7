"""The generated parts of SPEC.md's chapters on sessions, history and commands; make_spec.py puts them in."""

from collections.abc import Callable

from tagwire import command, messages
from tagwire import reference_session as reference
from tagwire.reference_history import build_block, coded
from vector_cases.histories import FIRST, STILL
from vector_cases.sessions import sessions

VALUES = {
    "HISTORY": "ranges: send these samples. No range: stop sending",
    "CREDIT": "u8: so many more frames of history may come; at most 255 in all",
    "SETTLED": "ranges: a broker has acknowledged these samples",
    "TIME": "Unix time u32, time quality of the hub's clock u8 (1 to 3)",
    "IDENTIFY": "u8: show yourself for so many seconds; 60 at most at once, beyond that *limited*",
    "COMMAND": "an envelope, see [Commands](#commands)",
    "LOG": "u16: send the tag's log from this byte on; one such request at a time",
    "STATE": "newest counter u32, number of unsettled samples u32; first in the tag's first sealed frame",
    "BLOCK": "samples, see [History block](#history-block)",
    "NEVER_MADE": "ranges that were asked for and have no sample, nor ever will",
    "GONE": "ranges that were asked for, made, and overwritten since",
    "END": "newest counter u32, as it was when the request came: everything asked for up to it has been answered",
    "REPLY": "type of the message it answers u8, status u8, then for a COMMAND the sealed reply, if there is one",
    "LOG_TEXT": "the byte asked for u16, then the log from there on, as much as fits the frame; nothing: its end",
}

STATUSES = {
    "OK": "done",
    "UNKNOWN": "no such message or command",
    "NOT_PERMITTED": "not for a sender of this class; a revoked hub, or one whose key has expired",
    "FORGED": "the envelope does not open",
    "REPLAYED": "a command number that was taken before",
    "EXPIRED": "after the command's expiry",
    "VALUE": "a value out of range",
    "LIMITED": "done in part: the clock was moved as far as a hub may move it",
    "SIGNATURE": "a bundle that no trusted key signed, or a file that is not the manifest's",
    "BOARD": "a bundle for other boards or a newer MicroPython",
    "INTERRUPTED": "power failed while it was carried out; the outcome is not known",
    "VERSION": "a version that the tag does not know",
    "BUSY": "another request is under way",
    "BATTERY": "not with this little charge",
    "STORAGE": "flash could not be read or written",
    "NOT_NOW": "for example an expiry that cannot be checked without the time",
}

OPCODES = {
    "SETTINGS": "a JSON object of settings, UTF-8; of a name that comes twice the last one counts",
    "REBOOT": "nothing",
    "ROTATE": "new generation u8, above the present one",
    "REVOKE": "hub id u32 (0xFFFFFFFF: every hub), lowest epoch still valid u16",
    "UPDATE": "SHA-256 of the manifest (32), length of the bundle u32",
}


def _table(head: str, rows: list[tuple[object, ...]]) -> str:
    columns = head.split("|")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def messages_table() -> str:
    return _table(
        "type|message|sent by|value",
        [
            (f"0x{kind:02x}", name.upper(), "hub" if kind < 0x40 else "tag", VALUES[name.upper()])
            for name, kind in reference.MESSAGES.items()
        ],
    )


def status_table() -> str:
    return _table(
        "status|word|means",
        [(getattr(messages, "STATUS_" + name), name.lower(), meaning) for name, meaning in STATUSES.items()],
    )


def opcode_table() -> str:
    return _table(
        "opcode|command|value",
        [(getattr(command, name), name.lower(), value) for name, value in OPCODES.items()],
    )


def history_example() -> str:
    """Three samples, piece by piece."""
    records = [
        STILL,
        {**STILL, "counter": FIRST + 1, "time": STILL["time"] + 75, "latitude": STILL["latitude"] + 1},
        {**STILL, "counter": FIRST + 3, "time": STILL["time"] + 226, "longitude": STILL["longitude"] - 2, "fix": 2},
    ]
    lines = [", ".join(f"{name} {value}" for name, value in record.items()) for record in records]
    lines += ["", f"{FIRST.to_bytes(4, 'little').hex()} 0300{'':26} first counter, 3 samples"]
    lines += [f"{bits:39} {what}" for what, bits in coded(records)]
    lines += ["", f"block {build_block(records).hex()}"]
    return "```\n" + "\n".join(lines) + "\n```"


def session_example() -> str:
    """The whole session of vectors/session.json."""
    vectors = sessions()
    keys = vectors["keys"]
    lines = [f"{name:12} {keys[name]}" for name in ("root_key", "tag_id", "hub_id", "epoch", "hub_key", "session_key")]
    for step in vectors["whole"]["steps"]:
        lines.append(f"\nhub  {step['hub']}")
        lines += [f"tag  {frame}" for frame in step["tag"]]
    return "```\n" + "\n".join(lines) + "\n```"


PARTS: dict[str, Callable[[], str]] = {
    "messages": messages_table,
    "statuses": status_table,
    "opcodes": opcode_table,
    "history_example": history_example,
    "session_example": session_example,
}
