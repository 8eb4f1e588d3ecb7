"""`python -m tagwire decode`, as a person calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vector_files import load

from tagwire.beacon import seal_beacon
from tagwire.keyring import KeyringEntry, write_keyring
from tagwire.keys import beacon_key, id_key
from tagwire.seal import aes128

BEACON = load("beacon")["valid"][0]
BATCH = next(case for case in load("batch")["good"] if case["name"] == "three samples, bit-packed")


def decode(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tagwire", "decode", *arguments], input=stdin, capture_output=True, timeout=60
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("field", ["beacon", "adv_data"])
def test_explains_the_clear_part_without_a_key(field: str) -> None:
    code, out, err = decode(BEACON[field])
    assert (code, err) == (0, "")
    assert f"tag id {BEACON['tag_id']}" in out
    assert "counter, low 16 bits: 42" in out
    assert "--keyring opens it" in out


@pytest.mark.parametrize("key", [("--root-key", BEACON["root_key"]), ("--key", BEACON["beacon_key"])])
def test_opens_with_a_key(key: tuple[str, str]) -> None:
    code, out, _ = decode(*key, "--json", BEACON["adv_data"])
    row = json.loads(out)
    assert code == 0
    assert (row["counter"], row["temperature_c"], row["humidity_pct"], row["fix"]) == (42, 4.3, 61.5, "5 m")
    assert row["time"] % 4096 == (BEACON["reading"]["time"] + 2) // 4 * 4 % 4096
    assert "4.3 °C" in decode(*key, BEACON["adv_data"])[1]


def test_opens_with_a_keyring_and_takes_spaced_hexadecimal(tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.jsonl"
    keyring.write_text(json.dumps({"id": BEACON["tag_id"], "generation": 0, "beacon_key": BEACON["beacon_key"]}))
    spaced = bytes.fromhex(BEACON["beacon"]).hex(":")
    code, out, _ = decode("--keyring", str(keyring), "--json", *spaced.split())
    assert (code, json.loads(out)["opened"]) == (0, True)


def test_alarm_says_why() -> None:
    case = next(case for case in load("beacon")["valid"] if case["name"] == "alarm: temperature high")
    code, out, _ = decode("--root-key", case["root_key"], case["beacon"])
    assert code == 0
    assert "kind alarm" in out
    assert "temperature high" in out
    row = json.loads(decode("--root-key", case["root_key"], "--json", case["beacon"])[1])
    assert (row["kind"], row["alarm"], row["counter"]) == ("alarm", "temperature high", 43)


def test_service_beacon_needs_no_key() -> None:
    case = load("service")["good"][0]
    code, out, _ = decode(case["beacon"])
    assert code == 0
    assert "kind service" in out
    assert "anybody can send one" in out
    row = json.loads(decode("--json", case["beacon"])[1])
    assert (row["kind"], row["uptime_s"]) == ("service", case["uptime_s"])


def test_private_id_is_found_by_root_key_or_keyring(tmp_path: Path) -> None:
    root_key, tag_id, counter, heard_s = bytes(range(16)), 12_648_430, 70_000, 1_790_000_123
    body = bytes.fromhex(BEACON["body"])
    seals, names = aes128(beacon_key(root_key, 0)), aes128(id_key(root_key, 0))
    beacon = seal_beacon(seals, tag_id, counter, body, encrypt_id=names, epoch=heard_s // 1024 - 2).hex()
    keys = ("--root-key", root_key.hex(), "--tag-id", str(tag_id))
    row = json.loads(decode(*keys, "--at", str(heard_s), "--json", beacon)[1])
    assert (row["tag"], row["counter"], row["time"], row["private"]) == (tag_id, counter, 1_790_000_124, True)
    keyring = tmp_path / "keyring.jsonl"
    entries = [KeyringEntry(n, 0, bytes(16), bytes([n] * 16)) for n in range(3)]
    write_keyring(keyring, [*entries, KeyringEntry(tag_id, 0, beacon_key(root_key, 0), id_key(root_key, 0))])
    code, out, _ = decode("--keyring", str(keyring), "--at", str(heard_s), beacon)
    assert (code, f"tag {tag_id}, counter {counter}" in out) == (0, True)
    assert decode("--keyring", str(keyring), "--at", str(heard_s + 200_000), beacon)[0] == 1
    assert decode("--root-key", root_key.hex(), beacon)[0] == 2


def test_json_lines_become_a_table_again() -> None:
    lines = decode("--json", "-", stdin=bytes.fromhex(BATCH["batch"]))[1]
    code, out, _ = decode("-", stdin=lines.encode())
    assert code == 0
    assert "3 samples of truck-17" in out
    assert decode("--json", "-", stdin=lines.encode())[1] == lines


def test_batch_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    data = bytes.fromhex(BATCH["batch"])
    path = tmp_path / "batch"
    path.write_bytes(data)
    code, out, _ = decode(str(path))
    assert code == 0
    assert "3 samples in" in out
    assert out.count("°C") == 3
    code, out, _ = decode("--json", "-", stdin=data)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert sorted((row["tag"], row["counter"]) for row in rows) == sorted((row[0], row[1]) for row in BATCH["rows"])
    assert decode("-", stdin=data.hex().encode() + b"\n")[0] == 0
    assert decode(data.hex())[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--root-key", "00" * 16, BEACON["beacon"]], 1, "forged: no counter of generation 0 fits"),
        (["--generation", "1", "--root-key", BEACON["root_key"], BEACON["beacon"]], 1, "forged"),
        (["0102"], 1, "length: 2 bytes"),
        (["02" + BEACON["beacon"][2:]], 1, "version: version 2"),
        (["ff" * 40], 1, "format: "),
        (["no-such-file"], 2, "no-such-file: No such file"),
        (["--keyring", "no-such-keyring", BEACON["beacon"]], 2, "no-such-keyring: No such file"),
        (["--root-key", "1234", BEACON["beacon"]], 2, "a key has 32 hexadecimal digits"),
        (["--generation", "256", BEACON["beacon"]], 2, "invalid"),
        ([], 2, "required"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(arguments: list[str], code: int, text: str) -> None:
    got, out, err = decode(*arguments)
    assert got == code
    assert text in err
    assert "Traceback" not in err
    assert out == ""


def test_keyring_without_the_tag_or_with_a_bad_line(tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.jsonl"
    keyring.write_text(json.dumps({"id": 1, "generation": 0, "beacon_key": "00" * 16}))
    code, _, err = decode("--keyring", str(keyring), BEACON["beacon"])
    assert (code, f"no tag {BEACON['tag_id']}" in err) == (2, True)
    keyring.write_text('\n{"id": 1, "generation": 0, "beacon_key": "00"}')
    code, _, err = decode("--keyring", str(keyring), BEACON["beacon"])
    assert (code, "line 2: beacon_key has 1 bytes, not 16" in err) == (2, True)
    keyring.write_text(f'\n{{"id": 1, "id": {BEACON["tag_id"]}, "generation": 0, "beacon_key": "{"00" * 16}"}}')
    code, _, err = decode("--keyring", str(keyring), BEACON["beacon"])
    assert (code, "line 2: id comes twice" in err) == (2, True)


def test_output_that_cannot_be_written_is_one_line() -> None:
    command = [sys.executable, "-m", "tagwire", "decode", BEACON["beacon"]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "tagwire: the output cannot be written: No space left on device\n")
