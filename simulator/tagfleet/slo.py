"""Was the run what its scenario asked for? Pure."""

from typing import NamedTuple

from tagfleet.ledger import Account, Histogram
from tagfleet.ledger.classes import CLASSES, MEANINGS
from tagfleet.scenario.model import SloSection
from tagfleet.scenario.quantities import Amount, duration_text


class Check(NamedTuple):
    """One thing that was asked for. said: what was measured, beside what was asked."""

    name: str
    good: bool
    said: str


class Measured(NamedTuple):
    """What a run has come to. hub_cpu: of one core. recovery_s: None where there was no outage, infinite where it has
    not recovered. undecodable: publishes."""

    account: Account
    latency: Histogram
    rate_per_s: float
    hub_cpu: float | None
    recovery_s: float | None
    undecodable: int = 0


def checks(slo: SloSection, run: Measured) -> list[Check]:
    """Every objective of a scenario, in its order."""
    found = []
    account = run.account
    made = max(account.made, 1)
    counts = {"lost": account.lost, "wrong": account.wrong, **account.duplicates._asdict()}
    for name in ("lost", "wrong", "resent", "redelivered", "other_hub", *(one for one in CLASSES if one not in counts)):
        limit: Amount | None = getattr(slo, name, None)
        if limit is None:
            continue
        count = counts[name] if name in counts else account.verdict.counts[name]
        meaning = f" ({MEANINGS[name]})" if name not in counts else ""
        said = f"{count:,} of {account.made:,}{meaning}, at most {limit}"
        found.append(Check(name, limit.allows(count, made), said))
    for name, share in (("latency_p50", 0.5), ("latency_p99", 0.99), ("latency_p999", 0.999)):
        limit_s = getattr(slo, name)
        if limit_s is not None:
            value_ms = run.latency.percentile_ms(share)
            said = "no sample arrived" if value_ms is None else f"{value_ms:,.1f} ms"
            good = value_ms is not None and value_ms <= 1000 * limit_s
            found.append(Check(name, good, f"{said}, at most {duration_text(limit_s)}"))
    if slo.rate_per_s is not None:
        said = f"{run.rate_per_s:,.0f} samples/s, at least {slo.rate_per_s:,.0f}"
        found.append(Check("rate_per_s", run.rate_per_s >= slo.rate_per_s, said))
    if slo.hub_cpu is not None:
        if run.hub_cpu is None:
            found.append(Check("hub_cpu", False, "cannot be measured for this target"))
        else:
            said = f"{100 * run.hub_cpu:.0f} % of a core, at most {100 * slo.hub_cpu:.0f} %"
            found.append(Check("hub_cpu", run.hub_cpu <= slo.hub_cpu, said))
    if slo.recovery is not None and run.recovery_s is not None:
        limit_text = duration_text(slo.recovery)
        if run.recovery_s == float("inf"):
            found.append(Check("recovery", False, f"not complete at the end of the run; at most {limit_text}"))
        else:
            said = f"{run.recovery_s:.1f} s after the last outage, at most {limit_text}"
            found.append(Check("recovery", run.recovery_s <= slo.recovery, said))
    if run.undecodable:
        found.append(Check("decodable", False, f"{run.undecodable} publishes could not be decoded"))
    return found
