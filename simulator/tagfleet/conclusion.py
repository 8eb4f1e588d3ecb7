"""What a run has come to: its account against its objectives. Pure, but for this process's own memory."""

from typing import TYPE_CHECKING, NamedTuple

from tagfleet.figures import RunFigures
from tagfleet.machine import peak_memory_bytes
from tagfleet.pace import Pace
from tagfleet.result import Result, judge_schedule
from tagfleet.scenario import Scenario
from tagfleet.slo import Check, Measured, checks
from tagfleet.stage import Cast

if TYPE_CHECKING:
    from tagfleet.twin_crew import TwinCrew


class Ran(NamedTuple):
    """A run that has ended. began_us: Unix microseconds. made_in_s: from then until the last sample was made. hub_cpu:
    of a core, None where nobody knows. missed: publishes for which this run's own subscriber was too slow."""

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


def conclude(run: Ran) -> Result:
    """The account, and every check."""
    ledger, figures = run.cast.ledger, run.figures
    account = ledger.account()
    result = Result(run.scenario, run.name, figures, account, recovery_s=run.recovery_s, hub_cpu=run.hub_cpu)
    result.took_s = max(run.made_in_s, (ledger.last_arrival_us - run.began_us) / 1e6, 1e-3)
    result.rate_per_s = ledger.arrived_count / result.took_s
    result.peak_rss_bytes = peak_memory_bytes()
    judge_schedule(result, run.pace)
    measured = Measured(account, ledger.latency, result.rate_per_s, run.hub_cpu, run.recovery_s)
    result.checks += checks(run.scenario.slo, measured)
    if not account.delivered:
        result.checks.insert(0, Check("delivered", False, "no sample was delivered"))
    result.twins = ledger.delivered_of([twin.tag_id for twin in run.cast.twins])
    result.checks += [
        Check(f"twin {tag_id}", delivered > 0, f"{delivered} of {made} samples delivered")
        for tag_id, (made, delivered) in result.twins.items()
    ]
    if run.crew is not None:
        said = "; ".join(run.crew.unequal) or "twins and flock write the same bytes"
        result.checks.append(Check("twins_write_the_flocks_bytes", not run.crew.unequal, said))
        result.notes += run.crew.notes()
    if figures.undecodable:
        result.checks.append(Check("decodable", False, f"{figures.undecodable} publishes could not be decoded"))
    if run.missed:
        result.void = result.void or f"this run's own subscriber was too slow for {run.missed} publishes"
    return result
