"""What holds for every value: round trips, equal codecs, and decoders that raise nothing but DecodeError."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfleet.oracle import NonceOracle
from tagwire import (
    alarm,
    batch,
    beacon,
    bulk,
    counter,
    fields,
    keyring,
    provision,
    reference,
    seal,
    service,
)
from tagwire.errors import DecodeError, EncodeError

U32 = st.integers(0, 0xFFFFFFFF)
KEYS = st.binary(min_size=16, max_size=16)
SETTINGS = st.integers(-(1 << 31), 1 << 31) | st.booleans() | st.text(max_size=20)
WIDE = st.none() | st.integers(-(1 << 40), 1 << 40)


def refusal(function: Callable[..., object], *arguments: object) -> str | None:
    """The reason of the DecodeError that a call raises, None where it raises none."""
    try:
        function(*arguments)
    except DecodeError as error:
        return error.reason
    return None


@st.composite
def readings(draw: st.DrawFn) -> fields.Reading:
    """Readings in range and far out of it; half a position is a caller's mistake and not among them."""
    position = draw(st.none() | st.tuples(st.integers(-(1 << 33), 1 << 33), st.integers(-(1 << 34), 1 << 34)))
    latitude_e7, longitude_e7 = position or (None, None)
    return fields.Reading(
        latitude_e7,
        longitude_e7,
        draw(WIDE | st.integers(-90_000, 140_000)),
        draw(WIDE | st.integers(-1_000, 101_000)),
        draw(WIDE | st.integers(1_000, 5_000)),
        draw(st.integers(0, 7)),
        draw(st.integers(0, 3)),
        draw(st.none() | st.integers(0, 1 << 33)),
        draw(st.integers(0, 3)),
    )


all_codes = st.tuples(*(st.integers(0, (1 << bits) - 1) for bits in fields.BODY_BITS)).map(lambda c: fields.Codes(*c))


def as_columns(rows: list[Any]) -> list[np.ndarray]:
    filled = [[bulk.NOT_AVAILABLE if v is None else v for v in row] for row in rows]
    return list(np.array(filled, np.int64).T)


def as_rows(of_columns: Any) -> list[tuple[int | None, ...]]:
    rows = zip(*(column.tolist() for column in of_columns), strict=True)
    return [tuple(None if v == bulk.NOT_AVAILABLE else v for v in row) for row in rows]


NAMES = [field.name for field in reference.FIELDS]


@given(st.lists(readings(), min_size=1, max_size=20))
def test_all_codecs_quantise_alike(rows: list[fields.Reading]) -> None:
    codes = [fields.to_codes(row) for row in rows]
    packed = b"".join(fields.pack_body(row) for row in codes)
    many = bulk.to_codes(bulk.ReadingColumns(*as_columns(rows)))
    assert as_rows(many) == [tuple(row) for row in codes]
    assert bulk.pack_bodies(many).tobytes() == packed
    for row, expected in zip(rows, codes, strict=True):
        in_range = row if row.motion != 3 else None  # the declaration has no code for motion 3
        if in_range:
            assert tuple(reference.codes_of(dict(zip(NAMES, row, strict=True))).values()) == tuple(expected)


@given(st.lists(all_codes, min_size=1, max_size=20))
def test_all_codecs_read_alike(rows: list[fields.Codes]) -> None:
    bodies = [fields.pack_body(row) for row in rows]
    many = bulk.unpack_bodies(np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, 11))
    assert as_rows(many) == [tuple(row) for row in rows]
    assert as_rows(bulk.from_codes(many)) == [tuple(fields.from_codes(row)) for row in rows]
    for row, body in zip(rows, bodies, strict=True):
        assert fields.unpack_body(body) == row
        assert tuple(reference.parse_body(body).values()) == tuple(row)
        assert tuple(reference.reading_of(dict(zip(NAMES, row, strict=True))).values()) == tuple(fields.from_codes(row))


@given(readings())
def test_value_returns_within_half_a_step(reading: fields.Reading) -> None:
    codes = fields.to_codes(reading)
    back = fields.from_codes(codes)
    for field, sent, received in zip(reference.FIELDS, reading, back, strict=True):
        if field.name == "time" or not field.unit or not isinstance(received, int) or not isinstance(sent, int):
            continue
        highest = float(field.minimum + field.largest * field.step)
        assert abs(min(max(float(sent), field.minimum), highest) - received) <= field.step / 2 + 1
    if back.time_s is not None and reading.time_s is not None:
        assert abs(fields.resolve_time(back.time_s, reading.time_s + 600) - reading.time_s) <= 2
    # What was once on the wire comes back as it was: journal, beacon and batch agree bit by bit.
    if codes.motion != 3:
        assert fields.to_codes(back) == codes


@given(st.lists(st.tuples(readings(), st.integers(0, 15)), min_size=1, max_size=20))
def test_all_codecs_read_and_write_alarms_alike(rows: list[tuple[fields.Reading, int]]) -> None:
    codes = [alarm.alarm_codes(*row) for row in rows]
    plain = bulk.to_codes(bulk.ReadingColumns(*as_columns([row for row, _ in rows])))
    reasons = [reason for _, reason in rows]
    many = bulk.with_reasons(plain, reasons)
    assert as_rows(many) == [tuple(row) for row in codes]
    assert bulk.reasons_of(many).tolist() == reasons
    read = as_rows(bulk.from_codes(many, np.ones(len(rows), bool)))
    for (reading, reason), code, back in zip(rows, codes, read, strict=True):
        found = alarm.alarm_reading(code)
        assert back == tuple(found)
        expected, reason_back = reference.alarm_reading_of(dict(zip(NAMES, code, strict=True)))
        assert (tuple(expected.values()), reason_back) == (tuple(found), reason)
        if reading.motion != 3:
            assert tuple(reference.alarm_codes_of(dict(zip(NAMES, reading, strict=True)), reason).values()) == code
            # Read and made again, an alarm has the same codes.
            assert alarm.alarm_codes(found, reason) == code
        exact = fields.from_codes(fields.to_codes(reading))
        assert (found.latitude_e7 is None) == (exact.latitude_e7 is None)
        if exact.latitude_e7 is not None and found.latitude_e7 is not None:
            assert abs(exact.latitude_e7 - found.latitude_e7) <= 5 * reference.FIELDS[0].step


@given(st.lists(all_codes, min_size=1, max_size=20))
def test_all_codecs_read_any_alarm_alike(rows: list[fields.Codes]) -> None:
    columns = bulk.CodeColumns(*as_columns([list(row) for row in rows]))
    read = as_rows(bulk.from_codes(columns, np.ones(len(rows), bool)))
    for row, back in zip(rows, read, strict=True):
        assert back == tuple(alarm.alarm_reading(row))
        assert back == tuple(reference.alarm_reading_of(dict(zip(NAMES, row, strict=True)))[0].values())


@given(
    KEYS,
    U32,
    U32,
    all_codes,
    st.sampled_from([0, 0x10, 0x40, 0x50]),
    st.sampled_from([0, 1]),
    st.none() | st.tuples(KEYS, st.integers(0, beacon.EPOCH_MAX)),
)
def test_beacon_opens_only_as_it_was_sealed(
    key: bytes,
    tag_id: int,
    full: int,
    codes: fields.Codes,
    hints: int,
    kind: int,
    private: tuple[bytes, int] | None,
) -> None:
    body = fields.pack_body(codes)
    encrypt = seal.aes128(key)
    id_key, epoch = private or (None, 0)
    encrypt_id = None if id_key is None else seal.aes128(id_key)
    frame = beacon.seal_beacon(encrypt, tag_id, full, body, hints, kind, encrypt_id, epoch)
    assert beacon.open_beacon(encrypt, frame, full, tag_id, epoch) == body
    rows = np.frombuffer(body, np.uint8).reshape(1, 11)
    names = None if id_key is None else bulk.private_names([id_key], [epoch])
    assert bulk.seal_beacons([key], [tag_id], [full], rows, hints, kind, names, epoch).tobytes() == frame
    kept = [bulk.sealer(key)]
    assert bulk.seal_with(kept, [tag_id], [full], rows, hints, kind, names, epoch).tobytes() == frame
    shown = bool(hints & 0x10), bool(hints & 0x40)
    word = ("sample", "alarm")[kind]
    assert reference.seal(key, tag_id, full, body, *shown, word, id_key, epoch) == frame
    oracle = NonceOracle()
    for hint in (0, 0x10, 0x40, 0x50):  # the same sample in every way it may be sent
        for at in {epoch, min(epoch + 1, beacon.EPOCH_MAX)} if encrypt_id else {0}:
            again = beacon.seal_beacon(encrypt, tag_id, full, body, hint, kind, encrypt_id, at)
            oracle.check_beacon(key, tag_id, full, again, at)
    bit = random.Random(full).randrange(7 * 8, 24 * 8)
    forged = (int.from_bytes(frame, "little") ^ 1 << bit).to_bytes(24, "little")
    with pytest.raises(DecodeError, match="forged"):
        beacon.open_beacon(encrypt, forged, full, tag_id, epoch)


@given(st.binary(min_size=24, max_size=24))
def test_any_24_bytes_as_a_service_beacon(frame: bytes) -> None:
    reason = refusal(service.decode_service, frame)
    if reason is not None:
        assert reason in ("version", "kind")
        return
    found = service.decode_service(frame)
    header = beacon.parse_header(frame)
    if not header.hints:
        again = service.encode_service(found, header.tag_id, header.counter_low)
        assert service.decode_service(again) == found


@given(U32, st.integers(0, 0xFFFF))
def test_next_with_low_is_the_smallest(last: int, low: int) -> None:
    found = counter.next_with_low(last, low)
    assert found > last
    assert found & 0xFFFF == low
    assert found - last <= counter.LOW_STEP


@given(st.binary(max_size=40), U32)
def test_random_bytes_as_a_beacon(data: bytes, full: int) -> None:
    payload = beacon.manufacturer_data(data, 0xFFFF)
    for frame in (data, payload or b""):
        try:
            low = beacon.parse_header(frame).counter_low
            beacon.open_beacon(seal.aes128(bytes(16)), frame, full & ~0xFFFF | low, full, 1)
        except DecodeError:
            pass


@given(st.binary(max_size=300))
def test_random_bytes_as_files(data: bytes) -> None:
    for decode in (provision.decode_provision, provision.decode_counter, keyring.decode_entry, batch.decode_batch):
        assert refusal(decode, data) in (None, "format")


@given(
    st.builds(
        provision.Provision,
        U32,
        KEYS,
        st.integers(0, 255),
        st.integers(0, 0xFFFF),
        st.text(min_size=1, max_size=32),
        st.dictionaries(st.text(max_size=20), SETTINGS, max_size=8),
    )
)
def test_provision_round_trip(value: provision.Provision) -> None:
    try:
        data = provision.encode_provision(value)
    except EncodeError:
        return  # lone surrogates and the like make the file too long or unspeakable
    assert provision.decode_provision(data) == value
    entry = keyring.entry_from_provision(value)
    assert keyring.decode_entry(keyring.encode_entry(entry).encode()) == entry
