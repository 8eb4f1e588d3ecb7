"""The portable part of tagwire against protocol/vectors. Runs under CPython (imported) and MicroPython (as a script:
`MICROPYPATH=protocol micropython portable_vectors.py protocol/vectors`). Each check returns how many cases it took."""

import json
import sys
from binascii import hexlify, unhexlify

from tagwire import alarm, beacon, counter, fields, keys, provision, seal, service
from tagwire.errors import DecodeError

FIELDS = (
    "latitude",
    "longitude",
    "temperature",
    "humidity",
    "battery",
    "fix",
    "motion",
    "time",
    "time_quality",
)


def reading_of(values):
    return fields.Reading(*[values[name] for name in FIELDS])


def codes_of(values):
    return fields.Codes(*[values[name] for name in FIELDS])


def refused(function, *arguments):
    """The reason of the DecodeError that a call raises; what it returned where it raises none."""
    try:
        return function(*arguments)
    except DecodeError as error:
        return error.reason


def same(got, wanted, name):
    assert got == wanted, (name, got, wanted)


def check_body(vectors):
    for case in vectors["encode"]:
        codes = fields.to_codes(reading_of(case["reading"]))
        same(codes, codes_of(case["codes"]), case["name"])
        same(fields.pack_body(codes), unhexlify(case["body"]), case["name"])
        same(fields.encode_body(reading_of(case["reading"])), unhexlify(case["body"]), case["name"])
    for case in vectors["encode"] + vectors["decode"]:
        body = unhexlify(case["body"])
        same(fields.unpack_body(body), codes_of(case["codes"]), case["name"])
        same(fields.pack_body(codes_of(case["codes"])), body, case["name"])
        same(fields.decode_body(body), reading_of(case["read_back"]), case["name"])
    for case in vectors["refuse"]:
        same(refused(fields.unpack_body, unhexlify(case["body"])), case["reason"], case["name"])
    for case in vectors["resolve"]:
        same(fields.resolve_time(case["time_mod_s"], case["now_s"]), case["time_s"], case["name"])
    return sum(len(vectors[group]) for group in ("encode", "decode", "refuse", "resolve"))


def check_keys(vectors):
    for case in vectors["cmac"]:
        mac = seal.cmac(seal.aes128(unhexlify(case["key"])), unhexlify(case["message"]))
        same(mac, unhexlify(case["mac"]), case["name"])
    for case in vectors["ccm"]:
        nonce, associated, plaintext = [unhexlify(case[name]) for name in ("nonce", "associated", "plaintext")]
        encrypt = seal.aes128(unhexlify(case["key"]))
        sealed = seal.ccm_seal(encrypt, nonce, associated, plaintext, case["mic_bytes"])
        same(sealed, unhexlify(case["sealed"]), case["name"])
        same(seal.ccm_open(encrypt, nonce, associated, sealed, case["mic_bytes"]), plaintext, case["name"])
    for case in vectors["derive"]:
        key = keys.beacon_key(unhexlify(case["root_key"]), case["generation"])
        same(key, unhexlify(case["beacon_key"]), case["name"])
        same(keys.id_key(unhexlify(case["root_key"]), case["generation"]), unhexlify(case["id_key"]), case["name"])
    return sum(len(vectors[group]) for group in ("cmac", "ccm", "derive"))


def check_alarm(vectors):
    for case in vectors["encode"]:
        same(alarm.alarm_codes(reading_of(case["reading"]), case["reason"]), codes_of(case["codes"]), case["name"])
    for case in vectors["encode"] + vectors["decode"]:
        body = unhexlify(case["body"])
        codes = fields.unpack_body(body)
        same(codes, codes_of(case["codes"]), case["name"])
        same(fields.pack_body(codes), body, case["name"])
        same(alarm.reason_of(codes), case["reason"], case["name"])
        same(alarm.alarm_reading(codes), reading_of(case["read_back"]), case["name"])
    return len(vectors["encode"]) + len(vectors["decode"])


def check_private(vectors):
    for case in vectors["names"]:
        name = beacon.private_name(seal.aes128(unhexlify(case["id_key"])), case["epoch"])
        same(name, unhexlify(case["id"]) + case["mask"].to_bytes(2, "little"), case["name"])
    for case in vectors["epochs"]:
        same(beacon.epoch_of(case["time_s"]), case["epoch"], "epoch")
    return len(vectors["names"]) + len(vectors["epochs"])


def check_beacon(vectors):
    for case in vectors["valid"]:
        encrypt = seal.aes128(keys.beacon_key(unhexlify(case["root_key"]), case["generation"]))
        reading = reading_of(case["reading"])
        kind = beacon.KIND_SAMPLE
        body = fields.encode_body(reading)
        if "reason" in case:
            kind = beacon.KIND_ALARM
            body = fields.pack_body(alarm.alarm_codes(reading, case["reason"]))
        same(body, unhexlify(case["body"]), case["name"])
        naming: tuple = ()  # type: ignore[type-arg]
        epoch = case.get("epoch", 0)
        hints = case["hints"]
        name = case["tag_id"].to_bytes(4, "little") + bytes(2)
        if "id_key" in case:
            encrypt_id = seal.aes128(keys.id_key(unhexlify(case["root_key"]), case["generation"]))
            naming = (encrypt_id, epoch)
            hints |= beacon.HINT_PRIVATE
            name = beacon.private_name(encrypt_id, epoch)
        full = case["counter"]
        frame = beacon.seal_beacon(encrypt, case["tag_id"], full, body, case["hints"], kind, *naming)
        same(frame, unhexlify(case["beacon"]), case["name"])
        same(beacon.beacon_nonce(frame[0], case["tag_id"], full, epoch), unhexlify(case["nonce"]), case["name"])
        same(beacon.open_beacon(encrypt, frame, full, case["tag_id"], epoch), body, case["name"])
        low = full & 0xFFFF ^ int.from_bytes(name[4:], "little")
        header = beacon.Header(kind, hints, int.from_bytes(name[:4], "little"), low)
        same(beacon.parse_header(frame), header, case["name"])
        same(beacon.advertisement(case["company_id"], frame), unhexlify(case["adv_data"]), case["name"])
    for case in vectors["refuse"]:
        encrypt = seal.aes128(unhexlify(case["beacon_key"]))
        whose = case.get("tag_id"), case.get("epoch", 0)
        reason = refused(beacon.open_beacon, encrypt, unhexlify(case["beacon"]), case["counter"], *whose)
        same(reason, case["reason"], case["name"])
    for case in vectors["find"]:
        found = beacon.manufacturer_data(unhexlify(case["adv_data"]), 0xFFFF)
        same(None if found is None else hexlify(found).decode(), case["payload"], case["name"])
    return sum(len(vectors[group]) for group in ("valid", "refuse", "find"))


def check_service(vectors):
    for case in vectors["good"]:
        frame = unhexlify(case["beacon"])
        version = tuple(case["version"])
        wanted = service.Service(case["reason"], version, case["board"], case["battery"], case["uptime_s"])
        same(service.encode_service(wanted, case["tag_id"], case["counter_low"]), frame, case["name"])
        same(service.decode_service(frame), wanted, case["name"])
        header = beacon.Header(beacon.KIND_SERVICE, 0, case["tag_id"], case["counter_low"])
        same(beacon.parse_header(frame), header, case["name"])
    for case in vectors["same"]:
        frame = unhexlify(case["beacon"])
        same(
            service.decode_service(frame), service.decode_service(unhexlify(vectors["good"][1]["beacon"])), case["name"]
        )
    for case in vectors["bad"]:
        same(refused(service.decode_service, unhexlify(case["beacon"])), case["reason"], case["name"])
    return sum(len(vectors[group]) for group in ("good", "same", "bad"))


def check_receiver(vectors):
    for case in vectors["infer"]:
        same(counter.next_with_low(case["last"], case["low"]), case["counter"], case["name"])
    return len(vectors["infer"])


def check_provision(vectors):
    for case in vectors["good"]:
        values = case["values"]
        wanted = provision.Provision(
            values["tag_id"],
            unhexlify(values["root_key"]),
            values["generation"],
            values["company_id"],
            values["board"],
            values["settings"],
        )
        same(provision.decode_provision(case["file"].encode()), wanted, case["name"])
        same(provision.decode_provision(provision.encode_provision(wanted)), wanted, case["name"])
    for case in vectors["bad"]:
        same(refused(provision.decode_provision, case["file"].encode()), "format", case["name"])
    for case in vectors["bad_bytes"]:
        same(refused(provision.decode_provision, unhexlify(case["file"])), "format", case["name"])
    for case in vectors["counters"]:
        blob = unhexlify(case["blob"])
        same(provision.encode_counter(case["counter"]), blob, case["blob"])
        same(provision.decode_counter(blob), case["counter"], case["blob"])
    for case in vectors["bad_counters"]:
        same(refused(provision.decode_counter, unhexlify(case["blob"])), "format", case["name"])
    return sum(len(vectors[group]) for group in ("good", "bad", "bad_bytes", "counters", "bad_counters"))


CHECKS = {
    "body": check_body,
    "keys": check_keys,
    "alarm": check_alarm,
    "private": check_private,
    "beacon": check_beacon,
    "service": check_service,
    "receiver": check_receiver,
    "provision": check_provision,
}

if __name__ == "__main__":
    for name in CHECKS:
        with open(sys.argv[1] + "/" + name + ".json") as file:
            print(name, CHECKS[name](json.load(file)))
