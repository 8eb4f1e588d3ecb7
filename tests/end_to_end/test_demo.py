"""`tagfleet demo` as a user runs it: real gateway, real broker, real firmware, no terminal."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagfleet import broker, stage
from tagfleet.broker import free_port
from tagfleet.demo_screen import line as line_of
from tagfleet.demo_summary import text
from tagfleet.identity import FIRST_TWIN_ID
from tagfleet.result import OK, Result
from tagfleet.runner import Run as FleetRun
from tagfleet.scenario import find, read
from tagfleet.twin import interpreter_available
from tagfleet.view import LineView
from tagwire.keyring import KeyringEntry, entry_from_provision
from tagwire.provision import Provision

DELIVERING = r" [1-9][0-9]* delivered, "
DEMO = (sys.executable, "-m", "tagfleet", "demo", "--tags", "60", "--interval", "2")
SHARED_MACHINE_S = 90  # a bound for hanging, not for speed


class Run:
    """A demo in a child process, whose files are in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*DEMO, "--folder", str(folder), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for_line(self, pattern: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if re.search(pattern, line):
                return
        raise AssertionError(f"it ended without saying {pattern!r}: {self.process.communicate()}")

    def finish(self) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=SHARED_MACHINE_S)
        return self.process.returncode, out, err

    def processes(self) -> list[int]:
        """The gateway's, and any other with this run's folder in its command line, but not the demo itself."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                belongs = str(self.folder).encode() in entry.read_bytes()
            except OSError:  # it has just ended
                continue
            if belongs and int(entry.parent.name) != self.process.pid:
                found.append(int(entry.parent.name))
        return found

    def wait_until_nothing_runs(self) -> None:
        deadline_s = time.monotonic() + SHARED_MACHINE_S
        while left := self.processes():
            assert time.monotonic() < deadline_s, left
            time.sleep(0.05)


def run_here(
    folder: Path, seconds: float, twins: int, tags: int, interval_s: int, intruders_per_s: float = 3.0
) -> Result:
    """The demo in this process."""
    changes: dict[tuple[str, ...], Any] = {
        ("run", "duration"): f"{seconds} s",
        ("tags", "twins"): twins,
        ("tags", "count"): tags,
        ("tags", "interval"): f"{interval_s} s",
        ("fault",): [{"kind": "intruders", "per_s": intruders_per_s}],
    }
    return asyncio.run(FleetRun(read(find("demo"), changes), "demo", folder).run(LineView(line_of)))


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Any]:
    started: list[Run] = []

    def start(*options: str) -> Run:
        started.append(Run(tmp_path / f"run{len(started)}", *options))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()


def test_demo_accounts_for_every_sample_of_flock_and_twins(runs: Any) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter for this platform")
    run = runs("--seconds", "8", "--twins", "2")
    code, out, err = run.finish()
    account = json.loads(out.splitlines()[-1])
    assert (account["lost"], account["duplicated"], account["wrong"]) == (0, 0, 0), out
    assert code == 0, out + err
    assert account["made"] == account["delivered"] + account["unheard"]
    assert account["delivered"] > 150
    assert account["twins"]["delivered"] >= 4
    assert 0 < account["latency_ms"]["p50"] <= account["latency_ms"]["p99"]
    assert 5 < account["bytes_per_sample"] < 40
    assert "  5.0 s" in out or " made, " in out  # a line now and then
    assert run.processes() == []


def test_demo_without_interpreter_ends_cleanly_on_ctrl_c(runs: Any, tmp_path: Path) -> None:
    run = runs("--seconds", "600", "--interpreter", str(tmp_path / "none"))
    run.wait_for_line(DELIVERING)
    run.process.send_signal(signal.SIGINT)
    code, out, err = run.finish()
    account = json.loads(out.splitlines()[-1])
    assert code == 0, out + err
    assert account["twins"] is None
    assert "twins: none on this platform" in out
    assert account["delivered"] > 10
    assert account["made"] == account["delivered"] + account["unheard"]
    assert run.processes() == []


def test_demo_ended_while_it_starts_leaves_nothing_behind(runs: Any) -> None:
    run = runs("--seconds", "600", "--twins", "0", "--json")
    deadline_s = time.monotonic() + SHARED_MACHINE_S
    while not run.processes():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    run.process.send_signal(signal.SIGTERM)
    code, out, _ = run.finish()
    assert json.loads(out)["lost"] == 0  # --json: nothing else on stdout
    assert code in (130, 0, 1)  # it may have started, and delivered something already
    assert run.processes() == []


def test_demo_that_is_killed_takes_its_gateway_along(runs: Any) -> None:
    run = runs("--seconds", "600", "--twins", "0")
    run.wait_for_line(DELIVERING)
    assert run.processes()
    run.process.kill()
    run.process.wait()
    run.wait_until_nothing_runs()


def test_demo_says_when_its_gateway_dies(runs: Any) -> None:
    run = runs("--seconds", "600", "--twins", "1")  # twins run in a task group of their own, which wraps errors
    run.wait_for_line(DELIVERING)
    for pid in run.processes():
        os.kill(pid, signal.SIGKILL)
    code, out, err = run.finish()
    assert code == 1
    assert "taghub" in err or "the gateway closed the air" in err
    assert len(err.strip().splitlines()) == 1  # no traceback
    assert json.loads(out.splitlines()[-1])["delivered"] > 0


def test_hostile_air_reaches_nobody(tmp_path: Path) -> None:
    """Several hundred forged, replayed, foreign, unknown and cut advertisements a second."""
    result = run_here(tmp_path, 6.0, twins=0, tags=50, interval_s=1, intruders_per_s=300.0)
    account = result.account
    assert (account.wrong, account.lost, account.duplicated) == (0, 0, 0), account.examples
    assert account.delivered > 150
    refused = result.figures.intake
    assert refused["forged"] > 50
    assert refused["replayed"] > 20
    assert refused["unknown"] > 20


def test_twins_that_the_gateway_refuses_are_lost_not_unheard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter for this platform")

    def with_wrong_key(provision: Provision, hub_id: int) -> KeyringEntry:
        entry = entry_from_provision(provision, hub_id)
        return entry._replace(beacon_key=bytes(16)) if provision.tag_id == FIRST_TWIN_ID else entry

    monkeypatch.setattr(stage, "entry_from_provision", with_wrong_key)
    result = run_here(tmp_path, 6.0, twins=2, tags=20, interval_s=2)
    twins = result.twins.values()
    assert len(twins) == 2
    assert sum(twin.lost for twin in twins) > 0
    for twin in twins:
        assert twin.made == twin.delivered + twin.lost + twin.unheard
    assert result.exit_code != OK


@pytest.mark.parametrize(("to_stdout", "options"), [(True, ()), (False, ("--json",))])
def test_output_that_cannot_be_written_is_one_line_and_exit_code_1(to_stdout: bool, options: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*DEMO, "--seconds", "1", "--twins", "0", *options],
            stdout=full if to_stdout else subprocess.PIPE,
            stderr=subprocess.PIPE if to_stdout else full,
            text=True,
            timeout=SHARED_MACHINE_S,
        )
    assert done.returncode == 1
    if to_stdout:
        assert done.stderr == "tagfleet: cannot write the output: No space left on device\n"


def test_second_demo_in_the_same_folder_is_refused(runs: Any) -> None:
    first = runs("--seconds", "600", "--twins", "0")
    first.wait_for_line(DELIVERING)
    second = Run(first.folder, "--seconds", "1", "--twins", "0")
    code, out, err = second.finish()
    assert (code, out) == (2, "")
    assert err == f"tagfleet: another run is using the folder {first.folder}\n"
    first.process.send_signal(signal.SIGINT)
    assert first.finish()[0] == 0


def test_run_that_made_nothing_says_so(tmp_path: Path) -> None:
    result = run_here(tmp_path, 0.05, twins=0, tags=1, interval_s=3600)
    assert result.exit_code != OK
    assert "no tag made a sample" in text(result)


@pytest.mark.parametrize(
    "options",
    [("--seconds", "0"), ("--seconds", "inf"), ("--seconds", "nan"), ("--folder", "/proc/no/folder"), ("--what",)],
)
def test_wrong_usage_is_one_clear_message_and_exit_code_2(options: tuple[str, ...]) -> None:
    done = subprocess.run([*DEMO, *options], capture_output=True, text=True, timeout=SHARED_MACHINE_S)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert options[0].lstrip("-") in done.stderr


def test_demo_takes_another_port_when_somebody_was_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [int(taken.getsockname()[1])]
        monkeypatch.setattr(broker, "free_port", lambda: ports.pop() if ports else free_port())
        result = run_here(tmp_path, 2.5, twins=0, tags=50, interval_s=2)
    assert ports == []
    assert result.exit_code == OK
