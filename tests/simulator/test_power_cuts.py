"""Power cuts at flash operations of a scripted time, and at random moments, with the real firmware in virtual time."""

import random
import struct
from binascii import crc32
from pathlib import Path

import pytest
from twin_bench import QUICK, interpreter, twin_spec

from tagfleet.twin.counters import sealed_under
from tagfleet.twin.power_cuts import (
    LOST_MAX,
    PowerCuts,
    journal_counters,
    kept_faults,
    scripted_orders,
    small_image,
    torn,
)
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.twin.visits import VisitingHub
from tagsmith.image import read_image
from tagwire.command import SETTINGS, encode_memory
from tagwire.counter import generation_of
from tagwire.keys import beacon_key
from tagwire.messages import STATUS_OK
from tagwire.ranges import Ranges
from tagwire.seal import aes128

SPEC = twin_spec({**QUICK, "interval_s": 300, "window_unsettled": 24, "window_every": 3})
WEEK = 2016  # samples
DAY = 288


def test_torn_operation_is_the_old_flash_behind_the_middle_of_what_changes() -> None:
    before = b"\xff" * 8192
    after = b"\xff" * 4096 + b"\xff" * 10 + b"abcd" + b"\xff" * (4096 - 14)
    assert torn(before, after, 1, 0.5) == b"\xff" * 4106 + b"ab" + b"\xff" * (4096 - 12)


def test_what_a_tag_keeps_is_judged_by_what_it_had_said() -> None:
    def faults(files: dict[str, bytes], settled: Ranges, commands: int) -> list[str]:
        return [fault.partition(":")[0] for fault in kept_faults(files, settled, commands)]

    def whole(content: bytes) -> bytes:
        return content + crc32(content).to_bytes(4, "little")

    settled = whole(bytes(4) + struct.pack("<II", 3, 9))
    fifth = {"commands-0": whole(bytes(5) + encode_memory(5, STATUS_OK, b""))}
    assert faults({"settled": b"", "changes.new": b"half"}, [], 0) == []
    assert faults({"settled": settled, "changes": whole(b"as it should be"), **fifth}, [(0, 9)], 5) == []
    assert faults({"changes": b"half of it", "settled": settled}, [(0, 9)], 0) == ["changes is damaged"]
    assert faults({"settled": settled}, [(0, 8)], 0) == ["[(9, 9)] are settled, which no hub has said"]
    assert faults(fifth, [], 4) == []  # it was under way
    for answered in (3, 6):
        assert faults(fifth, [], answered) == [f"command 5 is the last one, {answered} were answered"]


def cuts_with_visits(folder: Path, samples: int, every: int, first: int, seed: int = 1) -> PowerCuts:
    """Power cuts at each `every`th flash operation of so many samples, from the `first` on, with visits by a hub."""
    hub = VisitingHub(SPEC.provision, scripted_orders)
    cuts = PowerCuts(SPEC, folder, interpreter(), seed, hub)
    cuts.run(samples, lambda operation: operation % every == first)
    assert cuts.failures == []
    assert hub.faults == []
    assert hub.visits > samples / 40
    assert set(hub.replied.values()) == {STATUS_OK}
    return cuts


def test_power_cut_at_sampled_flash_operations_loses_at_most_eight_samples(tmp_path: Path) -> None:
    assert cuts_with_visits(tmp_path, DAY // 2, every=4, first=1).tried >= 300


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))  # they can run side by side
def test_power_cut_at_every_flash_operation_of_a_week_loses_at_most_eight_samples(tmp_path: Path, part: int) -> None:
    cuts = cuts_with_visits(tmp_path, WEEK, every=4, first=part, seed=2 + part)
    assert cuts.tried >= 2_500
    assert generation_of(cuts.counters[-1]) == 1  # the keys were rotated on the way


def live_with_random_cuts(folder: Path, samples: int, seed: int) -> None:
    """Power fails every few hours in whatever durable operation comes, a hub's visit among them; RTC memory is random
    when it returns."""
    moments = random.Random(seed)
    encrypt = aes128(beacon_key(SPEC.provision.root_key, 0))
    hub = VisitingHub(SPEC.provision, lambda number: (SETTINGS, b'{"flight_h": %d}' % (1 + number % 72)))
    with VirtualTwin(SPEC, folder, interpreter(), image=small_image(SPEC), hub=hub) as twin:
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
        assert hub.visits > samples / 60
        assert len(hub.records) > len(counters) * 0.7
        assert list(kept_faults(read_image(twin.flash.read_bytes()), hub.settled, max(hub.replied))) == []
        assert counters == sorted(set(counters))


def test_random_cuts_over_a_day_lose_at_most_eight_samples_each(tmp_path: Path) -> None:
    live_with_random_cuts(tmp_path, DAY, seed=3)


@pytest.mark.soak
def test_random_cuts_over_a_month_lose_at_most_eight_samples_each(tmp_path: Path) -> None:
    live_with_random_cuts(tmp_path, 30 * DAY, seed=4)
