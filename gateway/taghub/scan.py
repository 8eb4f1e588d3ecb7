"""What is on the air right now, a row per tag: for people who look, not for delivery. Pure.

A tag whose key is at hand shows its last authentic reading; any other frame of our company id shows as what its
header claims to be, which nothing proves.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from taghub.heard import Heard
from taghub.intake import Accepted, Intake
from taghub.registry import Registry
from tagwire import fields
from tagwire.beacon import parse_header
from tagwire.errors import DecodeError
from tagwire.keyring import KeyringEntry
from tagwire.words import FIX_WORDS, MOTION_WORDS

ROWS_MAX = 1000  # anyone may send any tag id: the row that was silent longest makes room


class Row(NamedTuple):
    """One tag, or one id as it was sent where no key is at hand. reports: of it, repeats included. counter: its low 16
    bits until a sample was opened, then whole. sample: the last authentic one, None while there was none."""

    tag_id: int
    reports: int
    t_us: int
    rssi_dbm: int
    counter: int
    sample: Accepted | None


class Scan:
    """Feed it what a radio reports; `rows` is the table. counts: reports by outcome, as a hub counts them."""

    def __init__(self, keyring: Iterable[KeyringEntry]) -> None:
        self._intake = Intake(Registry(keyring))
        self._rows: dict[int, Row] = {}
        self._tag_of_name: dict[bytes, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        return self._intake.counts

    def take(self, reports: Iterable[Heard]) -> list[Accepted]:
        """The new authentic samples among these reports."""
        accepted: list[Accepted] = []
        for report in reports:
            samples = self._intake.take([report])
            accepted += samples
            try:
                tag_id = parse_header(report.payload).tag_id
            except DecodeError:
                continue
            name = report.payload[:5]
            if len(self._tag_of_name) >= ROWS_MAX:
                self._tag_of_name.clear()  # whoever is still there is named again with its next sample
            for sample in samples:
                self._tag_of_name[name] = sample.tag_id  # the id as it was sent may be a private one
                self._enter(sample.tag_id, report, sample)
            if not samples:
                self._enter(self._tag_of_name.get(name, tag_id), report, None)
        return accepted

    def _enter(self, tag_id: int, report: Heard, sample: Accepted | None) -> None:
        before = self._rows.pop(tag_id, None)  # and back in at the end: the dict stays sorted by age
        if before is None and len(self._rows) >= ROWS_MAX:
            del self._rows[next(iter(self._rows))]
        reports = 1 if before is None else before.reports + 1
        sample = sample or (before.sample if before else None)
        counter = sample.counter if sample else parse_header(report.payload).counter_low
        self._rows[tag_id] = Row(tag_id, reports, report.t_us, report.rssi_dbm, counter, sample)

    def rows(self) -> list[Row]:
        """Tags by id."""
        return sorted(self._rows.values())


def as_json(sample: Accepted) -> dict[str, Any]:
    """A sample's values by name, for a line of JSON; what is not available is None."""
    reading = sample.reading._asdict()
    if reading["time_s"] is not None:
        reading["time_s"] = fields.resolve_time(reading["time_s"], sample.t_us // 1_000_000)
    heard = {"tag": sample.tag_id, "counter": sample.counter, "heard_us": sample.t_us, "rssi_dbm": sample.rssi_dbm}
    return {**heard, "alarm": sample.alarm, **reading}


def describe(sample: Accepted) -> str:
    """A sample's reading in one line for a person; what is not available is left out."""
    reading = sample.reading
    words = []
    if reading.temperature_mc is not None:
        words.append(f"{reading.temperature_mc / 1000:.1f} °C")
    if reading.humidity_mpct is not None:
        words.append(f"{reading.humidity_mpct / 1000:.1f} %RH")
    if reading.battery_mv is not None:
        words.append(f"{reading.battery_mv / 1000:.2f} V")
    if reading.latitude_e7 is not None and reading.longitude_e7 is not None:
        words.append(f"{reading.latitude_e7 / 1e7:.5f} {reading.longitude_e7 / 1e7:.5f}")
    words.append(f"fix {FIX_WORDS[reading.fix]}")
    if reading.motion != fields.MOTION_UNKNOWN:
        words.append(MOTION_WORDS[reading.motion])
    return "  ".join(words)
