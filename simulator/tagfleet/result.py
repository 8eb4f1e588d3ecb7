"""How a run ended. Pure."""

from dataclasses import dataclass, field

from tagfleet.figures import RunFigures
from tagfleet.ledger import Account
from tagfleet.pace import Pace
from tagfleet.scenario import Scenario
from tagfleet.scenario.quantities import duration_text
from tagfleet.slo import Check

OK, MISSED, VOID, BROKEN, INTERRUPTED = 0, 1, 3, 4, 130
"""Exit codes: everything held; an objective missed; the generator fell behind; a part could not be started or ended;
somebody ended it before it had started."""


@dataclass
class Result:
    """How a run ended. failure: why it ended early, empty where it did not; void: why its figures mean nothing."""

    scenario: Scenario
    name: str
    figures: RunFigures
    account: Account
    checks: list[Check] = field(default_factory=list)
    void: str = ""
    failure: str = ""
    stopped: bool = False
    recovery_s: float | None = None
    worst_lag_s: float = 0.0
    rate_per_s: float = 0.0
    took_s: float = 0.0  # of real time, from the start until the last sample was made and the last one delivered
    hub_cpu: float | None = None
    peak_rss_bytes: int = 0
    twins: dict[int, Account] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """For a script."""
        if self.stopped and not self.figures.elapsed_s:
            return INTERRUPTED
        if self.failure:
            return BROKEN
        if self.void:
            return VOID
        return OK if all(check.good for check in self.checks) else MISSED


def judge_schedule(result: Result, pace: Pace) -> None:
    """Void it where its own generator was late; a missed objective where hubs held it up."""
    run = result.scenario.run
    result.worst_lag_s = pace.worst_lag_s
    if pace.worst_lag_s > run.lag_max:
        result.void = (
            f"the GENERATOR fell {pace.worst_lag_s:.1f} s behind its schedule (allowed: {duration_text(run.lag_max)}). "
            "This machine cannot make so many samples in this time: what was measured says nothing about hubs or "
            "broker. Fewer tags, a longer interval, less compression, or a faster machine"
        )
    if not pace.free and pace.slipped_s > run.lag_max + 0.1 * run.duration / run.time:
        said = f"hubs took nothing in for {pace.slipped_s:.1f} s in all: they cannot keep up with this load"
        result.checks.append(Check("keeps_up", False, said))
