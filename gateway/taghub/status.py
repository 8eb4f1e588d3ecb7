"""The retained status message, JSON. Pure."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

from taghub.gpsd import Position

ONLINE = "online"
OFFLINE = "offline"  # ended in order
LOST = "lost"  # the last will: the broker has lost this hub


class RadioStatus(NamedTuple):
    """One radio: its name, whether it is open, its counters, the state of its recovery, and what its trouble is, empty
    when it has none."""

    name: str
    open: bool
    counts: Mapping[str, int]
    state: str = ""
    problem: str = ""


class Figures(NamedTuple):
    """What a status says beside who and when. Counts are since the start, `reports_per_s` and `samples_per_s` since the
    status before."""

    uptime_s: float
    clock: str
    position: Position | None
    tags_known: int
    tags_heard: int
    intake: Mapping[str, int]
    waiting: Mapping[str, int]
    reports_per_s: float
    samples_per_s: float
    batches: Mapping[str, int]
    link: Mapping[str, int]
    dropped: Mapping[str, int]
    spool: Mapping[str, int | str]
    radios: Iterable[RadioStatus]
    courier: Mapping[str, Any] | None = None


def will(site: str, hub: str) -> bytes:
    """What the broker publishes when it loses the hub."""
    return _encoded({"state": LOST, "site": site, "hub": hub})


def status(state: str, site: str, hub: str, time_s: int, figures: Figures) -> bytes:
    """The status of a living hub, or of one that ends in order."""
    position = figures.position
    return _encoded(
        {
            "state": state,
            "site": site,
            "hub": hub,
            "version": _version(),
            "time": time_s,
            "clock": figures.clock,
            "uptime_s": round(figures.uptime_s, 1),
            "position": None if position is None else [position.latitude_e7 / 1e7, position.longitude_e7 / 1e7],
            "tags": {"known": figures.tags_known, "heard": figures.tags_heard},
            "rates": {
                "reports_per_s": round(figures.reports_per_s, 1),
                "samples_per_s": round(figures.samples_per_s, 1),
            },
            "intake": dict(figures.intake),
            "waiting": dict(figures.waiting),
            "batches": dict(figures.batches),
            "link": dict(figures.link),
            "dropped": dict(figures.dropped),
            "spool": dict(figures.spool),
            "radios": [
                {"name": radio.name, "open": radio.open, "state": radio.state, "problem": radio.problem, **radio.counts}
                for radio in figures.radios
            ],
            "courier": None if figures.courier is None else dict(figures.courier),
        }
    )


@cache
def _version() -> str:
    """Looked up once: it takes a millisecond, and a fleet of hubs in one process says it often."""
    return version("tagstack")


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
