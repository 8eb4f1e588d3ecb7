"""The executable specification: every structure of SPEC.md as a `construct` declaration, and the sample's arithmetic
on exact fractions. Host only; needs the `construct` package.

Written for reading and for checking the fast codecs against, not for speed. It shares no code with them: the seal
here is `cryptography`'s AES-CCM and AES-CMAC. The vectors are made with it.
"""

from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

import construct as c
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.cmac import CMAC


class Field(NamedTuple):
    """A field of the sample body. A value v has the code floor((v - minimum) / step + 1/2), within 0 to largest.

    minimum and step are in `unit`; `not_available` is the code for "no value", None where the field has none. A field
    without a unit is a code of its own.
    """

    name: str
    bits: int
    unit: str
    minimum: int
    step: Fraction
    largest: int
    not_available: int | None


FIELDS = (  # in the order of the body's bits, from the least significant
    Field("latitude", 23, "1e-7 degree", -900_000_000, Fraction(1_800_000_000, 8_388_606), 8_388_606, 8_388_607),
    Field("longitude", 24, "1e-7 degree", -1_800_000_000, Fraction(3_600_000_000, 16_777_214), 16_777_214, 16_777_215),
    Field("temperature", 11, "0.001 °C", -80_000, Fraction(100), 2046, 2047),
    Field("humidity", 8, "0.001 %RH", 0, Fraction(500), 200, 255),
    Field("battery", 5, "mV", 1800, Fraction(80), 30, 31),
    Field("fix", 3, "", 0, Fraction(1), 7, None),
    Field("motion", 2, "", 0, Fraction(1), 2, None),
    Field("time", 10, "s", 0, Fraction(4), 1023, None),
    Field("time_quality", 2, "", 0, Fraction(1), 3, None),
)

# The 88 bits as one little-endian number. A BitStruct names the most significant bits first, hence both reversals.
Body = c.ByteSwapped(c.BitStruct(*(field.name / c.BitsInteger(field.bits) for field in reversed(FIELDS))))

Byte0 = c.BitStruct(
    "spare" / c.Flag,
    "connectable_now" / c.Flag,
    "private" / c.Flag,
    "backlog" / c.Flag,
    "kind" / c.Enum(c.BitsInteger(2), sample=0, alarm=1, service=2),
    "version" / c.BitsInteger(2),
)

Beacon = c.Struct(
    "byte0" / Byte0,
    "tag_id" / c.Int32ul,
    "counter_low" / c.Int16ul,
    "sealed_body" / c.Bytes(11),
    "mic" / c.Bytes(6),
)

Service = c.Struct(
    "byte0" / Byte0,
    "tag_id" / c.Int32ul,
    "counter_low" / c.Int16ul,
    "reason" / c.Int8ul,
    "version" / c.Int8ul[3],
    "board" / c.Int8ul,
    "battery" / c.Int8ul,
    "uptime_s" / c.Int24ul,
    "zeros" / c.Padding(8),
)

EpochBlock = c.Struct("epoch" / c.Int24ul, "zeros" / c.Padding(13))

PrivateName = c.Struct("id" / c.Int32ul, "mask" / c.Int16ul, "unused" / c.Bytes(10))

AdvData = c.Struct(
    "flags" / c.Struct("length" / c.Const(2, c.Int8ul), "type" / c.Const(0x01, c.Int8ul), "flags" / c.Int8ul),
    "manufacturer"
    / c.Struct(
        "length" / c.Const(27, c.Int8ul),
        "type" / c.Const(0xFF, c.Int8ul),
        "company_id" / c.Int16ul,
        "beacon" / c.Bytes(24),
    ),
    c.Terminated,
)

Nonce = c.Struct(
    "byte0" / c.Int8ul,
    "tag_id" / c.Int32ul,
    "counter" / c.Int32ul,
    "frame" / c.BitStruct("towards_tag" / c.Flag, "kind" / c.BitsInteger(7)),
    "epoch" / c.Int24ul,
)

B0 = c.Struct("flags" / c.Int8ul, "nonce" / c.Bytes(13), "message_bytes" / c.Int16ub)  # RFC 3610, section 2.2

KdfInput = c.Struct(  # for building; NIST SP 800-108, counter mode, where one block is enough for a 16-byte key
    "i" / c.Const(1, c.Int8ul),
    "label" / c.NullTerminated(c.GreedyBytes),
    "context" / c.Bytes(lambda this: len(this.context)),
    "key_bits" / c.Const(128, c.Int16ub),
)

AirRecord = c.Struct(
    "type" / c.Int8ul,
    "t_us" / c.Int64ul,
    "rssi_dbm" / c.Int8sl,
    "address" / c.Bytes(6),
    "data" / c.Prefixed(c.Int8ul, c.GreedyBytes),
)

TraceRecord = c.Struct(
    "event" / c.Enum(c.Int8ul, heard=1, accepted=2, spooled=3, acknowledged=4),
    "tag_id" / c.Int32ul,
    "counter" / c.Int32ul,
    "t_us" / c.Int64ul,
)


def quantise(field: Field, value: int | None) -> int:
    """A value's code: the nearest, a tie upwards; values beyond the range saturate."""
    if value is None:
        if field.not_available is None:
            raise ValueError(f"{field.name} has no code for 'not available'")
        return field.not_available
    return min(max(floor((value - field.minimum) / field.step + Fraction(1, 2)), 0), field.largest)


def value_of(field: Field, code: int) -> int | None:
    """The value that a code stands for, to the nearest whole unit; None for 'not available' and for reserved codes."""
    return floor(code * field.step + Fraction(1, 2)) + field.minimum if code <= field.largest else None


def codes_of(reading: dict[str, int | None]) -> dict[str, int]:
    """The codes of a reading, whose keys are those of FIELDS; `time` is Unix seconds or None."""
    values = dict(reading)
    if None in (values["latitude"], values["longitude"]) or values["fix"] == 0:
        values.update(latitude=None, longitude=None, fix=0)
    if values["time"] is None or values["time_quality"] == 0:
        values.update(time=0, time_quality=0)
    steps = floor(Fraction(values["time"] or 0, 4) + Fraction(1, 2))
    values["time"] = steps % 1024 * 4
    return {field.name: quantise(field, values[field.name]) for field in FIELDS}


def reading_of(codes: dict[str, int]) -> dict[str, int | None]:
    """The reading that codes stand for; `time` modulo 4,096 s."""
    values = {field.name: value_of(field, codes[field.name]) for field in FIELDS}
    if None in (values["latitude"], values["longitude"]) or codes["fix"] == 0:
        values.update(latitude=None, longitude=None, fix=0)
    if codes["time_quality"] == 0:
        values["time"] = None
    return {**values, "motion": values["motion"] or 0}


def alarm_codes_of(reading: dict[str, int | None], reason: int) -> dict[str, int]:
    """The codes of an alarm's reading: of latitude and longitude the cell of four codes, and two bits of the reason."""
    codes = codes_of(reading)
    for name, bits in (("latitude", reason & 3), ("longitude", reason >> 2)):
        field = next(field for field in FIELDS if field.name == name)
        assert field.not_available is not None
        cell = codes[name] // 4
        if codes[name] <= field.largest:
            cell = min(cell, field.not_available // 4 - 1)
        codes[name] = 4 * cell + bits
    return codes


def alarm_reading_of(codes: dict[str, int]) -> tuple[dict[str, int | None], int]:
    """The reading and the reason that an alarm's codes stand for; the position is the middle of its cell."""
    middles = {}
    reason = codes["latitude"] % 4 + codes["longitude"] % 4 * 4
    for field in FIELDS[:2]:
        assert field.not_available is not None
        cell = codes[field.name] // 4
        middle = floor((4 * cell + Fraction(3, 2)) * field.step + Fraction(1, 2)) + field.minimum
        middles[field.name] = None if cell == field.not_available // 4 else middle
    reading = reading_of({**codes, "latitude": 0, "longitude": 0})
    if None in middles.values() or codes["fix"] == 0:
        return {**reading, "latitude": None, "longitude": None, "fix": 0}, reason
    return {**reading, **middles}, reason


def build_body(codes: dict[str, int]) -> bytes:
    """The 11 bytes of nine codes."""
    return bytes(Body.build(codes))


def parse_body(body: bytes) -> dict[str, int]:
    """The nine codes of 11 bytes."""
    parsed = Body.parse(body)
    return {field.name: int(parsed[field.name]) for field in FIELDS}


def derive(key: bytes, label: bytes, context: bytes) -> bytes:
    """A derived key: AES-CMAC over KdfInput."""
    mac = CMAC(AES(key))
    mac.update(KdfInput.build({"label": label, "context": context}))
    return mac.finalize()


def beacon_key(root_key: bytes, generation: int) -> bytes:
    """K_beacon of one generation."""
    return derive(root_key, b"tagstack beacon", bytes([generation]))


def id_key(root_key: bytes, generation: int) -> bytes:
    """K_id of one generation."""
    return derive(root_key, b"tagstack id", bytes([generation]))


def private_name(key: bytes, epoch: int) -> tuple[int, int]:
    """The id and the counter's mask that K_id gives a tag in one epoch."""
    block = Cipher(AES(key), ECB()).encryptor().update(EpochBlock.build({"epoch": epoch}))
    name = PrivateName.parse(block)
    return int(name.id), int(name.mask)


def nonce_of(byte0: int, tag_id: int, counter: int, epoch: int = 0) -> bytes:
    """The nonce of a beacon: sent by the tag (direction 0), frame kind 0; epoch 0 for a public id."""
    frame = {"towards_tag": False, "kind": 0}
    return bytes(Nonce.build({"byte0": byte0, "tag_id": tag_id, "counter": counter, "frame": frame, "epoch": epoch}))


def seal(
    key: bytes,
    tag_id: int,
    counter: int,
    body: bytes,
    backlog: bool = False,
    connectable_now: bool = False,
    kind: str = "sample",
    id_key: bytes | None = None,
    epoch: int = 0,
) -> bytes:
    """The 24-byte beacon of a sample or an alarm; with `id_key` under the private name of `epoch`."""
    sent_id, mask = (tag_id, 0) if id_key is None else private_name(id_key, epoch)
    hints = {"spare": False, "connectable_now": connectable_now, "private": id_key is not None, "backlog": backlog}
    head = {
        "byte0": {**hints, "kind": kind, "version": 1},
        "tag_id": sent_id,
        "counter_low": counter & 0xFFFF ^ mask,
    }
    header = bytes(Beacon.build({**head, "sealed_body": bytes(11), "mic": bytes(6)}))[:7]
    return header + AESCCM(key, tag_length=6).encrypt(nonce_of(header[0], tag_id, counter, epoch), body, header)


def open_(key: bytes, beacon: bytes, counter: int, tag_id: int | None = None, epoch: int = 0) -> bytes:
    """The body of a beacon sealed under `counter`; `tag_id` and `epoch` where the id is private.

    Raises construct's errors and cryptography's InvalidTag.
    """
    parsed = Beacon.parse(beacon)
    nonce = nonce_of(beacon[0], parsed.tag_id if tag_id is None else tag_id, counter, epoch)
    return AESCCM(key, tag_length=6).decrypt(nonce, beacon[7:], beacon[:7])


def service(
    reason: int, version: list[int], board: int, battery_mv: int | None, uptime_s: int, tag_id: int, counter_low: int
) -> bytes:
    """A service beacon with a public id, or without one: 0."""
    battery = quantise(next(field for field in FIELDS if field.name == "battery"), battery_mv)
    byte0 = {**dict.fromkeys(("spare", "connectable_now", "private", "backlog"), False), "kind": "service"}
    values = {"reason": reason, "version": version, "board": board, "battery": battery, "uptime_s": uptime_s}
    head = {"byte0": {**byte0, "version": 1}, "tag_id": tag_id, "counter_low": counter_low}
    return bytes(Service.build({**head, **values}))


def advertisement(company_id: int, beacon: bytes) -> bytes:
    """The 31 bytes of AdvData around a beacon."""
    data: dict[str, Any] = {"flags": {"flags": 0x06}, "manufacturer": {"company_id": company_id, "beacon": beacon}}
    return bytes(AdvData.build(data))
