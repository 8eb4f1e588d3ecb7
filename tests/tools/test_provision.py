"""One board from bare to ready, with the real interpreter, the real raw REPL and the twin's sensors."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from bench_board import IMAGE_BYTES, BenchBoard, blank_image, flashed_image

from tagsmith.board_files import wipe
from tagsmith.errors import BenchError, BoardError, CheckError, FileError, InventoryError
from tagsmith.image import make_image, read_image
from tagsmith.imports import add_imported
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import FAILED, READY, REPLACED, REVOKED, WRITTEN
from tagsmith.provision import Done, identify, provision_board, run_selftest
from tagsmith.rawrepl import Board, board_on
from tagsmith.records import Imported, Order
from tagsmith.selftest import Limits, parts_of
from tagwire.provision import (
    COUNTER_FILE,
    PROVISION_FILE,
    Provision,
    decode_counter,
    decode_provision,
    encode_counter,
    encode_provision,
)

ORDER = Order("esp32-devkit", 0x1234, {"interval_s": 5, "repl_window_s": 0}, "box")
QUICK = Limits(gnss_s=3)
NewBoard = Callable[..., BenchBoard]


def provision(bench: BenchBoard, inventory: Inventory, again: str | None = None) -> Done:
    with board_on(bench.port) as board:
        found = identify(board)
        return provision_board(board, found, inventory, lambda: inventory.new_tag(ORDER), again=again, limits=QUICK)


def test_bare_board_becomes_a_tag(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        done = provision(bench, inventory)
        assert (done.tag_id, done.generation, done.written, done.passed) == (1000, 0, True, True)
        assert [verdict.part for verdict in done.verdicts] == parts_of(ORDER.settings)
        assert inventory.tag(1000).state == READY
        files = read_image(bench.flash.read_bytes())
        assert decode_provision(files[PROVISION_FILE]) == inventory.provision_of(1000, 0)
        assert decode_counter(files[COUNTER_FILE]) == 0
        assert not {name for name in files if name.endswith((".new", ".tmp"))}
        with board_on(bench.port) as board:
            found = identify(board)
        assert (found.tag_id, found.generation, found.board, found.company_id) == (1000, 0, "esp32-devkit", 0x1234)


def test_second_provisioning_is_explicit_and_raises_the_generation(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        provision(bench, inventory)
        before = bench.flash.read_bytes()
        with pytest.raises(InventoryError, match="is tag 1000, generation 0, and ready"):
            provision(bench, inventory)
        assert read_image(bench.flash.read_bytes()) == read_image(before)
        done = provision(bench, inventory, again="key was seen")
        assert (done.tag_id, done.generation) == (1000, 1)
        assert inventory.state_of(1000, 0) == REPLACED
        assert "key was seen" in [row.detail.partition(", ")[2] for row in inventory.audit(1000)]
        files = read_image(bench.flash.read_bytes())
        assert decode_counter(files[COUNTER_FILE]) == 1 << 24
        assert decode_provision(files[PROVISION_FILE]).root_key != inventory.provision_of(1000, 0).root_key


def test_tag_that_is_marked_for_rotation_gets_its_new_key(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        provision(bench, inventory)
        inventory.rotate(1000, "yearly")
        assert provision(bench, inventory).generation == 1


def test_fault_is_found_and_repaired_board_keeps_its_key(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board()
    bench.hardware.buses.battery_present = False
    with Inventory(inventory_path) as inventory:
        done = provision(bench, inventory)
        assert [verdict.part for verdict in done.verdicts if not verdict.passed] == ["battery"]
        assert inventory.tag(1000).state == FAILED
        bench.hardware.buses.battery_present = True
        done = provision(bench, inventory)
        assert (done.tag_id, done.generation, done.written, done.passed) == (1000, 0, False, True)
        assert inventory.tag(1000).state == READY


@pytest.mark.parametrize(
    ("wiring", "parts"),
    [
        ("esp32-devkit", {"climate": "aht20", "accelerometer": "lis2dh12"}),
        ("esp32c3-devkit", {"climate": "sht3x", "probe": "ds18b20"}),
        ("esp32s3-devkit", {"climate": "bme280", "probe": "max31865"}),
        ("esp32c6-devkit", {"climate": "dht22"}),
        ("esp32-devkit", {"climate": "none", "probe": "ds18b20"}),
    ],
)
def test_each_part_that_the_settings_name_is_tested(new_board: NewBoard, wiring: str, parts: dict[str, str]) -> None:
    with board_on(new_board(board=wiring, parts=parts).port) as board:
        verdicts = run_selftest(board, wiring, parts, QUICK)
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    measured = {verdict.part: verdict.measured for verdict in verdicts}
    for part, kind in parts.items():
        assert kind == "none" or measured[part].startswith(kind)
    assert measured.keys() == set(parts_of(parts))


def test_part_that_is_not_there_or_another_one_fails(new_board: NewBoard, inventory_path: Path) -> None:
    order = ORDER._replace(
        settings={**ORDER.settings, "climate": "bme280", "probe": "ds18b20", "accelerometer": "lis2dh12"}
    )
    with Inventory(inventory_path) as inventory, board_on(new_board().port) as board:  # an SHT4x and nothing else
        done = provision_board(board, identify(board), inventory, lambda: inventory.new_tag(order), limits=QUICK)
        assert {part.part for part in done.verdicts if not part.passed} == {"climate", "probe", "accelerometer"}
        assert inventory.tag(1000).state == FAILED


def test_board_without_firmware_is_refused_before_an_id_is_taken(new_board: NewBoard, inventory_path: Path) -> None:
    with Inventory(inventory_path) as inventory:
        with pytest.raises(BoardError, match="not the tag's firmware"):
            provision(new_board(image=blank_image()), inventory)
        assert inventory.tags() == []


def test_copied_flash_does_not_make_two_tags_with_one_id(new_board: NewBoard, inventory_path: Path) -> None:
    original = new_board(1)
    with Inventory(inventory_path) as inventory:
        provision(original, inventory)
        copy = new_board(2, image=original.flash.read_bytes())
        with pytest.raises(InventoryError, match="a copy"):
            provision(copy, inventory)
        assert provision(copy, inventory, again="was cloned by mistake").tag_id == 1001


def test_board_that_was_another_tag_counts_from_its_new_generation(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        provision(bench, inventory)
        provision(bench, inventory, again="so that its NVS holds a higher generation")
        inventory.revoke(1000, "sold")
        done = provision(bench, inventory, again="a new life")
        assert (done.tag_id, done.generation) == (1001, 0)
        with board_on(bench.port) as board:
            counter = identify(board).counter
            assert counter is not None
            assert counter >> 24 == 0  # where it has woken since, some are reserved, of this generation
        assert inventory.tag(1000).state == REVOKED


def imported(inventory: Inventory, root_key: bytes, order: Order = ORDER) -> None:
    add_imported(inventory, [Imported(5, order, 3, root_key, None)])


def flash_of_tag_5(root_key: bytes) -> bytes:
    made_elsewhere = Provision(5, root_key, 3, ORDER.company_id, ORDER.board, ORDER.settings)
    identity = {PROVISION_FILE: encode_provision(made_elsewhere), COUNTER_FILE: encode_counter(3 << 24)}
    return blank_image({**read_image(flashed_image()), **identity})


def keeps_its_counter(bench: BenchBoard) -> None:
    """As after a life elsewhere: the counter's second place is written too."""
    with board_on(bench.port) as board:
        board.run("store", [(read_image(bench.flash.read_bytes())[PROVISION_FILE]), 3 << 24])


def test_tag_that_was_imported_without_its_chip_is_known_by_its_key(new_board: NewBoard, inventory_path: Path) -> None:
    root_key = bytes(range(16))
    bench = new_board(image=flash_of_tag_5(root_key))
    keeps_its_counter(bench)
    with Inventory(inventory_path) as inventory:
        imported(inventory, root_key)
        with pytest.raises(InventoryError, match="is tag 5, generation 3, and ready"):
            provision(bench, inventory)
        assert inventory.tag(5).chip is not None
        inventory.rotate(5, "yearly")
        done = provision(bench, inventory)
        assert (done.tag_id, done.generation) == (5, 4)
        assert inventory.state_of(5, 3) == REPLACED
        assert [row.tag_id for row in inventory.tags()] == [5]


def test_board_that_only_says_it_is_an_imported_tag_is_not_believed(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board(image=flash_of_tag_5(bytes(16)))
    keeps_its_counter(bench)
    with Inventory(inventory_path) as inventory:
        imported(inventory, bytes(range(16)))
        with pytest.raises(InventoryError, match=r"not with the key.*--id 5"):
            provision(bench, inventory)
        assert inventory.tag(5).chip is None


def test_last_generation_that_does_not_read_back_ends_with_what_to_do(
    new_board: NewBoard, inventory_path: Path
) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        chip = provision(bench, inventory).chip
        inventory.begin(1000, 255, chip)
        with pytest.raises(InventoryError, match=r"256 generations.*revoke 1000"):
            provision(bench, inventory)
        with pytest.raises(InventoryError, match=r"256 generations.*revoke 1000"):
            inventory.begin(1000, 256, chip)
        inventory.revoke(1000, "used up")
        assert provision(bench, inventory).tag_id == 1001


@pytest.mark.parametrize(
    "said",
    [{"tag_id": "5"}, {"tag_id": -1}, {"generation": 256}, {"company_id": True}, {"counter": [1]}, {"board": 7}],
)
def test_board_that_says_something_impossible_is_one_sentence(said: dict[str, object]) -> None:
    class Talker:
        def run(self, _script: str) -> list[object]:
            return [{"chip": "aa", **said}]

    with pytest.raises(BoardError, match=f"impossible as its {next(iter(said))}"):
        identify(cast(Board, Talker()))


def filled(files: dict[str, bytes], spare_bytes: int = 0) -> bytes:
    """A flash with these files and a journal that leaves this much room."""
    fits, too_much = 0, IMAGE_BYTES
    while too_much - fits > 64:
        size = (fits + too_much) // 2
        try:
            make_image({**files, "journal": bytes(size)}, IMAGE_BYTES)
        except FileError:
            too_much = size
        else:
            fits = size
    return make_image({**files, "journal": bytes(fits - spare_bytes)}, IMAGE_BYTES)


def test_flash_without_any_room_is_said_and_a_wipe_still_takes_the_key(
    new_board: NewBoard, inventory_path: Path
) -> None:
    bench = new_board()
    with Inventory(inventory_path) as inventory:
        provision(bench, inventory)
        bench.pull()
        full = new_board(1, image=filled(read_image(bench.flash.read_bytes())))
        with board_on(full.port) as board:
            wipe(board)
            assert identify(board).tag_id is None
        assert read_image(full.flash.read_bytes()) == read_image(flashed_image()), "samples and settings are gone, too"
        with pytest.raises(BoardError, match="is full"):
            provision(new_board(2, image=filled(read_image(flashed_image()))), inventory)


@pytest.mark.parametrize("said", [[True], []])
def test_wipe_that_leaves_the_key_is_no_success(
    new_board: NewBoard, monkeypatch: pytest.MonkeyPatch, said: list[bool]
) -> None:
    with board_on(new_board().port) as board:
        monkeypatch.setattr(board, "run", lambda script: said)
        with pytest.raises(CheckError, match="still holds its key"):
            wipe(board)


def test_full_flash_is_one_sentence_and_the_next_try_works(new_board: NewBoard, inventory_path: Path) -> None:
    bench = new_board(image=filled(read_image(flashed_image()), 40 * 1024))
    with Inventory(inventory_path) as inventory:
        done = provision(bench, inventory)
        assert [verdict.part for verdict in done.verdicts if not verdict.passed] == ["flash"]


def interrupted(bench: BenchBoard, inventory: Inventory, after_bytes: int) -> None:
    """One attempt whose cable is pulled after so many bytes, then attempts without trouble until the tag is ready."""
    bench.pulls_after_bytes = after_bytes
    for _ in range(3):
        try:
            done = provision(bench, inventory)
        except BenchError:
            bench.plug()
        else:
            bench.pulls_after_bytes = None
            assert done.passed
            return
    raise AssertionError("never ready")


def check_after_interruptions(inventory: Inventory, benches: list[BenchBoard]) -> None:
    """No id twice, no row lost, and every board carries exactly what the inventory says."""
    carried = []
    for bench in benches:
        provisioned = decode_provision(read_image(bench.flash.read_bytes())[PROVISION_FILE])
        assert provisioned == inventory.provision_of(provisioned.tag_id, provisioned.generation)
        assert inventory.tag(provisioned.tag_id).generation == provisioned.generation
        carried.append(provisioned.tag_id)
    assert len(set(carried)) == len(benches)
    rows = inventory.tags()
    assert {row.tag_id for row in rows if row.state == READY} == set(carried)
    assert not [row for row in rows if row.state == WRITTEN]
    written = [(row.tag_id, row.generation) for row in inventory.audit() if row.action == "write"]
    assert len(set(written)) == len(written)


def test_cable_that_is_pulled_anywhere_costs_nothing(new_board: NewBoard, inventory_path: Path) -> None:
    random_bytes = random.Random(8)
    with Inventory(inventory_path) as inventory:
        benches = [new_board(number) for number in range(1, 5)]
        for bench in benches:
            interrupted(bench, inventory, random_bytes.randrange(9_000))
        check_after_interruptions(inventory, benches)
