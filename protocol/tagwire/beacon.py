"""The 24-byte beacon and the advertisement around it. Portable.

0      version (bits 0-1), kind (2-3), hints: backlog (4), private (5), connectable now (6), spare (7)
1-4    tag id, little-endian
5-6    low 16 bits of the counter, little-endian
7-17   sealed body
18-23  MIC
"""

from tagwire.errors import REASON_KIND, REASON_LENGTH, REASON_VERSION, DecodeError, EncodeError
from tagwire.seal import ccm_open, ccm_seal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    from tagwire.seal import BlockCipher

    class Header(NamedTuple):
        """What a beacon says in clear: a KIND_* code, HINT_* bits, the id as sent, the counter's low 16 bits."""

        kind: int
        hints: int
        tag_id: int
        counter_low: int

else:
    from collections import namedtuple

    Header = namedtuple("Header", ("kind", "hints", "tag_id", "counter_low"))

VERSION = 1
BEACON_BYTES = 24
HEADER_BYTES = 7  # also the associated data of the seal
MIC_BYTES = 6

KIND_SAMPLE = 0
KIND_ALARM = 1  # reserved: same body, with a reason
KIND_SERVICE = 2  # reserved: unsealed, never a sample

HINT_BACKLOG = 0x10
HINT_PRIVATE = 0x20
HINT_CONNECTABLE = 0x40
HINTS = 0x70

FRAME_BEACON = 0x00  # nonce byte 9: frame kind (bits 0-6) and direction (bit 7: 1 = towards the tag)

COMPANY_ID_TEST = 0xFFFF  # Bluetooth Assigned Numbers: for tests only, not to be shipped
ADVERTISEMENT_BYTES = 31


def beacon_nonce(byte0: int, tag_id: int, counter: int) -> bytes:
    """The 13-byte nonce of a beacon: byte 0 | tag id | counter | frame kind and direction | epoch (0 when public)."""
    return bytes([byte0]) + tag_id.to_bytes(4, "little") + counter.to_bytes(4, "little") + b"\x00\x00\x00\x00"


def seal_beacon(encrypt: "BlockCipher", tag_id: int, counter: int, body: bytes, hints: int = 0) -> bytes:
    """A sample's 24-byte beacon. Under one counter the body must never change; hints may.

    `encrypt` is the block cipher of K_beacon of the counter's generation. Raises EncodeError for values out of range.
    """
    if not 0 <= tag_id <= 0xFFFFFFFF or not 0 <= counter <= 0xFFFFFFFF:
        raise EncodeError("tag id %d or counter %d is not within 32 bits" % (tag_id, counter))
    if hints & ~(HINT_BACKLOG | HINT_CONNECTABLE):  # private ids are not part of this edition
        raise EncodeError("hints 0x%02x" % hints)
    if len(body) != 11:
        raise EncodeError("a sample body has 11 bytes, not %d" % len(body))
    byte0 = VERSION | KIND_SAMPLE << 2 | hints
    header = bytes([byte0]) + tag_id.to_bytes(4, "little") + (counter & 0xFFFF).to_bytes(2, "little")
    return header + ccm_seal(encrypt, beacon_nonce(byte0, tag_id, counter), header, body, MIC_BYTES)


def parse_header(frame: bytes) -> "Header":
    """The clear part of a beacon. Raises DecodeError: "length", "version", "kind"."""
    if len(frame) != BEACON_BYTES:
        raise DecodeError(REASON_LENGTH, "a beacon has 24 bytes, not %d" % len(frame))
    byte0 = frame[0]
    if byte0 & 3 != VERSION:
        raise DecodeError(REASON_VERSION, "version %d" % (byte0 & 3))
    kind = byte0 >> 2 & 3
    if kind != KIND_SAMPLE or byte0 & HINT_PRIVATE:
        raise DecodeError(REASON_KIND, "byte 0 is 0x%02x" % byte0)
    return Header(kind, byte0 & HINTS, int.from_bytes(frame[1:5], "little"), int.from_bytes(frame[5:7], "little"))


def open_beacon(encrypt: "BlockCipher", frame: bytes, counter: int) -> bytes:
    """The 11-byte body of a beacon, if `counter` is the one it was sealed under. Raises DecodeError."""
    header = parse_header(frame)
    if counter & 0xFFFF != header.counter_low:
        raise EncodeError("counter %d does not end in the beacon's 16 bits" % counter)
    nonce = beacon_nonce(frame[0], header.tag_id, counter)
    return ccm_open(encrypt, nonce, frame[:HEADER_BYTES], frame[HEADER_BYTES:], MIC_BYTES)


def advertisement(company_id: int, frame: bytes) -> bytes:
    """The 31 bytes of AdvData around a 24-byte beacon: Flags (LE General Discoverable, no BR/EDR), then
    Manufacturer Specific Data (Core Specification Supplement, part A, 1.3 and 1.4). Raises EncodeError."""
    if len(frame) != BEACON_BYTES or not 0 <= company_id <= 0xFFFF:
        raise EncodeError("a beacon has 24 bytes and a company id 16 bits")
    return b"\x02\x01\x06\x1b\xff" + company_id.to_bytes(2, "little") + frame


def manufacturer_data(adv_data: bytes, company_id: int) -> "bytes | None":
    """The payload of the first Manufacturer Specific Data structure of that company, None when there is none.

    Never raises: a structure that runs past the end, or a length of zero, ends the search (Vol 3, Part C, 11).
    """
    start = 0
    end = len(adv_data)
    while start + 1 < end:
        length = adv_data[start]
        if length == 0 or start + 1 + length > end:
            return None
        if adv_data[start + 1] == 0xFF and length >= 3 and adv_data[start + 2] | adv_data[start + 3] << 8 == company_id:
            return bytes(adv_data[start + 4 : start + 1 + length])
        start += 1 + length
    return None
