"""A board's prompt: found through whatever the line says, and errors that help and hold no secret."""

import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bench_board import BenchBoard, blank_image

from tagsmith.diagnosis import diagnose
from tagsmith.errors import BoardError, PortError
from tagsmith.provision import identify
from tagsmith.rawrepl import board_on

SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")
BOOT = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"


@contextmanager
def talking(says: bytes) -> Iterator[str]:
    """A port behind which something talks without end, and never comes to a prompt."""
    near, far = pty.openpty()
    tty.setraw(far)
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.05):
            os.write(near, says)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        stop.set()
        thread.join()
        os.close(near)
        os.close(far)


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (b"", "No board answers"),
        (BOOT, "restarts again and again"),
        (BOOT + b"waiting for download\r\n", "waits for a download"),
        (b"invalid header: 0xffffffff\r\n", "has no MicroPython"),
        (b"\xf8\x80\x00\xe0\x1c", "they are not text"),
        (b"hello from some other firmware\r\n", "does not come to its prompt"),
    ],
)
def test_line_without_a_prompt_is_explained(says: bytes, sentence: str) -> None:
    with talking(says) as port, pytest.raises(BoardError, match=sentence) as caught, board_on(port, timeout_s=0.7):
        pass
    assert caught.value.try_next


def test_diagnosis_never_repeats_what_was_said() -> None:
    for said in (b"", BOOT * 9, SECRET * 50, b"key " + SECRET.hex().encode() + b"\r\n"):
        assert SECRET.hex() not in str(diagnose("port", said))


def test_port_that_is_not_there() -> None:
    with pytest.raises(PortError, match="There is no serial port"), board_on("/dev/ttyUSB-none"):
        pass


def test_port_is_ours_alone(new_board: Callable[..., BenchBoard]) -> None:
    port = new_board().port
    with board_on(port), pytest.raises(PortError), board_on(port):
        pass


def test_board_without_firmware_tells_its_chip(new_board: Callable[..., BenchBoard]) -> None:
    with board_on(new_board(7, image=blank_image()).port) as board:
        found = identify(board)
    assert (found.chip, found.firmware, found.tag_id) == ("020000000007", False, None)


def test_script_that_fails_on_the_board_is_one_sentence(new_board: Callable[..., BenchBoard]) -> None:
    with board_on(new_board(image=blank_image()).port) as board, pytest.raises(BoardError, match="failed in selftest"):
        board.run("selftest", {"board": "esp32-devkit", "gnss_s": 1})


def test_cable_that_is_pulled_is_one_sentence_without_the_key(new_board: Callable[..., BenchBoard]) -> None:
    bench = new_board()
    with board_on(bench.port) as board:
        bench.pulls_after_bytes = bench.passed_bytes + 500
        with pytest.raises(BoardError, match=r"broke|stopped answering") as caught:
            board.run("store", [SECRET * 100, SECRET])
    assert caught.value.__cause__ is None
    assert SECRET.hex() not in repr(caught.value)


@pytest.mark.parametrize("noise", [b"\x02", b"\x04"])
def test_prompt_that_was_lost_gets_no_key(
    new_board: Callable[..., BenchBoard], capsys: pytest.CaptureFixture[str], noise: bytes
) -> None:
    bench = new_board()
    with board_on(bench.port) as board:
        bench.type_in(noise)  # leaves the raw prompt: the friendly one would echo a script, and the key in it
        time.sleep(0.2)
        before = bench.passed_bytes
        with pytest.raises(BoardError, match="stopped answering") as caught:
            board.run("store", [SECRET * 100, 0])
        assert bench.passed_bytes - before < 500, "the script was not even sent"
    assert SECRET.hex() not in repr(caught.value)
    assert capsys.readouterr() == ("", "")


def test_restarted_board_runs_and_can_be_interrupted_again(new_board: Callable[..., BenchBoard]) -> None:
    port = new_board().port
    for _ in range(2):
        with board_on(port) as board:
            assert identify(board).firmware
            board.restart()
