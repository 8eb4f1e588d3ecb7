"""What a run shows of itself: the one home of the figures that live views, report and summary read. Pure."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from tagfleet.latest import Latest
from tagfleet.ledger import Histogram, Ledger
from tagfleet.rate import Rate
from tagfleet.targets import HubFigures

STARTING, RUNNING, DELIVERING, COUNTING, ENDED = "starting", "running", "delivering", "counting", "ended"
EVENTS_SHOWN = 6


class HubStatus(NamedTuple):
    """What a hub last said of itself: what its intake did, by reason, and how many of its radios are open."""

    intake: Mapping[str, int] = MappingProxyType({})
    open_radios: int = 0


@dataclass
class RunFigures:
    """Figures so far. moment_s: of the run's own time; elapsed_s: of real time, since the first sample was due, which
    was `now_us` in Unix microseconds. pending: reported by a radio, and not delivered yet; unheard: neither.

    twins: samples that twins made, and how many of them were delivered; twins_note: why there are none. latest: by tag
    id, None where nobody looks at single tags. statuses: by the number of the hub."""

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
    now_us: int = 0
    made: int = 0
    unmade: int = 0
    hostile: int = 0
    twin_ids: list[int] = field(default_factory=list)
    twins_note: str = "none, as asked"
    twins: tuple[int, int] = (0, 0)
    reports: int = 0
    reported: int = 0
    accepted: int = 0
    acknowledged: int = 0
    delivered: int = 0
    pending: int = 0
    unheard: int = 0
    duplicates: int = 0
    wrong: int = 0
    batches: int = 0
    batch_bytes: int = 0
    batch_samples: int = 0
    undecodable: int = 0
    lag_s: float = 0.0
    slipped_s: float = 0.0
    latency: Histogram = field(default_factory=Histogram)
    latest: dict[int, Latest] | None = None
    statuses: dict[int, HubStatus] = field(default_factory=dict)
    of_hubs: HubFigures = field(default_factory=HubFigures)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS_SHOWN))
    _rate: Rate = field(default_factory=Rate)

    def tell(self, ledger: Ledger, elapsed_s: float, now_us: int) -> None:
        """The sums of the ledger, as of now. Cheap: it looks through the rows of twins alone."""
        self.elapsed_s, self.now_us = elapsed_s, now_us
        self.made, self.reported = ledger.made_count, ledger.reported_count
        self.accepted, self.acknowledged = ledger.accepted_count, ledger.acknowledged_count
        self.delivered, self.pending = ledger.arrived_count, ledger.pending
        self.unheard = max(0, self.made - self.delivered - self.pending)
        self.duplicates = sum(ledger.duplicates)
        self.wrong = ledger.comparison.wrong_count + ledger.never_made_count
        self.latency = ledger.latency
        if self.twin_ids:
            twins = ledger.account(self.twin_ids)
            self.twins = twins.made, twins.delivered
        self._rate.tell(elapsed_s, self.delivered)

    @property
    def intake(self) -> Counter[str]:
        """What hubs' intakes did with advertisements, by reason."""
        return sum((Counter(status.intake) for status in self.statuses.values()), Counter())

    @property
    def open_radios(self) -> int:
        """Of all hubs together."""
        return sum(status.open_radios for status in self.statuses.values())

    @property
    def delivered_per_s(self) -> float:
        """Over the last five seconds."""
        return self._rate.per_s

    @property
    def bytes_per_sample(self) -> float | None:
        """Payload bytes of the batches, over the samples in them; None before the first."""
        return self.batch_bytes / self.batch_samples if self.batch_samples else None
