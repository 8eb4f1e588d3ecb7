"""The executable specification of sessions, commands and bundles: `construct` and `cryptography`. Host only.

Shares no code with the portable modules. The vectors are made with it.
"""

from typing import Any

import construct as c
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from tagwire.reference import Nonce, derive

SessionByte0 = c.BitStruct(
    "spare" / c.Const(0, c.BitsInteger(3)),
    "type" / c.Enum(c.BitsInteger(3), hello=0, welcome=1, refused=2, sealed=3),
    "version" / c.BitsInteger(2),
)

Hello = c.Struct(
    "byte0" / SessionByte0, "hub_id" / c.Int32ul, "epoch" / c.Int16ul, "hub_random" / c.Bytes(8), c.Terminated
)
Welcome = c.Struct("byte0" / SessionByte0, "tag_random" / c.Bytes(8), c.Terminated)
Refused = c.Struct("byte0" / SessionByte0, "status" / c.Int8ul, c.Terminated)
SealedHeader = c.Struct("byte0" / SessionByte0, "number" / c.Int16ul)

Info = c.Struct("protocol" / c.Int8ul, "firmware" / c.Int8ul[3], "board" / c.Int8ul, c.Padding(3))

MESSAGES = {
    "history": 0x01,
    "credit": 0x02,
    "settled": 0x03,
    "time": 0x04,
    "identify": 0x05,
    "command": 0x06,
    "log": 0x07,
    "state": 0x41,
    "block": 0x42,
    "never_made": 0x43,
    "gone": 0x44,
    "end": 0x45,
    "reply": 0x46,
    "log_text": 0x47,
}

Range = c.Struct("distance" / c.VarInt, "length" / c.VarInt)  # length: last - first
Ranges = c.PrefixedArray(c.Int8ul, Range)
Time = c.Struct("unix_s" / c.Int32ul, "quality" / c.Int8ul, c.Terminated)
State = c.Struct("newest" / c.Int32ul, "unsettled" / c.Int32ul, c.Terminated)
Reply = c.Struct("message" / c.Int8ul, "status" / c.Int8ul, "sealed" / c.GreedyBytes)
LogText = c.Struct("offset" / c.Int16ul, "text" / c.GreedyBytes)
Message = c.Struct("type" / c.Enum(c.Int8ul, **MESSAGES), "value" / c.Prefixed(c.Int8ul, c.GreedyBytes))

EnvelopeHeader = c.Struct("byte0" / c.Const(1, c.Int8ul), "number" / c.Int32ul)
CommandBody = c.Struct(
    "opcode" / c.Enum(c.Int8ul, settings=1, reboot=2, rotate=3, revoke=4, update=5),
    "expires_s" / c.Int32ul,
    "value" / c.GreedyBytes,
)
ReplyBody = c.Struct("status" / c.Int8ul, "detail" / c.GreedyBytes)

RevokedHubs = c.GreedyRange(c.Struct("hub_id" / c.Int32ul, "epoch" / c.Int16ul))

Bundle = c.Struct(
    "magic" / c.Const(b"tagstack"),
    "format" / c.Const(1, c.Int8ul),
    "manifest" / c.Prefixed(c.Int16ul, c.GreedyBytes),
    "signature" / c.Bytes(256),
    "files" / c.GreedyBytes,
)

FRAME_SESSION = 1
FRAME_COMMAND = 2


def hub_key(root_key: bytes, hub_id: int, epoch: int) -> bytes:
    """K_hub."""
    context = c.Struct("hub_id" / c.Int32ul, "epoch" / c.Int16ul).build({"hub_id": hub_id, "epoch": epoch})
    return derive(root_key, b"tagstack hub", context)


def session_key(key: bytes, hub_random: bytes, tag_random: bytes) -> bytes:
    """The key of one session."""
    return derive(key, b"tagstack session", hub_random + tag_random)


def platform_key(root_key: bytes) -> bytes:
    """K_platform."""
    return derive(root_key, b"tagstack platform", b"")


def nonce(byte0: int, tag_id: int, number: int, kind: int, towards_tag: bool) -> bytes:
    """The nonce of a session frame or a command: as a beacon's, the number in place of the counter, epoch 0."""
    frame = {"towards_tag": towards_tag, "kind": kind}
    return bytes(Nonce.build({"byte0": byte0, "tag_id": tag_id, "counter": number, "frame": frame, "epoch": 0}))


def byte0(kind: str) -> dict[str, Any]:
    """Byte 0 of a session frame of this type, for building."""
    return {"type": kind, "version": 1}


def build_ranges(ranges: list[tuple[int, int]]) -> bytes:
    """Ranges as sent."""
    least = 0
    coded = []
    for first, last in ranges:
        coded.append({"distance": first - least, "length": last - first})
        least = last + 2
    return bytes(Ranges.build(coded))


def build_messages(*messages: tuple[str, bytes]) -> bytes:
    """A frame's plaintext."""
    return b"".join(Message.build({"type": kind, "value": value}) for kind, value in messages)


def seal_frame(key: bytes, tag_id: int, number: int, towards_tag: bool, plaintext: bytes) -> bytes:
    """A sealed session frame."""
    header = bytes(SealedHeader.build({"byte0": byte0("sealed"), "number": number}))
    frame_nonce = nonce(header[0], tag_id, number, FRAME_SESSION, towards_tag)
    return header + AESCCM(key, tag_length=8).encrypt(frame_nonce, plaintext, header)


def seal_envelope(key: bytes, tag_id: int, number: int, towards_tag: bool, body: bytes) -> bytes:
    """A sealed command (towards the tag) or its reply."""
    header = bytes(EnvelopeHeader.build({"number": number}))
    envelope_nonce = nonce(header[0], tag_id, number, FRAME_COMMAND, towards_tag)
    return header + AESCCM(key, tag_length=8).encrypt(envelope_nonce, body, header)
