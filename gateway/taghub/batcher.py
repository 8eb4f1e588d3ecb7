"""Collects accepted samples and closes batches by age or size; alarms at once. Pure: the time comes in."""

from collections.abc import Sequence

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_LIVE, ClosedBatch
from taghub.intake import Accepted, count_live
from taghub.sample_columns import Fetched, history_columns, live_columns
from tagwire import fields
from tagwire.batch import SAFE_SAMPLES, Batch, encode_batch
from tagwire.bulk import Int64s


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
        self._history: list[Fetched] = []
        self._due_s = 0.0
        self._history_due_s = 0.0

    @property
    def open_samples(self) -> int:
        """Samples that wait in the open batches."""
        return len(self._open) + len(self._alarms) + len(self._history)

    @property
    def due_s(self) -> float | None:
        """When an open batch has to be closed, on the scale of `now_s`; None when all are empty."""
        due = [self._due_s] * bool(self._open) + [self._history_due_s] * bool(self._history)
        return min(due, default=None)

    def add(self, samples: Sequence[Accepted], now_s: float) -> None:
        """Put samples into the open batch; alarms do not wait for others."""
        if not self._open:
            self._due_s = now_s + self._max_age_s
        if count_live(samples) == len(samples):  # nearly always, and much faster
            self._open += samples
            return
        for sample in samples:
            (self._alarms if sample.alarm else self._open).append(sample)

    def add_history(self, samples: Sequence[Fetched], now_s: float) -> None:
        """Put samples of the backlog into an open batch of their own, which goes to another topic. Alarms among them
        are old, and wait like the others."""
        if not self._history:
            self._history_due_s = now_s + self._max_age_s
        self._history += samples

    def shift(self, step_us: int) -> None:
        """The clock that stamped the open samples was wrong by so much."""
        self._open = [sample._replace(t_us=sample.t_us + step_us) for sample in self._open]
        self._history = [sample._replace(t_us=sample.t_us + step_us) for sample in self._history]

    def next_sequence(self) -> int:
        """A number for a batch that is made elsewhere."""
        self._next_sequence += 1
        return self._next_sequence - 1

    def take_due(
        self, now_s: float, created_s: int, clock: int, position: tuple[int, int] | None, close: bool = False
    ) -> list[ClosedBatch]:
        """The batches that are full, or of age, or, with `close`, all that is there; alarms first, backlog last.

        created_s: Unix seconds; clock: the quality of the hub's clock, a fields.TIME_* code; position: where the hub
        is, 1e-7 degree.
        """
        closed = []

        def close_one(lane: int, values: dict[str, Int64s]) -> None:
            batch = Batch(self._hub, self.next_sequence(), created_s, clock, position, values)
            closed.append(ClosedBatch(batch.sequence, lane, created_s, len(values["tag"]), encode_batch(batch)))

        clock_known = clock != fields.TIME_UNKNOWN
        while self._alarms:
            alarms, self._alarms = self._alarms[:SAFE_SAMPLES], self._alarms[SAFE_SAMPLES:]
            close_one(LANE_ALARM, live_columns(alarms, clock_known))
        while self._open and (close or len(self._open) >= self._max_samples or now_s >= self._due_s):
            samples, self._open = self._open[: self._max_samples], self._open[self._max_samples :]
            close_one(LANE_LIVE, live_columns(samples, clock_known))
        while self._history and (close or len(self._history) >= self._max_samples or now_s >= self._history_due_s):
            fetched, self._history = self._history[: self._max_samples], self._history[self._max_samples :]
            close_one(LANE_BACKLOG, history_columns(fetched))
        return closed
