"""The gateway as a process, with a spool on the disk, a real mosquitto behind it, and a consumer that only counts."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.figure import Figure
from benchmarks.fleet import make_fleet
from taghub.closed_batch import LANE_LIVE, ClosedBatch
from taghub.spool import Limits, Store
from taghub.spool.store import Commit
from tagwire.keyring import write_keyring

TIMEOUT_S = 120.0
SETTLE_S = 2.0
SPOOL_BATCHES = 100_000


class Rig:
    """A hub between air and broker, everything in one folder."""

    def __init__(self, folder: Path, mosquitto: str, tags: int, samples_a_tag: int, max_age_s: float = 1.0) -> None:
        self._folder = folder
        self._port = _free_port()
        self._fleet = make_fleet(tags, samples_a_tag)
        write_keyring(folder / "keyring.jsonl", self._fleet.keyring.values())
        (folder / "settings.toml").write_text(
            '[hub]\nid = "hub-1"\nsite = "bench"\nstatus_interval_s = 60\n[keyring]\npath = "keyring.jsonl"\n'
            f'[[radio]]\nkind = "air"\nlisten = "unix:{folder}/air"\n[batch]\nmax_age_s = {max_age_s}\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {self._port}\ninflight = 20\n[spool]\npath = "spool.db"\n'
        )
        (folder / "mosquitto.conf").write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        )
        self._mosquitto = mosquitto
        self.received = 0
        self.last_s = 0.0
        self.pid = 0
        self.air_bytes = self._fleet.air_bytes()
        self.samples = tags * samples_a_tag

    @contextlib.contextmanager
    def running(self) -> Iterator[socket.socket]:
        """The air's end of it all; everything is up."""
        broker = subprocess.Popen(
            [self._mosquitto, "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        _wait(lambda: socket.socket().connect_ex(("127.0.0.1", self._port)) == 0)
        consumer = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        consumer.on_message = self._count
        consumer.connect("127.0.0.1", self._port)
        consumer.subscribe("tags/v1/+/+/samples", qos=1)
        consumer.loop_start()
        command = [sys.executable, "-m", "taghub", "run", "--quiet", str(self._folder / "settings.toml")]
        hub = subprocess.Popen(command)
        self.pid = hub.pid
        air = socket.socket(socket.AF_UNIX)
        try:
            _wait(lambda: air.connect_ex(str(self._folder / "air")) == 0)
            yield air
        finally:
            air.close()
            hub.send_signal(signal.SIGTERM)
            hub.wait(30)
            consumer.disconnect()
            consumer.loop_stop()
            broker.terminate()
            broker.wait()

    def wait_received(self, samples: int) -> None:
        _wait(lambda: self.received >= samples)

    def cpu_s(self) -> float:
        """What the hub has used of a core so far, its threads included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _count(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        properties = dict(getattr(message.properties, "UserProperty", []))
        self.received += int(properties["count"])
        self.last_s = time.perf_counter()


def frames_per_s(folder: Path, mosquitto: str) -> float:
    """Distinct samples from the air to the consumer, all of the way included."""
    rig = Rig(folder, mosquitto, 1_000, 800)
    with rig.running() as air:
        time.sleep(SETTLE_S)
        started_s = time.perf_counter()
        sender = threading.Thread(target=air.sendall, args=(rig.air_bytes,))
        sender.start()
        rig.wait_received(rig.samples)
        sender.join()
        return rig.samples / (rig.last_s - started_s)


def cost_at(folder: Path, mosquitto: str, frames_a_s: int, tags: int, seconds: int = 8) -> tuple[float, float]:
    """(percent of a core, resident megabytes) of a hub that hears so many distinct samples a second."""
    rig = Rig(folder, mosquitto, tags, max(1, frames_a_s * (seconds + 2) // tags + 1))
    record_bytes = len(rig.air_bytes) // rig.samples
    with rig.running() as air:
        time.sleep(SETTLE_S)
        step = frames_a_s // 10 * record_bytes
        started_s = time.monotonic()
        before_s = 0.0
        for tick in range((seconds + 2) * 10):
            if tick == 20:
                before_s = rig.cpu_s()
            air.sendall(rig.air_bytes[tick * step : (tick + 1) * step])
            time.sleep(max(0.0, started_s + (tick + 1) / 10 - time.monotonic()))
        return 100 * (rig.cpu_s() - before_s) / seconds, rig.rss_mb()


def spool_restart_s(folder: Path) -> Iterator[float]:
    """Seconds to open a spool in which many batches wait, again and again."""
    limits = Limits(1 << 40, 1e9, "oldest")
    store = Store(folder / "spool.db", "normal", limits)
    store.open()
    for first in range(0, SPOOL_BATCHES, 5_000):
        batches = [ClosedBatch(first + i, LANE_LIVE, 0, 10, bytes(500)) for i in range(5_000)]
        store.commit(Commit([], 0, batches, 0))
    store.close()
    while True:
        started_s = time.perf_counter()
        again = Store(folder / "spool.db", "full", limits)
        again.open()
        again.next([], 64)
        yield time.perf_counter() - started_s
        again.close()


def figures(runs: int) -> Iterator[Figure]:
    """The figures of a whole gateway; at most 3 runs of each, for they take their time."""
    runs = min(runs, 3)
    with tempfile.TemporaryDirectory() as folder:
        restarts = spool_restart_s(Path(folder))
        values = [next(restarts) for _ in range(runs)]
        about = f"open a spool of {SPOOL_BATCHES:,} batches and read the first 64"
        yield Figure("spool_restart_seconds", "s", "lower", 1.0, values, about)
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if mosquitto is None:
        print(
            "  mosquitto is not installed (apt-get install mosquitto): no figures of a whole gateway", file=sys.stderr
        )
        return
    rates = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            rates.append(frames_per_s(Path(folder), mosquitto))
    about = "distinct samples: air, opened, committed, acknowledged by mosquitto at QoS 1, consumer running"
    yield Figure("gateway_frames_per_s", "frames/s", "higher", 200_000, rates, about)
    for frames_a_s, tags, goal in ((500, 1_000, 5.0), (2_000, 10_000, None)):
        costs = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                costs.append(cost_at(Path(folder), mosquitto, frames_a_s, tags))
        about = f"of a core, {frames_a_s:,} distinct samples a second from {tags:,} tags, batches of 1 s, spool on disk"
        percent = [cost[0] for cost in costs]
        yield Figure(f"cpu_percent_at_{frames_a_s}_frames_per_s", "%", "lower", goal, percent, about)
        if tags == 10_000:
            about = f"resident, {tags:,} tags in the keyring, {frames_a_s:,} samples a second"
            yield Figure("rss_mb_at_10000_tags", "MB", "lower", 120.0, [cost[1] for cost in costs], about)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("the rig does not get on")
        time.sleep(0.01)
