"""A whole gateway under load: frames a second, latency, CPU, memory, and a start with a long spool."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import theengs
from benchmarks.figure import Figure
from benchmarks.fleet import Fleet, make_fleet
from benchmarks.gateway_rig import Rig, mosquitto_path, wait_until
from taghub.closed_batch import LANE_LIVE, ClosedBatch
from taghub.sample_rows import NO_ROWS
from taghub.spool import Limits, Store
from taghub.spool.commit import Commit
from tagwire.air import FULL_BYTES, encode_advertisement
from tagwire.alarm import REASON_TEMPERATURE_HIGH, with_reason
from tagwire.beacon import COMPANY_ID_TEST, KIND_ALARM, advertisement, seal_beacon
from tagwire.fields import pack_body, unpack_body
from tagwire.seal import aes128

SETTLE_S = 2.0
SPOOL_BATCHES = 100_000
MILLIONS = 10
ADDRESS = bytes(6)


def frames_per_s(folder: Path, mosquitto: str, fleet: Fleet) -> float:
    """Distinct samples from the air to the consumer, all of the way included."""
    rig = Rig(folder, mosquitto, fleet.keyring.values(), "status_interval_s = 60")
    air_bytes, samples = fleet.air_bytes(), len(fleet.keys)
    with rig.running() as air:
        time.sleep(SETTLE_S)
        started_s = time.perf_counter()
        sender = threading.Thread(target=air.sendall, args=(air_bytes,))
        sender.start()
        rig.wait_received(samples)
        sender.join()
        return samples / (rig.last_s - started_s)


def cost_at(folder: Path, mosquitto: str, frames_a_s: int, tags: int, seconds: int = 8) -> tuple[float, float, float]:
    """(percent of a core, resident MB, GB written a day) of a hub that hears so many distinct samples a second."""
    fleet = make_fleet(tags, max(1, frames_a_s * (seconds + 2) // tags + 1))
    rig = Rig(folder, mosquitto, fleet.keyring.values(), "status_interval_s = 60")
    before_s, before_bytes = 0.0, 0

    def tick(tenths: int) -> None:
        nonlocal before_s, before_bytes
        if tenths == 20:
            before_s, before_bytes = rig.cpu_s(), rig.written_bytes()

    with rig.running() as air:
        time.sleep(SETTLE_S)
        _send_evenly(air.sendall, fleet.air_bytes(), frames_a_s, seconds + 2, tick)
        written = (rig.written_bytes() - before_bytes) / seconds * 86_400 / 1e9
        return 100 * (rig.cpu_s() - before_s) / seconds, rig.rss_mb(), written


def event_latencies_ms(folder: Path, mosquitto: str, seconds: int = 10) -> list[float]:
    """From the radio's report of an alarm to the subscriber's callback, 20 a second among 1,000 frames a second."""
    alarms = 20 * (seconds - 2)
    fleet = make_fleet(1_000 + alarms, seconds + 1)
    ordinary = fleet.only(np.arange(len(fleet.keys)) % (1_000 + alarms) < 1_000)
    rig = Rig(folder, mosquitto, fleet.keyring.values(), "status_interval_s = 60")
    codes = with_reason(unpack_body(bytes(fleet.bodies[0])), REASON_TEMPERATURE_HIGH)
    sent: dict[str, float] = {}
    lock = threading.Lock()
    with rig.running() as air:
        time.sleep(SETTLE_S)

        def send(data: bytes) -> None:
            with lock:
                air.sendall(data)

        load = threading.Thread(target=_send_evenly, args=(send, ordinary.air_bytes(), 1_000, seconds))
        load.start()
        time.sleep(1.0)
        for row in range(1_000, 1_000 + alarms):
            tag_id, counter = int(fleet.tag_ids[row]), int(fleet.counters[row])
            frame = seal_beacon(aes128(fleet.keys[row]), tag_id, counter, pack_body(codes), 0, KIND_ALARM)
            record = encode_advertisement(1, -60, ADDRESS, advertisement(COMPANY_ID_TEST, frame))
            sent[f"{tag_id}-{counter}"] = time.perf_counter()
            send(record)
            time.sleep(0.05)
        load.join()
        wait_until(lambda: sent.keys() <= rig.events.keys())
    return [1000 * (rig.events[key] - sent_s) for key, sent_s in sent.items()]


def memory_over_millions(folder: Path, mosquitto: str) -> tuple[float, float]:
    """Resident megabytes after one million distinct samples of 10,000 tags, and after MILLIONS."""
    tags, rounds = 10_000, 20
    fleet = make_fleet(tags, 1)
    rig = Rig(folder, mosquitto, fleet.keyring.values(), "status_interval_s = 60")
    after: list[float] = []
    with rig.running() as air:
        for million in range(MILLIONS):
            for part in range(100 // rounds):
                step = (million * 100 + part * rounds) + 1
                air.sendall(fleet.further(range(step, step + rounds)).air_bytes())
            rig.wait_received((million + 1) * 1_000_000)
            after.append(rig.rss_mb())
    return after[0], after[-1]


def spool_restart_s(folder: Path) -> Iterator[float]:
    """Seconds to open a spool in which many batches wait, again and again."""
    limits = Limits(1 << 40, 1e9, "oldest")
    store = Store(folder / "spool.db", "normal", limits)
    store.open()
    for first in range(0, SPOOL_BATCHES, 5_000):
        batches = [ClosedBatch(first + i, LANE_LIVE, 0, 10, bytes(500)) for i in range(5_000)]
        store.commit(Commit(NO_ROWS, 0, batches, 0))
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
    mosquitto = mosquitto_path()
    if mosquitto is None:
        return
    fleet = make_fleet(1_000, 800)
    rates, theirs = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            rates.append(frames_per_s(Path(folder), mosquitto, fleet))
        with tempfile.TemporaryDirectory() as folder:
            theirs += theengs.adverts_per_s(Path(folder), mosquitto, fleet)
    about = "distinct samples: air, opened, committed, acknowledged by mosquitto at QoS 1, consumer running"
    yield Figure("gateway_frames_per_s", "frames/s", "higher", 200_000, rates, about)
    if theirs:
        peer = {"theengsgateway": theirs}
        about = "the same advertisements through TheengsGateway's detection_callback and its QoS 0 publishes, same run"
        yield Figure("gateway_vs_theengs", "frames/s", "higher", None, rates, about, peer, {"theengsgateway": 50.0})
    latencies = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            latencies.append(event_latencies_ms(Path(folder), mosquitto))
    about = "alarm in the air to the subscriber's callback, under 1,000 frames a second, spool on disk"
    for percent, goal in ((50, None), (99, 20.0)):
        values = [float(np.percentile(run, percent)) for run in latencies]
        yield Figure(f"latency_ms_p{percent}", "ms", "lower", goal, values, about)
    for frames_a_s, tags, goal in ((500, 1_000, 5.0), (2_000, 10_000, None)):
        costs = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                costs.append(cost_at(Path(folder), mosquitto, frames_a_s, tags))
        about = f"of a core, {frames_a_s:,} distinct samples a second from {tags:,} tags, batches of 1 s, spool on disk"
        percents = [cost[0] for cost in costs]
        yield Figure(f"cpu_percent_at_{frames_a_s}_frames_per_s", "%", "lower", goal, percents, about)
        if frames_a_s == 500:
            about = "to the disk (not tmpfs), 500 distinct samples a second in 10 parts, durability full"
            yield Figure("spool_gb_written_per_day", "GB/day", "lower", None, [cost[2] for cost in costs], about)
        if tags == 10_000:
            about = f"resident, {tags:,} tags in the keyring, {frames_a_s:,} samples a second"
            yield Figure("rss_mb_at_10000_tags", "MB", "lower", 120.0, [cost[1] for cost in costs], about)
    with tempfile.TemporaryDirectory() as folder:
        first, last = memory_over_millions(Path(folder), mosquitto)
    about = f"resident after {MILLIONS} million distinct samples of 10,000 tags"
    yield Figure("rss_mb_after_10_million_frames", "MB", "lower", 120.0, [last], about)
    about = f"what it has grown by since the first million of {MILLIONS}; flat means nothing that goes on"
    yield Figure("rss_growth_mb_over_9_million_frames", "MB", "lower", 5.0, [max(0.1, last - first)], about)


def _send_evenly(
    send: Callable[[bytes], object],
    air_bytes: bytes,
    frames_a_s: int,
    seconds: int,
    tick: Callable[[int], None] = lambda tenths: None,
) -> None:
    """So many records a second, in tenths; `tick` is told of each."""
    step = frames_a_s // 10 * FULL_BYTES
    started_s = time.monotonic()
    for tenths in range(seconds * 10):
        tick(tenths)
        send(air_bytes[tenths * step : (tenths + 1) * step])
        time.sleep(max(0.0, started_s + (tenths + 1) / 10 - time.monotonic()))
