"""What a run shows of itself: the one home of the figures that the live view and the report read."""

from collections import deque
from dataclasses import dataclass, field

from tagfleet.ledger import Histogram
from tagfleet.rate import Rate
from tagfleet.targets import HubFigures

STARTING, RUNNING, DELIVERING, COUNTING, ENDED = "starting", "running", "delivering", "counting", "ended"
EVENTS_SHOWN = 6


@dataclass
class RunFigures:
    """Figures so far. moment_s: of the run's own time; elapsed_s: of real time, since the first sample was due."""

    name: str
    title: str
    duration_s: float
    speed: float
    tags: int
    hubs: int
    target: str
    broker: str = ""
    phase: str = STARTING
    moment_s: float = 0.0
    elapsed_s: float = 0.0
    made: int = 0
    unmade: int = 0
    reports: int = 0
    reported: int = 0
    accepted: int = 0
    acknowledged: int = 0
    delivered: int = 0
    duplicates: int = 0
    wrong: int = 0
    batches: int = 0
    batch_bytes: int = 0
    batch_samples: int = 0
    undecodable: int = 0
    lag_s: float = 0.0
    slipped_s: float = 0.0
    latency: Histogram = field(default_factory=Histogram)
    of_hubs: HubFigures = field(default_factory=HubFigures)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS_SHOWN))
    _rate: Rate = field(default_factory=Rate)

    def tell(self, elapsed_s: float, delivered: int) -> None:
        """So many were delivered by then."""
        self.elapsed_s, self.delivered = elapsed_s, delivered
        self._rate.tell(elapsed_s, delivered)

    @property
    def delivered_per_s(self) -> float:
        """Over the last five seconds."""
        return self._rate.per_s

    @property
    def bytes_per_sample(self) -> float | None:
        """Payload bytes of the batches, over the samples in them; None before the first."""
        return self.batch_bytes / self.batch_samples if self.batch_samples else None
