"""The benchmarks run and write what build/bench.json promises. How fast they find us is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figure import Figure
from vector_files import FOLDER

REPOSITORY = FOLDER.parents[1]


def test_benchmarks_write_the_contract(tmp_path: Path) -> None:
    output = tmp_path / "build" / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "beacons", "batch", "--runs", "1", "--output", str(output)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(output.read_text())}
    assert {"beacon_open_scalar", "beacon_seal_bulk", "intake_frames_per_s", "batch_bytes_per_sample_10"} <= set(
        figures
    )
    for figure in figures.values():
        assert {"name", "value", "unit", "better", "goal", "peers", "runs", "spread"} <= set(figure)
        assert figure["value"] > 0
        assert figure["better"] in ("higher", "lower")
    # Sizes do not depend on the machine.
    assert figures["batch_bytes_per_sample_10"]["value"] <= 24


def test_unknown_group_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "no group nonsense" in done.stderr


def test_figure_compares_with_its_peers() -> None:
    figure = Figure("f", "1/s", "higher", 90, [100, 120, 80], "", {"peer": [10, 11, 9]}, {"peer": 10.0})
    assert (figure.value, figure.ratio("peer"), figure.spread, figure.reached) == (100, 10, 0.4, True)
    lower = Figure("f", "ms", "lower", 90, [100], "", {"peer": [200]})
    assert (lower.ratio("peer"), lower.reached) == (2, False)
