"""A capture of real air as a scenario: as many tags, as often, as loud, as well received."""

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, pstdev

from tagfleet.scenario.quantities import duration_text
from taghub.btsnoop import Decoder
from taghub.heard import Advertisement
from tagwire.beacon import COMPANY_ID_TEST, HINT_PRIVATE, KIND_ALARM, KIND_SAMPLE, manufacturer_data, parse_header
from tagwire.errors import DecodeError

BURST_EVENTS = 12  # the firmware's default; a capture shows only those that were received
_READ_BYTES = 1 << 20
_INTERVAL_MIN_S = 1.0


class CaptureUnreadable(Exception):
    """No scenario can be made of a capture; the text says why."""


def scenario_of_capture(path: Path, company_id: int = COMPANY_ID_TEST) -> str:
    """The text of a scenario. Raises CaptureUnreadable."""
    decoder = Decoder()
    found: list[Advertisement] = []
    flaw = ""
    try:
        with path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                found += decoder.feed(data)
        decoder.end()
        if decoder.unfinished_bytes:
            flaw = "The capture was cut off: its last record is not whole."
    except OSError as error:
        raise CaptureUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except DecodeError as error:
        if not found:
            raise CaptureUnreadable(f"{path}: {error.detail}") from None
        flaw = f"Only what stands before the damage was taken ({error.detail})."
    return scenario_text(found, path.name, company_id, flaw)


def scenario_text(
    advertisements: Iterable[Advertisement], name: str, company_id: int = COMPANY_ID_TEST, flaw: str = ""
) -> str:
    """The same from advertisements in order of time. flaw: a sentence about the capture. Raises CaptureUnreadable where
    none is of our tags."""
    samples: dict[int, dict[int, list[int]]] = defaultdict(dict)  # tag -> counter's low half -> times
    loudness: dict[int, list[int]] = defaultdict(list)
    others: set[str] = set()
    first_us = last_us = 0
    for t_us, rssi_dbm, address, adv_data in advertisements:
        first_us, last_us = first_us or t_us, max(last_us, t_us)
        payload = manufacturer_data(adv_data, company_id)
        try:
            header = None if payload is None else parse_header(payload)
        except DecodeError:
            header = None
        if header is None or header.kind not in (KIND_SAMPLE, KIND_ALARM) or header.hints & HINT_PRIVATE:
            others.add(address)
            continue
        samples[header.tag_id].setdefault(header.counter_low, []).append(t_us)
        loudness[header.tag_id].append(rssi_dbm)
    if not samples:
        raise CaptureUnreadable(f"{name}: no beacon of a tag with company id {company_id} and a public id is in it")
    gaps_s = [gap for counters in samples.values() for gap in _gaps_s(counters)]
    interval_s = max(_INTERVAL_MIN_S, round(median(gaps_s))) if gaps_s else 300.0
    span_s = max((last_us - first_us) / 1e6, 2 * interval_s)
    events = fmean(len(times) for counters in samples.values() for times in counters.values())
    means = [fmean(values) for values in loudness.values()]
    assumed = "" if gaps_s else "  # assumed: no tag was heard with two samples"
    return f"""\
title = {_toml_line(f"As captured: {name}")}
about = \"\"\"
Made from a capture of {span_s:,.0f} s: {len(samples):,} tags, {len(others):,} other senders, tags' mean loudness
{fmean(means):.0f} dBm. A capture shows what was received; how much more was sent is an estimate.
{flaw}
\"\"\"

[run]
duration = "{duration_text(float(max(10, round(span_s))))}"

[tags]
count = {len(samples)}
interval = "{duration_text(float(interval_s))}"{assumed}

[hubs]
count = 1

[air]
model = "plain"
burst_events = {BURST_EVENTS}
received_share = {min(1.0, max(0.01, events / BURST_EVENTS)):.2f}  # {events:.1f} reports a sample
shadowing_db = {min(30.0, pstdev(means)):.1f}  # between tags

[slo]
lost = 0
"""


def _toml_line(text: str) -> str:
    """A title: one line of at most 100 printable characters, as a TOML string."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[:100])
    return json.dumps(shown, ensure_ascii=False)  # a JSON string is a TOML basic string


def _gaps_s(counters: dict[int, list[int]]) -> list[float]:
    """Seconds from each sample to the next one of a tag, where none was missed between."""
    ordered = sorted((min(times), low) for low, times in counters.items())
    return [
        (later_us - earlier_us) / 1e6
        for (earlier_us, earlier), (later_us, later) in pairwise(ordered)
        if (later - earlier) & 0xFFFF == 1
    ]
