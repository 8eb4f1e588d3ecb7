"""Bytes on the wire for each sample: all of TCP's payload, both ways, between a real hub and a real mosquitto."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.batches import make_batch
from benchmarks.figure import Figure
from benchmarks.gateway_rig import Rig, mosquitto_path
from taghub.batcher import Batcher
from taghub.sample_columns import Fetched
from taghub.settings import PROFILES, MqttSettings
from taghub.topics import topics
from taghub.uplink import Uplink
from tagwire.air import FULL_BYTES, encode_advertisements
from tagwire.batch import RSSI_STEP_DB
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.bulk import CodeColumns, advertisements, pack_bodies, seal_beacons
from tagwire.fields import TIME_CODES, TIME_HUB
from tagwire.history import Record
from tagwire.keyring import KeyringEntry

RECORD_PAUSE_S = 0.002  # so that the hub takes in one at a time, and closes its batches when they are due
PUBLISH_BYTES = 30  # around a status: header, topic alias, packet id, expiry, PUBACK


class Load(NamedTuple):
    """A fleet of the published moving truck, each of whose tags sends every `interval_s`."""

    profile: str
    tags: int
    interval_s: int
    samples_a_tag: int
    goal: float


LOADS = (
    Load("desk", 200, 5, 24, 30.0),  # what `make demo` has on its desk
    Load("truck", 50, 300, 72, 24.0),  # six hours
)
BACKLOG = Load("backlog", 50, 300, 24, 6.0)  # two hours of 50 tags, fetched


def air_of(load: Load) -> tuple[list[KeyringEntry], bytes]:
    """The keyring, and the air in the order of time."""
    columns = make_batch(load.tags, load.samples_a_tag).columns
    # The published day has a sample every 300 s: here the same values come faster.
    start_s = int(columns["time"].min())
    time_s = start_s + (columns["time"] - start_s) * load.interval_s // 300
    heard_s = time_s // 4 * 4 + columns["heard"]
    order = np.argsort(time_s, kind="stable")
    codes = [columns[name][order] for name in CodeColumns._fields if name not in ("time", "time_quality")]
    bodies = pack_bodies(CodeColumns._make([*codes, time_s[order] // 4 % TIME_CODES, columns["quality"][order]]))
    tag_ids, counters = columns["tag"][order], columns["counter"][order]
    firsts = {int(tag): int(counters[tag_ids == tag].min()) for tag in np.unique(tag_ids)}
    keys = {tag_id: tag_id.to_bytes(16, "big") for tag_id in firsts}
    entries = [KeyringEntry(tag_id, 0, keys[tag_id], last_counter=first - 1) for tag_id, first in firsts.items()]
    beacons = seal_beacons([keys[int(tag_id)] for tag_id in tag_ids], tag_ids, counters, bodies)
    # As time passes, not as whole seconds do: reports are spread over the seconds of their samples.
    spread_us = np.random.default_rng(5).integers(0, 1_000_000, len(order))
    t_us = np.maximum(np.maximum(heard_s[order], time_s[order]) * 1_000_000 + spread_us, 0)
    by_time = np.argsort(t_us, kind="stable")
    return entries, encode_advertisements(
        t_us[by_time],
        (columns["rssi"][order] * RSSI_STEP_DB)[by_time],
        np.zeros((len(order), 6), np.uint8),
        advertisements(COMPANY_ID_TEST, beacons)[by_time],
    )


def live_bytes(folder: Path, mosquitto: str, load: Load) -> tuple[float, float, float]:
    """(bytes a sample with the share of statuses, of these for presence, samples a batch), in air time."""
    entries, records = air_of(load)
    rig = Rig(folder, mosquitto, entries, f'profile = "{load.profile}"\n---\n[clock]\nsource = "air"\n')
    samples = len(records) // FULL_BYTES
    with rig.broker() as link:
        with rig.hub(link.port) as air:
            time.sleep(1.0)  # connected, and the first status is there
            before, presence_before = link.bytes, rig.presence_bytes + rig.presences * PUBLISH_BYTES
            for start in range(0, len(records), FULL_BYTES):
                air.sendall(records[start : start + FULL_BYTES])
                time.sleep(RECORD_PAUSE_S)
            time.sleep(0.5)
            sent = link.bytes - before
            batches = rig.batches
            presence = rig.presence_bytes + rig.presences * PUBLISH_BYTES - presence_before
        seconds = load.samples_a_tag * load.interval_s
        profile = PROFILES[load.profile]
        statuses = seconds / profile.status_interval_s * (rig.status_bytes + PUBLISH_BYTES)
    return (sent + statuses) / samples, presence / samples, samples / batches


async def backlog_bytes(folder: Path, mosquitto: str, load: Load) -> float:
    """Of batches of history, through the hub's own batcher and uplink."""
    columns = make_batch(load.tags, load.samples_a_tag).columns
    names = ("counter", "time", "latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion")
    values = zip(*(columns[name].tolist() for name in (*names, "quality")), strict=True)
    records = [Record._make([counter, time_s // 4, *rest, False]) for counter, time_s, *rest in values]
    fetched_us = (int(columns["time"].max()) + 600) * 1_000_000
    batcher = Batcher("truck-17", 60.0, 12_000, 1_790_000_000_000)
    tag_ids = columns["tag"].tolist()
    batcher.add_history([Fetched(tag, record, fetched_us) for tag, record in zip(tag_ids, records, strict=True)], 0.0)
    closed = batcher.take_due(60.0, fetched_us // 1_000_000, TIME_HUB, (457_600_000, 48_400_000))
    rig = Rig(folder, mosquitto, [])
    with rig.broker() as link:
        settings = MqttSettings(host="127.0.0.1", port=link.port, describe=False)
        news = _News()
        uplink = Uplink(settings, "bench", topics("bench", "hub-1"), b"", news)
        uplink.start()
        await news.connected.wait()
        before = link.bytes
        for batch in closed:
            uplink.publish(batch)
        await uplink.wait_idle()
        await asyncio.sleep(0.2)
        sent = link.bytes - before
        await uplink.stop()
    return sent / len(records)


class _News:
    """An UplinkEvents that only waits for the connection."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()

    def uplink_connected(self) -> None:
        self.connected.set()

    def uplink_refused(self, reason: str) -> None: ...
    def uplink_lost(self, reason: str) -> None: ...
    def batches_returned(self, sequences: list[int], blamed: bool) -> None: ...
    def retained_given_up(self, topic: str) -> None: ...
    def status_acknowledged(self) -> None: ...
    def batch_acknowledged(self, sequence: int) -> None: ...
    def batch_refused(self, sequence: int, code: int, reason: str) -> None: ...
    def order_arrived(self, payload: bytes) -> None: ...


def figures(runs: int) -> Iterator[Figure]:
    """Sizes do not depend on the machine: one run of each."""
    mosquitto = mosquitto_path()
    if mosquitto is None:
        return
    for load in LOADS:
        with tempfile.TemporaryDirectory() as folder:
            size, presence, samples_a_batch = live_bytes(Path(folder), mosquitto, load)
        about = (
            f"TCP payload both ways, with statuses and presence: {load.tags} moving tags, "
            f"each every {load.interval_s} s, profile {load.profile}: {samples_a_batch:.0f} samples a batch"
        )
        yield Figure(f"bytes_on_wire_per_sample_{load.profile}", "B", "lower", load.goal, [size], about)
        about = "how much of that the inventory of the tags that are here takes"
        yield Figure(f"bytes_of_presence_per_sample_{load.profile}", "B", "lower", None, [presence], about)
    with tempfile.TemporaryDirectory() as folder:
        size = asyncio.run(backlog_bytes(Path(folder), mosquitto, BACKLOG))
    about = f"TCP payload both ways: two hours of {BACKLOG.tags} moving tags out of their histories, in one batch"
    yield Figure("bytes_on_wire_per_sample_backlog", "B", "lower", BACKLOG.goal, [size], about)
