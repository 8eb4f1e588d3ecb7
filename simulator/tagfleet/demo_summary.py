"""How the demo ended: for a person, and as one line of JSON for a script. Pure."""

import json

from tagfleet.figures import RunFigures
from tagfleet.ledger import LOST, Account
from tagfleet.result import Result

_REJECTIONS = ("forged", "replayed", "unknown", "expired", "budget", "version", "kind", "length")
_IN_ROWS = ("delivered", "lost", "wrong", "resent", "redelivered", "other_hub", "waiting")
_WAITING = "waiting"  # in the hub's spool at the end: nobody starts that hub again


def json_line(result: Result) -> str:
    """The account as JSON. "twins" is null where there are none; a figure without samples is null."""
    account = result.account
    latency = account.latency
    twins = {
        "made": sum(twin.made for twin in result.twins.values()),
        "delivered": sum(twin.delivered for twin in result.twins.values()),
    }
    return json.dumps(
        {
            "made": account.made,
            "delivered": account.delivered,
            "lost": lost(account),
            "duplicated": account.duplicated,
            "wrong": account.wrong,
            "unheard": account.unheard,
            "twins": twins if result.figures.twin_ids else None,
            "latency_ms": {"p50": _rounded(latency.percentile_ms(0.50)), "p99": _rounded(latency.percentile_ms(0.99))},
            "bytes_per_sample": _rounded(result.figures.bytes_per_sample),
        }
    )


def lost(account: Account) -> int:
    """What a radio reported, and never arrived."""
    return account.lost + account.verdict.counts[_WAITING]


def rejections(figures: RunFigures) -> dict[str, int]:
    """What the hub refused, by reason."""
    return {name: figures.intake[name] for name in _REJECTIONS if figures.intake[name]}


def text(result: Result) -> str:
    """The same in words, with examples of what went wrong."""
    account, figures = result.account, result.figures
    rows = [
        ("made", account.made, "samples that a tag's sensors delivered"),
        ("delivered", account.delivered, "to the MQTT subscriber, each value within half a step of the wire"),
        ("unheard", account.unheard, "no radio ever reported them"),
        ("lost", lost(account), "reported by a radio, and never delivered"),
        ("duplicated", account.duplicated, "delivered once more"),
        ("wrong", account.wrong, "delivered with another value, or never made"),
    ]
    lines = [f"After {figures.elapsed_s:.0f} s: {tags(figures)}", ""]
    lines += [f"  {name:<11}{count:>8,}  {meaning}" for name, count, meaning in rows]
    if result.twins:
        made, delivered = (sum(getattr(twin, name) for twin in result.twins.values()) for name in ("made", "delivered"))
        lines.append(f"  {'twins':<11}{delivered:>8,}  of {made:,} samples delivered")
    p50, p99 = account.latency.percentile_ms(0.50), account.latency.percentile_ms(0.99)
    if p50 is not None and p99 is not None:
        lines.append(f"  {'latency':<11}{p50:>8,.0f}  ms p50, {p99:,.0f} ms p99, from radio report to subscriber")
    if figures.bytes_per_sample is not None:
        size = f"{figures.bytes_per_sample:.1f} bytes of payload a sample"
        lines.append(f"  {'batches':<11}{figures.batches:>8,}  MQTT publishes, {size}")
    if refused := rejections(figures):
        listed = ", ".join(f"{count:,} {name}" for name, count in refused.items())
        lines.append(f"  {'refused':<11}{sum(refused.values()):>8,}  by the hub: {listed}")
    lines += [f"  note: {note}" for note in _notes(result)]
    for name in (*LOST, _WAITING, "wrong"):
        lines += [f"  {name}: {example}" for example in account.examples.get(name, ())]
    return "\n".join(lines)


def tags(figures: RunFigures) -> str:
    """Who took part."""
    twins = len(figures.twin_ids)
    if not twins:
        return f"{figures.tags} flock tags; twins: {figures.twins_note}"
    return f"{figures.tags} flock tags and {twins} twin{'s' * (twins != 1)} with the real firmware"


def _notes(result: Result) -> list[str]:
    account = result.account
    notes = []
    if result.worst_lag_s > 1.0:
        notes.append(f"this machine was {result.worst_lag_s:.1f} s behind once; latencies include that")
    if not account.made:
        notes.append("no tag made a sample in this time; run for longer, or with more tags")
    elif not account.delivered:
        notes.append("no sample was delivered")
    silent = [f"twin {tag_id}" for tag_id, twin in result.twins.items() if not twin.delivered]
    notes += [f"{twin} delivered nothing" for twin in silent]
    notes += [check.said for check in result.checks if not check.good and check.name not in (*_IN_ROWS, *silent)]
    if result.void:
        notes.append(result.void)
    return notes + result.notes


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
