"""`taghub doctor`: each thing that a hub needs, well and not, with what to do."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_bluez import FakeBluez, system_bus
from mosquitto import Mosquitto
from tags import NOW_S, Tag

from taghub.doctor import (
    FAILURE,
    GOOD,
    WARNING,
    BlueZLook,
    Finding,
    doctor_lines,
    exit_code,
    judge_bluez,
    judge_clock,
    judge_disk,
    judge_keyring,
)
from taghub.radio.adapters import Adapter
from tagwire.fields import TIME_ESTIMATED, TIME_HUB, TIME_UNKNOWN
from tagwire.keyring import write_keyring

HCI0 = Adapter("hci0", "AA:BB:CC:DD:EE:01", True)
WELL = BlueZLook("", (5, 66), [HCI0], frozenset({"hci0"}), {"hci0": ""}, {"/dev/rfkill": True})


def words(findings: list[Finding]) -> str:
    return "\n".join(doctor_lines(findings))


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_machine_that_is_well_has_nothing_to_do() -> None:
    findings = judge_bluez(WELL, "radio bleak", None, passive=True)
    assert levels(findings) == [GOOD, GOOD, GOOD]
    assert "->" not in words(findings)
    assert exit_code(findings) == 0


@pytest.mark.parametrize(
    ("look", "wanted", "says"),
    [
        (WELL._replace(error="bluetoothd does not run"), None, "systemctl enable --now bluetooth"),
        (WELL._replace(adapters=[]), None, "no adapter"),
        (WELL, "hci3", "no adapter hci3; there is: hci0 (AA:BB:CC:DD:EE:01)"),
        (WELL._replace(blocks={"hci0": "soft"}), None, "rfkill unblock bluetooth"),
        (WELL._replace(blocks={"hci0": "hard"}), None, "radio switch"),
        (WELL._replace(adapters=[HCI0._replace(powered=False)]), "hci0", "bluetoothctl power on"),
    ],
)
def test_adapter_that_cannot_be_used_is_a_failure_with_advice(look: BlueZLook, wanted: str | None, says: str) -> None:
    findings = judge_bluez(look, "radio bleak", wanted, passive=False)
    assert exit_code(findings) == 6
    assert says in words(findings)


def test_passive_scans_are_missed_only_where_they_are_wanted() -> None:
    plain = WELL._replace(monitors=frozenset())
    assert WARNING not in levels(judge_bluez(plain, "radio bleak", None, passive=False))
    assert "--experimental" in words(judge_bluez(plain, "radio bleak", None, passive=True))
    old = plain._replace(version=(5, 50))
    assert "BlueZ 5.56 or later" in words(judge_bluez(old, "radio bleak", None, passive=True))


def test_recovery_without_rights_is_a_warning() -> None:
    findings = judge_bluez(WELL._replace(writable={"/dev/rfkill": False}), "radio bleak", None, passive=False)
    assert "may not write /dev/rfkill" in words(findings)
    assert exit_code(findings) == 0


def test_keyring() -> None:
    entry = Tag(1).entry()
    assert judge_keyring([entry], NOW_S).level == GOOD
    assert judge_keyring([], NOW_S).level == WARNING
    soon = entry._replace(expires_s=NOW_S + 3600)
    assert "1 more within a week" in judge_keyring([entry, soon], NOW_S).text
    assert judge_keyring([entry._replace(expires_s=NOW_S)], NOW_S).exit_code == 3


def test_clock() -> None:
    assert [judge_clock(quality).level for quality in (TIME_HUB, TIME_ESTIMATED, TIME_UNKNOWN)] == [
        GOOD,
        WARNING,
        WARNING,
    ]


def test_disk() -> None:
    assert levels(judge_disk("ext4", 10**10, 10**9, 5)) == [GOOD]
    assert exit_code(judge_disk("tmpfs", 10**10, 10**9, 5)) == 7
    assert levels(judge_disk("nfs", 10**8, 10**9, 500)) == [WARNING] * 3


def doctor(folder: Path, settings: str, *options: str) -> tuple[int, str]:
    (folder / "settings.toml").write_text(settings)
    command = [sys.executable, "-m", "taghub", "doctor", "settings.toml", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


HUB = '[hub]\nid = "hub-1"\nsite = "test"\n[keyring]\npath = "keyring.jsonl"\n[spool]\npath = "spool.db"\nmax_mb = 1\n'


@pytest.mark.system
def test_doctor_asks_bluez_and_the_broker(
    tmp_path: Path, program: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    write_keyring(tmp_path / "keyring.jsonl", [Tag(1).entry()])
    port = free_port()
    settings = f'{HUB}[[radio]]\nkind = "bleak"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'

    async def with_bluez(*options: str) -> tuple[int, str]:
        bluez = FakeBluez()
        bluez.plug("hci0", HCI0.address)
        async with bluez.running():
            return await asyncio.to_thread(doctor, tmp_path, settings, *options)

    with system_bus(program("dbus-daemon", "dbus"), tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        code, text = asyncio.run(with_bluez("--listen", "0"))
        assert (code, f"127.0.0.1:{port}" in text, "hci0 (AA:BB:CC:DD:EE:01) is on" in text) == (4, True, True)
        with Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port, ""):
            code, text = asyncio.run(with_bluez("--listen", "0.2", "--json"))
            assert code == 0, text
            findings = json.loads(text)
            by_subject = {finding["subject"]: finding["level"] for finding in findings}
            assert by_subject["broker"] == by_subject["keyring"] == GOOD
            assert any("0 reports of tags" in finding["text"] for finding in findings)
        code, text = doctor(tmp_path, settings)
        assert (code, "bluetoothd does not run" in text) == (6, True)


def test_doctor_of_a_hub_without_hardware(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = f'{HUB}[[radio]]\nkind = "air"\nlisten = "127.0.0.1:7"\n[broker]\nport = {free_port()}\n'
    code, text = doctor(tmp_path, settings)
    assert (code, FAILURE in text) == (3, True)
    assert "tagsmith inventory export" in text
    write_keyring(tmp_path / "keyring.jsonl", [Tag(1).entry()])
    code, text = doctor(tmp_path, settings)
    assert code == 0, text
