"""The rules of a run: its schedule, its objectives, its report, other machines' clocks, links that fail."""

import asyncio
import itertools
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tagfleet.figures import RUNNING, RunFigures
from tagfleet.fleet.link import Link
from tagfleet.fleet.run_clock import HubClock, RunClock, parts_by_age
from tagfleet.fleet.skew import Skew, SkewEstimate
from tagfleet.ledger import CLASSES, Account, Duplicates, Histogram, Verdict
from tagfleet.pace import Pace
from tagfleet.report import as_dict, junit, text, verdict
from tagfleet.result import BROKEN, INTERRUPTED, MISSED, OK, VOID, Result, judge_schedule
from tagfleet.run_screen import line, screen
from tagfleet.scenario.library import parse
from tagfleet.scenario.model import SloSection
from tagfleet.slo import Measured, checks
from tagfleet.targets import HubFigures
from tagwire.fields import TIME_ESTIMATED, TIME_HUB

SCENARIO = parse({"title": "t", "run": {"duration": "1 h", "time": "60x"}, "tags": {"count": 100}}, {}, "t", {})


def account(**counts: int) -> Account:
    latency = Histogram()
    latency.add(np.arange(1.0, 1001.0))
    full = dict.fromkeys(CLASSES, 0) | {"delivered": 900} | counts
    return Account(Verdict(sum(full.values()), full, 0), 0, 0, 0, Duplicates(5, 3, 0), latency, {})


def result(**counts: int) -> Result:
    figures = RunFigures(
        "mine", "a run", 3600.0, 60.0, 100, 4, "inside", phase=RUNNING, moment_s=1800.0, elapsed_s=30.0
    )
    figures.of_hubs = HubFigures(hubs=4, connected=3)
    figures.events.append("5 s: broker stopped")
    return Result(SCENARIO, "mine", figures, account(**counts))


def measured(**counts: int) -> Measured:
    return Measured(account(**counts), account().latency, 1_000.0, 0.5, 12.0)


def test_pace_says_what_is_due_and_who_is_late() -> None:
    pace = Pace(60.0, 100.0)
    assert pace.due(101.0) == 60.0
    assert pace.wait_s(120.0, 101.0) == 1.0
    pace.reached(60.0, 101.5)
    assert pace.worst_lag_s == 0.5
    pace.blocked(2.0)  # hubs took nothing in: the schedule waits for them, and the generator is not to blame
    pace.reached(120.0, 104.0)
    assert (pace.worst_lag_s, pace.slipped_s) == (0.5, 2.0)
    free = Pace(math.inf, 100.0)
    free.reached(1e9, 200.0)
    assert (free.due(100.0), free.wait_s(5.0, 100.0), free.worst_lag_s) == (math.inf, 0.0, 0.0)


def test_generator_that_was_late_voids_and_hubs_that_were_slow_miss() -> None:
    late, slow = Pace(60.0, 0.0), Pace(60.0, 0.0)
    late.reached(0.0, 6.0)
    slow.blocked(30.0)
    for pace, code, word in ((late, VOID, "VOID"), (slow, MISSED, "MISSED: keeps_up"), (Pace(60.0, 0.0), OK, "GOOD")):
        one = result()
        judge_schedule(one, pace)
        assert one.exit_code == code
        assert verdict(one).startswith(word)
    broken = result()
    broken.failure = "the broker is gone"
    assert broken.exit_code == BROKEN
    broken.stopped = True
    assert broken.exit_code == BROKEN  # it had started
    broken.figures.elapsed_s = 0.0
    assert (broken.exit_code, verdict(broken)) == (INTERRUPTED, "INTERRUPTED before it had started")


@pytest.mark.parametrize(
    ("limits", "missed"),
    [
        ({}, set()),
        ({"radio": "5 %"}, {"radio"}),
        ({"radio": "10 %"}, set()),
        ({"radio": 99}, {"radio"}),
        ({"radio": 100}, set()),
        ({"redelivered": 2, "latency_p50": "400 ms", "latency_p99": "2 s"}, {"redelivered", "latency_p50"}),
        ({"rate_per_s": 1001.0, "hub_cpu": "40 %", "recovery": "10 s"}, {"rate_per_s", "hub_cpu", "recovery"}),
        ({"rate_per_s": 999.0, "hub_cpu": "60 %", "recovery": "15 s"}, set()),
    ],
)
def test_objectives(limits: dict[str, object], missed: set[str]) -> None:
    found = checks(SloSection.model_validate(limits), measured(radio=100))
    assert {check.name for check in found if not check.good} == missed


def test_loss_is_missed_where_nothing_else_is_said() -> None:
    for name in ("broker", "vanished", "refused", "uncommitted", "hub_off", "dropped"):
        found = checks(SloSection.model_validate({}), measured(**{name: 1}))
        assert [check.name for check in found if not check.good] == ["lost"]
    found = checks(SloSection.model_validate({}), measured(waiting=1))  # a broker that has frozen takes nothing
    assert [check.name for check in found if not check.good] == ["waiting"]


def test_report_says_every_class_and_is_json_and_junit() -> None:
    one = result(radio=7, broker=2)
    one.checks = checks(SCENARIO.slo, measured(broker=2))
    written = text(one)
    assert "MISSED: lost" in written
    assert "7  advertised, and no hub's radio reported it" in written
    assert as_dict(one)["classes"]["broker"] == 2
    suite = ElementTree.fromstring(junit(one))[0]
    failed = [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None]
    assert (suite.get("failures"), failed) == ("1", ["lost"])
    assert [failure.get("type") for failure in suite.iter("failure")] == ["objective"]
    one.void = "late"
    assert ElementTree.fromstring(junit(one))[0].get("errors") == "1"
    one.failure = 'a log said "\x1b[31m<&>\x07\ud800"'
    assert 'a log said "?[31m<&>??"' in (ElementTree.fromstring(junit(one))[0].findtext("system-out") or "")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (60, 20), (40, 24)])
def test_screen_of_a_run_fits_its_terminal(width: int, height: int) -> None:
    console = Console(width=width, height=height)
    figures = result().figures
    figures.made = figures.delivered = 1_234_567
    with console.capture() as capture:
        console.print(screen(figures, console.options))
    rows = capture.get().rstrip().split("\n")
    assert len(rows) <= height
    assert all(len(row) <= width for row in rows)
    assert any("broker stopped" in row for row in rows)
    assert "1,234,567 delivered" in capture.get()
    assert "hubs 3/4" in line(result().figures)


def test_percentiles_are_right_within_a_hundredth_and_merge() -> None:
    values = np.random.default_rng(1).lognormal(4, 2, 10_000)
    one, two = Histogram(), Histogram()
    one.add(values[:3_000])
    two.add(values[3_000:])
    one.merge(Histogram(two.counts))
    for share in (0.01, 0.5, 0.99, 0.999):
        exact = float(np.sort(values)[math.ceil(share * len(values)) - 1])
        assert one.percentile_ms(share) == pytest.approx(exact, rel=0.011)
    assert Histogram().percentile_ms(0.5) is None


def test_other_machines_clock_is_known_by_its_quickest_answer() -> None:
    estimate = SkewEstimate()
    estimate.answered(1_000, 61_000, 21_000)  # 20 ms round: within 10 ms
    assert estimate.skew == Skew(50_000, 10_000)
    estimate.answered(100_000, 145_200, 100_400)  # 0.4 ms round
    assert estimate.skew == Skew(45_000, 200)
    estimate.answered(200_000, 290_000, 260_000)
    assert estimate.skew == Skew(45_000, 200)


def test_clock_of_a_hub_is_corrected_only_where_it_was_not_certain() -> None:
    run = RunClock()
    run.advance(1_000)
    clock = HubClock(run)
    clock.set_wrong(-500)
    assert (clock.unix_us(), clock.quality(), clock.follow()) == (500, TIME_ESTIMATED, 0)  # it was certain before
    clock.set_wrong(0)
    assert (clock.unix_us(), clock.quality(), clock.follow(), clock.follow()) == (1_000, TIME_HUB, 500, 0)


@given(st.lists(st.lists(st.integers(0, 400), max_size=30), max_size=5), st.integers(1, 150))
def test_tick_is_taken_in_parts_none_of_which_goes_beyond_its_batch(ticks: list[list[int]], max_age_us: int) -> None:
    run = RunClock()
    clock = HubClock(run)
    batches: list[list[int]] = [[]]  # the last one is open

    def close_due() -> int | None:
        if batches[-1] and clock.now_us >= batches[-1][0] + max_age_us:
            batches.append([])
        return batches[-1][0] + max_age_us if batches[-1] else None

    for number, ends in enumerate(ticks):
        times = [400 * number + end for end in sorted(ends)]
        for part in parts_by_age(times, clock, close_due, max_age_us):
            batches[-1] += times[part]
        run.advance(400 * (number + 1))
        close_due()
    reports = [time for batch in batches for time in batch]
    assert reports == sorted(reports)
    assert len(reports) == sum(map(len, ticks))
    assert all(batch[-1] - batch[0] < max_age_us for batch in batches if batch)
    opened = [batch[0] for batch in batches if batch]
    assert all(later - earlier >= max_age_us for earlier, later in itertools.pairwise(opened))


def test_link_is_cut_silenced_and_joined() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def answer(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        try:
            return await asyncio.wait_for(reader.read(1), 0.5)
        finally:
            writer.transport.abort()

    async def scene() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, Link("127.0.0.1", server.sockets[0].getsockname()[1]) as link:
            assert await answer(link.port) == b"x"
            link.silence()
            with pytest.raises(TimeoutError):  # nobody is told
                await answer(link.port)
            await link.join()
            assert await answer(link.port) == b"x"
            link.cut()
            with pytest.raises(ConnectionRefusedError):
                await answer(link.port)
            await link.join()
            assert await answer(link.port) == b"x"

            link.silence()  # its hub reboots in a dead zone
            link.unplug()
            with pytest.raises(ConnectionRefusedError):
                await answer(link.port)
            await link.plug()
            with pytest.raises(TimeoutError):
                await answer(link.port)
            link.unplug()
            await link.join()  # the dead zone ends while its hub is off
            with pytest.raises(ConnectionRefusedError):
                await answer(link.port)
            link.cut()
            await link.plug()
            with pytest.raises(ConnectionRefusedError):
                await answer(link.port)
            await link.join()
            assert await answer(link.port) == b"x"

    asyncio.run(scene())
