"""Whole simulated fleets against real gateways and a real broker, beside what people use for it today."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.figure import Figure
from benchmarks.gateway_rig import mosquitto_path
from taghub.mqtt_client import end_thread

FAST = """\
title = "as fast as it can"
[run]
duration = "{minutes} min"
time = "fast"
start = 2026-03-02T06:00:00
[tags]
count = {tags}
interval = "{interval_s} s"
[hubs]
count = 100
target = "{target}"
batch_age = "{batch_age_s} s"
[broker]
start = "mosquitto"
[air]
model = "plain"
reports = "first"
"""
QUICK = {"tags": 20_000, "interval_s": 60, "batch_age_s": 300}
"""Batches of some 1,500 samples: what a hub that is sent so many closes in a second of real time."""
PEER_SECONDS = 6.0
PEER_ROUNDS = 3  # 200 threads: from 2,000 to 3,600 a second from one time to the next
PEER_CLIENTS = 200  # paho waits with select(), which ends at some 340 connections
PAYLOAD_BYTES = 107  # one sample as JSON, see docs/wire.md

LOCUSTFILE = """\
import os, time
from locust import constant, task
from locust.contrib.mqtt import MqttUser

class Tag(MqttUser):
    host, port, transport = "127.0.0.1", int(os.environ["PORT"]), "tcp"
    wait_time = constant(0)

    def on_start(self):
        time.sleep(0.5)

    @task
    def sample(self):
        self.client.publish("tags/one", b"x" * 107, qos=1)
        time.sleep(0.001)
"""


def figures(runs: int) -> Iterator[Figure]:
    mosquitto = mosquitto_path()
    if mosquitto is None:
        return
    rounds = max(1, runs // 3)
    quick = [_run(minutes=120, target="inside", **QUICK) for _ in range(rounds)]
    peers = {"one paho client per tag": [_one_client_per_tag(mosquitto) for _ in range(PEER_ROUNDS)]}
    if _has_locust():
        peers["Locust's MQTT user"] = [_locust(mosquitto) for _ in range(PEER_ROUNDS)]
    yield Figure(
        "fleet_samples_per_s",
        "/s",
        "higher",
        80_000,
        [one["rate_per_s"] for one in quick],
        "as fast as it can: 20,000 tags, 100 hubs with intake, spool and uplink, batches of some 1,500, mosquitto, "
        "consumer, ledger",
        peers,
        {"one paho client per tag": 50.0},
    )
    straight = [_run(minutes=240, target="batches", **QUICK) for _ in range(rounds)]
    yield Figure(
        "fleet_broker_samples_per_s",
        "/s",
        "higher",
        None,
        [one["rate_per_s"] for one in straight],
        "the same without hubs, as when only a broker is under test, which is all that the peers do",
        peers,
        {"one paho client per tag": 50.0},
    )
    long = [_run(minutes=120, tags=100_000, interval_s=300, target="inside", batch_age_s=60) for _ in range(rounds)]
    yield Figure(
        "time_compression",
        "x",
        "higher",
        200,
        [one["time_compression"] for one in long],
        "100,000 tags with a sample each 5 minutes, through 100 hubs with batches of a minute",
    )
    many = _run(minutes=22, tags=1_000_000, interval_s=1_200, target="batches", batch_age_s=60)
    yield Figure(
        "fleet_bytes_per_tag",
        "B",
        "lower",
        1_000,
        [many["peak_rss_bytes"] / 1_000_000],
        "resident memory of the run's own process, all of it, over a million tags",
    )


def _run(**values: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-run-") as folder:
        scenario = Path(folder) / "fast.toml"
        scenario.write_text(FAST.format(**values))
        done = subprocess.run(
            [sys.executable, "-m", "tagfleet", "run", str(scenario), "--folder", f"{folder}/run", "--json"],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the run ended with exit code {done.returncode}: {done.stderr[-800:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class _Broker:
    """A mosquitto, and a subscriber that counts."""

    def __init__(self, mosquitto: str, port: int = 18_893) -> None:
        self.port = port
        self.received = 0
        self._folder = tempfile.mkdtemp(prefix="bench-broker-")
        config = Path(self._folder) / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
        self._process = subprocess.Popen([mosquitto, "-c", str(config)], stderr=subprocess.DEVNULL)
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._count

    def _count(self, *_: Any) -> None:
        self.received += 1

    def __enter__(self) -> "_Broker":
        for _ in range(100):
            try:
                self._client.connect("127.0.0.1", self.port)
                break
            except OSError:
                time.sleep(0.05)
        self._client.subscribe("tags/one", qos=1)
        self._client.loop_start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        end_thread(self._client)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def rate_per_s(self) -> float:
        """Received while the clients are at it, from now on."""
        before, started_s = self.received, time.perf_counter()
        time.sleep(PEER_SECONDS)
        return (self.received - before) / (time.perf_counter() - started_s)


def _one_client_per_tag(mosquitto: str) -> float:
    """The script that everybody writes first: a paho client for each tag, JSON, QoS 1, as fast as it can."""
    payload = b"x" * PAYLOAD_BYTES
    with _Broker(mosquitto) as broker:
        clients = []
        for _ in range(PEER_CLIENTS):
            client = Client(CallbackAPIVersion.VERSION2)
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            clients.append(client)
        ending = threading.Event()

        def publish() -> None:
            while not ending.is_set():
                for info in [client.publish("tags/one", payload, qos=1) for client in clients]:
                    info.wait_for_publish(5)

        publisher = threading.Thread(target=publish)
        publisher.start()
        time.sleep(1.0)
        rate = broker.rate_per_s()
        ending.set()
        publisher.join()
        for client in clients:
            client.disconnect()
            end_thread(client)
    return rate


def _has_locust() -> bool:
    return (
        subprocess.run([sys.executable, "-m", "locust", "--version"], capture_output=True, check=False).returncode == 0
    )


def _locust(mosquitto: str) -> float:
    """Locust's own MQTT user, one for each tag."""
    with _Broker(mosquitto, 18_894) as broker, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text(LOCUSTFILE)
        users = str(PEER_CLIENTS)
        command = [
            "-m",
            "locust",
            "-f",
            str(file),
            "--headless",
            "-u",
            users,
            "-r",
            users,
            "-t",
            "20s",
            "--only-summary",
        ]
        process = subprocess.Popen(
            [sys.executable, *command],
            env={"PORT": str(broker.port), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(6.0)
        rate = broker.rate_per_s()
        process.terminate()
        process.wait()
    return rate
