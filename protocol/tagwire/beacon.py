"""The 24-byte beacon and the advertisement around it. Portable.

0      version (bits 0-1), kind (2-3), hints: backlog (4), private (5), connectable now (6), spare (7)
1-4    tag id, little-endian; with the private hint, the first 4 bytes of the tag's private name
5-6    low 16 bits of the counter, little-endian; with the private hint, XORed with the name's last 2 bytes
7-17   sealed body
18-23  MIC

A service beacon (see `service`) has the same bytes 0 to 6 and is not sealed.
"""

from tagwire.errors import REASON_KIND, REASON_LENGTH, REASON_VERSION, DecodeError, EncodeError
from tagwire.seal import ccm_open, ccm_seal

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

VERSION = 1
BEACON_BYTES = 24
HEADER_BYTES = 7  # also the associated data of the seal
MIC_BYTES = 6

KIND_SAMPLE = 0
KIND_ALARM = 1  # a sample whose position gives four bits to a reason, see `alarm`
KIND_SERVICE = 2  # unsealed, never a sample, see `service`

HINT_BACKLOG = 0x10
HINT_PRIVATE = 0x20
HINT_CONNECTABLE = 0x40
HINTS = 0x70

NAME_BYTES = 6
EPOCH_S = 1024  # how long a private name lasts
EPOCH_MAX = 0xFFFFFF  # until the year 2514

FRAME_BEACON = 0x00  # nonce byte 9: frame kind (bits 0-6) and direction (bit 7: 1 = towards the tag)

COMPANY_ID_TEST = 0xFFFF  # Bluetooth Assigned Numbers: for tests only, not to be shipped
ADVERTISEMENT_BYTES = 31


def epoch_of(time_s: int) -> int:
    """The epoch of a Unix time, 0 to EPOCH_MAX."""
    epoch = time_s // EPOCH_S
    return 0 if epoch < 0 else EPOCH_MAX if epoch > EPOCH_MAX else epoch


def private_name(encrypt_id: "BlockCipher", epoch: int) -> bytes:
    """What a tag is called in one epoch: 4 bytes in the id's place, then 2 that mask the counter.

    `encrypt_id` is the block cipher of K_id of the counter's generation.
    """
    return encrypt_id(epoch.to_bytes(16, "little"))[:NAME_BYTES]


def beacon_nonce(byte0: int, tag_id: int, counter: int, epoch: int = 0) -> bytes:
    """The 13-byte nonce: byte 0 | true tag id | counter | frame kind and direction | epoch (0 for a public id)."""
    head = bytes([byte0]) + tag_id.to_bytes(4, "little") + counter.to_bytes(4, "little")
    return head + bytes([FRAME_BEACON]) + epoch.to_bytes(3, "little")


def seal_beacon(
    encrypt: "BlockCipher",
    tag_id: int,
    counter: int,
    body: bytes,
    hints: int = 0,
    kind: int = KIND_SAMPLE,
    encrypt_id: "BlockCipher | None" = None,
    epoch: int = 0,
) -> bytes:
    """The 24-byte beacon of a sample or an alarm. Under one counter kind and body must never change; hints may.

    `encrypt` and `encrypt_id` are the block ciphers of K_beacon and K_id of the counter's generation. With `encrypt_id`
    the id is private and `epoch` is that of now; else both stay away. Raises EncodeError for values out of range.
    """
    if not 0 <= tag_id <= 0xFFFFFFFF or not 0 <= counter <= 0xFFFFFFFF:
        raise EncodeError("tag id %d or counter %d is not within 32 bits" % (tag_id, counter))
    if hints & ~(HINT_BACKLOG | HINT_CONNECTABLE) or kind not in (KIND_SAMPLE, KIND_ALARM):
        raise EncodeError("hints 0x%02x of kind %d" % (hints, kind))
    if len(body) != 11:
        raise EncodeError("a sample body has 11 bytes, not %d" % len(body))
    byte0 = VERSION | kind << 2 | hints
    name = tag_id.to_bytes(4, "little") + b"\x00\x00"
    if encrypt_id is not None:
        byte0 |= HINT_PRIVATE
        name = private_name(encrypt_id, epoch)
    elif epoch:
        raise EncodeError("a public id has no epoch")
    low = (counter ^ int.from_bytes(name[4:], "little")) & 0xFFFF
    header = bytes([byte0]) + name[:4] + low.to_bytes(2, "little")
    return header + ccm_seal(encrypt, beacon_nonce(byte0, tag_id, counter, epoch), header, body, MIC_BYTES)


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
