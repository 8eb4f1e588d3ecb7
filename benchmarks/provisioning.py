"""What a technician waits for: one tag over a serial line, sixteen at once, and what pulled cables cost.

The boards are emulated (ROM loader) and real (MicroPython interpreter) on pseudo-terminals, see tests/tools.
"""

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from tagsmith import store
from tagsmith.batch import BatchRun, Options, Row
from tagsmith.compile import compile_files
from tagsmith.errors import BenchError
from tagsmith.flash import plan_flash
from tagsmith.inventory import Inventory
from tagsmith.manifest import tag_files
from tagsmith.provision import identify, provision_board
from tagsmith.rawrepl import board_on
from tagsmith.records import Order
from tagsmith.selftest import Limits

TESTS = Path(__file__).resolve().parents[1] / "tests" / "tools"
ORDER = Order("esp32-devkit", 0xFFFF, {}, "")
PORTS = 16
FLASH_BAUD = 460_800
APPLICATION_BYTES = 1_700_000  # as MicroPython's
INTERRUPTED = 12  # `make soak` does 200
LINE_BYTES = 9_400  # that one provisioning takes, both ways


def figures(runs: int) -> Iterator[Figure]:
    sys.path.append(str(TESTS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store.create(folder / "inventory.db", 1, 1_000_000)
        with Inventory(folder / "inventory.db") as inventory:
            yield Figure(
                "provision_seconds",
                "s",
                "lower",
                3,
                [_provision_seconds(folder, inventory, number) for number in range(1, max(2, runs) + 1)],
                "one tag, from opening the port to the last verdict of its self test; GNSS speaks once a second",
            )
        yield from _interrupted(folder)
        yield _speedup(folder, max(1, runs // 4))


def _provision_seconds(folder: Path, inventory: Inventory, number: int) -> float:
    from bench_board import BenchBoard

    with BenchBoard(folder, number) as bench:
        time.sleep(0.2)  # its start, which a technician's hand takes longer than
        started = time.perf_counter()
        with board_on(bench.port) as board:
            done = provision_board(board, identify(board), inventory, lambda: inventory.new_tag(ORDER))
        assert done.passed, done
        return time.perf_counter() - started


def _interrupted(folder: Path) -> Iterator[Figure]:
    from bench_board import BenchBoard

    pulled_at = random.Random(8)
    carried = []
    store.create(folder / "interrupted.db", 1, 1_000)
    with Inventory(folder / "interrupted.db") as inventory:
        for number in range(1, INTERRUPTED + 1):
            with BenchBoard(folder, 100 + number) as bench:
                bench.pulls_after_bytes = pulled_at.randrange(LINE_BYTES)
                done = None
                while done is None:
                    try:
                        with board_on(bench.port) as board:
                            found = identify(board)
                            done = provision_board(
                                board, found, inventory, lambda: inventory.new_tag(ORDER), limits=Limits(gnss_s=2)
                            )
                    except BenchError:
                        bench.plug()
                carried.append(done.tag_id)
        lost = len(set(carried) - {row.tag_id for row in inventory.tags(state="ready")})
    about = "tags whose cable was pulled at a random byte, then provisioned to the end"
    yield Figure("interrupted_batches_tried", "tags", "higher", None, [INTERRUPTED], about)
    yield Figure("duplicate_ids", "ids", "lower", 0, [len(carried) - len(set(carried))], "among these tags")
    yield Figure("lost_inventory_rows", "rows", "lower", 0, [lost], "among these tags")


def _speedup(folder: Path, runs: int) -> Figure:
    from esp_files import micropython_file

    micropython = folder / "micropython.bin"
    # Half random, so that it compresses about as a program does.
    application = random.Random(1).randbytes(APPLICATION_BYTES // 2) + bytes(APPLICATION_BYTES // 2)
    micropython.write_bytes(micropython_file("esp32", application))
    plan = plan_flash(micropython, compile_files(tag_files()), accept_unlisted=True)
    options = Options(plan, once=True, flash_baud=FLASH_BAUD)
    speedups = []
    for run in range(runs):
        alone = _batch_seconds(folder / f"alone{run}", 1, options)
        together = _batch_seconds(folder / f"together{run}", PORTS, options)
        speedups.append(PORTS * alone / together)
    about = (
        f"{PORTS} bare boards flashed and provisioned at once, lines paced at {FLASH_BAUD:,} baud, against one by one"
    )
    return Figure("batch_speedup_16", "x", "higher", 10, speedups, about)


def _batch_seconds(folder: Path, ports: int, options: Options) -> float:
    from bare_board import BareBoard

    folder.mkdir()
    store.create(folder / "inventory.db", 1, 1_000)
    with contextlib.ExitStack() as stack:
        boards = [stack.enter_context(BareBoard(folder, number + 1, FLASH_BAUD)) for number in range(ports)]
        by_port = {board.port: board for board in boards}

        def on_row(row: Row) -> None:
            if row.stage == "connect":
                by_port[row.port].boot()

        started = time.perf_counter()
        is_done = BatchRun(folder / "inventory.db", "b", list(by_port), options, on_row).run([ORDER] * ports)
        seconds = time.perf_counter() - started
    assert is_done
    return seconds
