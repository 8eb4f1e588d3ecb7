"""One user of a port at a time, and a sentence for every way in which a port cannot be had."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import serial

from tagsmith import ports
from tagsmith.errors import PortError
from tagsmith.ports import claimed


@pytest.fixture
def port() -> Iterator[str]:
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_claimed_port_can_be_opened_by_the_program_that_we_start(port: str) -> None:
    with claimed(port):
        serial.Serial(port, exclusive=True).close()


def test_claimed_port_is_refused_to_a_second_command(port: str) -> None:
    program = f"from tagsmith.ports import claimed\nwith claimed({port!r}): pass"
    with claimed(port):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert f"{port} is in use by another program." in done.stderr
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_claimed_port_is_free_after_an_error(port: str) -> None:
    with pytest.raises(RuntimeError), claimed(port):
        raise RuntimeError
    with claimed(port):
        pass


def test_port_that_another_program_has_is_refused(port: str) -> None:
    with serial.Serial(port, exclusive=True), pytest.raises(PortError, match="in use"), claimed(port):
        pass


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (serial.SerialException(2, "could not open port COM9: FileNotFoundError"), "no serial port"),
        (serial.SerialException(13, "could not open port: [Errno 13] Permission denied"), "may not open"),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.')"), "in use"),
        (serial.SerialException(16, "could not open port: [Errno 16] Device or resource busy"), "in use"),
        (serial.SerialException("something else"), "cannot be opened: something else"),
    ],
)
def test_port_error_names_its_cause(error: Exception, match: str) -> None:
    with pytest.raises(PortError, match=match) as caught:
        raise ports._port_error("COM3", error)
    assert caught.value.try_next


def test_something_that_is_no_port_is_refused(tmp_path: os.PathLike[str]) -> None:
    file = os.path.join(tmp_path, "file")
    open(file, "w").close()
    with pytest.raises(PortError, match="cannot be opened"), claimed(file):
        pass
