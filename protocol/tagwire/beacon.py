"""The 24-byte beacon and the advertisement around it. Portable.

0      version (bits 0-1), kind (2-3), hints: backlog (4), private (5), connectable now (6), spare (7)
1-4    tag id, little-endian; with the private hint, the first 4 bytes of the tag's private name
5-6    low 16 bits of the counter, little-endian; with the private hint, XORed with the name's last 2 bytes
7-17   sealed body
18-23  MIC

A service beacon (see `service`) has the same bytes 0 to 6 and is not sealed.
"""

from tagwire.advertise import (
    ADVERTISEMENT_BYTES,
    BEACON_BYTES,
    COMPANY_ID_TEST,
    EPOCH_MAX,
    EPOCH_S,
    FRAME_BEACON,
    HEADER_BYTES,
    HINT_BACKLOG,
    HINT_CONNECTABLE,
    HINT_PRIVATE,
    HINTS,
    KIND_ALARM,
    KIND_SAMPLE,
    KIND_SERVICE,
    MIC_BYTES,
    NAME_BYTES,
    VERSION,
    advertisement,
    beacon_nonce,
    epoch_of,
    private_name,
    seal_beacon,
)
from tagwire.errors import REASON_KIND, REASON_LENGTH, REASON_VERSION, DecodeError, EncodeError
from tagwire.seal import ccm_open

# What `advertise` says of a beacon belongs to it as well.
__all__ = (
    "ADVERTISEMENT_BYTES",
    "BEACON_BYTES",
    "COMPANY_ID_TEST",
    "EPOCH_MAX",
    "EPOCH_S",
    "FRAME_BEACON",
    "HEADER_BYTES",
    "HINTS",
    "HINT_BACKLOG",
    "HINT_CONNECTABLE",
    "HINT_PRIVATE",
    "KIND_ALARM",
    "KIND_SAMPLE",
    "KIND_SERVICE",
    "MIC_BYTES",
    "NAME_BYTES",
    "VERSION",
    "Header",
    "advertisement",
    "beacon_nonce",
    "epoch_of",
    "manufacturer_data",
    "open_beacon",
    "parse_header",
    "private_name",
    "seal_beacon",
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    from tagwire.seal import BlockCipher

    class Header(NamedTuple):
        """What a beacon says in clear: a KIND_* code, HINT_* bits, the id and the counter's low 16 bits as they are
        sent: with HINT_PRIVATE they mean nothing to who does not hold K_id."""

        kind: int
        hints: int
        tag_id: int
        counter_low: int

else:
    from collections import namedtuple

    Header = namedtuple("Header", ("kind", "hints", "tag_id", "counter_low"))


def parse_header(frame: bytes) -> "Header":
    """The clear part of a beacon of any kind. Raises DecodeError: "length", "version", "kind"."""
    if len(frame) != BEACON_BYTES:
        raise DecodeError(REASON_LENGTH, "a beacon has 24 bytes, not %d" % len(frame))
    byte0 = frame[0]
    if byte0 & 3 != VERSION:
        raise DecodeError(REASON_VERSION, "version %d" % (byte0 & 3))
    kind = byte0 >> 2 & 3
    if kind > KIND_SERVICE:
        raise DecodeError(REASON_KIND, "byte 0 is 0x%02x" % byte0)
    return Header(kind, byte0 & HINTS, int.from_bytes(frame[1:5], "little"), int.from_bytes(frame[5:7], "little"))


def open_beacon(
    encrypt: "BlockCipher", frame: bytes, counter: int, tag_id: "int | None" = None, epoch: int = 0
) -> bytes:
    """The 11-byte body of a sample or an alarm, if `counter` is the one it was sealed under. Raises DecodeError.

    Where the id is private, `tag_id` is the true one and `epoch` the one whose private name the frame bears.
    """
    header = parse_header(frame)
    if header.kind == KIND_SERVICE:
        raise DecodeError(REASON_KIND, "a service beacon is no sample")
    if not header.hints & HINT_PRIVATE:
        tag_id = header.tag_id
        if counter & 0xFFFF != header.counter_low:
            raise EncodeError("counter %d does not end in the beacon's 16 bits" % counter)
    elif tag_id is None:
        raise EncodeError("a private id needs the true one")
    nonce = beacon_nonce(frame[0], tag_id, counter, epoch)
    return ccm_open(encrypt, nonce, frame[:HEADER_BYTES], frame[HEADER_BYTES:], MIC_BYTES)


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
