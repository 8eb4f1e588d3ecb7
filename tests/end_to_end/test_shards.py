"""One fleet in parts: each with its own hubs and tags, and all of them under Locust."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tagfleet.scenario import ScenarioError, find, read
from tagfleet.scenario.faults import DeadZone
from tagfleet.scenario.shards import shard

SHARED_MACHINE_S = 110


def test_shards_of_a_scenario_are_the_whole_of_it() -> None:
    whole = read(find("trucks-1000"))
    parts = [shard(whole, number, 3) for number in (1, 2, 3)]
    assert sum(part.hubs.count for part in parts) == whole.hubs.count
    assert sum(part.tags.count for part in parts) == whole.tags.count
    ids = [range(part.tags.first_id, part.tags.first_id + part.tags.count) for part in parts]
    assert [ids[0].stop, ids[1].stop] == [ids[1].start, ids[2].start]
    assert len({part.hubs.site for part in parts}) == len({part.run.seed for part in parts}) == 3
    struck = [[fault.hubs for fault in part.fault] for part in parts]  # type: ignore[union-attr]
    assert len(struck[0]) == 2  # hubs 1-100, and 200-210, are all in the first part
    assert struck[1:] == [[], []]
    assert all(part.problems() == [] for part in parts)
    halves = [shard(whole, number, 20) for number in (1, 2, 3)]
    zones = [fault for part in halves for fault in part.fault if isinstance(fault, DeadZone)]
    assert [str(zone.hubs).count(",") + 1 for zone in zones] == [50, 50]


def test_impossible_shards_are_refused() -> None:
    whole = read(find("first"))
    for number, of in ((0, 2), (3, 2), (1, 3)):
        with pytest.raises(ScenarioError):
            shard(whole, number, of)


@pytest.mark.system
def test_locust_runs_shards_and_has_their_figures(tmp_path: Path, program: Callable[[str, str], str]) -> None:
    program("mosquitto", "mosquitto")
    if find_spec("locust") is None:  # not imported here: it patches the standard library of the process it is in
        pytest.skip("locust is not installed: pip install 'tagstack[shards]'")
    environment = {
        **os.environ,
        "TAGFLEET_SCENARIO": "first",
        "TAGFLEET_SHARDS": "2",
        "TAGFLEET_FOLDER": str(tmp_path),
        "TAGFLEET_OPTIONS": "--duration '3 s' --tags 80 --set 'fault=[]' --set 'tags.interval=\"2 s\"'",
    }
    command = [sys.executable, "-m", "locust", "-f", str(_locustfile()), "--headless", "-u", "2", "-r", "2"]
    done = subprocess.run(
        [*command, "--csv", str(tmp_path / "figures")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SHARED_MACHINE_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with (tmp_path / "figures_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"shard 1/2", "shard 2/2", "Aggregated"}
    for name in ("shard 1/2", "shard 2/2"):
        assert int(rows[name]["Request Count"]) > 20
        assert int(rows[name]["Failure Count"]) == 0
        assert 0 < float(rows[name]["50%"]) < 60_000


def _locustfile() -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "tagfleet", "locustfile"], capture_output=True, text=True, check=True, timeout=60
    )
    return Path(done.stdout.strip())
