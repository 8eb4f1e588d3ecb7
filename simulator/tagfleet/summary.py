"""How a run ended: for a person, and as one line of JSON for a script. Pure."""

import json

from tagfleet.ledger import LOST
from tagfleet.progress import Progress

_REJECTIONS = ("forged", "replayed", "unknown", "expired", "budget", "version", "kind", "length")


def json_line(progress: Progress) -> str:
    """The account as JSON. "twins" is null where there are none; a figure without samples is null."""
    account = progress.account
    twins = progress.twins
    return json.dumps(
        {
            "made": account.made,
            "delivered": account.delivered,
            "lost": account.lost,
            "duplicated": account.duplicated,
            "wrong": account.wrong,
            "unheard": account.unheard,
            "twins": None if twins is None else {"made": twins.made, "delivered": twins.delivered},
            "latency_ms": {"p50": _rounded(progress.latency_ms(0.50)), "p99": _rounded(progress.latency_ms(0.99))},
            "bytes_per_sample": _rounded(progress.bytes_per_sample),
        }
    )


def rejections(progress: Progress) -> dict[str, int]:
    """What the hub refused, by reason."""
    return {name: progress.hub_counters[name] for name in _REJECTIONS if progress.hub_counters.get(name)}


def text(progress: Progress) -> str:
    """The same in words, with examples of what went wrong."""
    account = progress.account
    rows = [
        ("made", account.made, "samples that a tag's sensors delivered"),
        ("delivered", account.delivered, "to the MQTT subscriber, each value within half a step of the wire"),
        ("unheard", account.unheard, "no radio ever reported them"),
        ("lost", account.lost, "reported by a radio, and never delivered"),
        ("duplicated", account.duplicated, "delivered once more"),
        ("wrong", account.wrong, "delivered with another value, or never made"),
    ]
    lines = [f"After {progress.elapsed_s:.0f} s: {tags(progress)}", ""]
    lines += [f"  {name:<11}{count:>8,}  {meaning}" for name, count, meaning in rows]
    if progress.twins is not None:
        lines.append(f"  {'twins':<11}{progress.twins.delivered:>8,}  of {progress.twins.made:,} samples delivered")
    p50, p99 = progress.latency_ms(0.50), progress.latency_ms(0.99)
    if p50 is not None and p99 is not None:
        lines.append(f"  {'latency':<11}{p50:>8,.0f}  ms p50, {p99:,.0f} ms p99, from radio report to subscriber")
    if progress.bytes_per_sample is not None:
        size = f"{progress.bytes_per_sample:.1f} bytes of payload a sample"
        lines.append(f"  {'batches':<11}{progress.batches:>8,}  MQTT publishes, {size}")
    if refused := rejections(progress):
        listed = ", ".join(f"{count:,} {name}" for name, count in refused.items())
        lines.append(f"  {'refused':<11}{sum(refused.values()):>8,}  by the hub: {listed}")
    if progress.worst_lag_s > 1.0:
        lines.append(f"  note: this machine was {progress.worst_lag_s:.1f} s behind once; latencies include that")
    if progress.undecodable:
        lines.append(f"  note: {progress.undecodable} publishes could not be decoded")
    if not account.made:
        lines.append("  note: no tag made a sample in this time; run for longer, or with more tags")
    elif not account.delivered:
        lines.append("  note: no sample was delivered")
    lines += [f"  note: twin {tag_id} delivered nothing" for tag_id in progress.silent_twins]
    lines += [f"  note: {note}" for note in progress.notes]
    for name in (*LOST, "wrong"):
        lines += [f"  {name}: {example}" for example in account.examples.get(name, ())]
    return "\n".join(lines)


def tags(progress: Progress) -> str:
    """Who took part."""
    if progress.twin_ids is None:
        return f"{progress.flock_tags} flock tags; twins: {progress.twins_note}"
    twins = len(progress.twin_ids)
    return f"{progress.flock_tags} flock tags and {twins} twin{'s' * (twins != 1)} with the real firmware"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
