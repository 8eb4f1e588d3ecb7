"""Collects accepted samples and closes batches by age or size; alarms at once. Pure: the time comes in."""

from collections.abc import Sequence

import numpy as np

from taghub.closed_batch import LANE_ALARM, LANE_LIVE, ClosedBatch
from taghub.intake import Accepted, count_live
from tagwire import fields
from tagwire.batch import COLUMNS, FLAG_ALARM, FLAG_UNCONFIRMED, RSSI_STEP_DB, SAFE_SAMPLES, Batch, encode_batch
from tagwire.beacon import KIND_ALARM
from tagwire.bulk import Int64s, unpack_bodies
from tagwire.fields import BODY_BYTES

_LATEST_S = COLUMNS["time"].maximum - fields.TIME_WINDOW_S


class Batcher:
    """`max_age_s` counts from a batch's first sample; `max_samples` is at most SAFE_SAMPLES, so every batch fits a
    publish. Batches are numbered from `first_sequence`, which must be above every number this hub has used before."""

    def __init__(self, hub: str, max_age_s: float, max_samples: int, first_sequence: int) -> None:
        self._hub = hub
        self._max_age_s = max_age_s
        self._max_samples = min(max_samples, SAFE_SAMPLES)
        self._next_sequence = first_sequence
        self._open: list[Accepted] = []
        self._alarms: list[Accepted] = []
        self._due_s = 0.0

    @property
    def open_samples(self) -> int:
        """Samples that wait in the open batch."""
        return len(self._open) + len(self._alarms)

    @property
    def due_s(self) -> float | None:
        """When the open batch has to be closed, on the scale of `now_s`; None when it is empty."""
        return self._due_s if self._open else None

    def add(self, samples: Sequence[Accepted], now_s: float) -> None:
        """Put samples into the open batch; alarms do not wait for others."""
        if not self._open:
            self._due_s = now_s + self._max_age_s
        if count_live(samples) == len(samples):  # nearly always, and much faster
            self._open += samples
            return
        for sample in samples:
            (self._alarms if sample.alarm else self._open).append(sample)

    def shift(self, step_us: int) -> None:
        """The clock that stamped the open samples was wrong by so much."""
        self._open = [sample._replace(t_us=sample.t_us + step_us) for sample in self._open]

    def next_sequence(self) -> int:
        """A number for a batch that is made elsewhere."""
        self._next_sequence += 1
        return self._next_sequence - 1

    def take_due(
        self, now_s: float, created_s: int, clock: int, position: tuple[int, int] | None, close: bool = False
    ) -> list[ClosedBatch]:
        """The batches that are full, or of age, or, with `close`, all that is there; alarms first.

        created_s: Unix seconds; clock: the quality of the hub's clock, a fields.TIME_* code; position: where the hub
        is, 1e-7 degree.
        """
        closed = []

        def close_one(lane: int, samples: list[Accepted]) -> None:
            values = columns(samples, clock != fields.TIME_UNKNOWN)
            batch = Batch(self._hub, self.next_sequence(), created_s, clock, position, values)
            closed.append(ClosedBatch(batch.sequence, lane, created_s, len(samples), encode_batch(batch)))

        while self._alarms:
            samples, self._alarms = self._alarms[:SAFE_SAMPLES], self._alarms[SAFE_SAMPLES:]
            close_one(LANE_ALARM, samples)
        while self._open and (close or len(self._open) >= self._max_samples or now_s >= self._due_s):
            samples, self._open = self._open[: self._max_samples], self._open[self._max_samples :]
            close_one(LANE_LIVE, samples)
        return closed


def columns(samples: list[Accepted], clock_known: bool = True) -> dict[str, Int64s]:
    """Samples as the columns of a batch.

    A sample whose tag does not know the time is stamped with its first hearing, and says so by TIME_ESTIMATED.
    So does every sample where the hub's clock is not `clock_known`: a beacon's own time is only the end of one.
    """
    tag_ids, counters, bodies, t_us, rssi_dbm, unconfirmed, byte0 = zip(*samples, strict=True)
    codes = unpack_bodies(np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, BODY_BYTES))
    # A hub whose clock is absurdly wrong still delivers: the ends leave room for a sample's age.
    heard_s = np.clip(np.array(t_us, np.int64) // 1_000_000, fields.TIME_WINDOW_S, _LATEST_S)
    half_s = fields.TIME_WINDOW_S // 2
    nearest_s = heard_s - half_s + (codes.time * fields.TIME_STEP_S - heard_s + half_s) % fields.TIME_WINDOW_S
    first = np.frombuffer(bytes(unconfirmed), np.uint8).astype(np.int64)
    kind = np.frombuffer(bytes(byte0), np.uint8) >> 2 & 3
    untimed = codes.time_quality == fields.TIME_UNKNOWN
    time_s = np.where(untimed, heard_s, nearest_s)
    return {
        "tag": np.array(tag_ids, np.int64),
        "counter": np.array(counters, np.int64),
        "time": time_s,
        "latitude": codes.latitude,
        "longitude": codes.longitude,
        "temperature": codes.temperature,
        "humidity": codes.humidity,
        "battery": codes.battery,
        "fix": codes.fix,
        "motion": codes.motion,
        "quality": np.where(untimed | (not clock_known), fields.TIME_ESTIMATED, codes.time_quality),
        "heard": heard_s - time_s,
        "rssi": np.array(rssi_dbm, np.int64) // RSSI_STEP_DB,
        "flags": first * FLAG_UNCONFIRMED | (kind == KIND_ALARM) * FLAG_ALARM,
    }
