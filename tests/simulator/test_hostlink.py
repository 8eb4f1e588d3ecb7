"""The board's end of its socket, under the real interpreter: Ctrl-C in the middle of a call."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tagfleet.twin.bytecode import BOARD_FOLDER
from tagfleet.twin.interpreter import interpreter_available

PROGRAM = """
import hostlink
try:
    hostlink.call(1, b"first")
except KeyboardInterrupt:
    print("interrupted")
print(hostlink.call(2, b"second"), hostlink.call(3))
"""


ANSWER = b"\x00\x00\x00\x00\x03\x00\x00one"


@pytest.mark.parametrize("late", [ANSWER, ANSWER[:5], ANSWER[6:], ANSWER * 2, b""])
def test_answer_to_a_call_that_was_interrupted_is_not_the_next_ones(tmp_path: Path, late: bytes) -> None:
    """Wherever in it: of its answer all may be left to read, a part, or nothing."""
    interpreter = interpreter_available()
    if interpreter is None:
        pytest.skip("no MicroPython interpreter for this machine")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        process = subprocess.Popen(
            [interpreter, str(program), str(theirs.fileno())],
            stdout=subprocess.PIPE,
            env={**os.environ, "MICROPYPATH": str(BOARD_FOLDER)},
            pass_fds=(theirs.fileno(),),
        )
        assert process.stdout is not None
        try:
            assert ours.recv(8, socket.MSG_WAITALL) == b"\x01\x05\x00first"
            while f"{process.pid} (micropython) S" not in Path(f"/proc/{process.pid}/stat").read_text():
                assert process.poll() is None  # until it waits for the answer
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == b"interrupted\n"
            ours.sendall(late)
            assert ours.recv(3, socket.MSG_WAITALL) == b"\x30\x0c\x00"
            ours.sendall(b"\x00\x00\x00\x00\x0c\x00\x00" + ours.recv(12, socket.MSG_WAITALL))
            assert ours.recv(9, socket.MSG_WAITALL) == b"\x02\x06\x00second"
            ours.sendall(b"\x00\x00\x00\x00\x03\x00\x00two")
            assert ours.recv(3, socket.MSG_WAITALL) == b"\x03\x00\x00"
            ours.sendall(b"\x00\x00\x00\x00\x00\x00\x00")
            assert process.stdout.readline() == b"b'two' b''\n"
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
