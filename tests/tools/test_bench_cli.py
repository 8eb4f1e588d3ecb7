"""The commands of a technician's day, as they are typed; and that none of them ever shows a key."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_board import BenchBoard, flashed_image

from tagsmith.command_line import app, main
from tagsmith.image import read_image
from tagsmith.inventory import Inventory
from tagwire.keyring import load_keyring
from tagwire.provision import PROVISION_FILE, decode_provision
from tagwire.session import EPOCH_FOREVER

NewBoard = Callable[..., BenchBoard]


class Typist:
    """Types commands; remembers everything that was ever shown."""

    def __init__(self, inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.shown = ""
        self.inventory = inventory
        self._capsys = capsys

    def type(self, *words: str | Path, expect: int = 0, inventory: Path | None = None) -> str:
        """What a command answers on standard output."""
        arguments = [str(word) for word in words]
        if words[0] in self.NEEDS_INVENTORY:
            arguments += ["--inventory", str(inventory or self.inventory)]
        code = 0
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        answer = self._capsys.readouterr()
        self.shown += answer.out + answer.err
        assert code == expect, (arguments, answer)
        return answer.out if code in (0, 6) else answer.err

    NEEDS_INVENTORY = ("provision", "wipe", "inventory", "batch", "label", "decode", "monitor", "sniff")


@pytest.fixture
def typist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typist:
    return Typist(tmp_path / "typed.db", capsys)


def test_life_of_a_tag(typist: Typist, new_board: NewBoard, tmp_path: Path) -> None:
    port = new_board(7).port
    assert "`tagsmith inventory init" in typist.type("provision", port, expect=8)
    typist.type("inventory", "init", "--ids", "1000-1999")
    answer = json.loads(
        typist.type("provision", port, "--reference", "box 1", "--set", "repl_window_s=60", "--gnss-s", "3", "--json")
    )
    assert (answer["tag_id"], answer["state"], len(answer["parts"])) == (1000, "ready", 6)
    assert "--again" in typist.type("provision", port, expect=8)
    assert json.loads(typist.type("whoami", port, "--json"))["tag_id"] == 1000
    assert "tag 1000 (0000-7T4E)" in typist.type("whoami", port)

    files = json.loads(typist.type("dump", port, tmp_path / "dump", "--json"))["files"]
    assert "tag/app.mpy" in files
    assert "provision.json" not in files
    assert (tmp_path / "dump" / "counter").stat().st_size == 8
    assert "not empty" in typist.type("dump", port, tmp_path / "dump", expect=5)

    typist.type("inventory", "export", tmp_path / "keyring.jsonl", "--days", "30")
    assert list(load_keyring(tmp_path / "keyring.jsonl")) == [1000]
    for_hub = ["inventory", "export", str(tmp_path / "hub.jsonl"), "--hub-id", "7"]
    assert json.loads(typist.type(*for_hub, "--json"))["epoch"] == EPOCH_FOREVER
    assert "for hub 7 alone" in typist.type(*for_hub, "--days", "30")
    hub = load_keyring(tmp_path / "hub.jsonl")[1000].hub
    assert hub is not None
    assert (hub.hub_id, hub.epoch - int(time.time()) // 86400) in ((7, 30), (7, 29))
    typist.type(*for_hub, "--epoch", "20800")
    assert load_keyring(tmp_path / "hub.jsonl")[1000].hub.epoch == 20800  # type: ignore[union-attr]
    typist.type("inventory", "export", tmp_path / "hub.jsonl", "--epoch", "20800", expect=2)
    words = ["--quantity", "temperature", "--reference", "F200", "--certificate", "D-7", "--on", "2026-11-01"]
    typist.type("inventory", "calibrate", "0000-7t4e", *words, "--deviation", "-0.1")
    shown = typist.type("inventory", "show", "1000")
    assert "certificate D-7, deviation -0.1" in shown
    assert "box 1" in shown

    assert "nothing was wiped" in typist.type("wipe", port, expect=8)
    typist.type("wipe", port, "--yes", "--why", "end of life")
    assert "no identity" in typist.type("whoami", port)
    assert json.loads(typist.type("inventory", "list", "--json"))["tags"][0]["state"] == "revoked"
    typist.type("inventory", "export", tmp_path / "keyring.jsonl")
    assert load_keyring(tmp_path / "keyring.jsonl") == {}

    with Inventory(typist.inventory) as inventory:
        root_key = inventory.provision_of(1000, 0).root_key
    assert root_key.hex() not in typist.shown
    assert repr(root_key)[2:-1] not in typist.shown


def test_planned_id_goes_to_the_board_that_is_named(typist: Typist, new_board: NewBoard) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    typist.type("inventory", "plan", "--id", "7", "--reference", "first", "--set", "interval_s=60")
    port = new_board().port
    answer = json.loads(typist.type("provision", port, "--id", "7", "--gnss-s", "3", "--json"))
    assert answer["tag_id"] == 7
    assert "is tag 7" in typist.type("provision", port, "--id", "8", expect=8)


def test_imported_tag_whose_board_was_erased_gets_a_new_key_when_asked(
    typist: Typist, new_board: NewBoard, tmp_path: Path
) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    (tmp_path / "old.csv").write_text("id,root_key,generation\n5,00112233445566778899aabbccddeeff,2\n")
    typist.type("inventory", "import", tmp_path / "old.csv")
    words = ["provision", new_board().port, "--gnss-s", "3", "--id", "5", "--json"]
    assert "imported with a key that this board does not carry" in typist.type(*words[:-1], expect=8)
    answer = json.loads(typist.type(*words, "--again", "erased by mistake"))
    assert (answer["tag_id"], answer["generation"], answer["state"]) == (5, 3, "ready")
    other = ["provision", new_board(2).port, "--gnss-s", "3", "--id", "5"]
    assert "another board" in typist.type(*other, "--again", "x", expect=8)


def test_tag_becomes_something_else_only_when_asked(typist: Typist, new_board: NewBoard, tmp_path: Path) -> None:
    board = new_board()
    typist.type("inventory", "init", "--ids", "1000-1999")
    made = ["provision", board.port, "--gnss-s", "3", "--reference", "box 1", "--set", "interval_s=60"]
    typist.type(*made, "--set", "burst_events=7")
    assert "and ready" in typist.type("provision", board.port, "--reference", "box 2", expect=8)

    other = ["--reference", "box 2", "--set", "interval_s=5", "--company-id", "0x1234"]
    said = typist.type("provision", board.port, "--gnss-s", "3", *other, "--again", "box was sold")
    assert "generation 1, ready" in said
    on_board = decode_provision(read_image(board.flash.read_bytes())[PROVISION_FILE])
    assert (on_board.company_id, on_board.settings) == (0x1234, {"interval_s": 5, "burst_events": 7})
    assert "interval_s 60 -> 5; reference box 1 -> box 2; box was sold" in typist.type("inventory", "show", "1000")

    board.pull()
    board.flash.write_bytes(flashed_image())
    board.plug()
    assert "was tag 1000, generation 1, and is erased now" in typist.type(*made, expect=8)
    typist.type("inventory", "plan", "--id", "7", "--reference", "first")
    port = new_board(2).port
    assert "another --reference" in typist.type("provision", port, "--id", "7", "--reference", "x", expect=8)


def test_change_in_the_inventory_reaches_the_tag_when_it_is_on_a_bench(typist: Typist, new_board: NewBoard) -> None:
    board = new_board()
    typist.type("inventory", "init", "--ids", "1000-1999")
    made = ["provision", board.port, "--gnss-s", "3"]
    typist.type(*made, "--set", "interval_s=60", "--set", "burst_events=7")
    changed = ["inventory", "change", "1000", "--set", "interval_s=120", "--unset", "burst_events", "--why", "summer"]
    assert "due, changed: burst_events 7 -> default; interval_s 60 -> 120" in typist.type(*changed)
    typist.type(*changed)
    assert typist.type("inventory", "log").count("summer") == 1, "what changes nothing is no event"
    assert json.loads(typist.type(*made, "--json"))["generation"] == 1
    on_board = decode_provision(read_image(board.flash.read_bytes())[PROVISION_FILE])
    assert on_board.settings == {"interval_s": 120}
    assert "and ready" in typist.type(*made, expect=8)

    typist.type("inventory", "change", "1000", "--reference", "shelf 3")
    assert json.loads(typist.type("inventory", "show", "1000", "--json"))["due"] is None, "a name is not on the tag"
    typist.type("inventory", "change", "1000", "7", "--set", "interval_s=5", expect=8)
    assert json.loads(typist.type("inventory", "show", "1000", "--json"))["settings"] == {"interval_s": 120}
    typist.type("inventory", "change", "1000", "--set", "interval_s=1", expect=2)


def started_again(board: BenchBoard, starts: int) -> bool:
    limit_s = time.monotonic() + 5
    while board.starts == starts and time.monotonic() < limit_s:
        time.sleep(0.02)
    return board.starts > starts


def test_tag_that_is_refused_runs_on(typist: Typist, new_board: NewBoard, tmp_path: Path) -> None:
    board = new_board()
    typist.type("inventory", "init", "--ids", "1000-1999")
    (tmp_path / "june.csv").write_text("reference,count\nbox,2\n")
    again = ["batch", "run", str(tmp_path / "june.csv"), "--once", "--gnss-s", "3", "--port", board.port]
    typist.type(*again, expect=9)
    for words, code in (
        (["provision", board.port], 8),
        (["provision", board.port, "--id", "7"], 8),
        (["wipe", board.port], 8),
        (again, 9),
    ):
        starts = board.starts
        typist.type(*words, expect=code)
        assert started_again(board, starts), words


def test_selftest_tells_the_fault_and_its_exit_code(typist: Typist, new_board: NewBoard) -> None:
    board = new_board()
    board.hardware.buses.battery_present = False
    answer = typist.type("selftest", board.port, "--gnss-s", "3", expect=6)
    assert "FAIL  battery" in answer
    assert "look at: the battery" in answer
    parts = json.loads(typist.type("selftest", board.port, "--gnss-s", "3", "--json", expect=6))["parts"]
    assert [part["part"] for part in parts if not part["passed"]] == ["battery"]


def test_batch_from_orders_to_report_and_labels(typist: Typist, new_board: NewBoard, tmp_path: Path) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    (tmp_path / "june.csv").write_text("reference,count\nbox,2\n")
    report, labels = tmp_path / "report.csv", tmp_path / "labels.pdf"
    words = ["--once", "--gnss-s", "3", "--report", str(report), "--labels", str(labels)]
    first, second = new_board(1), new_board(2)
    said = typist.type("batch", "run", tmp_path / "june.csv", "--port", first.port, *words, expect=9)
    assert "1 of 2 tags of batch june are ready" in said
    assert report.read_text().splitlines()[2] == "2,box,waiting,,,,0,"
    typist.type("batch", "run", tmp_path / "june.csv", "--port", second.port, *words)
    assert report.read_text().splitlines() == [
        "line,reference,state,id,label,chip,attempts,result",
        "1,box,ready,1000,0000-7T4E,020000000001,1,",
        "2,box,ready,1001,0000-7TCK,020000000002,1,",
    ]
    assert labels.read_bytes().startswith(b"%PDF")
    assert "2 of 2 ready" in typist.type("batch", "show", "june")
    typist.type("label", "1000", "0000-7TCK", "-o", tmp_path / "png")
    assert {path.name for path in (tmp_path / "png").iterdir()} == {"0000-7T4E.png", "0000-7TCK.png"}


def test_label_that_cannot_be_printed_as_it_is_says_so(typist: Typist, tmp_path: Path) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    typist.type("inventory", "plan", "--reference", "Behälter 7")
    typist.type("label", "1000", "-o", tmp_path / "a.pdf")
    assert "cannot be printed" not in typist.shown
    typist.type("inventory", "plan", "--reference", "箱 7")
    typist.type("label", "1000", "1001", "-o", tmp_path / "b.pdf")
    assert "label 0000-7TCK: 箱 cannot be printed" in typist.shown


def test_import_rotate_and_revoke(typist: Typist, tmp_path: Path) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    key = "00112233445566778899aabbccddeeff"
    (tmp_path / "old.csv").write_text(f"id,root_key,generation,reference\n5,{key},2,old\n6,,,planned\n")
    typist.type("inventory", "import", tmp_path / "old.csv")
    typist.type("inventory", "rotate", "5", "--why", "yearly")
    assert "yearly" in typist.type("inventory", "show", "5")
    typist.type("inventory", "revoke", "5")
    assert "5" in typist.type("inventory", "list", "--state", "revoked")
    exported = ["inventory", "export", str(tmp_path / "keyring.jsonl"), "--tag"]
    assert "Tag 5 (0000-01B9) is revoked" in typist.type(*exported, "5", expect=8)
    assert "is planned" in typist.type(*exported, "6", expect=8)
    typist.type("inventory", "list", "--csv", tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text().count("\n") == 3
    (tmp_path / "bad.csv").write_text(f"id,root_key\n9,{key}0\n")
    assert "line 2" in typist.type("inventory", "import", tmp_path / "bad.csv", expect=5)
    assert "import" in typist.type("inventory", "log")
    assert key not in typist.shown


def test_rotation_of_several_tags_is_all_or_none(typist: Typist, tmp_path: Path) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    (tmp_path / "tags.csv").write_text(f"id,root_key\n5,{'5a' * 16}\n6,\n", "utf-8")
    typist.type("inventory", "import", tmp_path / "tags.csv")
    assert "no key to rotate" in typist.type("inventory", "rotate", "5", "6", expect=8)
    assert "rotate" not in typist.type("inventory", "show", "5")


def test_backup_and_restore(typist: Typist, tmp_path: Path) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    typist.type("inventory", "plan")
    typist.type("inventory", "backup", tmp_path / "backup.db")
    assert "is a backup" in typist.type("inventory", "list", inventory=tmp_path / "backup.db", expect=8)
    new = tmp_path / "new.db"
    words = ["inventory", "restore", str(tmp_path / "backup.db"), "--next-id"]
    assert "--next-id 1001 or more" in typist.type(*words, "1000", inventory=new, expect=5)
    typist.type(*words, "1200", inventory=new)
    assert json.loads(typist.type("inventory", "list", "--json", inventory=new))["next_id"] == 1200
    assert "exists" in typist.type(*words, "1200", inventory=new, expect=8).lower()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["provision", "/dev/none"], 3, "There is no serial port"),
        (["provision", "/dev/none", "--set", "interval_s=1"], 2, "interval_s is '1'"),
        (["provision", "/dev/none", "--company-id", "0x12345"], 2, "is not a company id"),
        (["provision", "/dev/none", "--board", "toaster"], 2, "there is no board 'toaster'"),
        (["inventory", "show", "1234"], 8, "There is no tag 1234"),
        (["inventory", "show", "0000-7T4F"], 2, "mistyped"),
        (["inventory", "list", "--state", "bogus"], 2, "'bogus' is none of planned, written"),
        (["inventory", "show", "12345678"], 2, "the number is written #12345678"),
        (["inventory", "export", "x", "--days", "99999999"], 2, "--days"),
        (["provision", "/dev/none", "--company-id", "acme"], 2, "'acme' is not a company id"),
        (["inventory", "init", "--ids", "9-1"], 2, "is not a range"),
        (["batch", "show", "none"], 5, "There is no batch none"),
        (["batch", "release", "none", "2"], 5, "There is no batch none"),
        (["batch", "run", "/none.csv"], 5, "/none.csv cannot be read"),
        (["label", "1234", "-o", "x.pdf"], 8, "There is no tag 1234"),
        (["label", "1234", "-o", "x.pdf", "--sheet", "a3"], 2, "is none of"),
        (["inventory", "restore", "/none.db", "--next-id", "1"], 5, "There is no file"),
        (["decode", "00"], 5, ""),
        (["sniff", "--radio", "morse"], 2, "is none of bleak"),
        (["sniff", "--radio", "bumble:x"], 2, "is none of bleak"),
        (["sniff", "--radio", "bumble:tcp-client:127.0.0.1:1"], 3, "the controller cannot be used"),
        (["label", "1", "-o", "/proc/x"], 8, "There is no tag 1"),
        (["inventory", "export", "/proc/x/keyring.jsonl"], 5, "/proc/x/keyring.jsonl cannot be written"),
        (["inventory", "init", "--ids", "1-9"], 8, "exists already"),
        (["sniff", "--keyring", "/none.jsonl"], 5, "/none.jsonl cannot be read"),
    ],
)
def test_wrong_input_is_one_sentence(typist: Typist, words: list[str], code: int, sentence: str) -> None:
    typist.type("inventory", "init", "--ids", "1000-1999")
    said = " ".join(typist.type(*words, expect=code).replace("│", " ").split())
    assert sentence in said
    assert "Traceback" not in said


def test_every_command_has_help_that_teaches() -> None:
    groups = [(app, ())] + [(group.typer_instance, (group.name,)) for group in app.registered_groups]
    for group, _ in groups:
        assert group is not None
        for command in group.registered_commands:
            assert command.callback is not None
            assert len((command.callback.__doc__ or "").split()) >= 4, command.name


def test_root_key_is_in_no_process_list(typist: Typist, new_board: NewBoard) -> None:
    board = new_board()
    typist.type("inventory", "init", "--ids", "1000-1999")
    command = [sys.executable, "-m", "tagsmith", "provision", board.port, "--gnss-s", "3"]
    process = subprocess.Popen(
        [*command, "--inventory", str(typist.inventory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seen = b""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen += path.read_bytes()
            except OSError:
                continue
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    out, err = process.communicate()
    assert process.returncode == 0, err
    with Inventory(typist.inventory) as inventory:
        root_key = inventory.provision_of(1000, 0).root_key
    for form in (root_key, root_key.hex().encode()):
        assert form not in seen + out + err
