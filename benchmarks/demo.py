"""The demo as a measurement: from a radio's report to a subscriber, through a real gateway and broker."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.figure import Figure

SECONDS = 15


def figures(runs: int) -> Iterator[Figure]:
    results = [_run() for _ in range(max(1, runs // 3))]
    latency_goal_ms = 1_300  # batches close after 1 s
    yield Figure(
        "demo_latency_p99",
        "ms",
        "lower",
        latency_goal_ms,
        [result["latency_ms"]["p99"] for result in results],
        f"radio report to subscriber, 99th percentile of a {SECONDS} s demo",
    )
    yield Figure(
        "demo_latency_p50",
        "ms",
        "lower",
        None,
        [result["latency_ms"]["p50"] for result in results],
        "the same, median",
    )
    yield Figure(
        "demo_bytes_per_sample",
        "B",
        "lower",
        None,
        [result["bytes_per_sample"] for result in results],
        "MQTT payload a sample in the same demo",
    )


def _run() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tagfleet", "demo", "--seconds", str(SECONDS), "--no-live", "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the demo ended with exit code {done.returncode}: {done.stderr[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
