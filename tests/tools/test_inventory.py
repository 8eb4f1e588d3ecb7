"""The inventory: ids and keys that are given out once, whatever happens around."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tagsmith import lifecycle, store
from tagsmith.calibration import add_calibration, calibrations
from tagsmith.errors import InventoryError, TrustError
from tagsmith.hub_keys import keyring
from tagsmith.imports import add_imported
from tagsmith.inventory import Inventory
from tagsmith.records import Calibration, Change, Imported, Order
from tagwire.keyring import decode_entry, encode_entry
from tagwire.keys import beacon_key, id_key
from tagwire.session import hub_key

ORDER = Order("esp32-devkit", 0xFFFF, {"interval_s": 60}, "box")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.db"
    store.create(path, 1000, 1999)
    return path


def ready(inventory: Inventory, chip: str) -> int:
    tag_id = inventory.new_tag(ORDER)
    inventory.begin(tag_id, 0, chip)
    inventory.move(tag_id, 0, lifecycle.VERIFIED)
    inventory.move(tag_id, 0, lifecycle.READY)
    return tag_id


def test_ids_rise_and_end_with_the_range(tmp_path: Path) -> None:
    store.create(tmp_path / "small.db", 7, 8)
    with Inventory(tmp_path / "small.db") as inventory:
        assert [inventory.new_tag(ORDER), inventory.new_tag(ORDER)] == [7, 8]
        with pytest.raises(InventoryError, match="All ids up to 8"):
            inventory.new_tag(ORDER)
        inventory.set_range(20, 30)
        assert inventory.new_tag(ORDER) == 20


def test_id_that_was_chosen_by_hand_is_not_given_out_again(path: Path) -> None:
    with Inventory(path) as inventory:
        assert inventory.new_tag(ORDER, 1001) == 1001
        assert [inventory.new_tag(ORDER), inventory.new_tag(ORDER)] == [1000, 1002]
        with pytest.raises(InventoryError, match="exists already"):
            inventory.new_tag(ORDER, 1001)


def test_many_threads_get_different_ids_and_keys(path: Path) -> None:
    taken: list[int] = []

    def work(number: int) -> None:
        with Inventory(path) as inventory:
            taken.extend(ready(inventory, f"chip{number}-{count}") for count in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1000, 1080))
    with Inventory(path) as inventory:
        assert len({entry.beacon_key for entry in keyring(inventory)}) == 80


def test_key_is_given_to_one_chip_and_its_generation_rises(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        with pytest.raises(InventoryError, match="belongs to the board with chip aa"):
            inventory.begin(tag_id, 1, "bb")
        with pytest.raises(InventoryError, match="would not be above 0"):
            inventory.begin(tag_id, 0, "aa")
        assert inventory.begin(tag_id, 1, "aa").root_key != inventory.provision_of(tag_id, 0).root_key


def test_process_that_is_killed_in_a_transaction_leaves_none_of_it(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tagsmith import store\n"
        "from tagsmith.inventory import Inventory; from tagsmith.records import Order\n"
        "inventory = Inventory(Path(sys.argv[1]))\n"
        "print(inventory.new_tag(Order('esp32-devkit', 1, {}, '')), flush=True)\n"
        "inventory.connection.execute('BEGIN IMMEDIATE')\n"
        "inventory.new_tag(Order('esp32-devkit', 1, {}, ''))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert process.stdout == "1000\n"
    with Inventory(path) as inventory:
        assert [row.tag_id for row in inventory.tags()] == [1000]
        assert inventory.new_tag(ORDER) == 1001


def test_nothing_is_ever_forgotten_or_changed(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        for statement in (
            "DELETE FROM tag",
            "DELETE FROM identity",
            "DELETE FROM audit",
            "UPDATE audit SET who = 'nobody'",
            "UPDATE identity SET root_key = zeroblob(16)",
            "UPDATE identity SET chip = 'bb'",
            f"UPDATE identity SET tag_id = {tag_id + 1}",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                inventory.connection.execute(statement)


def test_keyring_holds_derived_keys_of_tags_that_may_be_heard(path: Path) -> None:
    with Inventory(path) as inventory:
        inventory.new_tag(ORDER)
        lost, kept = ready(inventory, "aa"), ready(inventory, "bb")
        inventory.revoke(lost, "stolen")
        (entry,) = keyring(inventory, expires_s=2_000_000_000)
        root_key = inventory.provision_of(kept, 0).root_key
    assert (entry.tag_id, entry.generation, entry.expires_s) == (kept, 0, 2_000_000_000)
    assert entry.beacon_key == beacon_key(root_key, 0)
    assert entry.previous_beacon_key is None


def test_keyring_knows_both_generations_while_a_rewrite_is_open(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        inventory.begin(tag_id, 1, "aa")
        (entry,) = keyring(inventory)
        assert (entry.generation, entry.previous_generation) == (1, 0)
        inventory.move(tag_id, 1, lifecycle.VERIFIED)
        (entry,) = keyring(inventory)
        assert (entry.generation, entry.previous_generation) == (1, None)
        assert inventory.state_of(tag_id, 0) == lifecycle.REPLACED


def test_keyring_for_one_hub_holds_what_opens_its_sessions(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        root_key = inventory.provision_of(tag_id, 0).root_key
        (entry,) = keyring(inventory, hub=(7, 20800))
        assert keyring(inventory)[0].hub is None
        assert list(inventory.audit())[-2].detail == "1 tags, for hub 7 to day 20800"
    assert entry.hub == (7, 20800, hub_key(root_key, 7, 20800))
    assert decode_entry(encode_entry(entry).encode()) == entry


def test_keyring_names_tags_with_private_ids_in_both_generations(path: Path) -> None:
    with Inventory(path) as inventory:
        open_ids = ready(inventory, "aa")
        key, newer = bytes(range(16)), 3
        private = ORDER._replace(settings={"private_ids": True})
        add_imported(inventory, [Imported(5, private, newer - 1, key, "cc")])
        newer_key = inventory.begin(5, newer, "cc").root_key
        entries = {entry.tag_id: entry for entry in keyring(inventory)}
    assert entries[open_ids].id_key is None
    assert entries[5].id_key == id_key(newer_key, newer)
    assert entries[5].previous_id_key == id_key(key, newer - 1)
    assert decode_entry(encode_entry(entries[5]).encode()) == entries[5]


def test_planned_id_can_be_revoked(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = inventory.new_tag(ORDER)
        inventory.revoke(tag_id, "order cancelled")
        assert inventory.tag(tag_id).state == lifecycle.REVOKED
        with pytest.raises(InventoryError, match="revoked"):
            inventory.begin(tag_id, 1, "aa")


def test_rotation_is_remembered_until_it_is_done(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        inventory.rotate(tag_id, "yearly")
        assert inventory.tag(tag_id).rotate == "yearly"
        inventory.begin(tag_id, 1, "aa")
        inventory.move(tag_id, 1, lifecycle.VERIFIED)
        assert inventory.tag(tag_id).rotate is None
        with pytest.raises(InventoryError, match="no key to rotate"):
            inventory.rotate(inventory.new_tag(ORDER), "too early")


def test_move_that_the_table_does_not_have_is_refused(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = inventory.new_tag(ORDER)
        inventory.begin(tag_id, 0, "aa")
        with pytest.raises(InventoryError, match="is written and cannot become ready"):
            inventory.move(tag_id, 0, lifecycle.READY)


def test_import_is_all_or_nothing(path: Path) -> None:
    rows = [Imported(5, ORDER, 3, bytes(range(16)), "cc"), Imported(6, ORDER, 0, None, None)]
    with Inventory(path) as inventory:
        with pytest.raises(InventoryError, match="Tag 5 exists"):
            add_imported(inventory, [*rows, rows[0]])
        assert inventory.tags() == []
        add_imported(inventory, rows)
        assert [(row.tag_id, row.state, row.generation) for row in inventory.tags()] == [
            (5, "ready", 3),
            (6, "planned", None),
        ]
        identity = inventory.of_chip("cc")
        assert identity is not None
        assert (identity.tag_id, identity.generation) == (5, 3)


def test_import_of_a_key_or_a_chip_that_is_there_twice_is_refused(path: Path) -> None:
    key = bytes(range(16))
    with Inventory(path) as inventory:
        with pytest.raises(InventoryError, match="Tag 6 has the key of another tag"):
            add_imported(inventory, [Imported(5, ORDER, 0, key, None), Imported(6, ORDER, 0, key, None)])
        with pytest.raises(InventoryError, match="Chip cc of tag 6 is that of tag 5"):
            add_imported(inventory, [Imported(5, ORDER, 0, key, "cc"), Imported(6, ORDER, 0, bytes(16), "cc")])
        assert inventory.tags() == []


def test_search_finds_both_forms_of_the_id_reference_and_chip(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "c0ffee")
        ready(inventory, "bb")
        for text in ("0000-7t4e", "1000", "C0FF"):
            assert [row.tag_id for row in inventory.tags(text)] == [tag_id]
        assert len(inventory.tags("box")) == 2
        assert inventory.tags(state="failed") == []


def test_calibration_is_kept_with_its_tag(path: Path) -> None:
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        record = Calibration(tag_id, "temperature", "F200 no. 12", "2026-11-01", "DKD-7", -0.1)
        add_calibration(inventory, record)
        assert calibrations(inventory, tag_id) == [record]
        with pytest.raises(InventoryError, match="no tag 9"):
            add_calibration(inventory, record._replace(tag_id=9))


def test_audit_says_who_did_what_and_holds_no_key(path: Path) -> None:
    with Inventory(path, who="mia") as inventory:
        tag_id = ready(inventory, "aa")
        root_key = inventory.provision_of(tag_id, 0).root_key
        rows = list(inventory.audit(tag_id))
    assert [(row.who, row.action) for row in rows] == [
        ("mia", "plan"),
        ("mia", "write"),
        ("mia", "verified"),
        ("mia", "ready"),
    ]
    assert root_key.hex() not in repr(rows)


def test_backup_is_whole_private_and_not_used_by_mistake(path: Path, tmp_path: Path) -> None:
    backup, restored = tmp_path / "backup.db", tmp_path / "restored.db"
    with Inventory(path) as inventory:
        tag_id = ready(inventory, "aa")
        root_key = inventory.provision_of(tag_id, 0).root_key
        store.copy(inventory.connection, backup, backup=True)
        given_out_later = inventory.new_tag(ORDER)
    assert backup.stat().st_mode & 0o077 == 0
    with pytest.raises(InventoryError, match="is a backup"):
        Inventory(backup)
    source = store.open_any(backup)
    store.copy(source, restored, backup=False, next_id=given_out_later + 1)
    source.close()
    with Inventory(restored) as inventory:
        assert inventory.provision_of(tag_id, 0).root_key == root_key
        assert inventory.new_tag(ORDER) > given_out_later


KILLED_COPY = """
import os, signal, sqlite3, sys
from pathlib import Path
from tagsmith import store

class Connection(sqlite3.Connection):
    left = int(sys.argv[4])
    def execute(self, *arguments):
        Connection.left -= 1
        if not Connection.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)

source = store.open_any(Path(sys.argv[1]))
connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Connection, **options)
is_backup = sys.argv[3] == "backup"
store.copy(source, Path(sys.argv[2]), backup=is_backup, next_id=None if is_backup else 1500)
"""


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_copy_that_is_killed_is_never_an_inventory_without_its_mark(path: Path, tmp_path: Path, kind: str) -> None:
    with Inventory(path) as inventory:
        inventory.new_tag(ORDER)
    for statement in range(1, 20):
        target = tmp_path / f"{statement}.db"
        words = [sys.executable, "-c", KILLED_COPY, str(path), str(target), kind, str(statement)]
        killed = subprocess.run(words, check=False).returncode != 0
        if killed or kind == "backup":
            with pytest.raises(InventoryError):
                Inventory(target)
        else:
            with Inventory(target) as inventory:
                assert inventory.range()[2] == 1500
        assert target.stat().st_mode & 0o077 == 0
        if not killed:
            break
    assert statement > 4


def test_ids_that_a_restored_backup_may_not_know_are_never_given_out(path: Path, tmp_path: Path) -> None:
    with Inventory(path) as inventory:
        inventory.new_tag(ORDER)
        store.copy(inventory.connection, tmp_path / "restored.db", backup=False, next_id=1500)
    with Inventory(tmp_path / "restored.db") as inventory:
        inventory.set_range(900, 2999)
        assert inventory.new_tag(ORDER) == 900
        inventory.set_range(1000, 2999)
        assert inventory.new_tag(ORDER) == 1500
        for tag_id in (1001, 1499):
            with pytest.raises(InventoryError, match="may be on a tag"):
                inventory.new_tag(ORDER, tag_id)


def test_copy_beside_the_log_of_a_lost_inventory_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "lost.db-wal").write_bytes(b"log")
    with Inventory(path) as inventory, pytest.raises(InventoryError, match="-wal is left"):
        store.copy(inventory.connection, tmp_path / "lost.db", backup=False)
    assert not (tmp_path / "lost.db").exists()


def test_inventory_whose_making_was_interrupted_says_so(tmp_path: Path) -> None:
    (tmp_path / "begun.db").touch(mode=0o600)
    with pytest.raises(InventoryError, match="never finished"):
        Inventory(tmp_path / "begun.db")


def test_inventory_that_another_program_holds_is_said_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_TIMEOUT_MS", 50)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        with pytest.raises(InventoryError, match="Another program holds"), Inventory(path) as inventory:
            inventory.new_tag(ORDER)
        browser.execute("ROLLBACK")
    with Inventory(path) as inventory:
        inventory.new_tag(ORDER)


def test_full_disk_is_said_as_such_and_nothing_half_stays(path: Path) -> None:
    def fill() -> None:
        with Inventory(path) as inventory:
            inventory.connection.execute("PRAGMA max_page_count = 1")  # SQLite takes what is there already
            for _ in range(1000):
                inventory.new_tag(ORDER)

    with pytest.raises(InventoryError, match="disk is full"):
        fill()
    with Inventory(path) as inventory:
        known = len(inventory.tags())
        assert inventory.new_tag(ORDER) == 1000 + known


def test_damaged_page_is_one_sentence(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(byte ^ 0x5A for byte in data[4096:])
    path.write_bytes(data)
    with pytest.raises(InventoryError, match="is damaged"):
        Inventory(path)


def test_inventory_that_others_can_read_is_refused(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(TrustError, match="Other users"):
        Inventory(path)


def test_files_that_are_no_inventory_are_refused_with_a_sentence(path: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"garbage" * 1000)
    garbage.chmod(0o600)
    foreign = tmp_path / "foreign.db"
    foreign.touch(mode=0o600)
    sqlite3.connect(foreign).execute("CREATE TABLE x (y)").connection.close()
    with Inventory(path) as inventory:
        inventory.connection.execute("PRAGMA user_version = 7")
    for file, match in (
        (garbage, "is damaged"),
        (foreign, "not an inventory"),
        (path, "edition 7"),
        (tmp_path / "absent.db", "There is no inventory"),
    ):
        with pytest.raises(InventoryError, match=match):
            Inventory(file)
    with pytest.raises(InventoryError, match="exists already"):
        store.create(path, 1, 2)


def test_correction_moves_the_offset_from_where_it_was_when_it_was_compared(path: Path) -> None:
    record = Calibration(1000, "temperature", "F200 no. 12", "2026-11-01", "D-7", -0.4)
    with Inventory(path) as inventory:
        tag_id = inventory.new_tag(ORDER._replace(settings={"temperature_offset_mc": 100}))
        tag = add_calibration(inventory, record, correct=True)
        assert tag.settings == {
            "temperature_offset_mc": 500,
            "calibration_id": "D-7",
            "calibration_date": "2026-11-01",
        }
        inventory.begin(tag_id, 0, "aa")
        inventory.move(tag_id, 0, lifecycle.VERIFIED)
        assert inventory.tag(tag_id).due is None
        # Compared twice before it is on a bench again: both times with the offset that its board has.
        for deviation in (0.2, 0.3):
            tag = add_calibration(inventory, record._replace(deviation=deviation), correct=True)
        assert tag.settings["temperature_offset_mc"] == 200
        assert "temperature_offset_mc 500 -> 200" in str(tag.due)
        known = calibrations(inventory, tag_id)
        for refused in (
            record._replace(quantity="battery"),
            record._replace(deviation=None),
            record._replace(deviation=-99.0),
            record._replace(certificate="D" * 33),
        ):
            with pytest.raises(InventoryError, match="cannot be corrected"):
                add_calibration(inventory, refused, correct=True)
        assert calibrations(inventory, tag_id) == known, "what was refused was not noted either"


EDITION_1 = Path(__file__).with_name("inventory_edition_1.sql")
CONTENT = """SELECT * FROM tag; SELECT tag_id, generation, root_key, state, chip, changed_s FROM identity;
SELECT * FROM calibration; SELECT * FROM job; SELECT * FROM bench; SELECT * FROM audit WHERE action <> 'edition'"""


def of_edition_1(path: Path) -> Path:
    path.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(EDITION_1.read_text())
        connection.execute(f"PRAGMA application_id = {store.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def content_of(path: Path) -> list[list[tuple[object, ...]]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [connection.execute(query).fetchall() for query in CONTENT.split(";")]


def test_inventory_of_edition_1_becomes_one_of_today_and_loses_nothing(tmp_path: Path, path: Path) -> None:
    old = of_edition_1(tmp_path / "old.db")
    before = content_of(old)
    with Inventory(old) as inventory:
        assert content_of(old) == before
        assert inventory.tag(1000).due == "key was seen"
        assert inventory.provision_of(1000, 0).settings == {"interval_s": 60}
        assert [entry.previous_generation for entry in keyring(inventory)] == [None, 0]
        assert inventory.change(1000, Change(settings={"interval_s": 5})).changes == ["interval_s 60 -> 5"]
        assert inventory.begin(1000, 1, "020000000001").settings == {"interval_s": 5}
        assert inventory.provision_of(1000, 0).settings == {"interval_s": 60}, "what the board had with its old key"
        assert [row.detail for row in inventory.audit() if row.action == "edition"] == ["1 to 2"]
    shapes = []
    for file in (old, path):  # a file that was brought here is as one that was made here
        with contextlib.closing(sqlite3.connect(file)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            columns = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
            others = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE type <> 'table' ORDER BY name")
            shapes.append((columns, others.fetchall()))
    assert shapes[0] == shapes[1]


def test_backup_of_edition_1_is_left_as_it_is_and_can_be_restored(tmp_path: Path) -> None:
    old = of_edition_1(tmp_path / "old.db")
    backup, restored = tmp_path / "backup.db", tmp_path / "restored.db"
    with contextlib.closing(store.open_any(old)) as source:
        store.copy(source, backup, backup=True)
    before = backup.read_bytes()
    with contextlib.closing(store.open_any(backup)) as source:
        store.copy(source, restored, backup=False, next_id=1010)
    assert backup.read_bytes() == before
    with Inventory(restored) as inventory:
        assert inventory.new_tag(ORDER) == 1010


def test_old_inventory_that_several_benches_open_at_once_is_brought_up_once(tmp_path: Path) -> None:
    old = of_edition_1(tmp_path / "old.db")
    barrier = threading.Barrier(6)
    known: list[int] = []

    def work() -> None:
        barrier.wait()
        with Inventory(old) as inventory:
            known.append(len(inventory.tags()))

    threads = [threading.Thread(target=work) for _ in range(barrier.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert known == [4] * barrier.parties
    with Inventory(old) as inventory:
        assert sum(row.action == "edition" for row in inventory.audit()) == 1


def test_old_inventory_on_a_full_disk_stays_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = of_edition_1(tmp_path / "old.db")
    before = content_of(old)

    def open_on_full_disk(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes what is there already
        return connection

    opened = store.open_any
    with monkeypatch.context() as patch:
        patch.setattr(store, "open_any", open_on_full_disk)
        with pytest.raises(InventoryError, match="disk is full"):
            Inventory(old)
    assert content_of(old) == before
    with Inventory(old) as inventory:
        assert len(inventory.tags()) == 4
