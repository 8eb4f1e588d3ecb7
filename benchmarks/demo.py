"""The demo as a measurement: from a radio's report to a subscriber, through a real gateway and broker."""

import json
import math
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.figure import Figure

SECONDS = 15
# Of 90 s from a fresh clone, beyond the download of packages: making .venv and installing them takes the rest.
FIRST_SAMPLE_GOAL_S = 30


class _Run(NamedTuple):
    """first_sample_s: from the start of the command until a line says that samples were delivered. result: the account
    that is its last line."""

    first_sample_s: float
    result: dict[str, Any]


def figures(runs: int) -> Iterator[Figure]:
    ran = [_run() for _ in range(max(1, runs // 3))]
    results = [run.result for run in ran]
    yield Figure(
        "first_sample_s",
        "s",
        "lower",
        FIRST_SAMPLE_GOAL_S,
        [run.first_sample_s for run in ran],
        "from `tagfleet demo`, broker, hub and three twins to boot included, until it shows that samples have arrived",
    )
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


def _run() -> _Run:
    """Lines as a person without a terminal sees them: the first says what has arrived after two seconds of samples."""
    command = [sys.executable, "-m", "tagfleet", "demo", "--seconds", str(SECONDS), "--no-live"]
    first_sample_s, line = math.inf, ""
    started_s = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as demo,
    ):
        assert demo.stdout is not None
        patience = threading.Timer(SECONDS + 120, demo.kill)
        patience.start()
        for line in demo.stdout:
            delivered = re.search(r"([\d,]+) delivered,", line)
            if first_sample_s == math.inf and delivered and delivered[1] != "0":
                first_sample_s = time.perf_counter() - started_s
        patience.cancel()
        if demo.wait():
            complaints.seek(0)
            raise RuntimeError(f"the demo ended with exit code {demo.returncode}: {complaints.read()[-500:]}")
    return _Run(first_sample_s, json.loads(line))
