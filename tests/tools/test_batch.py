"""Many boards at once, with cables that are pulled and processes that are killed."""

import io
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from bare_board import BareBoard
from bench_board import BenchBoard
from esp_files import micropython_file
from rich.console import Console
from test_provision import check_after_interruptions

from tagsmith import jobs
from tagsmith.batch import BatchRun, Options, Row
from tagsmith.command_line import main
from tagsmith.commands.batches import _table
from tagsmith.compile import compile_files
from tagsmith.errors import InventoryError
from tagsmith.flash import plan_flash
from tagsmith.image import read_image
from tagsmith.inventory import Inventory
from tagsmith.jobs import Batch
from tagsmith.manifest import tag_files
from tagsmith.provision import identify, provision_board
from tagsmith.rawrepl import board_on
from tagsmith.records import Order
from tagsmith.selftest import Limits
from tagwire.provision import PROVISION_FILE, decode_provision

NewBoard = Callable[..., BenchBoard]
QUICK = Options(once=True, attempts=1, limits=Limits(gnss_s=3))
ORDERS = [Order("esp32-devkit", 0xFFFF, {}, f"box {number}") for number in (1, 2, 3)]


def run(inventory: Path, boards: list[BenchBoard], options: Options = QUICK) -> tuple[bool, dict[str, Row]]:
    """Whether all lines are ready, and the last row of each port."""
    rows: dict[str, Row] = {}
    is_done = BatchRun(
        inventory, "b", [board.port for board in boards], options, lambda row: rows.update({row.port: row})
    ).run(ORDERS)
    return is_done, rows


def lines(inventory_path: Path) -> list[jobs.Job]:
    with Inventory(inventory_path) as inventory:
        return Batch(inventory, "b").jobs()


def carried(board: BenchBoard) -> int:
    return decode_provision(read_image(board.flash.read_bytes())[PROVISION_FILE]).tag_id


def test_every_board_becomes_one_line(new_board: NewBoard, inventory_path: Path) -> None:
    boards = [new_board(number) for number in (1, 2, 3)]
    is_done, rows = run(inventory_path, boards)
    assert is_done
    assert {row.stage for row in rows.values()} == {"ready"}
    assert sorted(map(carried, boards)) == [job.tag_id for job in lines(inventory_path)] == [1000, 1001, 1002]
    is_done, rows = run(inventory_path, boards)
    assert is_done, "the same command again changes nothing"
    assert [job.tag_id for job in lines(inventory_path)] == [1000, 1001, 1002]


def test_pulled_board_keeps_its_line_and_no_other_board_gets_its_id(new_board: NewBoard, inventory_path: Path) -> None:
    pulled, second, third = (new_board(number) for number in (1, 2, 3))
    pulled.pulls_after_bytes = 5_500  # its identity is on the way
    is_done, _ = run(inventory_path, [pulled])
    assert not is_done
    (bound,) = [job for job in lines(inventory_path) if job.state == jobs.WORKING]
    assert (bound.attempts, bound.result != "") == (1, True), "the report says why, and after how many tries"
    run(inventory_path, [second, third])
    fourth = new_board(4)
    _, rows = run(inventory_path, [fourth])
    assert "no line left" in rows[fourth.port].said
    pulled.plug()
    is_done, _ = run(inventory_path, [pulled])
    assert is_done
    assert carried(pulled) == bound.tag_id
    made = next(job for job in lines(inventory_path) if job.tag_id == bound.tag_id)
    assert (made.attempts, made.result) == (2, "")
    assert len({carried(board) for board in (pulled, second, third)}) == 3


def test_tag_of_an_earlier_order_is_finished_and_said_to_take_no_line(
    new_board: NewBoard, inventory_path: Path
) -> None:
    board = new_board(1)
    board.hardware.buses.battery_present = False
    with Inventory(inventory_path) as inventory, board_on(board.port) as live:
        order = Order("esp32-devkit", 0xFFFF, {}, "not of the batch")
        provision_board(live, identify(live), inventory, lambda: inventory.new_tag(order), limits=QUICK.limits)
    board.hardware.buses.battery_present = True
    is_done, rows = run(inventory_path, [board])
    assert not is_done
    assert (rows[board.port].stage, rows[board.port].said) == ("ready", "from earlier, not of this batch")
    assert {job.state for job in lines(inventory_path)} == {jobs.WAITING}


def test_lost_board_is_given_up_and_its_id_is_burnt(new_board: NewBoard, inventory_path: Path) -> None:
    lost, other = new_board(1), new_board(2)
    lost.pulls_after_bytes = 5_500
    run(inventory_path, [lost])
    with Inventory(inventory_path) as inventory:
        batch = Batch(inventory, "b")
        with pytest.raises(InventoryError, match="Line 2"):
            batch.release(2, "never had a board")
        batch.release(1, "fell into the sea")
        assert inventory.tag(1000).state == "revoked"
    run(inventory_path, [other])
    assert lines(inventory_path)[0].tag_id == carried(other) == 1001
    lost.plug()
    run(inventory_path, [lost])
    assert carried(lost) == 1002, "the board came back: it is another tag now"


def test_cable_that_comes_back_in_time_costs_a_retry(new_board: NewBoard, inventory_path: Path) -> None:
    boards = [new_board(number) for number in (1, 2, 3)]
    boards[1].pulls_after_bytes = 6_000

    def plug_again() -> None:
        while boards[1].pulls_after_bytes is not None:
            time.sleep(0.05)
        boards[1].plug()

    helper = threading.Thread(target=plug_again)
    helper.start()
    is_done, rows = run(inventory_path, boards, QUICK._replace(attempts=3))
    helper.join()
    assert is_done
    assert rows[boards[1].port].attempt > 1


def test_port_takes_one_board_after_the_other(new_board: NewBoard, inventory_path: Path) -> None:
    boards = [new_board(number) for number in (1, 2, 3)]
    for board in boards:
        board.pull()
    port = boards[0].port
    for board in boards:
        board.port = port  # one cable, three boards
    stages: queue.Queue[str] = queue.Queue()

    def wait_for(stage: str) -> None:
        while stages.get(timeout=60) != stage:
            pass

    batch = BatchRun(
        inventory_path, "b", [port], QUICK._replace(once=False, attempts=3), lambda row: stages.put(row.stage)
    )
    thread = threading.Thread(target=batch.run, args=(ORDERS,))
    thread.start()
    try:
        for board in boards:
            wait_for("wait")
            board.plug()
            wait_for("ready")
            board.pull()
    finally:
        batch.stop()
        thread.join()
    assert [job.state for job in lines(inventory_path)] == [jobs.READY] * 3
    assert [carried(board) for board in boards] == [1000, 1001, 1002]


def test_fault_is_a_line_that_waits_for_its_repair(new_board: NewBoard, inventory_path: Path) -> None:
    board = new_board()
    board.hardware.buses.battery_present = False
    _, rows = run(inventory_path, [board])
    assert (rows[board.port].stage, rows[board.port].said) == ("failed", "battery: no voltage")
    assert lines(inventory_path)[0].state == jobs.FAILED
    board.hardware.buses.battery_present = True
    run(inventory_path, [board])
    job = lines(inventory_path)[0]
    assert (job.state, job.tag_id, job.attempts, job.result) == (jobs.READY, 1000, 2, "")


def test_process_that_is_killed_goes_on(new_board: NewBoard, inventory_path: Path, tmp_path: Path) -> None:
    boards = [new_board(number) for number in (1, 2, 3)]
    (tmp_path / "b.csv").write_text("reference,count\nbox,3\n")
    command = [sys.executable, "-m", "tagsmith", "batch", "run", str(tmp_path / "b.csv"), "--once"]
    command += ["--inventory", str(inventory_path)]
    for board in boards:
        command += ["--port", board.port]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("write" in line for line in process.stderr)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert len({carried(board) for board in boards}) == 3
    with Inventory(inventory_path) as inventory:
        assert {row.tag_id for row in inventory.tags(state="ready")} == {carried(board) for board in boards}


def test_tag_that_is_marked_gets_its_new_key_although_its_line_is_ready(
    new_board: NewBoard, inventory_path: Path
) -> None:
    boards = [new_board(number) for number in (1, 2, 3)]
    run(inventory_path, boards)
    marked = carried(boards[0])
    with Inventory(inventory_path) as inventory:
        inventory.rotate(marked, "yearly")
    is_done, rows = run(inventory_path, boards)
    assert is_done
    assert (rows[boards[0].port].said, rows[boards[1].port].said) == ("", "since earlier")
    with Inventory(inventory_path) as inventory:
        assert [row.generation for row in inventory.tags()] == [int(row.tag_id == marked) for row in inventory.tags()]


def test_line_whose_new_key_was_interrupted_is_not_ready(new_board: NewBoard, inventory_path: Path) -> None:
    board = new_board()
    run(inventory_path, [board])
    with Inventory(inventory_path) as inventory:
        inventory.rotate(1000, "yearly")
    board.pulls_after_bytes = board.passed_bytes + 5_500
    run(inventory_path, [board])
    with Inventory(inventory_path) as inventory:
        Batch(inventory, "b").begin(ORDERS)
    assert lines(inventory_path)[0].state == jobs.WORKING
    board.plug()
    run(inventory_path, [board])
    assert lines(inventory_path)[0].state == jobs.READY
    assert carried(board) == 1000


def test_batch_with_other_orders_is_refused(inventory_path: Path) -> None:
    with Inventory(inventory_path) as inventory:
        Batch(inventory, "b").begin(ORDERS)
        Batch(inventory, "b").begin(ORDERS)
        with pytest.raises(InventoryError, match="other orders"):
            Batch(inventory, "b").begin(ORDERS[:2])
        Batch(inventory, "c").begin(ORDERS[:2])


def test_bare_boards_are_flashed_and_ready_ones_are_never_erased(
    inventory_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    micropython = tmp_path / "micropython.bin"
    micropython.write_bytes(micropython_file())
    plan = plan_flash(micropython, compile_files(tag_files()), accept_unlisted=True)
    options = QUICK._replace(plan=plan)
    with BareBoard(tmp_path, 1) as first, BareBoard(tmp_path, 2) as second:
        boards = {board.port: board for board in (first, second)}

        def on_row(row: Row) -> None:
            if row.stage == "connect":
                boards[row.port].boot()

        BatchRun(inventory_path, "b", list(boards), options, on_row).run(ORDERS)
        made = [board.boot() for board in boards.values()]
        assert sorted(map(carried, made)) == [1000, 1001]

    (tmp_path / "later").mkdir()
    with BareBoard(tmp_path / "later", 1) as again:  # the first chip, in download mode once more
        said: list[Row] = []
        BatchRun(inventory_path, "b", [again.port], options, said.append).run(ORDERS)
        assert "and ready" in said[-1].said
        assert "write" not in {row.stage for row in said}

        words = ["flash", again.port, "--micropython", str(micropython), "--accept-unlisted", "--no-stub"]
        with pytest.raises(SystemExit) as refused:
            main([*words, "--inventory", str(inventory_path)])
        assert refused.value.code == InventoryError.exit_code
        assert "and ready" in capsys.readouterr().err
        with Inventory(inventory_path) as inventory:
            identity = inventory.of_chip("020000000001")
            assert identity is not None
            inventory.rotate(identity.tag_id, "yearly")

        def boot(row: Row) -> None:
            if row.stage == "connect":
                again.boot()

        BatchRun(inventory_path, "b", [again.port], options, boot).run(ORDERS)
        made_again = decode_provision(read_image(again.boot().flash.read_bytes())[PROVISION_FILE])
        assert (made_again.tag_id, made_again.generation) == (identity.tag_id, 1)

    (tmp_path / "last").mkdir()
    with BareBoard(tmp_path / "last", 1) as again:
        with pytest.raises(SystemExit) as done:
            main([words[0], again.port, *words[2:], "--inventory", str(inventory_path), "--yes"])
        assert done.value.code == 0


def drawn(rows: list[Row], height: int = 24) -> list[str]:
    console = Console(width=80, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(_table({row.port: row for row in rows}, height))
    return captured.get().splitlines()


def test_table_has_a_line_per_port_and_faults_first_on_a_small_terminal() -> None:
    sentence = "The board on /dev/ttyUSB3 does not answer. Try: another cable, the reset button, another board " * 2
    rows = [Row(f"/dev/ttyUSB{number}", "write", 0.5, 1000 + number, 1, "") for number in range(50)]
    rows[3] = Row("/dev/ttyUSB3", "failed", 1.0, 4_294_967_295, 20, sentence)
    rows[4] = Row("/dev/ttyUSB4", "ready", 1.0, 1004, 1, "")
    lines = drawn(rows)
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[:3] == ["ttyUSB3", "4294967295", "failed"]
    assert "The board on" in lines[1]
    assert lines[-1].strip() == "and 28 write, 1 ready"
    assert len(drawn(rows[:5])) == 6


def test_board_for_which_no_line_waits_is_not_erased(inventory_path: Path, tmp_path: Path) -> None:
    micropython = tmp_path / "micropython.bin"
    micropython.write_bytes(micropython_file())
    options = QUICK._replace(plan=plan_flash(micropython, compile_files(tag_files()), accept_unlisted=True))
    with Inventory(inventory_path) as inventory:
        batch = Batch(inventory, "b")
        batch.begin(ORDERS)
        for chip in ("aa", "bb", "cc"):
            batch.claim(chip)
    said: list[Row] = []
    with BareBoard(tmp_path, 1) as bare:
        BatchRun(inventory_path, "b", [bare.port], options, said.append).run(ORDERS)
    assert "no line left" in said[-1].said
    assert "write" not in {row.stage for row in said}


INTERRUPTED, PARTS = 200, 4  # in parts, so that several processors share them


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_interrupted_batches_make_no_duplicate_and_lose_no_row(part: int, inventory_path: Path, tmp_path: Path) -> None:
    orders = [Order("esp32-devkit", 0xFFFF, {}, "")] * (INTERRUPTED // PARTS)
    benches = []
    for number in range(len(orders)):
        with BenchBoard(tmp_path, number + 1) as bench:
            bench.pulls_after_bytes = (number * PARTS + part) * 47  # over the 9,400 bytes of a whole run
            options = QUICK._replace(attempts=4)
            BatchRun(inventory_path, "b", [bench.port], options, partial(plug_after_failure, bench)).run(orders)
        benches.append(bench)
    with Inventory(inventory_path) as inventory:
        assert Batch(inventory, "b").is_done()
        check_after_interruptions(inventory, benches)


def plug_after_failure(bench: BenchBoard, row: Row) -> None:
    if row.stage == "failed":
        bench.plug()
