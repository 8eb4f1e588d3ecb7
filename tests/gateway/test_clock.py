"""The hub's clock: it is set while samples wait, and nothing is lost or reordered by it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_process import HubProcess, Subscriber
from tags import NOW_S, NOW_US, Tag, reading
from waiting import wait_until

from taghub import clock as module
from taghub.batcher import Batcher
from taghub.clock import SystemClock
from taghub.closed_batch import UNDATED
from taghub.intake import Accepted
from taghub.restamp import with_guessed_times
from taghub.sample_rows import rows_of
from tagwire import trace
from tagwire.air import encode_advertisement
from tagwire.batch import decode_batch, samples
from tagwire.fields import MOTION_STILL, TIME_ESTIMATED, TIME_GNSS, TIME_HUB, TIME_UNKNOWN, encode_body

HOUR_US = 3_600_000_000
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Machine:
    """The clocks of a machine, as the module asks for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unix_us = NOW_US
        self.monotonic_us = 5_000_000
        self.synchronised = False
        monkeypatch.setattr(time, "time_ns", lambda: self.unix_us * 1000)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic_us * 1000)
        monkeypatch.setattr(module, "_kernel_clock_is_synchronised", lambda: self.synchronised)

    def passes(self, us: int) -> None:
        self.unix_us += us
        self.monotonic_us += us


def test_clock_that_is_set_while_unknown_corrects_what_it_stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    machine.unix_us = 1_000_000  # 1970: a board without a battery
    clock = SystemClock()
    assert (clock.quality(), clock.follow()) == (TIME_UNKNOWN, 0)
    machine.passes(10_000_000)
    stamped_us = clock.unix_us()
    machine.passes(1_000_000)
    machine.unix_us, machine.synchronised = NOW_US, True
    step_us = clock.follow()
    assert stamped_us + step_us == NOW_US - 1_000_000
    assert (clock.quality(), clock.unix_us()) == (TIME_HUB, NOW_US)


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US])
def test_clock_that_was_right_and_is_set_changes_nothing_that_was_stamped(
    monkeypatch: pytest.MonkeyPatch, step_us: int
) -> None:
    machine = Machine(monkeypatch)
    machine.synchronised = True
    clock = SystemClock()
    machine.unix_us += step_us
    assert clock.unix_us() == NOW_US  # until it is looked at
    assert clock.follow() == 0
    assert clock.unix_us() == NOW_US + step_us


def test_clock_that_is_steered_corrects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    clock = SystemClock()
    machine.unix_us += 300_000
    assert (clock.follow(), clock.quality()) == (0, TIME_ESTIMATED)


def test_time_from_a_tag_is_taken_until_ntp_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    machine.unix_us = 1_000_000  # 1970
    clock = SystemClock()
    stamped_us = clock.unix_us()
    machine.passes(10_000_000)
    assert clock.offered(1_000.0, TIME_GNSS) == 0  # a tag that is in 1970 as well
    assert clock.offered(NOW_S, TIME_ESTIMATED) == 0  # one that guesses
    step_us = clock.offered(NOW_S, TIME_HUB)
    assert stamped_us + step_us == NOW_US - 10_000_000
    assert (clock.unix_us(), clock.quality()) == (NOW_US, TIME_ESTIMATED)
    machine.passes(1_000_000)
    assert (clock.follow(), clock.unix_us()) == (0, NOW_US + 1_000_000)  # the machine's own is still in 1970
    assert clock.offered(NOW_S + 100, TIME_HUB) == 0  # no better than what is known
    assert clock.offered(NOW_S + 100, TIME_GNSS) == 99_000_000
    machine.passes(7_200_000_000)
    assert clock.offered(NOW_S + 7_400, TIME_GNSS) == 100_000_000  # as good, and newer
    machine.unix_us, machine.synchronised = NOW_US, True
    assert clock.follow() == -7_400_000_000
    assert (clock.unix_us(), clock.quality()) == (NOW_US, TIME_HUB)
    assert (clock.offered(NOW_S + 50, TIME_GNSS), clock.unix_us()) == (0, NOW_US)


def test_clock_that_was_never_synchronised_takes_what_a_tag_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch)
    clock = SystemClock()  # set by hand, perhaps
    assert clock.offered(NOW_S + 3_600, TIME_HUB) == 3_600_000_000
    assert clock.offered(NOW_S, TIME_GNSS) == -3_600_000_000
    assert clock.unix_us() == NOW_US


def test_samples_of_an_unknown_time_leave_as_estimated_or_corrected() -> None:
    sample = Accepted(7, 1, encode_body(reading(time_s=NOW_S)), 5_000_000, -60, False, 0)
    batcher = Batcher("hub-1", 60.0, 100, 1)
    batcher.add(rows_of([sample]), 0.0)
    (closed,) = batcher.take_due(0.0, 5, TIME_UNKNOWN, None, close=True)
    assert [each.reading.time_quality for each in samples(decode_batch(closed.payload))] == [TIME_ESTIMATED]
    batcher.add(rows_of([sample]), 0.0)
    batcher.shift(NOW_US - 5_000_000)
    (closed,) = batcher.take_due(0.0, NOW_S, TIME_HUB, None, close=True)
    (corrected,) = samples(decode_batch(closed.payload))
    assert (corrected.reading.time_s, corrected.reading.time_quality) == (NOW_S // 4 * 4, TIME_GNSS)
    assert (corrected.heard_s, corrected.reading.motion) == (NOW_S, MOTION_STILL)


@pytest.mark.parametrize(("clock", "date_s"), [(TIME_UNKNOWN, UNDATED), (TIME_ESTIMATED, UNDATED), (TIME_HUB, NOW_S)])
def test_batch_has_a_date_only_from_a_synchronised_clock(clock: int, date_s: int) -> None:
    batcher = Batcher("hub-1", 60.0, 100, 1)
    batcher.add(rows_of([Accepted(7, 1, encode_body(reading(time_s=NOW_S)), NOW_US, -60, False, 0)]), 0.0)
    (closed,) = batcher.take_due(0.0, NOW_S, clock, None, close=True)
    assert (closed.created_s, decode_batch(closed.payload).created_s) == (date_s, NOW_S)


@pytest.mark.parametrize("after", [True, False])
def test_samples_of_an_earlier_run_without_a_clock_leave_with_guessed_times(after: bool) -> None:
    """The hub was killed with them in its journal; they are estimated, whatever is known by now."""
    body = encode_body(reading(time_s=NOW_S))
    stamps_us = [5_000_000, 65_000_000] + [NOW_US] * after
    open_samples = rows_of(Accepted(7, i, body, t_us, -60, False, 0) for i, t_us in enumerate(stamps_us))
    guessed, others = with_guessed_times(open_samples, NOW_US, certain=True)
    batcher = Batcher("hub-1", 60.0, 100, 1)
    batcher.add_restored(guessed, others, 0.0)
    assert (batcher.open_samples, batcher.due_s) == (len(stamps_us), 60.0)
    batches = [decode_batch(closed.payload) for closed in batcher.take_due(60.0, NOW_S, TIME_HUB, None)]
    delivered = [sample for batch in batches for sample in samples(batch)]
    assert [sample.counter for sample in delivered] == list(range(len(stamps_us)))
    assert [sample.heard_s for sample in delivered[:2]] == [NOW_S - 60, NOW_S]
    assert [sample.reading.time_quality for sample in delivered[:2]] == [TIME_ESTIMATED] * 2
    assert [sample.reading.time_quality for sample in delivered[2:]] == [TIME_GNSS] * after
    unplaced, _ = with_guessed_times(open_samples[:2], None, certain=True)
    assert unplaced["t_us"].tolist() == stamps_us[:2]  # until the time is known


def delivered_after_a_restart(certain: bool) -> list[tuple[int, int, int]]:
    """(counter, heard_s, quality) of one sample that was open when the power went, and of one heard ten minutes later
    by a clock that stood still meanwhile, and is then set."""
    body = encode_body(reading(time_s=NOW_S))
    before, after = (rows_of([Accepted(7, i, body, NOW_US + i, -60, False, 0)]) for i in range(2))
    batcher = Batcher("hub-1", 60.0, 100, 1)
    batcher.add_restored(*with_guessed_times(before, NOW_US, certain), 0.0)
    batcher.add(after, 1.0)
    batcher.shift(600_000_000)
    closed = batcher.take_due(2.0, NOW_S + 601, TIME_HUB, None, close=True)
    delivered = [sample for batch in closed for sample in samples(decode_batch(batch.payload))]
    return [(sample.counter, sample.heard_s, sample.reading.time_quality) for sample in delivered]


def test_clock_that_is_set_after_a_power_cut_leaves_what_was_stamped_before_it() -> None:
    assert delivered_after_a_restart(certain=True) == [(0, NOW_S, TIME_GNSS), (1, NOW_S + 600, TIME_GNSS)]


def test_samples_of_an_earlier_run_that_was_not_synchronised_are_estimated() -> None:
    assert delivered_after_a_restart(certain=False) == [(0, NOW_S + 600, TIME_ESTIMATED), (1, NOW_S + 600, TIME_GNSS)]


@pytest.mark.system
@pytest.mark.parametrize("step_s", [7200, -7200])
def test_clock_set_by_hours_under_a_running_hub_loses_nothing(
    tmp_path: Path, free_port: Callable[[], int], step_s: int
) -> None:
    libraries = sorted(Path("/").glob(FAKETIME.lstrip("/")))
    if not libraries:
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    setting = tmp_path / "faketime"
    setting.write_text("+0", "utf-8")
    port = free_port()
    hub = HubProcess(tmp_path, [Tag(1).entry()], f'[broker]\nport = {port}\n[spool]\npath = "spool.db"\n')
    hub.environment = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with hub.start(), Subscriber(port) as subscriber:
        with hub.air() as air:
            for counter in range(40):
                if counter == 20:
                    setting.write_text(f"{step_s:+d}", "utf-8")
                air.sendall(encode_advertisement(1, -60, bytes(6), Tag(1).advertisement(counter)))
                time.sleep(0.05)
        everything = [(1, counter) for counter in range(40)]
        wait_until(lambda: subscriber.keys == everything, "all delivered, each once")
        wait_until(lambda: abs(subscriber.statuses[-1]["time"] - time.time() - step_s) < 60, "the hub follows")
        hub.advertise(Tag(1).advertisement(50))
        wait_until(lambda: subscriber.keys == [*everything, (1, 50)], "and goes on")
        assert hub.end() == 0
    assert sorted(hub.traced(trace.ACCEPTED)) == [*everything, (1, 50)]
    assert "Traceback" not in hub.log
