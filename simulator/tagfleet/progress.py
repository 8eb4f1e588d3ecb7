"""What a run shows of itself: the one home of the figures that the live view and the summary read. Pure."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tagfleet.ledger import Account, Ledger
from tagfleet.rate import Rate
from tagwire.fields import Reading

STARTING, RUNNING, DELIVERING, ENDED = "starting", "running", "delivering", "ended"


class Latest(NamedTuple):
    """The last sample of a tag that the subscriber got."""

    reading: Reading
    counter: int
    rssi_dbm: int
    t_us: int


@dataclass
class Progress:
    """Figures of a run so far. `twin_ids` is None where there are no twins, and `twins_note` says why."""

    seconds: float
    flock_tags: int
    twin_ids: list[int] | None
    twins_note: str = ""
    phase: str = STARTING
    elapsed_s: float = 0.0
    now_us: int = 0  # Unix microseconds of the last update
    reports: int = 0
    batches: int = 0
    batch_bytes: int = 0
    batch_samples: int = 0
    undecodable: int = 0
    latest: dict[int, Latest] = field(default_factory=dict)
    open_radios: int = 0  # of the hub, as its status says
    hub_counters: dict[str, int] = field(default_factory=dict)
    account: Account = field(default_factory=lambda: Ledger.for_tags([], 0).account())
    twins: Account | None = None
    silent_twins: list[int] = field(default_factory=list)
    pending: int = 0
    worst_lag_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    _rate: Rate = field(default_factory=Rate)

    def update(self, ledger: Ledger, elapsed_s: float, now_us: int) -> None:
        """Take the sums of the ledger at `elapsed_s` seconds after set-up, which is `now_us` in Unix microseconds."""
        self.elapsed_s, self.now_us = elapsed_s, now_us
        self.account = ledger.account()
        self.pending = ledger.pending
        if self.twin_ids is not None:
            self.twins = ledger.account(self.twin_ids)
            self.silent_twins = [tag_id for tag_id in self.twin_ids if not ledger.account([tag_id]).delivered]
        self._rate.tell(elapsed_s, self.account.delivered)

    @property
    def delivered_per_s(self) -> float:
        """Over the last five seconds."""
        return self._rate.per_s

    @property
    def bytes_per_sample(self) -> float | None:
        """Payload bytes of the batches, over the samples in them; None before the first."""
        return self.batch_bytes / self.batch_samples if self.batch_samples else None

    def latency_ms(self, share: float) -> float | None:
        """The latency that `share` (0 to 1) of the samples stay within (within 1 %); None before the first."""
        return self.account.latency.percentile_ms(share)

    @property
    def good(self) -> bool:
        """Whether every sample is accounted for: nothing lost, duplicated or wrong, and every tag's path works."""
        account = self.account
        bad = account.lost or account.duplicated or account.wrong or self.undecodable or self.silent_twins
        return account.delivered > 0 and not bad
