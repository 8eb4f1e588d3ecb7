"""Captures: written, read by Wireshark, replayed through the same intake; and what people see of the air."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bleak.backends.scanner import AdvertisementData
from hub_process import HubProcess
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tags import NOW_US, Tag
from waiting import wait_until

from taghub.btsnoop import Decoder, encode_advertisement, encode_header
from taghub.clock import AirClock, SystemClock
from taghub.errors import RadioError
from taghub.heard import Advertisement, Heard
from taghub.radio import make_radio
from taghub.radio.adv_data import ad_structures, adv_data, company_ids, local_name
from taghub.radio.base import COUNT_FOREIGN, COUNT_REPORTS
from taghub.scan import Scan
from taghub.scan_table import STRANGERS_SHOWN, scan_table
from taghub.settings import ReplaySettings
from taghub.strangers import STRANGERS_MAX, Strangers
from tagwire import trace
from tagwire.air import encode_advertisement as air_record
from tagwire.errors import DecodeError
from tagwire.keyring import write_keyring

TAG = Tag(7)
ADDRESS = "F0:00:00:00:00:01"
PHONE = b"\x02\x01\x06\x05\x09Lamp\x05\xff\x4c\x00\x10\x05"

advertisements = st.builds(
    Advertisement,
    t_us=st.integers(0, 1 << 52),
    rssi_dbm=st.integers(-127, 20),
    address=st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":").upper()),
    adv_data=st.one_of(st.binary(max_size=31), st.binary(max_size=229)),
)


def capture(*records: Advertisement) -> bytes:
    return encode_header() + b"".join(encode_advertisement(record) for record in records)


def samples(count: int) -> list[Advertisement]:
    """A sample each second, and a phone beside."""
    return [
        advertisement
        for counter in range(1, count + 1)
        for advertisement in (
            Advertisement(NOW_US + counter * 1_000_000, -60, ADDRESS, TAG.advertisement(counter)),
            Advertisement(NOW_US + counter * 1_000_000 + 1, -70, "AA:BB:CC:DD:EE:FF", PHONE),
        )
    ]


@given(st.lists(advertisements, max_size=5), st.integers(1, 200))
def test_capture_gives_back_what_was_recorded_whatever_the_pieces(records: list[Advertisement], size: int) -> None:
    data = capture(*records)
    decoder = Decoder()
    found = [one for start in range(0, len(data), size) for one in decoder.feed(data[start : start + size])]
    assert found == records
    assert decoder.packets == len(records)
    assert decoder.unfinished_bytes == 0


@given(st.binary(max_size=400), st.booleans())
def test_damaged_capture_raises_the_one_error(data: bytes, with_header: bool) -> None:
    decoder = Decoder()
    with contextlib.suppress(DecodeError):
        decoder.feed(encode_header() + data if with_header else data)


def test_damage_costs_nothing_that_stands_before_it() -> None:
    decoder = Decoder()
    assert decoder.feed(capture(*samples(2)) + b"\xff" * 24) == samples(2)
    with pytest.raises(DecodeError, match="the capture is damaged"):
        decoder.end()


def test_what_is_no_advertisement_is_passed_over_in_every_kind_of_capture() -> None:
    record = samples(1)[0]
    h4 = encode_advertisement(record)
    head, packet = h4[:24], h4[24:]
    command = head[:8] + b"\0\0\0\2" + head[12:] + b"\x01\x0c\x03\x00" + b"\0" * (len(packet) - 4)
    plain = (len(packet) - 1).to_bytes(4, "big") * 2 + head[8:] + packet[1:]
    monitor = (len(packet) - 1).to_bytes(4, "big") * 2 + b"\0\0\0\3" + head[12:] + packet[1:]
    monitor_index = monitor[:8] + b"\0\1\0\3" + monitor[12:]
    for link, data in ((1002, command + h4), (1001, plain), (2001, monitor + monitor_index)):
        found = Decoder().feed(encode_header()[:12] + link.to_bytes(4, "big") + data)
        assert set(found) == {record}, link


@pytest.mark.parametrize(
    ("address", "shown"), [(ADDRESS, ADDRESS), ("8E0A-4B", "00:00:00:00:00:00"), ("", "00:00:00:00:00:00")]
)
def test_address_that_is_none_becomes_zeros(address: str, shown: str) -> None:
    record = samples(1)[0]._replace(address=address)
    assert Decoder().feed(capture(record)) == [record._replace(address=shown)]


@pytest.mark.system
def test_wireshark_reads_a_capture(tmp_path: Path, program: Callable[[str, str], str]) -> None:
    long = Advertisement(NOW_US + 5, -41, ADDRESS, b"\x02\x01\x06" + bytes((100, 0xFF)) + bytes(99))
    (tmp_path / "air.btsnoop").write_bytes(capture(*samples(2), long))
    fields = ("frame.time_epoch", "bthci_evt.bd_addr", "bthci_evt.rssi", "btcommon.eir_ad.entry.device_name")
    command = [program("tshark", "tshark"), "-r", "air.btsnoop", "-T", "fields", *(f"-e{field}" for field in fields)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 5, done.stderr
    assert float(lines[0][0]) == pytest.approx(NOW_US / 1e6 + 1)
    assert [line[1] for line in lines] == [ADDRESS.lower(), "aa:bb:cc:dd:ee:ff"] * 2 + [ADDRESS.lower()]
    assert [line[2] for line in lines] == ["-60", "-70", "-60", "-70", "-41"]
    assert lines[1][3] == "Lamp"


def replay(path: Path, speed: float, clock: AirClock | SystemClock) -> tuple[list[Heard], Any, float]:
    """What the replay radio has reported, the radio, and how long it took."""
    radio = make_radio(ReplaySettings.model_validate({"kind": "replay", "path": path, "speed": speed}), 0xFFFF, clock)

    async def main() -> tuple[list[Heard], float]:
        started_s = asyncio.get_running_loop().time()
        async with radio.listen() as chunks:
            heard = [report async for chunk in chunks for report in chunk]
        return heard, asyncio.get_running_loop().time() - started_s

    heard, seconds = asyncio.run(main())
    return heard, radio, seconds


def test_replay_reports_what_was_heard_at_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "air.btsnoop"
    path.write_bytes(capture(*samples(3000)))
    heard, radio, _ = replay(path, 0, AirClock())
    assert [(report.t_us, report.payload) for report in heard] == [
        (NOW_US + counter * 1_000_000, TAG.beacon(counter)) for counter in range(1, 3001)
    ]
    assert (radio.counts[COUNT_REPORTS], radio.counts[COUNT_FOREIGN]) == (3000, 3000)


def test_replay_keeps_its_pace(tmp_path: Path) -> None:
    path = tmp_path / "air.btsnoop"
    path.write_bytes(capture(*samples(6)))
    heard, _, seconds = replay(path, 10, SystemClock())
    assert seconds >= 0.5
    assert heard[5].t_us - heard[0].t_us >= 400_000, "a hub in system time stamps what it hears"


@pytest.mark.parametrize("data", [b"", b"no capture, but some text", capture(*samples(1))[:8] + bytes(8)])
def test_replay_of_what_is_no_capture_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "air.btsnoop"
    path.write_bytes(data)
    with pytest.raises(RadioError, match=r"^radio replay air.btsnoop: "):
        replay(path, 0, AirClock())
    with pytest.raises(RadioError, match="cannot be read"):
        replay(tmp_path / "missing", 0, AirClock())


def taghub(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taghub", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_captured_and_replayed_through_the_intake(tmp_path: Path) -> None:
    write_keyring(tmp_path / "keyring.jsonl", [TAG.entry()])
    command = [sys.executable, "-m", "taghub", "capture", "air.btsnoop", "--radio", f"air:unix:{tmp_path}/air"]
    with subprocess.Popen([*command, "--seconds", "30"], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        records = [air_record(1, -60, bytes(6), data) for data in (TAG.advertisement(1), PHONE, TAG.advertisement(2))]
        _send(tmp_path / "air", b"".join(records))
        wait_until(lambda: (tmp_path / "air.btsnoop").stat().st_size > 200, "it is on the disk")
        process.terminate()
    result = taghub(tmp_path, "replay", "air.btsnoop", "--keyring", "keyring.jsonl", "--json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["tag"], line["counter"]) for line in lines if "tag" in line] == [(7, 1), (7, 2)]
    assert [(line["name"], line["maker"]) for line in lines if "name" in line] == [("Lamp", "Apple, Inc.")]
    again = taghub(tmp_path, "capture", "air.btsnoop", "--radio", f"air:unix:{tmp_path}/air", "--seconds", "1")
    assert (again.returncode, "--force writes over it" in again.stderr) == (2, True)


def _send(path: Path, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        wait_until(lambda: connection.connect_ex(str(path)) == 0, "it listens")
        connection.sendall(data)


def test_hub_replays_a_capture_to_its_broker(tmp_path: Path, free_port: Callable[[], int]) -> None:
    (tmp_path / "air.btsnoop").write_bytes(capture(*samples(20)))
    port = free_port()
    radio = '[[radio]]\nkind = "replay"\npath = "air.btsnoop"\nspeed = 0\n'
    with HubProcess(tmp_path, [TAG.entry()], f'[broker]\nport = {port}\n{radio}[clock]\nsource = "air"\n') as hub:
        wait_until(lambda: len(hub.traced(trace.HEARD)) == 20, "all of it is heard")
        assert hub.end() == 0  # the air's time stands still after the last record, and its batch waits for the end
        assert {counter for _, counter in hub.traced(trace.ACKNOWLEDGED)} == set(range(1, 21))


def test_table_shows_tags_and_names_others() -> None:
    scan, strangers = Scan([TAG.entry()]), Strangers(0xFFFF)
    scan.take([Heard(NOW_US, -60, TAG.beacon(1))])
    assert strangers.take(Advertisement(NOW_US, -70, "AA:BB:CC:DD:EE:FF", PHONE)) is not None
    assert strangers.take(Advertisement(NOW_US, -72, "AA:BB:CC:DD:EE:FF", b"")) is None
    assert strangers.take(Advertisement(NOW_US, -60, ADDRESS, TAG.advertisement(1))) is None
    evil = b"\x0c\x09[red]\x1b[2J\r\n"
    strangers.take(Advertisement(NOW_US, -40, "AA:BB:CC:DD:EE:01", evil + bytes(20)))
    for number in range(STRANGERS_SHOWN):
        strangers.take(Advertisement(NOW_US, -90, f"other {number}", b""))
    console = Console(width=150, file=None, record=True)
    with console.capture() as shown:
        console.print(scan_table(scan, NOW_US, strangers))
    text = shown.get()
    assert "21.0 °C" in text
    assert "Lamp  Apple, Inc." in text
    assert "[red]·[2J··" in text
    assert "and 2 others" in text


def test_strangers_are_bounded() -> None:
    strangers = Strangers(0xFFFF)
    for number in range(STRANGERS_MAX + 10):
        strangers.take(Advertisement(number, -60, str(number), b""))
    assert len(strangers.rows()) == STRANGERS_MAX


@given(st.binary(max_size=60))
def test_anything_can_be_taken_apart(data: bytes) -> None:
    Strangers(0xFFFF).take(Advertisement(0, -60, ADDRESS, data))
    assert sum(2 + len(value) for _, value in ad_structures(data)) <= len(data)


def test_adv_data_is_put_together_again_where_the_system_takes_it_apart() -> None:
    parts = AdvertisementData(
        "tag",
        {0xFFFF: TAG.beacon(1)},
        {"0000180f-0000-1000-8000-00805f9b34fb": b"d"},
        ["0000180f-0000-1000-8000-00805f9b34fb", "b3a1a000-7a67-4c2e-9d1f-5f0c7a6e6d01"],
        -4,
        -60,
        ("/org/bluez/hci0/dev", {"AdvertisingFlags": b"\x06"}),
    )
    data = adv_data(parts)
    assert data.startswith(TAG.advertisement(1)[:7] + TAG.beacon(1)), "as the tag itself has sent it"
    assert (local_name(data), company_ids(data)) == ("tag", [0xFFFF])
    assert dict(ad_structures(data))[0x16] == b"\x0f\x18d"
    assert dict(ad_structures(data))[0x0A] == b"\xfc"
    assert adv_data(parts._replace(platform_data=(b"\x02\x01\x06",))) == b"\x02\x01\x06"


@pytest.mark.parametrize("arguments", [["init"], ["replay", "air.btsnoop"]])
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "air.btsnoop").write_bytes(capture(*samples(3)))
    command = [sys.executable, "-m", "taghub", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "taghub: the output cannot be written: No space left on device\n")


def test_capture_without_its_radio_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    done = taghub(tmp_path, "capture", "air.btsnoop", "--radio", f"air:unix:{tmp_path}/nowhere/air")
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("taghub: radio air")
    assert not (tmp_path / "air.btsnoop").exists()


def test_capture_whose_disk_is_full_ends_with_one_line(tmp_path: Path) -> None:
    done = taghub(tmp_path, "capture", "/dev/full", "--force", "--radio", f"air:unix:{tmp_path}/air", "--seconds", "30")
    assert done.returncode == 2
    assert done.stderr == "taghub: /dev/full: cannot be written any more: No space left on device\n"
