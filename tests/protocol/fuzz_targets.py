"""Every decoder of the wire as a function of bytes: it returns, or raises DecodeError; anything else is a bug.

Used by test_fuzz_corpus.py (the same inputs every time) and by fuzz_run.py (atheris, which looks for new ones).
"""

from collections.abc import Callable
from contextlib import suppress

import cbor2
import numpy as np
from vector_files import load

from tagwire import alarm, fields, json_lines
from tagwire.air import Decoder
from tagwire.batch import MAX_SAMPLES, decode_batch, samples
from tagwire.beacon import manufacturer_data, open_beacon, parse_header
from tagwire.bundle import BundleReader, parse_manifest
from tagwire.columns import decode_column, decode_groups, make_layout, time_order
from tagwire.command import decode_memory, open_command, open_reply
from tagwire.consumer import Merger, decode_publish
from tagwire.errors import DecodeError
from tagwire.explain import split
from tagwire.history_decode import decode_block
from tagwire.keyring import decode_entry
from tagwire.messages import decode_messages
from tagwire.packing import make_codecs
from tagwire.provision import decode_counter, decode_provision
from tagwire.ranges import decode_ranges
from tagwire.seal import aes128
from tagwire.service import decode_service
from tagwire.trace import iter_records

CODECS = make_codecs()
ENCRYPT = aes128(bytes(range(16)))
MODULUS = int(load("bundle")["modulus"], 16)


def beacon(data: bytes) -> None:
    found = manufacturer_data(data, 0xFFFF)
    frame = data if found is None else found
    open_beacon(ENCRYPT, frame, parse_header(frame).counter_low, 7, 1)


def body(data: bytes) -> None:
    codes = fields.unpack_body(data)
    fields.from_codes(codes)
    alarm.alarm_reading(codes)


def columns(data: bytes) -> None:
    """A batch's columns without the CBOR around them, which hides them from a fuzzer."""
    count = 1 + (data[0] | data[1] << 8) % MAX_SAMPLES if len(data) > 1 else 1
    layout = make_layout(decode_groups(data[2:], count, CODECS)) if count & 1 else make_layout(np.arange(count) // 7)
    layout = layout._replace(by_time=time_order(np.arange(count) * 7919 % 10_007))
    if len(decode_column(data[2:], count, layout, CODECS)) != count:
        raise AssertionError("a column of another length")


def batch(data: bytes) -> None:
    samples(decode_batch(data))


def publish(data: bytes) -> None:
    taken = decode_publish(data)
    if len(Merger().add(taken).new) > len(taken.samples):
        raise AssertionError("more samples than there were")


def air(data: bytes) -> None:
    decoder = Decoder()
    records = [*decoder.feed(data[: len(data) // 2]), *decoder.feed(data[len(data) // 2 :])]
    if records != list(Decoder().feed(data)) or decoder.pending_bytes > 272:
        raise AssertionError("pieces are not the whole")
    list(iter_records(data))


def bundle(data: bytes) -> None:
    reader = BundleReader([MODULUS], "esp32-devkit", (1, 28))
    reader.feed(data[: len(data) // 2])
    reader.feed(data[len(data) // 2 :])
    reader.finish()


TARGETS: dict[str, Callable[[bytes], object]] = {
    "beacon": beacon,
    "explain": lambda data: split(data, 0xFFFF),
    "service": decode_service,
    "body": body,
    "provision": decode_provision,
    "counter": decode_counter,
    "keyring": decode_entry,
    "columns": columns,
    "batch": batch,
    "json_line": json_lines.parse_json_line,
    "publish": publish,
    "air": air,
    "history": decode_block,
    "messages": decode_messages,
    "ranges": decode_ranges,
    "command": lambda data: open_command(ENCRYPT, 7, data),
    "reply": lambda data: open_reply(ENCRYPT, 7, data),
    "memory": decode_memory,
    "manifest": parse_manifest,
    "bundle": bundle,
}

SEEDS: dict[str, list[tuple[str, str, str]]] = {
    "beacon": [("beacon", "valid", "adv_data"), ("beacon", "refuse", "beacon"), ("service", "bad", "beacon")],
    "explain": [("beacon", "valid", "adv_data"), ("service", "good", "beacon"), ("beacon", "find", "adv_data")],
    "service": [("service", "good", "beacon"), ("service", "bad", "beacon")],
    "body": [("body", "decode", "body"), ("alarm", "decode", "body")],
    "provision": [("provision", "good", "file"), ("provision", "bad", "file")],
    "counter": [("provision", "counters", "blob"), ("provision", "bad_counters", "blob")],
    "keyring": [("provision", "keyring", "line"), ("provision", "bad_keyring", "line")],
    "batch": [("batch", "good", "batch"), ("batch", "foreign", "batch"), ("batch", "bad", "batch")],
    "publish": [("batch", "good", "batch"), ("batch", "same", "batch")],
    "air": [("air", "air", "record"), ("air", "trace", "record")],
    "history": [("history", "valid", "block"), ("history", "refuse", "block")],
    "messages": [("session", "messages", "plaintext"), ("session", "bad_messages", "plaintext")],
    "ranges": [("session", "ranges", "bytes"), ("session", "bad_ranges", "bytes")],
    "command": [("command", "commands", "envelope")],
    "reply": [("command", "replies", "envelope")],
    "memory": [("command", "memory", "bytes"), ("command", "bad_memory", "bytes")],
    "bundle": [("bundle", "valid", "bundle"), ("bundle", "refuse", "bundle")],
}
"""Where each target's first inputs stand: (vector file, list, member)."""


def seeds(target: str) -> list[bytes]:
    """The inputs to start from: vectors, good and bad."""
    found = [_bytes(case[member]) for file, cases, member in SEEDS.get(target, ()) for case in load(file)[cases]]
    if target == "columns":
        for case in load("batch")["good"]:
            found += [b"\x02\x00" + column for column in cbor2.loads(bytes.fromhex(case["batch"]))[7].values()]
    if target in ("json_line", "publish"):
        for case in load("batch")["good"][:4]:
            found.append(json_lines.to_json_lines(decode_batch(bytes.fromhex(case["batch"]))).encode())
    if target == "manifest":
        found += [data[8:] for data in seeds("bundle")]
    return found or [b""]


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()  # a file's text


def run(target: str, data: bytes) -> None:
    """One input; lets through what a target must not raise."""
    with suppress(DecodeError):
        TARGETS[target](data)
