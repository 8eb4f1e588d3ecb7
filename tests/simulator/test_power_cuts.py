"""Power cuts at flash operations of a scripted time, and at random moments, with the real firmware in virtual time."""

import random
from pathlib import Path

import pytest
from twin_bench import QUICK, interpreter, twin_spec

from tagfleet.twin.counters import sealed_under
from tagfleet.twin.power_cuts import LOST_MAX, PowerCuts, journal_counters, small_image, torn
from tagfleet.twin.virtual_time import VirtualTwin
from tagwire.keys import beacon_key
from tagwire.seal import aes128

SPEC = twin_spec({**QUICK, "interval_s": 300, "window_unsettled": 10_000})  # no visits: they make no samples
WITH_WINDOWS = twin_spec({**QUICK, "interval_s": 300, "window_every": 3})  # runs of their own, which power may end too
WEEK = 2016  # samples
DAY = 288


def test_torn_operation_is_the_old_flash_behind_the_middle_of_what_changes() -> None:
    before = b"\xff" * 8192
    after = b"\xff" * 4096 + b"\xff" * 10 + b"abcd" + b"\xff" * (4096 - 14)
    assert torn(before, after, 1, 0.5) == b"\xff" * 4106 + b"ab" + b"\xff" * (4096 - 12)


def test_power_cut_at_sampled_flash_operations_loses_at_most_eight_samples(tmp_path: Path) -> None:
    cuts = PowerCuts(SPEC, tmp_path, interpreter())
    operations = cuts.run(DAY, lambda operation: operation % 5 == 1)
    assert operations > 400
    assert cuts.tried >= 300
    assert cuts.failures == []


@pytest.mark.soak
@pytest.mark.parametrize("part", [0, 1])  # the two can run side by side
def test_power_cut_at_every_flash_operation_of_a_week_loses_at_most_eight_samples(tmp_path: Path, part: int) -> None:
    cuts = PowerCuts(SPEC, tmp_path, interpreter(), seed=2 + part)
    cuts.run(WEEK, lambda operation: operation % 2 == part)
    assert cuts.tried >= 5_000
    assert cuts.failures == []


def live_with_random_cuts(folder: Path, samples: int, seed: int) -> None:
    """Power fails every few hours in whatever durable operation comes; RTC memory is random when it returns."""
    moments = random.Random(seed)
    encrypt = aes128(beacon_key(WITH_WINDOWS.provision.root_key, 0))
    with VirtualTwin(WITH_WINDOWS, folder, interpreter(), image=small_image(WITH_WINDOWS)) as twin:
        lost: set[int] = set()
        counters: list[int] = []
        while len(twin.made) < samples:
            twin.board.power_on_memory = moments.randbytes(moments.choice((0, 100, 2048)))
            twin.supply.fail_at = twin.supply.operations + moments.randrange(400)
            twin.supply.done = moments.random()
            before = twin.supply.fail_at
            while twin.supply.operations <= before:
                twin.wake()
            for made in twin.made[len(counters) :]:
                counters.append(sealed_under(encrypt, made.frame, counters[-1] + 1 if counters else 0))
            missing = set(counters) - set(journal_counters(twin.flash.read_bytes())) - lost
            assert len(missing) <= LOST_MAX, sorted(missing)
            lost |= missing
        assert twin.crashes == 0
        assert twin.wakes > len(counters) * 1.2  # windows were among them
        assert counters == sorted(set(counters))


def test_random_cuts_over_a_day_lose_at_most_eight_samples_each(tmp_path: Path) -> None:
    live_with_random_cuts(tmp_path, DAY, seed=3)


@pytest.mark.soak
def test_random_cuts_over_a_month_lose_at_most_eight_samples_each(tmp_path: Path) -> None:
    live_with_random_cuts(tmp_path, 30 * DAY, seed=4)
