"""Collects accepted samples and closes batches by age or size; alarms at once. Pure: the time comes in."""

from collections.abc import Sequence

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_LIVE, ClosedBatch, dated
from taghub.sample_columns import Fetched, history_columns, live_columns
from taghub.sample_rows import NO_ROWS, Rows, are_alarms, joined
from tagwire import fields
from tagwire.batch import MAX_BATCH_BYTES, SAFE_SAMPLES, Batch, encode_batch
from tagwire.bulk import Int64s
from tagwire.errors import EncodeError

FILL = 0.9  # of a publish, at what the samples before have needed; what does not fit after all is encoded again


class Batcher:
    """`max_age_s` counts from a batch's first sample; it has at most `max_samples`, and no more than fit a publish.
    Batches are numbered from `first_sequence`, which must be above every number this hub has used before."""

    def __init__(self, hub: str, max_age_s: float, max_samples: int, first_sequence: int) -> None:
        self._hub = hub
        self._max_age_s = max_age_s
        self._max_samples = max_samples
        self._full = self._history_full = min(max_samples, SAFE_SAMPLES)
        self._next_sequence = first_sequence
        self._open: list[Rows] = []
        self._open_samples = 0
        self._alarms = NO_ROWS
        self._guessed = NO_ROWS
        self._restored = 0  # how many of the open samples, from the first on, an earlier run has stamped
        self._history: list[Fetched] = []
        self._due_s = 0.0
        self._history_due_s = 0.0

    @property
    def open_samples(self) -> int:
        """Samples that wait in the open batches."""
        return self._open_samples + len(self._alarms) + len(self._guessed) + len(self._history)

    @property
    def due_s(self) -> float | None:
        """When an open batch has to be closed, on the scale of `now_s`; None when all are empty."""
        live = self._open_samples or len(self._guessed)
        if not self._history:
            return self._due_s if live else None
        return min(self._due_s, self._history_due_s) if live else self._history_due_s

    def add(self, samples: Rows, now_s: float) -> None:
        """Put samples into the open batch; alarms do not wait for others."""
        alarms = are_alarms(samples)
        if alarms.any():
            self._alarms = joined([self._alarms, samples[alarms]])
            samples = samples[~alarms]
        if len(samples):
            if not self._open_samples + len(self._guessed):
                self._due_s = now_s + self._max_age_s
            self._open.append(samples)
            self._open_samples += len(samples)

    def add_restored(self, guessed: Rows, known: Rows, now_s: float) -> None:
        """Samples of an earlier run, before any other. Where times are guesses, they have batches of their own, and say
        'estimated'; where they are known, they are no more moved by a clock that is set in this run."""
        self._guessed = guessed
        self._due_s = now_s + self._max_age_s
        self.add(known, now_s)
        self._restored = self._open_samples

    def add_history(self, samples: Sequence[Fetched], now_s: float) -> None:
        """Put samples of the backlog into an open batch of their own, which goes to another topic. Alarms among them
        are old, and wait like the others."""
        if not self._history:
            self._history_due_s = now_s + self._max_age_s
        self._history += samples

    def shift(self, step_us: int) -> None:
        """The clock that stamped the open samples was wrong by so much. What an earlier run has stamped rightly stays,
        and so do guesses that were made by it."""
        self._open = [joined([NO_ROWS, *self._open])]
        self._open[0]["t_us"][self._restored :] += step_us
        if not self._restored:
            self._guessed["t_us"] += step_us
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
        header = Batch(self._hub, 0, created_s, clock, position, {})

        def close_one(lane: int, values: dict[str, Int64s]) -> int:
            """Its size. Raises EncodeError where there are too many samples for a publish."""
            payload = encode_batch(header._replace(sequence=self._next_sequence, columns=values))
            closed_s = dated(created_s, clock)
            closed.append(ClosedBatch(self.next_sequence(), lane, closed_s, len(values["tag"]), payload))
            return len(payload)

        clock_known = clock != fields.TIME_UNKNOWN
        while len(self._alarms):
            alarms, self._alarms = self._alarms[:SAFE_SAMPLES], self._alarms[SAFE_SAMPLES:]
            close_one(LANE_ALARM, live_columns(alarms, clock_known))
        is_due = close or self._open_samples >= self._full or now_s >= self._due_s
        while len(self._guessed) and is_due:  # before those that came after them, as the spool counts them in order
            close_one(LANE_LIVE, live_columns(self._guessed[:SAFE_SAMPLES], clock_known=False))
            self._guessed = self._guessed[SAFE_SAMPLES:]
        while self._open_samples and (close or self._open_samples >= self._full or now_s >= self._due_s):
            samples = joined(self._open)
            try:
                size = close_one(LANE_LIVE, live_columns(samples[: self._full], clock_known))
            except EncodeError:
                self._full = SAFE_SAMPLES
                size = close_one(LANE_LIVE, live_columns(samples[: self._full], clock_known))
            rest = samples[self._full :]
            self._open, self._open_samples = [rest] * bool(len(rest)), len(rest)
            self._restored = max(0, self._restored - closed[-1].samples)
            self._learn(closed[-1].samples, size)
        while self._history and (close or len(self._history) >= self._history_full or now_s >= self._history_due_s):
            fetched, self._history = self._history[: self._history_full], self._history[self._history_full :]
            close_one(LANE_BACKLOG, history_columns(fetched))
        return closed

    def _learn(self, samples: int, size: int) -> None:
        """How many samples like the last ones fit a publish: encoding 6,000 at once costs a third for each."""
        fitting = int(FILL * MAX_BATCH_BYTES * samples / size)
        self._full = min(max(fitting, SAFE_SAMPLES), self._max_samples)
