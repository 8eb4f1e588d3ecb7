"""Commands that the bench seals, carried out by the firmware on the board that the bench provisioned."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_board import BenchBoard

from tagsmith import mailbox
from tagsmith.command_line import main
from tagsmith.inventory import Inventory
from tagsmith.lifecycle import FAILED, READY
from tagsmith.provision import Done, identify, provision_board
from tagsmith.rawrepl import Board, board_on
from tagsmith.records import Order
from tagsmith.selftest import Limits
from tagwire.command import EXPIRES_NEVER
from tagwire.counter import generation_of
from tagwire.messages import STATUS_OK

ORDER = Order("esp32-devkit", 0xFFFF, {"interval_s": 60, "repl_window_s": 0}, "box")
HUB, EPOCH = 0xA1, 20_500
# As in a window: the session's tag, whose state is that of RTC memory once the command is carried out.
CARRY_OUT = """
def carry_out():
    from binascii import hexlify
    from machine import RTC
    from tag.orders import Orders
    from tag.provisioning import load_config
    from tag.session import SessionTag
    from tag.state import State, encode_state
    from tagwire.counter import make_counter
    from tagwire.provision import decode_provision

    config = load_config()
    start = make_counter(config.generation, 0)
    state = State(config, start, start)
    with open("provision.json", "rb") as file:
        tag = SessionTag(decode_provision(file.read()), state, lambda: RTC().memory(encode_state(state)))
    status, reply = Orders(tag).receive(ENVELOPE)
    print(status, hexlify(reply).decode(), tag.floors().permits(HUB, EPOCH - 1, None))

carry_out()
"""


def provision(bench: BenchBoard, inventory: Inventory) -> Done:
    with board_on(bench.port) as board:
        found = identify(board)
        return provision_board(board, found, inventory, lambda: inventory.new_tag(ORDER), limits=Limits(gnss_s=3))


def carry_out(board: Board, inventory: Inventory, row: mailbox.Sealed) -> tuple[mailbox.Sealed, bool]:
    """The row with the tag's answer, and whether the tag still permits the hub's keys of before EPOCH."""
    program = f"ENVELOPE, HUB, EPOCH = {row.envelope!r}, {HUB}, {EPOCH}\n{CARRY_OUT}"
    said, complaint = board._transport.exec_raw(program, 20)
    assert not complaint, complaint.decode()
    board.run("free")  # a window ends with a reset, which leaves nothing of it in the heap
    status, reply, permits = said.decode().split()[-3:]
    answered = mailbox.take_reply(inventory, row.tag_id, bytes.fromhex(reply))
    assert answered.status == int(status)
    return answered, permits == "True"


def wait_until(condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.02)


def test_firmware_does_what_the_bench_sealed(
    new_board: Callable[..., BenchBoard], inventory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = new_board()
    bench.hardware.buses.battery_present = False
    with Inventory(inventory_path) as inventory:
        provision(bench, inventory)
        assert inventory.tag(1000).state == FAILED
        with board_on(bench.port) as board:
            row = mailbox.seal_settings(inventory, 1000, {"interval_s": 300}, EXPIRES_NEVER, "summer")
            answered, permits = carry_out(board, inventory, row)
            assert (answered.status, permits, inventory.tag(1000).due) == (STATUS_OK, True, None)
            (row,) = mailbox.seal_revoke_hub(inventory, [1000], HUB, EPOCH, EXPIRES_NEVER, "stolen")
            answered, permits = carry_out(board, inventory, row)
            assert (answered.status, permits) == (STATUS_OK, False)
            row = mailbox.seal_rotate(inventory, 1000, EXPIRES_NEVER, "yearly")
            answered, _ = carry_out(board, inventory, row)
            assert (answered.status, inventory.tag(1000).generation) == (STATUS_OK, 1)
            found = identify(board)
            assert (found.generation, found.in_force) == (0, 1)

        # Its next wake reserves counters of the new generation; on the bench it is still the tag that it was.
        bench.sleeps_s = 0.3
        with board_on(bench.port) as board:
            starts = bench.starts
            board.restart()
        wait_until(lambda: bench.starts >= starts + 2)
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["whoami", bench.port])
        assert "generation 1, provisioned as 0, board esp32-devkit" in capsys.readouterr().out
        bench.hardware.buses.battery_present = True
        done = provision(bench, inventory)
        assert (done.tag_id, done.generation, done.written, done.passed) == (1000, 0, False, True)
        assert (inventory.tag(1000).state, inventory.tag(1000).generation) == (READY, 1)
        with board_on(bench.port) as board:
            assert {generation_of(limit) for limit in board.run("check")[0]["limits"]} == {1}
