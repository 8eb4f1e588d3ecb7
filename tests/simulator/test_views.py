"""What a person and a script see of a run."""

import json

import numpy as np
import pytest
from rich.console import Console

from tagfleet.ledger import Account, Ledger
from tagfleet.live import screen
from tagfleet.progress import RUNNING, Latest, Progress
from tagfleet.summary import json_line, text
from tagfleet.view import LineView
from tagwire.fields import Reading

NOW_US = 1_774_000_000_000_000
NOTHING = Reading(None, None, None, None, None, 0, 0, None, 0)
EVERYTHING = Reading(-900_000_000, -1_799_999_999, -80_000, 100_000, 4_200, 7, 2, NOW_US // 1_000_000, 3)


def account(**changes: int) -> Account:
    base = Ledger().account()._replace(made=1200, delivered=1190, unheard=10, latency_ms=np.arange(1.0, 101.0))
    return base._replace(**changes)


def progress(**changes: int) -> Progress:
    run = Progress(45.0, 200, [1, 2, 3], phase=RUNNING, elapsed_s=30.0)
    run.account = run.twins = account(**changes)
    run.batches, run.batch_bytes, run.batch_samples = 30, 11_000, 1_000
    run.latest = {tag: Latest((NOTHING, EVERYTHING)[tag % 2], tag, -70, NOW_US - 9_000_000) for tag in range(1, 204)}
    run.hub_counters = {"accepted": 5, "forged": 1234, "replayed": 999, "unknown": 45, "repeat": 7}
    return run


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (80, 10)])
def test_screen_fits_its_terminal(width: int, height: int) -> None:
    for run in (progress(), progress(wrong=3, duplicated=1), Progress(45.0, 200, None, "none on this platform")):
        console = Console(width=width, height=height)
        with console.capture() as capture:
            console.print(screen(run, NOW_US, height))
        rows = capture.get().rstrip().split("\n")
        assert len(rows) <= max(height, 16) - 1
        assert all(len(row) <= width for row in rows)


def test_screen_shows_twins_first_and_the_newest_samples() -> None:
    run = progress()
    run.latest[150] = run.latest[150]._replace(t_us=NOW_US)
    console = Console(width=100, height=24)
    with console.capture() as capture:
        console.print(screen(run, NOW_US, 24))
    shown = [row for row in capture.get().split("\n") if row.startswith(("twin ", "tag "))]
    assert [row.split()[1] for row in shown[:4]] == ["1", "2", "3", "150"]
    assert "1,234 forged" in capture.get()
    assert "-90.0000 -180.0000" in shown[0]


def test_line_view_prints_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    run = progress()
    with LineView() as view:
        for tenth in range(120):
            run.elapsed_s = tenth / 10
            view.show(run)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("  5.0 s, 203 tags heard, 1,200 made, 1,190 delivered")


def test_json_line_has_the_documented_form() -> None:
    assert json.loads(json_line(progress())) == {
        "made": 1200,
        "delivered": 1190,
        "lost": 0,
        "duplicated": 0,
        "wrong": 0,
        "unheard": 10,
        "twins": {"made": 1200, "delivered": 1190},
        "latency_ms": {"p50": 50.0, "p99": 99.0},
        "bytes_per_sample": 11.0,
    }
    nothing = json.loads(json_line(Progress(45.0, 200, None, "none on this platform")))
    assert nothing["twins"] is None
    assert nothing["latency_ms"] == {"p50": None, "p99": None}
    assert nothing["bytes_per_sample"] is None


def test_summary_says_why_there_are_no_twins() -> None:
    assert "twins: none on this platform" in text(Progress(45.0, 200, None, "none on this platform"))


@pytest.mark.parametrize("flaw", ["lost", "duplicated", "wrong"])
def test_run_is_good_only_without_flaws(flaw: str) -> None:
    assert progress().good
    assert not progress(**{flaw: 1}).good


def test_run_is_not_good_when_a_twin_is_silent_or_nothing_came() -> None:
    run = progress()
    run.silent_twins = [2]
    assert not run.good
    assert "twin 2 delivered nothing" in text(run)
    assert not progress(delivered=0).good
