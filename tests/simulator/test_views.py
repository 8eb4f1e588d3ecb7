"""What a person and a script see of a run."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from tagfleet.conclusion import judged
from tagfleet.demo_screen import line as line_of
from tagfleet.demo_screen import screen
from tagfleet.demo_summary import json_line, text
from tagfleet.figures import RUNNING, HubStatus, RunFigures
from tagfleet.latest import Latest
from tagfleet.ledger import CLASSES, Account, Duplicates, Histogram, Ledger, Verdict
from tagfleet.result import OK, Result
from tagfleet.scenario import find, read
from tagfleet.slo import Measured
from tagfleet.view import LineView
from tagwire.fields import Reading

NOW_US = 1_774_000_000_000_000
NOTHING = Reading(None, None, None, None, None, 0, 0, None, 0)
EVERYTHING = Reading(-900_000_000, -1_799_999_999, -80_000, 100_000, 4_200, 7, 2, NOW_US // 1_000_000, 3)


def account(delivered: int = 1190, wrong: int = 0, duplicated: int = 0, lost: int = 0, accepted: int = 0) -> Account:
    latency = Histogram()
    latency.add(np.arange(1.0, 101.0))
    counts = dict.fromkeys(CLASSES, 0) | {"delivered": delivered, "wrong": wrong, "lost": lost, "radio": 10}
    verdict = Verdict(sum(counts.values()), counts, 0)
    return Account(verdict, 0, accepted, 0, Duplicates(other_hub=duplicated), latency, {})


def figures(**changes: int) -> RunFigures:
    found = account(**changes)
    run = RunFigures("demo", "a run", 45.0, 1.0, 200, 1, "taghub", twin_ids=[1, 2, 3], phase=RUNNING, elapsed_s=30.0)
    run.made, run.delivered, run.accepted = found.made, found.delivered, found.accepted
    run.duplicates, run.wrong, run.latency = found.duplicated, found.wrong, found.latency
    run.twins = run.made, run.delivered
    run.batches, run.batch_bytes, run.batch_samples = 30, 11_000, 1_000
    run.latest = {tag: Latest((NOTHING, EVERYTHING)[tag % 2], tag, -70, NOW_US - 9_000_000) for tag in range(1, 204)}
    run.statuses[0] = HubStatus({"accepted": 5, "forged": 1234, "replayed": 999, "unknown": 45, "repeat": 7}, 2)
    return run


def result(*silent_twins: int, **changes: int) -> Result:
    """The end of a run of the demo's scenario, whose three twins made and delivered a part of the same account."""
    found, slo = account(**changes), read(find("demo")).slo
    twins = {}
    for tag, delivered in ((1, 400), (2, 395), (3, 395)):
        heard = 0 if tag in silent_twins else delivered
        counts = dict.fromkeys(CLASSES, 0) | {"delivered": heard, "radio": 400 - heard}
        twins[tag] = found._replace(verdict=Verdict(400, counts, 0))
    checks = judged(slo, Measured(found, found.latency, 40.0, None, None), twins)
    return Result(read(find("demo")), "demo", figures(**changes), found, checks, twins=twins)


def nothing() -> RunFigures:
    """Of a run that has not started."""
    return RunFigures("demo", "a run", 45.0, 1.0, 200, 1, "taghub", twins_note="none on this platform", latest={})


def ended_before_it_started() -> Result:
    return Result(read(find("demo")), "demo", nothing(), Ledger.for_tags([], 0).account())


def drawn(run: RunFigures, width: int, height: int, now_us: int = NOW_US) -> list[str]:
    console = Console(width=width, height=height)
    with console.capture() as capture:
        run.now_us = now_us
        console.print(screen(run, console.options))
    return capture.get().rstrip().split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (80, 10), (79, 24), (60, 24), (40, 24), (20, 24)])
def test_screen_fits_its_terminal(width: int, height: int) -> None:
    for run in (figures(), figures(wrong=3, duplicated=1), nothing()):
        rows = drawn(run, width, height)
        assert len(rows) <= max(height, 16)
        assert all(len(row) <= width for row in rows)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, ["C", "%RH", "V", "position", "fix", "motion", "dBm", "age"]),
        (60, ["C", "%RH", "V", "position", "age"]),
        (40, ["C", "%RH", "V", "age"]),
    ],
)
def test_narrow_screen_has_fewer_columns_and_cuts_none(width: int, columns: list[str]) -> None:
    run = figures(delivered=12_345, accepted=12_345)
    assert run.latest is not None
    old = run.latest[151]._replace(reading=EVERYTHING._replace(fix=5), t_us=NOW_US)
    run.latest = {1: run.latest[1], 10_151: old}
    for now_us, age in ((NOW_US + 9_000_000, "9 s"), (NOW_US + 600_000_000, "10 m")):
        rows = drawn(run, width, 24, now_us)
        assert not any("…" in row for row in rows if "refused" not in row)
        header = next(i for i, row in enumerate(rows) if row.startswith("last readings"))
        assert rows[header].split()[2:] == columns
        twin, tag = rows[header + 1 :]
        assert tag.startswith("tag 10151 #151")
        assert "-80.0 100.0 4.20" in tag
        assert tag.endswith(age)
        assert tag.index("-80.0") == twin.index("-80.0")
        assert any(row.count("12,345 delivered") for row in rows)


def test_screen_is_plain_where_the_terminal_knows_only_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    console = Console(width=80, height=24, file=stream)
    console.print(screen(figures(), console.options))
    stream.flush()


def test_screen_shows_twins_first_and_the_newest_samples() -> None:
    run = figures()
    assert run.latest is not None
    run.latest[150] = run.latest[150]._replace(t_us=NOW_US)
    rows = drawn(run, 100, 24)
    shown = [row for row in rows if row.startswith(("twin ", "tag "))]
    assert [row.split()[1] for row in shown[:4]] == ["1", "2", "3", "150"]
    assert any("1,234 forged" in row for row in rows)
    assert "-90.0000 -180.0000" in shown[0]


def test_line_view_prints_after_two_seconds_and_then_every_five(capsys: pytest.CaptureFixture[str]) -> None:
    run = figures()
    with LineView(line_of) as view:
        for tenth in range(120):
            run.elapsed_s = tenth / 10
            view.show(run)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("  2.0 s, ")
    assert printed[1].startswith("  7.0 s, 203 tags heard, 1,200 made, 1,190 delivered")


def test_json_line_has_the_documented_form() -> None:
    line = json.loads(json_line(result()))
    latency_ms = line.pop("latency_ms")
    assert latency_ms["p50"] == pytest.approx(50.0, rel=0.01)
    assert latency_ms["p99"] == pytest.approx(99.0, rel=0.01)
    assert line == {
        "made": 1200,
        "delivered": 1190,
        "lost": 0,
        "duplicated": 0,
        "wrong": 0,
        "unheard": 10,
        "twins": {"made": 1200, "delivered": 1190},
        "bytes_per_sample": 11.0,
    }
    nothing = json.loads(json_line(ended_before_it_started()))
    assert nothing["twins"] is None
    assert nothing["latency_ms"] == {"p50": None, "p99": None}
    assert nothing["bytes_per_sample"] is None


def test_summary_says_why_there_are_no_twins() -> None:
    assert "twins: none on this platform" in text(ended_before_it_started())


@pytest.mark.parametrize("flaw", ["lost", "duplicated", "wrong"])
def test_run_is_good_only_without_flaws(flaw: str) -> None:
    assert result().exit_code == OK
    assert result(**{flaw: 1}).exit_code != OK


def test_run_is_not_good_when_a_twin_is_silent_or_nothing_came() -> None:
    run = result(2)
    assert run.exit_code != OK
    assert "twin 2 delivered nothing" in text(run)
    assert result(delivered=0).exit_code != OK
