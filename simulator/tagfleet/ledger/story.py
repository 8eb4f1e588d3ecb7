"""One sample's story, from a ledger that a run has kept."""

from pathlib import Path
from typing import Any

import numpy as np

from tagfleet.ledger import classes
from tagfleet.ledger.classes import CLASSES, MEANINGS, classify
from tagfleet.ledger.rows import LedgerUnreadable, read_numbers, read_rows
from tagfleet.ledger.values import NOT_KNOWN
from tagwire.words import FIX_WORDS, MOTION_WORDS

_REAL_STAGES = (
    ("reported", "reported by a radio"),
    ("accepted", "accepted by the hub"),
    ("acknowledged", "acknowledged by the broker"),
    ("arrived", "arrived at the consumer"),
)


class NoSuchSample(Exception):
    """Nothing is known of a sample; the text says what is."""


def tell(folder: Path, tag_id: int, counter: int) -> dict[str, Any]:
    """What became of a sample, for a script: its class, who heard it, and when each stage was reached, in milliseconds
    of real time since the run's start. Raises LedgerUnreadable, NoSuchSample."""
    head, tags, rows = read_rows(folder)
    place, sequence = tags.places(np.array([tag_id]), np.array([counter]))
    column = np.flatnonzero(tags.ids == tag_id)
    if not len(column):
        first, last = (int(tags.ids[0]), int(tags.ids[-1])) if len(tags.ids) else (0, 0)
        raise NoSuchSample(f"no tag {tag_id} was in this run; it had {len(tags.ids):,}, from {first} to {last}")
    number = int(sequence[0]) * len(tags.ids) + int(column[0])
    if place[0] < 0 or number >= len(rows) or not rows[number]["state"]:
        made = np.flatnonzero(rows["state"][int(column[0]) :: len(tags.ids)] & classes.MADE)
        first_counter = int(tags.first_counters[column[0]])
        span = f"{first_counter + int(made[0])} to {first_counter + int(made[-1])}" if len(made) else "none"
        raise NoSuchSample(f"tag {tag_id} made no sample {counter}; it made {span}")
    row = rows[number]
    index = int(classify(np.array([row["state"]]))[0])
    name = CLASSES[index] if index >= 0 else "never made"
    hubs = head["hubs"]
    heard_by = [int(row["hub"])] if row["reported"] else []
    heard_by += [int(row["hub2"]) - 1] if row["hub2"] else []
    heard_by += _others(folder / "ledger.reporters.npy", number)
    senders = [int(row["from_hub"])] if row["arrivals"] else []
    senders += [int(row["from_hub2"]) - 1] if row["from_hub2"] else []
    senders += _others(folder / "ledger.senders.npy", number)
    state = int(row["state"])
    return {
        "run": head["name"],
        "tag": tag_id,
        "counter": counter,
        "class": name,
        "meaning": MEANINGS.get(name, "no tag made it"),
        "differs": _differs(head, tag_id, counter),
        "made_s": int(row["made_ms"]) / 1000,
        "advertised": bool(state & classes.ADVERTISED),
        "heard_by": [_hub(hubs, hub) for hub in heard_by],
        "hub_was_off": bool(state & classes.HUB_OFF),
        "spooled": bool(state & classes.SPOOLED),
        "delivered_by": [_hub(hubs, hub) for hub in senders],
        "arrivals": int(row["arrivals"]),
        "real_ms": {stage: (int(row[stage]) - 1) / 10 if row[stage] else None for stage, _ in _REAL_STAGES},
        "reading": _reading(row),
    }


def lines(story: dict[str, Any]) -> list[str]:
    """The same for a person."""
    reading = story["reading"]
    said = ", ".join(f"{name} {value}" for name, value in reading.items() if value is not None)
    found = [
        f"tag {story['tag']} counter {story['counter']} in {story['run']}: {story['class'].upper()}",
        f"  {story['meaning']}" + (f": {story['differs']}" if story["differs"] else ""),
        "",
        f"  made          {story['made_s']:12.3f} s of the run's own time: {said}",
        "  advertised" if story["advertised"] else "  never advertised: the battery ended",
    ]
    if story["heard_by"]:
        off = ", which was not running" if story["hub_was_off"] else ""
        found.append(f"  heard by      {', '.join(story['heard_by'])}{off}")
    else:
        found.append("  heard by      nobody")
    before = None
    for stage, text in _REAL_STAGES:
        at_ms = story["real_ms"][stage]
        if at_ms is None:
            found.append(f"  {stage:<12}  never")
            continue
        later = "" if before is None else f"  ({at_ms - before:+,.1f} ms)"
        found.append(f"  {stage:<12}  {at_ms / 1000:12.4f} s of real time{later}: {text}")
        before = at_ms
    if story["arrivals"] > 1:
        found.append(f"  arrived {story['arrivals']} times, from {', '.join(story['delivered_by'])}")
    return found


def _differs(head: dict[str, Any], tag_id: int, counter: int) -> str | None:
    """What was wrong with it, where it is one of the examples that a run keeps."""
    mark = f"tag {tag_id} counter {counter}: "
    return next((str(said).removeprefix(mark) for said in head["wrong"] if str(said).startswith(mark)), None)


def _others(path: Path, row: int) -> list[int]:
    """Hubs beyond the first, from a sorted array of row << 16 | hub."""
    pairs = read_numbers(path)
    first, last = np.searchsorted(pairs, [row << 16, (row + 1) << 16])
    return [int(pair) & 0xFFFF for pair in pairs[first:last]]


def _hub(hubs: list[str], hub: int) -> str:
    return hubs[hub] if hub < len(hubs) else f"hub {hub + 1}"


def _reading(row: Any) -> dict[str, Any]:
    def known(name: str, per_unit: float, digits: int) -> float | None:
        value = int(row[name])
        return None if value == NOT_KNOWN else round(value / per_unit, digits)

    return {
        "temperature_c": known("temperature_mc", 1000, 3),
        "humidity_pct": known("humidity_mpct", 1000, 3),
        "battery_v": known("battery_mv", 1000, 3),
        "latitude": known("latitude_e7", 1e7, 7),
        "longitude": known("longitude_e7", 1e7, 7),
        "fix": FIX_WORDS[int(row["fix"])] if 0 <= row["fix"] < len(FIX_WORDS) else None,
        "motion": MOTION_WORDS[int(row["motion"])] if 0 <= row["motion"] < len(MOTION_WORDS) else None,
    }


__all__ = ["LedgerUnreadable", "NoSuchSample", "lines", "tell"]
