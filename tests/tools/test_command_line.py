"""The command line as a technician meets it: help, exit codes, one sentence per error, JSON for programs."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from esp_files import micropython_file
from rom_loader import RomLoader

from tagsmith import doctor, errors, output
from tagsmith.command_line import main
from tagsmith.ports import Port


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capsys.readouterr()
    return int(caught.value.code or 0), printed.out, printed.err


def test_flash_answers_in_json_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "micropython.bin"
    file.write_bytes(micropython_file())
    with RomLoader() as board:
        code, out, err = run(
            "flash", board.port, "--micropython", str(file), "--accept-unlisted", "--json", capsys=capsys
        )

    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["chip"] == "esp32"
    assert answer["files"] > 20


def test_error_is_one_sentence_and_what_to_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "micropython.bin"
    file.write_bytes(micropython_file())

    code, out, err = run("flash", "/dev/ttyUSB987", "--micropython", str(file), capsys=capsys)

    assert (code, out) == (errors.TrustError.exit_code, "")
    assert [line.split(":")[0].strip() for line in err.splitlines()] == ["tagsmith", "try"]


def test_error_in_json_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("images", "/nowhere/file.bin", "--json", capsys=capsys)

    assert json.loads(out)["exit_code"] == code == errors.FileError.exit_code


def test_what_a_board_says_cannot_play_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.result({}, "machine \x1b[2J\x9b1m °C\nnext line", as_json=False)
    output.failure(errors.BoardError("failed: \x1b]0;x\x07.", "again"), as_json=False)
    printed = capsys.readouterr()
    assert printed.out == "machine ·[2J·1m °C\nnext line\n"
    assert printed.err.startswith("tagsmith: failed: ·]0;x·.\n")


def test_wrong_usage_in_json_is_one_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["inventory", "plan", "--company-id", "acme"], ["flash"], ["whoami", "/dev/none", "--speed", "9"]):
        code, out, err = run(*words, "--json", capsys=capsys)
        answer = json.loads(out)
        assert (answer["exit_code"], code, err) == (errors.EXIT_USAGE, errors.EXIT_USAGE, "")
        assert answer["error"].endswith(".")
        assert "--help" in answer["try"]


def test_file_that_no_command_answers_for_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    code, out, _ = run("image", str(tmp_path / "tag.img"), "--json", capsys=capsys)
    assert (code, json.loads(out)["exit_code"]) == (errors.FileError.exit_code,) * 2
    assert run("whoami", "/dev/none", capsys=capsys)[0] == errors.PortError.exit_code


def test_public_key_in_the_way_leaves_no_private_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key.pem.pub").touch()
    assert run("bundle", "key", str(tmp_path / "key.pem"), capsys=capsys)[0] == errors.FileError.exit_code
    assert not (tmp_path / "key.pem").exists()
    assert run("bundle", "key", "/proc/none/key.pem", capsys=capsys)[0] == errors.FileError.exit_code


def test_bundle_from_key_to_flash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, bundle, file = (str(tmp_path / name) for name in ("key.pem", "tag.bundle", "micropython.bin"))
    Path(file).write_bytes(micropython_file())
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    with_passphrase = ("--passphrase-file", str(passphrase))

    assert run("bundle", "key", key, *with_passphrase, capsys=capsys)[0] == 0
    code, out, _ = run("bundle", "make", bundle, "--key", key, *with_passphrase, capsys=capsys)
    assert code == 0
    assert "tag/app.mpy" in out
    assert run("bundle", "make", bundle, "--key", key, capsys=capsys)[0] == errors.TrustError.exit_code
    assert run("bundle", "show", bundle, "--trust", key + ".pub", capsys=capsys)[0] == 0
    with RomLoader() as board:
        options = ("--micropython", file, "--accept-unlisted", "--bundle", bundle, "--trust", key + ".pub")
        assert run("flash", board.port, *options, capsys=capsys)[0] == 0

    assert run("bundle", "key", key + "2", capsys=capsys)[0] == 0
    code, _, err = run("bundle", "show", bundle, "--trust", key + "2.pub", capsys=capsys)
    assert code == errors.TrustError.exit_code
    assert "somebody whose key you do not trust" in err


def test_image_shows_what_takes_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("image", str(tmp_path / "tag.img"), "--size-kb", "512", "--json", capsys=capsys)

    assert code == 0
    assert json.loads(out)["files"]["tag/app.mpy"] > 500
    assert (tmp_path / "tag.img").stat().st_size == 512 * 1024


def test_doctor_names_a_group_that_has_no_name_by_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nameless(_path: Path) -> str:
        raise KeyError

    device = tmp_path / "ttyUSB0"
    device.touch()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(Path, "group", nameless)
    monkeypatch.setattr("tagsmith.ports.listed", lambda: [Port(str(device), "", None, None)])
    (finding,) = [finding for finding in doctor.examine() if finding.subject == str(device)]
    assert f"its group {device.stat().st_gid}" in finding.said


def test_doctor_and_ports_answer_without_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", capsys=capsys)[0] == 0
    code, out, _ = run("ports", "--json", capsys=capsys)
    assert code == 0
    assert isinstance(json.loads(out)["ports"], list)


def test_help_names_every_exit_code_and_every_command_has_help() -> None:
    environment = os.environ | {"COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "tagsmith", "--help"], capture_output=True, text=True, env=environment, check=True
    )

    for cause in errors.CAUSES:
        assert f"{cause.exit_code} {cause.meaning}" in " ".join(done.stdout.split())
    codes = [cause.exit_code for cause in errors.CAUSES]
    assert len(codes) == len(set(codes))
