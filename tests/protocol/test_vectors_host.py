"""The host's own codecs read the same vectors: numpy, the construct reference, cryptography's AES-CCM, the keyring."""

from typing import Any

import construct
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from vector_files import each, load

from tagwire import batch, bulk, idtable, keyring, reference
from tagwire.errors import DecodeError

READING = ("latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion", "time", "time_quality")


def columns(values: dict[str, Any]) -> list[np.ndarray]:
    return [np.array([bulk.NOT_AVAILABLE if values[name] is None else values[name]]) for name in READING]


def listed(of_columns: Any) -> list[list[int]]:
    return [column.tolist() for column in of_columns]


@each("body", "encode")
def test_reading_to_body(case: dict[str, Any]) -> None:
    codes = bulk.to_codes(bulk.ReadingColumns(*columns(case["reading"])))
    assert listed(codes) == listed(columns(case["codes"]))
    assert bulk.pack_bodies(codes).tobytes().hex() == case["body"]
    assert reference.codes_of(case["reading"]) == case["codes"]


@each("body", "encode", "decode")
def test_body_to_reading(case: dict[str, Any]) -> None:
    body = bytes.fromhex(case["body"])
    codes = bulk.unpack_bodies(np.frombuffer(body, np.uint8).reshape(1, 11))
    assert listed(codes) == listed(columns(case["codes"]))
    assert bulk.pack_bodies(codes).tobytes() == body
    assert listed(bulk.from_codes(codes)) == listed(columns(case["read_back"]))
    assert reference.parse_body(body) == case["codes"]
    assert reference.build_body(case["codes"]) == body
    assert reference.reading_of(case["codes"]) == case["read_back"]


def test_bodies_of_another_length_are_refused() -> None:
    for case in load("body")["refuse"]:
        with pytest.raises(DecodeError, match=case["reason"]):
            bulk.unpack_bodies(np.frombuffer(bytes.fromhex(case["body"]), np.uint8).reshape(1, -1))


@each("alarm", "encode")
def test_alarm_to_body(case: dict[str, Any]) -> None:
    plain = bulk.to_codes(bulk.ReadingColumns(*columns(case["reading"])))
    codes = bulk.with_reasons(plain, [case["reason"]])
    assert listed(codes) == listed(columns(case["codes"]))
    assert bulk.pack_bodies(codes).tobytes().hex() == case["body"]
    assert reference.alarm_codes_of(case["reading"], case["reason"]) == case["codes"]


@each("alarm", "encode", "decode")
def test_body_to_alarm(case: dict[str, Any]) -> None:
    codes = bulk.unpack_bodies(np.frombuffer(bytes.fromhex(case["body"]), np.uint8).reshape(1, 11))
    assert bulk.reasons_of(codes).tolist() == [case["reason"]]
    assert listed(bulk.from_codes(codes, np.array([True]))) == listed(columns(case["read_back"]))
    assert listed(bulk.from_codes(codes, np.array([False]))) == listed(bulk.from_codes(codes))
    assert reference.alarm_reading_of(case["codes"]) == (case["read_back"], case["reason"])


@each("keys", "derive")
def test_key_derivation(case: dict[str, Any]) -> None:
    root_key = bytes.fromhex(case["root_key"])
    assert reference.beacon_key(root_key, case["generation"]).hex() == case["beacon_key"]
    assert reference.id_key(root_key, case["generation"]).hex() == case["id_key"]


@each("private", "names")
def test_private_name(case: dict[str, Any]) -> None:
    key, epoch = bytes.fromhex(case["id_key"]), case["epoch"]
    private_id, mask = bytes.fromhex(case["id"]), case["mask"]
    assert reference.private_name(key, epoch) == (int.from_bytes(private_id, "little"), mask)
    assert bulk.private_names([key], [epoch]).tobytes() == private_id + mask.to_bytes(2, "little")
    table = idtable.IdTable([bytes(16), key])
    while not table.work(epoch, 1):
        pass
    assert table.find(private_id) == [(1, mask, epoch)]


@each("beacon", "valid")
def test_sealed_beacon(case: dict[str, Any]) -> None:
    key, body, frame = (bytes.fromhex(case[name]) for name in ("beacon_key", "body", "beacon"))
    bodies = np.frombuffer(body, np.uint8).reshape(1, 11)
    kind, names, epoch = int("reason" in case), None, case.get("epoch", 0)
    if "id_key" in case:
        names = bulk.private_names([bytes.fromhex(case["id_key"])], [epoch])
    whose = [case["tag_id"]], [case["counter"]]
    sealed = bulk.seal_beacons([key], *whose, bodies, case["hints"], kind, names, epoch)
    assert sealed.tobytes() == frame
    assert bulk.advertisements(case["company_id"], sealed).tobytes().hex() == case["adv_data"]
    assert reference.open_(key, frame, case["counter"], case["tag_id"], epoch) == body
    assert AESCCM(key, 6).decrypt(bytes.fromhex(case["nonce"]), frame[7:], frame[:7]) == body


@each("beacon", "refuse")
def test_refused_beacon(case: dict[str, Any]) -> None:
    """The seal alone finds the forgeries; the declaration finds wrong lengths and names what it does not know."""
    frame = bytes.fromhex(case["beacon"])
    if case["reason"] == "forged":
        key = bytes.fromhex(case["beacon_key"])
        with pytest.raises(InvalidTag):
            reference.open_(key, frame, case["counter"], case.get("tag_id"), case.get("epoch", 0))
    elif case["reason"] == "length":
        with pytest.raises(construct.ConstructError):
            (reference.Beacon + construct.Terminated).parse(frame)
    else:
        byte0 = reference.Beacon.parse(frame).byte0
        assert byte0.version != 1 or byte0.kind not in ("sample", "alarm")


@each("service", "good")
def test_service_beacon(case: dict[str, Any]) -> None:
    parsed = reference.Service.parse(bytes.fromhex(case["beacon"]))
    for name in ("reason", "version", "board", "uptime_s", "tag_id", "counter_low"):
        assert parsed[name] == case[name]
    assert reference.value_of(reference.FIELDS[4], parsed.battery) == case["battery"]


@each("provision", "keyring")
def test_keyring_line(case: dict[str, Any]) -> None:
    values = case["values"]
    entry = keyring.decode_entry(case["line"].encode())
    assert (entry.tag_id, entry.generation, entry.beacon_key.hex()) == (
        values["id"],
        values["generation"],
        values["beacon_key"],
    )
    assert (entry.last_counter, entry.expires_s) == (values.get("last_counter"), values.get("expires_s"))
    previous = values.get("previous", {})
    assert entry.previous_generation == previous.get("generation")
    assert entry.previous_expires_s == previous.get("expires_s")
    assert (entry.id_key and entry.id_key.hex()) == values.get("id_key")
    assert (entry.previous_id_key and entry.previous_id_key.hex()) == previous.get("id_key")
    hub = values.get("hub")
    assert (entry.hub and {"id": entry.hub.hub_id, "epoch": entry.hub.epoch, "key": entry.hub.key.hex()}) == hub
    assert keyring.decode_entry(keyring.encode_entry(entry).encode()) == entry


@each("provision", "bad_keyring")
def test_bad_keyring_line(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        keyring.decode_entry(case["line"].encode())
    assert (caught.value.reason, caught.value.detail) == ("format", case["name"])


def rows_of(decoded: batch.Batch) -> list[list[int]]:
    rows: list[list[int]] = np.stack([decoded.columns[name] for name in load("batch")["columns"]]).T.tolist()
    return rows


@each("batch", "good")
def test_batch(case: dict[str, Any]) -> None:
    decoded = batch.decode_batch(bytes.fromhex(case["batch"]))
    assert rows_of(decoded) == case["rows"]
    position = None if case["position"] is None else tuple(case["position"])
    head = (case["hub"], case["sequence"], case["created_s"], case["clock"], position)
    assert decoded[:5] == head
    again = batch.decode_batch(batch.encode_batch(decoded))
    assert again[:5] == head
    assert sorted(rows_of(again)) == sorted(case["rows"])


@each("batch", "same")
def test_batch_with_additions_of_a_later_version(case: dict[str, Any]) -> None:
    assert rows_of(batch.decode_batch(bytes.fromhex(case["batch"]))) == case["rows"]


@each("batch", "bad")
def test_bad_batch(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        batch.decode_batch(bytes.fromhex(case["batch"]))
    assert caught.value.reason == "format"
