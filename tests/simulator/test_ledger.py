"""Each sample ends up in the class that it belongs to."""

import contextlib
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagfleet.ledger import Ledger, LedgerFull, LedgerUnreadable
from tagfleet.ledger import rows as ledger_rows
from tagfleet.ledger.rows import ROW, read_rows
from tagfleet.ledger.story import NoSuchSample, lines, tell
from tagwire import fields, trace
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns, from_codes, to_codes

MADE_US = 1_774_000_000_000_000
TEMPERATURE_MC = 4_321
READING = fields.Reading(525_200_123, 134_100_456, TEMPERATURE_MC, 61_234, 3_777, 1, 2, MADE_US // 1_000_000, 3)


EVENTS = {
    "heard": trace.HEARD,
    "accepted": trace.ACCEPTED,
    "spooled": trace.SPOOLED,
    "acknowledged": trace.ACKNOWLEDGED,
}


def new_ledger() -> Ledger:
    return Ledger.for_tags([7, 8], MADE_US - 1_000_000)


def ids(*values: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(values, np.int64)


def columns(*readings: fields.Reading) -> ReadingColumns:
    table = [[NOT_AVAILABLE if value is None else value for value in reading] for reading in readings]
    return ReadingColumns(*np.array(table, np.int64).T)


def over_the_wire(reading: fields.Reading) -> ReadingColumns:
    """What a consumer reads when all goes well."""
    result = from_codes(to_codes(columns(reading)))
    time_s = reading.time_s or MADE_US // 1_000_000
    full_time_s = fields.resolve_time(int(result.time_s[0]) % 4096, time_s)
    return result._replace(time_s=ids(full_time_s))


def ledger_with(*, made: bool = True, reported: bool = True, reading: fields.Reading = READING) -> Ledger:
    ledger = new_ledger()
    if made:
        ledger.made(ids(7), ids(100), columns(reading), ids(MADE_US))
    if reported:
        ledger.reported(ids(7), ids(100), 0, MADE_US + 30_000)
    return ledger


def test_delivered_sample_counts_once_with_its_latency() -> None:
    ledger = ledger_with()
    assert ledger.pending == 1
    ledger.reported(ids(7, 7), ids(100, 100), 0, ids(MADE_US + 80_000, MADE_US + 90_000))  # repeats of the burst
    ledger.arrived(ids(7), ids(100), over_the_wire(READING), MADE_US + 1_020_000)
    account = ledger.account()
    assert (account.made, account.delivered, account.lost, account.duplicated, account.wrong) == (1, 1, 0, 0, 0)
    assert account.latency.percentile_ms(0.5) == pytest.approx(990, rel=0.01)
    assert ledger.pending == 0


def trace_of(ledger: Ledger, *events: str) -> None:
    numbers = ids(*(EVENTS[event] for event in events))
    count = len(events)
    ledger.traced(0, numbers, np.full(count, 7), np.full(count, 100), np.full(count, MADE_US + 50_000))


@pytest.mark.parametrize(
    ("events", "name"),
    [
        ((), "refused"),
        (("heard",), "uncommitted"),
        (("heard", "accepted", "spooled"), "vanished"),
        (("heard", "accepted", "spooled", "acknowledged"), "broker"),
    ],
)
def test_sample_that_never_arrives_is_lost_where_it_was_seen_last(events: tuple[str, ...], name: str) -> None:
    ledger = ledger_with()
    trace_of(ledger, *events)
    account = ledger.account()
    assert account.verdict.counts[name] == 1
    assert (account.made, account.lost, account.delivered, account.unheard) == (1, 1, 0, 0)
    assert account.examples[name] == ["tag 7 counter 100, first reported by hub 1"]
    assert (account.accepted, account.acknowledged) == ("accepted" in events, "acknowledged" in events)


def test_sample_in_a_spool_at_the_end_is_not_lost() -> None:
    ledger = ledger_with()
    trace_of(ledger, "heard", "accepted")
    ledger.waiting([7], [100])
    assert (ledger.account().lost, ledger.account().verdict.counts["waiting"]) == (0, 1)


def test_sample_that_a_hub_has_dropped_by_policy_is_told_from_one_that_vanished() -> None:
    for count, name in ((1, "dropped"), (0, "vanished")):
        ledger = ledger_with()
        trace_of(ledger, "heard", "accepted")
        ledger.dropped(0, count)
        assert ledger.account().verdict.counts[name] == 1


def test_sample_without_a_trace_is_just_lost() -> None:
    ledger = ledger_with(reported=False)
    ledger.reported(ids(7), ids(100), 0, MADE_US, traced=False)
    assert ledger.account().verdict.counts["lost"] == 1


def test_sample_that_only_the_trace_knows_is_lost_not_unheard() -> None:
    ledger = ledger_with(reported=False)
    trace_of(ledger, "heard")
    assert (ledger.account().lost, ledger.account().unheard) == (1, 0)


def test_hub_that_is_off_is_no_matter_when_another_one_hears_it() -> None:
    ledger = ledger_with(reported=False)
    ledger.reported(ids(7), ids(100), 0, MADE_US, off=True)
    assert ledger.account().verdict.counts["hub_off"] == 1
    ledger.reported(ids(7), ids(100), 1, MADE_US + 1)
    assert ledger.account().verdict.counts["refused"] == 1


def test_battery_that_ends_before_the_burst_is_no_radio_loss() -> None:
    ledger = new_ledger()
    ledger.made(ids(7, 8), ids(1, 1), columns(READING, READING), ids(MADE_US, MADE_US), np.array([True, False]))
    assert ledger.account().verdict.counts["radio"] == 1
    assert ledger.account().verdict.counts["battery"] == 1


@pytest.mark.parametrize(
    ("misled", "quality", "name"), [(True, 1, "mistimed"), (True, 3, "wrong"), (False, 1, "wrong")]
)
def test_hub_whose_clock_was_wrong_may_withdraw_a_time(misled: bool, quality: int, name: str) -> None:
    ledger = ledger_with()
    if misled:
        ledger.clocks_are_wrong([0])
    told = over_the_wire(READING)
    told = told._replace(time_s=told.time_s + 4096, time_quality=ids(quality))
    ledger.arrived(ids(7), ids(100), told, MADE_US + 50_000)
    assert ledger.account().verdict.counts[name] == 1


def test_sample_that_comes_with_the_history_is_recovered() -> None:
    ledger = ledger_with(reported=False)
    ledger.arrived(ids(7), ids(100), over_the_wire(READING), MADE_US + 5, backlog=True)
    assert (ledger.account().verdict.counts["recovered"], ledger.account().delivered) == (1, 1)


def test_clone_that_was_faster_is_told_from_a_wrong_value() -> None:
    other = READING._replace(temperature_mc=TEMPERATURE_MC + 7_000)
    for arrived, name in ((other, "cloned"), (READING, "delivered"), (READING._replace(fix=2), "wrong")):
        ledger = ledger_with()
        ledger.cloned(ids(7), ids(100), columns(other))
        ledger.arrived(ids(7), ids(100), over_the_wire(arrived), MADE_US + 5)
        assert ledger.account().verdict.counts[name] == 1


def test_wrong_time_is_honest_where_it_says_that_it_is_not_certain() -> None:
    late = over_the_wire(READING)._replace(time_s=ids(MADE_US // 1_000_000 + 7_200))
    for certain_clock, name in ((False, "mistimed"), (True, "wrong")):
        ledger = ledger_with()
        ledger.arrived(ids(7), ids(100), late, MADE_US + 5, certain_clock=certain_clock)
        assert ledger.account().verdict.counts[name] == 1


def test_sample_without_a_report_is_unheard() -> None:
    account = ledger_with(reported=False).account()
    assert (account.lost, account.unheard) == (0, 1)
    assert account.verdict.counts["radio"] == 1


def test_duplicates_are_told_apart() -> None:
    ledger = ledger_with()
    row = over_the_wire(READING)
    ledger.arrived(ids(7), ids(100), row, MADE_US + 1, hub=0, sequence=1)
    ledger.arrived(ids(7), ids(100), row, MADE_US + 2, hub=0, sequence=1)
    assert ledger.duplicates == (0, 1, 0)  # the same batch again
    ledger.arrived(ids(7), ids(100), row, MADE_US + 3, hub=1, sequence=1)
    assert ledger.duplicates == (1, 1, 0)  # another hub
    ledger.arrived(ids(7), ids(100), row, MADE_US + 4, hub=0, sequence=2)
    assert ledger.duplicates == (1, 1, 1)  # the same hub in another batch
    ledger.arrived(ids(7), ids(100), row, MADE_US + 5, hub=1, sequence=2)
    assert ledger.duplicates == (1, 1, 2)
    twice = ReadingColumns(*(np.repeat(c, 2) for c in row))
    ledger.arrived(ids(7, 7), ids(100, 100), twice, MADE_US + 6, hub=2, sequence=1)
    assert ledger.duplicates == (2, 1, 3)  # twice in one batch
    account = ledger.account()
    assert (account.delivered, account.duplicated, account.wrong) == (1, 6, 0)


def test_third_and_fourth_hub_are_known_too() -> None:
    ledger = ledger_with(reported=False)
    row = over_the_wire(READING)
    for hub in (3, 1, 2, 0, 2, 1, 3):
        ledger.reported(ids(7), ids(100), hub, MADE_US + 10)
        ledger.arrived(ids(7), ids(100), row, MADE_US + 20, hub=hub, sequence=-1)
    assert ledger.duplicates == (3, 0, 3)
    together = new_ledger()
    together.made(ids(7), ids(100), columns(READING), ids(MADE_US))
    together.reported(np.full(6, 7), np.full(6, 100), ids(2, 0, 1, 1, 2, 0), np.arange(6) + MADE_US)
    assert together.reported_count == 1


def test_all_hubs_that_report_a_sample_in_one_call_are_counted_and_the_earliest_is_the_first(tmp_path: Path) -> None:
    ledger = Ledger(ids(7, 8), ids(0, 0), MADE_US, MADE_US, folder=tmp_path)
    ledger.made(ids(7, 8), ids(1, 1), columns(READING, READING), ids(MADE_US, MADE_US))
    tags, hubs, times = ids(7, 8, 7, 7, 7, 8), ids(5, 4, 3, 9, 5, 4), ids(40, 30, 20, 10, 50, 60) * 1_000
    ledger.reported(tags, np.ones(6, np.int64), hubs, MADE_US + times)
    ledger.save({"name": "n", "hubs": []})
    _, _, rows = read_rows(tmp_path)
    told = rows[rows["state"] > 0]
    assert told["hub"].tolist() == [9, 4]
    assert told["hubs"].tolist() == [3, 1]
    assert told["reported"].tolist() == [101, 301]


def test_sample_that_was_never_made_is_wrong() -> None:
    ledger = ledger_with(made=False, reported=False)
    ledger.arrived(ids(7), ids(100), over_the_wire(READING), MADE_US)
    account = ledger.account()
    assert (account.made, account.wrong, account.delivered) == (0, 1, 0)
    heard_only = new_ledger()
    trace_of(heard_only, "heard")
    assert heard_only.account().wrong == 1
    stranger = new_ledger()
    stranger.arrived(ids(99), ids(1), over_the_wire(READING), MADE_US)
    assert stranger.account().wrong == 1
    assert stranger.account().examples["wrong"] == ["tag 99 counter 1: never made"]


def test_arrival_before_the_news_of_the_making_is_compared_later() -> None:
    for reading, wrong in ((READING, 0), (READING._replace(temperature_mc=4_444), 1)):
        ledger = new_ledger()
        ledger.arrived(ids(7), ids(100), over_the_wire(READING), MADE_US + 5)
        ledger.made(ids(7), ids(100), columns(reading), ids(MADE_US))
        assert ledger.account().wrong == wrong


@pytest.mark.parametrize(
    ("field", "half_step"),
    [("latitude_e7", 107), ("longitude_e7", 107), ("temperature_mc", 50), ("humidity_mpct", 250), ("battery_mv", 40)],
)
def test_value_beyond_half_a_step_is_wrong(field: str, half_step: int) -> None:
    for away, wrong in ((half_step, 0), (half_step + 3, 1)):
        ledger = ledger_with()
        delivered = columns(READING._replace(**{field: getattr(READING, field) + away}))
        ledger.arrived(ids(7), ids(100), delivered, MADE_US + 5)
        account = ledger.account()
        assert account.wrong == wrong
        assert bool(account.examples["wrong"]) == bool(wrong)
        assert account.delivered == 1 - wrong


@pytest.mark.parametrize(
    "change", [{"fix": 2}, {"motion": 1}, {"time_quality": 2}, {"temperature_mc": None}, {"battery_mv": None}]
)
def test_class_and_availability_must_be_the_same(change: dict[str, Any]) -> None:
    ledger = ledger_with()
    ledger.arrived(ids(7), ids(100), columns(READING._replace(**change)), MADE_US + 5)
    assert ledger.account().wrong == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_sample_made_twice_with_other_values_is_wrong(at_once: bool) -> None:
    ledger = ledger_with()
    ledger.made(ids(7), ids(100), columns(READING), ids(MADE_US))
    assert ledger.account().wrong == 0  # said twice, but the same
    other = READING._replace(temperature_mc=TEMPERATURE_MC + 1)
    if at_once:
        ledger.made(ids(8, 8), ids(1, 1), columns(READING, other), ids(MADE_US, MADE_US))
    else:
        ledger.made(ids(7), ids(100), columns(other), ids(MADE_US))
    ledger.arrived(ids(7), ids(100), over_the_wire(READING), MADE_US + 5)
    account = ledger.account()
    assert account.wrong == 1
    assert "made twice" in account.examples["wrong"][0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_every_arrival_before_the_making_is_compared(order: tuple[int, int]) -> None:
    ledger = ledger_with(made=False)
    for warmer in order:
        reading = READING._replace(temperature_mc=TEMPERATURE_MC + 1000 * warmer)
        ledger.arrived(ids(7), ids(100), over_the_wire(reading), MADE_US + 5)
    ledger.made(ids(7), ids(100), columns(READING), ids(MADE_US))
    account = ledger.account()
    assert (account.wrong, account.duplicated) == (1, 1)


def test_arrivals_before_the_making_that_are_too_many_to_keep_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagfleet.ledger.ledger._EARLY_MAX", 1)
    ledger = new_ledger()
    for tag in (7, 8):
        ledger.arrived(ids(tag), ids(1), over_the_wire(READING), MADE_US + 5)
    for tag in (7, 8):
        ledger.made(ids(tag), ids(1), columns(READING), ids(MADE_US))
    account = ledger.account()
    assert (account.delivered, account.wrong) == (1, 1)


def test_time_is_right_within_half_a_step() -> None:
    for away_s, wrong in ((2, 0), (-2, 0), (3, 1), (4096, 1)):
        ledger = ledger_with()
        ledger.arrived(ids(7), ids(100), columns(READING._replace(time_s=MADE_US // 1_000_000 + away_s)), MADE_US)
        assert ledger.account().wrong == wrong


def test_unknown_time_is_stamped_by_the_hub_and_marked() -> None:
    clockless = READING._replace(time_s=None, time_quality=fields.TIME_UNKNOWN)
    for quality, late_s, wrong in ((fields.TIME_ESTIMATED, 1, 0), (fields.TIME_HUB, 1, 1), (1, 3600, 1)):
        ledger = ledger_with(reading=clockless)
        stamped = READING._replace(time_s=MADE_US // 1_000_000 + late_s, time_quality=quality)
        ledger.arrived(ids(7), ids(100), columns(stamped), MADE_US + 5)
        assert ledger.account().wrong == wrong


@pytest.mark.parametrize(
    "reading",
    [
        READING._replace(temperature_mc=-99_000, humidity_mpct=120_000, battery_mv=5_000),
        READING._replace(temperature_mc=200_000, humidity_mpct=-7, battery_mv=100),
        READING._replace(temperature_mc=None, humidity_mpct=None, battery_mv=None, latitude_e7=None, longitude_e7=None),
        READING._replace(fix=fields.FIX_NONE),
        READING._replace(latitude_e7=900_000_000, longitude_e7=-1_800_000_000),
    ],
)
def test_what_the_wire_makes_of_extremes_is_right(reading: fields.Reading) -> None:
    ledger = ledger_with(reading=reading)
    ledger.arrived(ids(7), ids(100), over_the_wire(reading), MADE_US + 5)
    account = ledger.account()
    assert account.examples["wrong"] == []
    assert account.delivered == 1


def test_account_of_some_tags() -> None:
    ledger = ledger_with()
    ledger.made(ids(8), ids(1), columns(READING), ids(MADE_US))
    assert ledger.account([7]).made == 1
    assert ledger.account().made == 2
    assert ledger.account([]).made == 0


def test_many_samples_and_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_rows, "ROWS_MAX", 20_000)
    ledger = new_ledger()
    count = 5000
    everything = ReadingColumns(*(np.repeat(c, count) for c in columns(READING)))
    ledger.made(np.full(count, 7), np.arange(count), everything, np.full(count, MADE_US))
    ledger.reported(np.full(count, 7), np.arange(count), 0, MADE_US)
    assert ledger.pending == count
    with pytest.raises(LedgerFull):
        ledger.made(ids(7), ids(11_000), columns(READING), ids(MADE_US))


def test_ledger_that_finds_no_room_on_the_disk_says_so_before_the_run(tmp_path: Path) -> None:
    tags = np.arange(1, 10_001)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(LedgerFull, match=r"no room for a ledger of 6 MB: .*; --folder names another place"):
            Ledger(tags, np.zeros(len(tags), np.int64), MADE_US, MADE_US, 10, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_ledger_that_was_kept_takes_no_more_room_than_its_samples(tmp_path: Path) -> None:
    tag_ids = np.arange(1, 101)
    ledger = Ledger(tag_ids, np.zeros(len(tag_ids), np.int64), MADE_US, MADE_US, 50, tmp_path)
    assert (tmp_path / "ledger.rows").stat().st_size == 50 * 100 * ROW.itemsize
    ledger.made(ids(7), ids(1), columns(READING), ids(MADE_US))
    ledger.save({"name": "short", "hubs": []})
    _, tags, rows = read_rows(tmp_path)
    assert len(rows) == 2 * len(tags.ids)
    assert int((rows["state"] > 0).sum()) == ledger.account().made == 1


def kept(folder: Path) -> Path:
    """A ledger with one sample of tag 7, which arrived with another temperature from the second of two hubs."""
    ledger = Ledger(ids(7, 8), ids(100, 0), MADE_US, MADE_US, 4, folder)
    ledger.made(ids(7), ids(100), columns(READING), ids(MADE_US))
    ledger.reported(ids(7), ids(100), 1, MADE_US + 1_000)
    ledger.arrived(ids(7), ids(100), over_the_wire(READING._replace(temperature_mc=9_900)), MADE_US + 2_000, hub=1)
    ledger.save({"name": "a run", "hubs": ["one", "two"]})
    return folder


def test_story_says_what_was_wrong(tmp_path: Path) -> None:
    story = tell(kept(tmp_path), 7, 100)
    assert (story["class"], story["heard_by"], story["delivered_by"]) == ("wrong", ["two"], ["two"])
    assert any("temperature_mc is 9900, was 4321" in line for line in lines(story))
    for tag, counter, said in ((9, 0, "no tag 9 was in this run; it had 2, from 7 to 8"), (7, 99, "no sample 99")):
        with pytest.raises(NoSuchSample, match=said):
            tell(tmp_path, tag, counter)


@pytest.mark.parametrize("name", ["json", "rows", "tags.npy", "reporters.npy", "senders.npy"])
def test_damaged_folder_of_a_run_is_one_clear_error(tmp_path: Path, name: str) -> None:
    path = kept(tmp_path) / f"ledger.{name}"
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    damaged = [whole[: len(whole) * part // 20] for part in range(20)]
    for _ in range(50):
        flipped = bytearray(whole)
        flipped[int(random.integers(min(len(whole), 100)))] ^= int(random.integers(1, 256))
        damaged.append(bytes(flipped))
    if name == "json":
        damaged += [b"[]", b"5", b"{}", b"[" * 100_000, whole.replace(b'["one", "two"]', b"2")]
    for data in damaged:
        path.write_bytes(data)
        with contextlib.suppress(LedgerUnreadable, NoSuchSample):
            lines(tell(tmp_path, 7, 100))
    path.unlink()
    with pytest.raises(LedgerUnreadable, match=r"cannot be read|has not ended, or was killed"):
        tell(tmp_path, 7, 100)
    path.mkdir()
    with pytest.raises(LedgerUnreadable):
        tell(tmp_path, 7, 100)


def test_run_that_was_killed_is_not_told_with_the_words_of_the_one_before(tmp_path: Path) -> None:
    Ledger(ids(7), ids(0), MADE_US, MADE_US, 4, kept(tmp_path))
    with pytest.raises(LedgerUnreadable, match="the run there has not ended, or was killed"):
        tell(tmp_path, 7, 100)
