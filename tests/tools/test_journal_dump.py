"""What a tag has measured, read by its cable or from a folder."""

import csv
import json
import struct
import time
from binascii import crc32
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_board import BenchBoard
from hypothesis import given
from hypothesis import strategies as st

from tagsmith.command_line import main
from tagsmith.firmware_rules import firmware_module
from tagsmith.journal import decode_journal, decode_run, row_of
from tagwire.alarm import REASON_OPENED, alarm_codes
from tagwire.counter import COUNTER_MAX
from tagwire.fields import TIME_GNSS, TIME_UNKNOWN, Reading, pack_body, to_codes

NOW_S = 1_800_000_000
READING = Reading(481_000_000, 115_000_000, 4_200, 55_000, 3_900, 1, 2, NOW_S, TIME_GNSS)
records = firmware_module("tag/records.py")


def record(base: int, counter: int, reading: Reading = READING, alarm: int | None = None) -> bytes:
    """A sample as the firmware writes it into its journal."""
    codes = to_codes(reading) if alarm is None else alarm_codes(reading, alarm)
    time_4s = 0 if reading.time_s is None else (reading.time_s + 2) // 4
    data: bytes = records.encode_record(base, counter, pack_body(codes), time_4s, alarm is not None)
    return data


def test_every_sample_once_with_what_became_of_it() -> None:
    unknown = READING._replace(time_s=None, time_quality=TIME_UNKNOWN, latitude_e7=None, longitude_e7=None, fix=0)
    settled = struct.pack("<III", 3, 10, 11)
    files = {
        "journal-000003e8/0000000a": b"".join(record(10, counter) for counter in (10, 11, 13)),
        "journal-000003e8/0000000e": record(14, 14, alarm=REASON_OPENED),
        "journal-000003e8/0000000e.waiting": record(14, 14, alarm=REASON_OPENED) + record(14, 15, unknown),
        "journal-000003e8/settled": settled + struct.pack("<I", crc32(settled)),
        "provision.json": b"{}",
    }
    found = decode_journal(files)
    rows = [row_of(entry) for entry in found.entries]
    assert [(row["counter"], row["in_flash"], row["settled"]) for row in rows] == [
        (10, True, True),
        (11, True, True),
        (13, True, False),
        (14, True, False),
        (15, False, False),
    ]
    assert (found.damaged, found.lost, found.remarks) == (0, 3, [])
    assert (rows[0]["tag"], rows[0]["time"], rows[0]["temperature_c"], rows[0]["alarm"]) == (1000, NOW_S, 4.2, None)
    assert abs(rows[0]["latitude"] - 48.1) < 3e-5
    assert rows[3]["alarm"] == "opened"
    assert (rows[4]["time"], rows[4]["latitude"]) == (None, None)


def test_damage_costs_the_record_it_hit() -> None:
    data = bytearray(b"".join(record(0, counter) for counter in range(8)) + b"torn")
    data[16 * 3 + 5] ^= 1
    intact, damaged = decode_run(0, bytes(data))
    assert [item.counter for item in intact] == [0, 1, 2, 4, 5, 6, 7]
    assert damaged == 2
    found = decode_journal({"journal-00000001/00000000": bytes(data), "journal-00000001/settled": b"x"})
    assert (len(found.entries), found.damaged) == (7, 2)
    assert "is damaged" in found.remarks[0]


@given(st.binary(max_size=200), st.integers(0, COUNTER_MAX), st.text(max_size=30))
def test_nothing_in_a_file_is_an_error(data: bytes, base: int, name: str) -> None:
    for path in (f"journal-00000001/{base:08x}", "journal-00000001/settled", f"journal-00000001/{name}", name):
        for entry in decode_journal({path: data}).entries:
            json.dumps(row_of(entry))


def run(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


def test_dump_brings_samples_from_flash_and_from_memory(
    new_board: Callable[..., BenchBoard], inventory_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = new_board()
    bench.sleeps_s = 0.01
    quick = ["interval_s=2", "burst_events=1", "burst_repeats=0", "gnss_cold_timeout_s=0", "repl_window_s=0"]
    settings = [word for setting in quick for word in ("--set", setting)]
    run("provision", bench.port, "--gnss-s", "3", *settings, "--inventory", inventory_path)
    starts = bench.starts
    limit_s = time.monotonic() + 60
    while bench.starts < starts + 11 and time.monotonic() < limit_s:
        time.sleep(0.02)
    bench.sleeps_s = None
    capsys.readouterr()
    run("dump", bench.port, tmp_path / "dump", "--wait-s", "30", "--json")
    answer = json.loads(capsys.readouterr().out)
    counters = [row["counter"] for row in answer["samples"]]
    assert counters == list(range(len(counters))), "none is missing"
    in_flash = [row["in_flash"] for row in answer["samples"]]
    assert in_flash == sorted(in_flash, reverse=True), "those in flash are the older ones"
    assert sum(in_flash) >= 8
    # Eight go to flash at once; it may have been interrupted just before it wrote them.
    assert len(in_flash) - sum(in_flash) in (len(in_flash) % 8, len(in_flash) % 8 + 8)
    assert {row["temperature_c"] for row in answer["samples"]} == {21.5}
    assert "provision.json" not in answer["files"]

    run("journal", tmp_path / "dump", "--csv", tmp_path / "samples.csv")
    assert f"{len(counters)} samples" in capsys.readouterr().out
    with (tmp_path / "samples.csv").open() as file:
        assert [int(row["counter"]) for row in csv.DictReader(file)] == counters
