"""What a run has come to: its account against its objectives. Pure, but for this process's own memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tagfleet.figures import RunFigures
from tagfleet.ledger import Account
from tagfleet.machine import peak_memory_bytes
from tagfleet.pace import Pace
from tagfleet.result import Result, judge_schedule
from tagfleet.scenario import Scenario
from tagfleet.scenario.model import SloSection
from tagfleet.slo import Check, Measured, checks
from tagfleet.stage import Cast

if TYPE_CHECKING:
    from tagfleet.twin_crew import TwinCrew


class Ran(NamedTuple):
    """A run that has ended. began_us: Unix microseconds. made_in_s: from then until the last sample was made. hub_cpu:
    of a core, None where nobody knows. missed: publishes for which this run's own subscriber was too slow. stopped: by
    a person, before its end."""

    scenario: Scenario
    name: str
    figures: RunFigures
    cast: Cast
    pace: Pace
    crew: "TwinCrew | None"
    began_us: int
    made_in_s: float
    recovery_s: float | None
    hub_cpu: float | None
    missed: int
    stopped: bool = False


def conclude(run: Ran) -> Result:
    """The account, and every check."""
    ledger, figures = run.cast.ledger, run.figures
    account = ledger.account()
    result = Result(run.scenario, run.name, figures, account, recovery_s=run.recovery_s, hub_cpu=run.hub_cpu)
    result.took_s = max(run.made_in_s, (ledger.last_arrival_us - run.began_us) / 1e6, 1e-3)
    result.rate_per_s = ledger.arrived_count / result.took_s
    result.peak_rss_bytes = peak_memory_bytes()
    judge_schedule(result, run.pace)
    measured = Measured(account, ledger.latency, result.rate_per_s, run.hub_cpu, run.recovery_s, figures.undecodable)
    result.twins = {twin.tag_id: ledger.account([twin.tag_id]) for twin in run.cast.twins}
    slo = run.scenario.slo
    if run.stopped and "waiting" not in slo.model_fields_set:
        slo = slo.model_copy(update={"waiting": None})
    result.checks += judged(slo, measured, result.twins)
    if run.crew is not None:
        said = "; ".join(run.crew.unequal) or "twins and flock write the same bytes"
        result.checks.append(Check("twins_write_the_flocks_bytes", not run.crew.unequal, said))
        result.notes += run.crew.notes()
    if run.missed:
        result.void = result.void or f"this run's own subscriber was too slow for {run.missed} publishes"
    return result


def judged(slo: SloSection, run: Measured, twins: Mapping[int, Account]) -> list[Check]:
    """Every objective of a scenario, and those that every run has: something was delivered, and of each twin."""
    found = checks(slo, run)
    if not run.account.delivered:
        found.insert(0, Check("delivered", False, "no sample was delivered"))
    return found + [
        Check(f"twin {tag_id}", twin.delivered > 0, f"{twin.delivered} of {twin.made} samples delivered")
        for tag_id, twin in twins.items()
    ]
