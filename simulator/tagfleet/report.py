"""How a run ended: for a person, as one line of JSON for a script, and as JUnit XML for CI. Pure."""

import json
import re
from typing import Any
from xml.etree import ElementTree

from tagfleet.ledger import bucket_ms
from tagfleet.ledger.classes import CLASSES, LOST, MEANINGS
from tagfleet.result import INTERRUPTED, Result
from tagfleet.scenario.quantities import duration_text


def as_dict(result: Result) -> dict[str, Any]:
    """Every figure of a run, for a script."""
    account, figures = result.account, result.figures
    return {
        "scenario": result.name,
        "exit_code": result.exit_code,
        "void": result.void or None,
        "failure": result.failure or None,
        "stopped": result.stopped,
        "made": account.made,
        "unmade_battery": figures.unmade,
        "hostile": figures.hostile,
        "delivered": account.delivered,
        "lost": account.lost,
        "wrong": account.wrong,
        "classes": account.verdict.counts,
        "never_made": account.verdict.never_made,
        "duplicates": account.duplicates._asdict(),
        "reported": account.reported,
        "accepted": account.accepted,
        "acknowledged": account.acknowledged,
        "latency_ms": {
            name: _rounded(account.latency.percentile_ms(share))
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
        },
        "latency_histogram": [
            [round(bucket_ms(bucket), 3), count]
            for bucket, count in enumerate(account.latency.counts.tolist())
            if count
        ],
        "rate_per_s": round(result.rate_per_s, 1),
        "time_compression": _rounded(figures.moment_s / result.took_s if result.took_s else None),
        "bytes_per_sample": _rounded(figures.bytes_per_sample),
        "publishes": figures.batches,
        "hub_cpu_share": None if result.hub_cpu is None else round(result.hub_cpu, 3),
        "recovery_s": None if result.recovery_s in (None, float("inf")) else _rounded(result.recovery_s),
        "generator_lag_s": round(result.worst_lag_s, 3),
        "hubs_blocked_s": round(figures.slipped_s, 3),
        "peak_rss_bytes": result.peak_rss_bytes,
        "twins": {str(tag_id): [twin.made, twin.delivered] for tag_id, twin in result.twins.items()} or None,
        "checks": [{"name": check.name, "good": check.good, "said": check.said} for check in result.checks],
        "notes": result.notes,
        "log": result.log,
    }


def json_line(result: Result) -> str:
    """The same in one line."""
    return json.dumps(as_dict(result))


def verdict(result: Result) -> str:
    """One word, and why."""
    if result.exit_code == INTERRUPTED:
        return "INTERRUPTED before it had started"
    if result.failure:
        return f"BROKEN: {result.failure}"
    if result.void:
        return f"VOID: {result.void}"
    bad = [check.name for check in result.checks if not check.good]
    return f"MISSED: {', '.join(bad)}" if bad else "GOOD: every objective was met"


def text(result: Result) -> str:
    """For a person."""
    account, figures = result.account, result.figures
    real = f"{figures.elapsed_s:,.0f} s"
    span = real if figures.speed == 1 else f"{duration_text(round(figures.moment_s))} in {real}"
    who = f"{figures.tags:,} tags, {figures.hubs:,} hub{'s' * (figures.hubs != 1)}"
    lines = [f"{result.name}: {figures.title}", f"{who}, {span}", ""]
    lines.append(f"  {'made':<12}{account.made:>12,}  samples that a tag's sensors delivered")
    for name in CLASSES:
        count = account.verdict.counts[name]
        if count or name in ("delivered", "radio"):
            mark = "  " if name not in (*LOST, "wrong", "cloned") else "! "
            lines.append(f"{mark}{name:<12}{count:>12,}  {MEANINGS[name]}")
    if account.verdict.never_made:
        lines.append(
            f"! {'never made':<12}{account.verdict.never_made:>12,}  accepted or arrived, and no tag made them"
        )
    for name, count in account.duplicates._asdict().items():
        if count:
            lines.append(f"  {'duplicates':<12}{count:>12,}  {_DUPLICATES[name]}")
    if figures.unmade:
        lines.append(f"  {'not made':<12}{figures.unmade:>12,}  by tags whose battery had ended")
    if figures.hostile:
        lines.append(
            f"  {'hostile':<12}{figures.hostile:>12,}  advertisements of attackers, of which nothing may arrive"
        )
    p50, p99, p999 = (account.latency.percentile_ms(share) for share in (0.5, 0.99, 0.999))
    if p50 is not None and p99 is not None and p999 is not None:
        rest = f"ms p50, {p99:,.0f} ms p99, {p999:,.0f} ms p99.9, from radio report to consumer"
        lines.append(f"  {'latency':<12}{p50:>12,.0f}  {rest}")
    size = figures.bytes_per_sample
    if size is not None:
        lines.append(f"  {'publishes':<12}{figures.batches:>12,}  of {size:.1f} bytes of payload a sample")
    lines.append(f"  {'rate':<12}{result.rate_per_s:>12,.0f}  samples delivered a second of real time")
    if result.hub_cpu is not None:
        lines.append(f"  {'hubs':<12}{100 * result.hub_cpu:>11,.0f}%  of a processor core")
    lines += [
        f"  twin {tag_id:<7}{twin.delivered:>12,}  of {twin.made:,} delivered" for tag_id, twin in result.twins.items()
    ]
    if result.log:
        lines += ["", *(f"  {entry}" for entry in result.log)]
    lines += [""] + [f"  {'ok  ' if check.good else 'MISS'} {check.name}: {check.said}" for check in result.checks]
    lines += [f"  note: {note}" for note in result.notes]
    if result.worst_lag_s > 0.5 and not result.void:
        lines.append(f"  note: the generator was up to {result.worst_lag_s:.1f} s behind; latencies may include that")
    for name in (*LOST, "wrong", "cloned"):
        for example in account.examples.get(name, [])[:2]:
            lines.append(f"  {name}: {example}")
    return "\n".join([*lines, "", verdict(result)])


def junit(result: Result) -> str:
    """A test suite of the run: a test case for each objective, one for the schedule, one for the run itself."""
    cases = [(check.name, check.said, check.good, False) for check in result.checks]
    cases.append(("generator_kept_its_schedule", result.void or "it did", not result.void, True))
    cases.append(("run", result.failure or "to its end", not result.failure, True))
    suite = ElementTree.Element(
        "testsuite",
        name=_xml(f"tagfleet.{result.name}"),
        tests=str(len(cases)),
        failures=str(sum(not good and not error for _, _, good, error in cases)),
        errors=str(sum(not good and error for _, _, good, error in cases)),
        skipped="0",
        time=f"{result.figures.elapsed_s:.3f}",
    )
    for name, said, good, error in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=suite.attrib["name"], name=name, time="0")
        if not good:
            kind, cause = ("error", "run") if error else ("failure", "objective")  # schemas ask for a type
            ElementTree.SubElement(case, kind, message=_xml(said), type=cause)
    ElementTree.SubElement(suite, "system-out").text = _xml(text(result))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DUPLICATES = {
    "other_hub": "of samples that another hub delivered too",
    "redelivered": "in a batch that MQTT delivered twice",
    "resent": "that a hub put into a second batch",
}


def _xml(text: str) -> str:
    """XML 1.0, section 2.2, has no word for most control characters, such as a log's line may hold."""
    return _NOT_XML.sub("?", text)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
