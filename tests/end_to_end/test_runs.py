"""`tagfleet run` with real hubs and a real broker: small runs, each of a few seconds."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tagfleet import runner
from tagfleet.figures import RunFigures
from tagfleet.ledger.rows import read_rows
from tagfleet.result import BROKEN, MISSED, VOID, Result
from tagfleet.runner import Run
from tagfleet.scenario.library import parse
from tagfleet.twin import interpreter_available

RUN = (sys.executable, "-m", "tagfleet", "run")
SHARED_MACHINE_S = 100  # a bound for hanging, not for speed
SCENARIO: dict[str, Any] = {
    "title": "a test",
    "run": {"duration": "4 s", "drain": "20 s", "lag_max": "60 s"},  # this machine may be busy with other tests
    "tags": {"count": 100, "interval": "2 s"},
    "hubs": {"count": 3},
    "air": {"model": "plain"},
}


class Silent:
    def show(self, figures: RunFigures) -> None:
        pass

    def say(self, text: str) -> None:
        pass


def run(tmp_path: Path, **tables: Any) -> Result:
    document = {name: {**values} if isinstance(values, dict) else values for name, values in SCENARIO.items()}
    for name, values in tables.items():
        document[name] = {**document.get(name, {}), **values} if isinstance(values, dict) else values
    scenario = parse(document, {}, "a test", {})
    return asyncio.run(asyncio.wait_for(Run(scenario, "test", tmp_path).run(Silent()), SHARED_MACHINE_S))


def assert_accounted_for(result: Result) -> None:
    verdict = result.account.verdict
    assert sum(verdict.counts.values()) == verdict.made > 0
    assert verdict.never_made == 0
    assert verdict.counts["wrong"] == 0, result.account.examples
    assert verdict.counts["vanished"] == 0, result.account.examples
    assert result.account.duplicates.resent == 0


@pytest.fixture
def mosquitto(program: Callable[[str, str], str]) -> None:
    program("mosquitto", "mosquitto")


@pytest.mark.parametrize("target", ["inside", "batches"])
def test_run_delivers_what_its_hubs_heard(tmp_path: Path, target: str) -> None:
    result = run(tmp_path, hubs={"count": 3, "target": target})
    assert result.exit_code == 0, (result.failure, result.checks)
    assert_accounted_for(result)
    assert result.account.lost == 0
    assert result.account.made == pytest.approx(200, abs=30)
    assert result.account.made == result.account.delivered + result.account.unheard
    if target == "batches":  # no radio, but some tag may lie by the road
        assert result.account.unheard <= 12
    assert result.account.latency.total == result.account.delivered


@pytest.mark.parametrize("target", ["inside", "batches"])
def test_batches_are_as_old_in_a_fast_run_as_in_a_slow_one(tmp_path: Path, target: str) -> None:
    result = run(
        tmp_path,
        run={"duration": "30 min", "time": "fast", "start": "2026-03-02T06:00:00Z"},
        tags={"count": 200, "interval": "5 min"},
        hubs={"batch_age": "60 s", "spool": "memory", "target": target},
    )
    assert result.exit_code == 0, (result.failure, result.checks)
    _, _, rows = read_rows(tmp_path)
    expected = 0
    for hub in range(3):
        opened_ms = -60_000
        for made_ms in np.sort(rows["made_ms"][(rows["arrivals"] > 0) & (rows["from_hub"] == hub)]).tolist():
            if made_ms - opened_ms >= 60_000:
                opened_ms, expected = made_ms, expected + 1
    assert expected > 30
    assert result.figures.batches == pytest.approx(expected, abs=expected / 10)


def test_run_as_fast_as_it_can_and_with_the_full_air(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        run={"duration": "30 min", "time": "fast", "start": "2026-03-02T06:00:00Z"},
        tags={"count": 200, "interval": "5 min"},
        hubs={"count": 3, "batch_age": "60 s", "spool": "memory"},
        air={"model": "full"},
    )
    assert result.exit_code == 0, (result.failure, result.checks)
    assert_accounted_for(result)
    assert result.account.made == pytest.approx(1200, abs=60)
    assert result.figures.elapsed_s < 1800 / 5


@pytest.mark.system
def test_faults_of_every_kind_are_told_apart(tmp_path: Path, mosquitto: None) -> None:
    result = run(
        tmp_path,
        run={"duration": "10 s"},
        hubs={"count": 4},
        slo={"recovery": "60 s", "lost": "50 %", "wrong": "50 %"},
        fault=[
            {"kind": "dead_zone", "hubs": 1, "at": "1 s", "lasts": "2 s"},
            {"kind": "broker_outage", "at": "4 s", "lasts": "1 s"},
            {"kind": "hub_reboot", "hubs": 2, "at": "6 s", "lasts": "2 s"},
            {"kind": "clock_error", "hubs": 3, "at": "6 s", "lasts": "3 s", "step": "-2 h"},
            {"kind": "replay_attack", "at": "1 s", "lasts": "8 s", "per_s": 20},
            {"kind": "cloned_tags", "tags": "20 %", "at": "1 s", "lasts": "8 s"},
            {"kind": "dying_batteries", "tags": "20 %", "at": "3 s", "lasts": "6 s"},
            {"kind": "broken_sensor", "tags": "20 %", "at": "1 s", "lasts": "8 s", "symptom": "offset"},
            {"kind": "broken_sensor", "tags": "20 %", "at": "1 s", "lasts": "8 s"},
        ],
    )
    assert result.exit_code == 0, (result.failure, result.void, result.checks)
    assert_accounted_for(result)
    counts = result.account.verdict.counts
    for name in ("hub_off", "battery", "cloned", "mistimed", "delivered"):
        assert counts[name] > 0, (name, counts)
    assert counts["broker"] == counts["waiting"] == counts["lost"] == 0
    assert result.figures.unmade > 0
    assert result.recovery_s is not None
    assert result.recovery_s < 60
    assert [entry for entry in result.log if "broker stopped" in entry]


@pytest.mark.system
def test_faults_that_overlap_are_each_there_to_their_end(tmp_path: Path, mosquitto: None) -> None:
    result = run(
        tmp_path,
        run={"duration": "9 s"},
        hubs={"count": 3},
        slo={"recovery": "60 s", "lost": "50 %"},
        fault=[
            {"kind": "dead_zone", "hubs": 1, "at": "1 s", "lasts": "4 s"},
            {"kind": "hub_reboot", "hubs": 1, "at": "3 s", "lasts": "4 s"},  # the dead zone ends meanwhile
            {"kind": "hub_reboot", "hubs": "1-2", "at": "4 s", "lasts": "1 s"},
            {"kind": "clock_error", "hubs": 1, "at": "2 s", "lasts": "3500 ms", "step": "1 h"},  # right when it is back
            {"kind": "dead_zone", "hubs": 2, "at": "4500 ms", "lasts": "3 s"},  # and begins meanwhile
            {"kind": "broker_outage", "at": "0 s", "lasts": "2 s"},
            {"kind": "broker_outage", "how": "kill", "at": "1 s", "lasts": "2 s"},
        ],
    )
    assert result.exit_code == 0, (result.failure, result.checks)
    assert_accounted_for(result)
    counts = result.account.verdict.counts
    # 100 tags, 50 samples a second: a third of them for four seconds, and once more for one second.
    assert 40 < counts["hub_off"] < 120
    assert counts["waiting"] == 0
    assert result.recovery_s is not None


@pytest.mark.system
def test_broker_that_dies_for_good_ends_the_run_with_its_account(
    tmp_path: Path, mosquitto: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BROKER_GONE_S", 1.0)
    result = run(
        tmp_path,
        run={"duration": "10 min"},
        fault=[{"kind": "broker_outage", "at": "2 s", "how": "kill"}],
        broker={"start": "mosquitto"},
    )
    assert result.exit_code == BROKEN
    assert "the broker has been away" in result.failure
    assert result.figures.moment_s < 60
    assert_accounted_for(result)
    assert result.account.delivered > 0
    assert result.account.verdict.counts["waiting"] > 0  # in the spools of the hubs, to be sent another day


def test_broker_that_loses_what_it_has_acknowledged_is_found_out(tmp_path: Path) -> None:
    """The embedded broker forgets everything when it stops; what waits in it for the consumer is gone."""
    result = run(
        tmp_path,
        run={"duration": "6 s", "drain": "3 s"},
        hubs={"count": 3, "batch_age": "100 ms"},
        broker={"start": "embedded"},
        fault=[{"kind": "broker_outage", "at": "3 s", "lasts": "1 s"}],
        slo={"lost": "20 %"},
    )
    assert not result.failure
    counts = result.account.verdict.counts
    assert counts["broker"] == result.account.lost  # nobody else lost anything
    assert counts["delivered"] > 80


def test_generator_that_falls_behind_voids_the_run(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        run={"duration": "2 h", "time": "3600x", "lag_max": "200 ms"},
        tags={"count": 20_000, "interval": "60 s"},
        hubs={"count": 2, "target": "batches", "batch_age": "60 s"},
    )
    assert result.exit_code == VOID
    assert "the GENERATOR fell" in result.void
    assert_accounted_for(result)


def test_objective_that_is_missed_decides_the_exit_code(tmp_path: Path) -> None:
    result = run(
        tmp_path, air={"model": "plain", "received_share": "10 %"}, slo={"radio": "1 %", "latency_p50": "1 ms"}
    )
    assert result.exit_code == MISSED
    assert {check.name for check in result.checks if not check.good} == {"radio", "latency_p50"}
    assert_accounted_for(result)


def test_same_seed_makes_the_same_samples(tmp_path: Path) -> None:
    ledgers = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        folder = tmp_path / name
        folder.mkdir()
        result = run(
            folder,
            run={"duration": "10 min", "time": "fast", "seed": seed, "start": "2026-03-02T06:00:00Z"},
            tags={"count": 50, "interval": "60 s"},
            hubs={"count": 2, "target": "batches", "batch_age": "60 s"},
            fault=[{"kind": "broken_sensor", "tags": "30 %", "at": "2 min", "lasts": "4 min", "symptom": "stuck"}],
        )
        assert result.exit_code == 0
        _, _, rows = read_rows(folder)
        names = ["made_ms", "latitude_e7", "longitude_e7", "temperature_mc", "humidity_mpct", "battery_mv", "fix"]
        ledgers.append(np.stack([rows[name].astype(np.int64) for name in names]))
    assert np.array_equal(ledgers[0], ledgers[1])
    assert not np.array_equal(ledgers[0], ledgers[2])


def test_twins_among_the_flock_say_what_flock_tags_would(tmp_path: Path) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter for this platform")
    result = run(
        tmp_path,
        run={"duration": "9 s"},
        tags={"count": 60, "interval": "2 s", "twins": 3},
        hubs={"count": 2, "target": "taghub"},
        slo={"lost": "5 %"},
    )
    assert result.exit_code == 0, (result.failure, result.checks)
    assert next(check for check in result.checks if check.name == "twins_write_the_flocks_bytes").good
    _, tags, rows = read_rows(tmp_path)
    made = rows[: len(rows) // len(tags.ids) * len(tags.ids)].reshape(-1, len(tags.ids))
    twins, flock = (
        _values(made[:, [place for place, tag_id in enumerate(tags.ids) if (tag_id < 10_000) == are_twins]])
        for are_twins in (True, False)
    )
    assert len(twins["temperature_mc"]) >= 2
    # What sensors add to the world is as much for both: from sample to sample of one tag, the world hardly moves.
    for name, most in (("temperature_mc", 200), ("humidity_mpct", 900), ("battery_mv", 40), ("latitude_e7", 4_000)):
        spread = [float(np.median(np.abs(values[name]))) for values in (twins, flock)]
        assert max(spread) < most, (name, spread)
    for name, smallest, largest in (("temperature_mc", -40_000, 60_000), ("battery_mv", 3_000, 4_300)):
        levels = twins["level " + name]
        assert smallest < levels.min() <= levels.max() < largest, (name, levels)


def _values(rows: "np.ndarray[Any, np.dtype[np.void]]") -> dict[str, "np.ndarray[Any, Any]"]:
    """Of each value that is known: how far it is from the same tag's one before, and its level."""
    found = {}
    for name in ("temperature_mc", "humidity_mpct", "battery_mv", "latitude_e7"):
        steps, levels = [], []
        for column in rows.T:
            known = column[(column["state"] & 1 > 0) & (column[name] != np.iinfo(np.int32).min)][name].astype(np.int64)
            steps += np.diff(known).tolist()
            levels += known.tolist()
        found[name], found["level " + name] = np.array(steps), np.array(levels)
    return found


def test_tags_over_real_hci_reach_the_consumer(tmp_path: Path) -> None:
    result = run(
        tmp_path, run={"duration": "4 s"}, tags={"count": 10, "interval": "1 s"}, hubs={"count": 1, "target": "hci"}
    )
    assert result.exit_code == 0, (result.failure, result.checks)
    assert_accounted_for(result)
    assert result.account.delivered > 20


def started(tmp_path: Path, *options: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    return subprocess.Popen(
        [*RUN, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    )


def test_ctrl_c_gives_the_report_of_what_ran(tmp_path: Path) -> None:
    process = started(tmp_path, "first", "--duration", "10 min", "--json", "--junit", "report.xml")
    assert process.stderr is not None
    line = ""
    for line in process.stderr:
        if " made, " in line:
            break
    assert " made, " in line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SHARED_MACHINE_S)
    report = json.loads(out)
    assert report["stopped"]
    assert report["made"] == sum(report["classes"].values()) > 20
    assert any("stopped by a person or a signal after" in note for note in report["notes"])
    assert process.returncode == report["exit_code"] == 0, err
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) > 4
    assert suite.get("failures") == suite.get("errors") == "0"
    done = subprocess.run(
        [sys.executable, "-m", "tagfleet", "explain", "10001", "0", "--json"],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=SHARED_MACHINE_S,
    )
    story = json.loads(done.stdout)
    assert (story["tag"], story["class"]) in ((10001, "delivered"), (10001, "radio"))


def test_taghub_that_runs_already_is_loaded_through_air(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, environment = free_port(), {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "tagfleet", "keyring", "first", "ring", "--tags", "20", "--hub", "1"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=SHARED_MACHINE_S, env=environment)
    (tmp_path / "hub.toml").write_text(
        f"""
[hub]
id = "mine"
site = "here"
[keyring]
path = "ring"
[broker]
port = {port}
[[radio]]
kind = "air"
listen = "unix:{tmp_path}/air"
"""
    )
    with subprocess.Popen([sys.executable, "-m", "taghub", "run", "hub.toml"], cwd=tmp_path) as hub:
        try:
            deadline_s = time.monotonic() + SHARED_MACHINE_S
            while not (tmp_path / "air").exists():
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            options = ("--tags", "20", "--duration", "4 s", "--set", "fault=[]", "--set", 'tags.interval="1 s"')
            plain = ("--set", 'air.model="plain"', "--json")
            where = ("--air", f"unix:{tmp_path}/air", "--broker", f"127.0.0.1:{port}")
            out, err = started(tmp_path, "first", *options, *plain, *where).communicate(timeout=SHARED_MACHINE_S)
            report = json.loads(out)
            assert report["exit_code"] == 0, err
            assert report["delivered"] > 50
            assert report["classes"]["lost"] == report["wrong"] == 0
        finally:
            hub.terminate()


def test_run_that_is_killed_takes_its_hubs_and_broker_along(tmp_path: Path) -> None:
    process = started(tmp_path, "first", "--duration", "10 min")
    assert process.stdout is not None
    for line in process.stdout:
        if " made, " in line:
            break
    marker = str(tmp_path / "state").encode()
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + SHARED_MACHINE_S
    while any(marker in line for line in _command_lines()):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _command_lines() -> list[bytes]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_bytes())
        except OSError:  # it has just ended
            continue
    return found


def test_wrong_usage_is_one_clear_message_and_exit_code_2(tmp_path: Path) -> None:
    process = started(tmp_path, "frist")
    out, err = process.communicate(timeout=SHARED_MACHINE_S)
    assert (process.returncode, out) == (2, "")
    assert err == 'tagfleet: frist: no such scenario; did you mean "first"?\n'


def test_broker_that_is_not_there_is_exit_code_4(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "START_TIMEOUT_S", 0.5)
    result = run(tmp_path, broker={"start": "none", "host": "127.0.0.1", "port": free_port()})
    assert result.exit_code == BROKEN
    assert "no MQTT broker on 127.0.0.1" in result.failure


@pytest.mark.parametrize(
    ("target", "process", "said"), [("inside", "worker-", "worker 0"), ("taghub", "hub-1", "hub-1")]
)
def test_worker_or_hub_that_dies_ends_the_run_with_its_account(
    tmp_path: Path, target: str, process: str, said: str
) -> None:
    class Killer(Silent):
        def show(self, figures: RunFigures) -> None:
            if figures.delivered > 50 and not killed:
                for entry in Path("/proc").glob("[0-9]*/cmdline"):
                    with contextlib.suppress(OSError):
                        if f"{tmp_path}/{process}".encode() in entry.read_bytes():
                            os.kill(int(entry.parent.name), signal.SIGKILL)
                            killed.append(entry)

    killed: list[Path] = []
    tables = {"run": {"duration": "10 min"}, "hubs": {"count": 3, "target": target}}
    scenario = parse({**SCENARIO, **tables}, {}, "a test", {})
    result = asyncio.run(asyncio.wait_for(Run(scenario, "test", tmp_path).run(Killer()), SHARED_MACHINE_S))
    assert killed
    assert result.exit_code == BROKEN
    assert said in result.failure
    verdict = result.account.verdict
    assert sum(verdict.counts.values()) == verdict.made > 50
    assert verdict.counts["vanished"] == 0  # what it had accepted is in its spools, or was delivered
