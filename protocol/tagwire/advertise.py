"""What a tag sends: the sealed beacon and the advertisement around it. Portable; `beacon` has the layout and reads it.

A file of its own, because a tag has no room for what it never does.
"""

from tagwire.errors import EncodeError
from tagwire.seal import ccm_seal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tagwire.seal import BlockCipher

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


def advertisement(company_id: int, frame: bytes) -> bytes:
    """The 31 bytes of AdvData around a 24-byte beacon: Flags (LE General Discoverable, no BR/EDR), then
    Manufacturer Specific Data (Core Specification Supplement, part A, 1.3 and 1.4). Raises EncodeError."""
    if len(frame) != BEACON_BYTES or not 0 <= company_id <= 0xFFFF:
        raise EncodeError("a beacon has 24 bytes and a company id 16 bits")
    return b"\x02\x01\x06\x1b\xff" + company_id.to_bytes(2, "little") + frame
