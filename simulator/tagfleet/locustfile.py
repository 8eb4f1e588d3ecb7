"""Shards of a fleet under Locust: each user is one, whichever machine it is on.

    export TAGFLEET_SCENARIO=trucks-1000 TAGFLEET_SHARDS=4 TAGFLEET_WORKERS=2 TAGFLEET_BROKER=broker:1883
    locust -f "$(tagfleet locustfile)" --master --headless -u 4 -r 4 --expect-workers 2
    locust -f "$(tagfleet locustfile)" --worker --master-host MASTER      (on each of two machines)

Locust brings master, workers, web page and reports; a shard is a `tagfleet run --shard I/N` in a child process, whose
account becomes Locust's figures: a request for each sample that was delivered, with its latency, and a failure for each
that was lost or wrong. TAGFLEET_OPTIONS: further options of `tagfleet run`, as in a shell.
"""

import itertools
import json
import os
import shlex
import subprocess
import sys
from typing import Any

import gevent
from locust import User, constant, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from tagfleet.ledger.classes import LOST

DONE = "tagfleet_shard_done"
LATENCY_STEP_MS = 1  # Locust's own
END_S = 4.0  # workers report every three seconds; the last figures come after the last shard
ALONE_END_S = 2.0  # without workers, it is the CSV files that are written each second
_numbers = itertools.count()


def shard_number(local: int, runner: Any, shards: int) -> int:
    """The number (from 1) of a worker's `local`-th user (from 0): Locust deals users out to its workers in turn."""
    index = max(0, getattr(runner, "worker_index", 0))
    workers = int(os.environ.get("TAGFLEET_WORKERS", "1"))
    return (local * workers + index) % shards + 1


def merge(stats: Any, name: str, report: dict[str, Any]) -> None:
    """A shard's account into Locust's figures: its whole histogram at once, not a sample at a time."""
    entry = stats.get(name, "SAMPLE")
    for target in (entry, stats.total):
        for latency_ms, count in report["latency_histogram"]:
            rounded = max(LATENCY_STEP_MS, round(latency_ms))
            target.response_times[rounded] = target.response_times.get(rounded, 0) + count
            target.num_requests += count
            target.total_response_time += latency_ms * count
            target.min_response_time = min(latency_ms, target.min_response_time or latency_ms)
            target.max_response_time = max(latency_ms, target.max_response_time)
        now_s = target.last_request_timestamp or target.start_time
        target.num_reqs_per_sec[int(now_s)] = target.num_reqs_per_sec.get(int(now_s), 0) + report["delivered"]
    for reason in (*LOST, "wrong", "cloned"):
        for _ in range(min(report["classes"][reason], 1_000)):
            stats.log_error("SAMPLE", name, reason)


class Shard(User):  # type: ignore[misc]
    """Runs its part of the fleet once."""

    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def run_shard(self) -> None:
        """One run; then this user has done its work, and the last one ends the test."""
        environment = self.environment
        shards = int(os.environ.get("TAGFLEET_SHARDS", "1"))
        number = shard_number(next(_numbers), environment.runner, shards)
        command = [sys.executable, "-m", "tagfleet", "run", os.environ.get("TAGFLEET_SCENARIO", "first"), "--json"]
        command += ["--shard", f"{number}/{shards}"]
        if broker := os.environ.get("TAGFLEET_BROKER"):
            command += ["--broker", broker]
        command += shlex.split(os.environ.get("TAGFLEET_OPTIONS", ""))
        folder = os.environ.get("TAGFLEET_FOLDER", ".")
        command += ["--folder", os.path.join(folder, f"shard-{number}")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # gevent waits without blocking
        name = f"shard {number}/{shards}"
        try:
            report = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            environment.stats.log_error("RUN", name, (done.stderr.strip().splitlines() or ["it said nothing"])[-1])
            environment.runner.send_message(DONE, {"shard": number, "exit_code": done.returncode or 1})
            raise StopUser from None
        merge(environment.stats, name, report)
        for check in report["checks"]:
            if not check["good"]:
                environment.stats.log_error("OBJECTIVE", name, f"{check['name']}: {check['said']}")
        if report["void"] or report["failure"]:
            environment.stats.log_error("RUN", name, report["void"] or report["failure"])
        environment.runner.send_message(DONE, {"shard": number, "exit_code": report["exit_code"]})
        raise StopUser


@events.init.add_listener  # type: ignore[untyped-decorator]
def _count_shards(environment: Any, runner: Any, **_: Any) -> None:
    """Whoever leads, this process itself or the master, ends the test when the last shard has reported."""
    if runner is None or isinstance(runner, WorkerRunner):
        return
    environment.process_exit_code = 0
    left = set(range(1, int(os.environ.get("TAGFLEET_SHARDS", "1")) + 1))

    def done(environment: Any, msg: Any, **_: Any) -> None:
        left.discard(msg.data["shard"])
        environment.process_exit_code = max(environment.process_exit_code, msg.data["exit_code"])
        if not left:
            gevent.spawn_later(
                END_S if isinstance(environment.runner, MasterRunner) else ALONE_END_S, environment.runner.quit
            )

    runner.register_message(DONE, done)
