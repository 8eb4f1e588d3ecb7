"""Flock tags search for fixes and take samples when a tag's own firmware would."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_bench import QUICK, interpreter, twin_spec

from tagfleet.diary import Diary
from tagfleet.duty import DUTY_SETTINGS, Duty, DutySettings, duty_of
from tagfleet.flock import Flock, Samples
from tagfleet.identity import make_provisions
from tagfleet.journals import Journals, JournalSettings
from tagfleet.twin.power_cuts import small_image
from tagfleet.twin.virtual_time import STARTED_S, VirtualTwin
from tagfleet.world.world import World, WorldSettings, make_world
from tagsmith.manifest import firmware_folder
from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE

sys.path.insert(0, str(firmware_folder()))

from tag import decide
from tag.settings import TABLE

HOUR_S = 3600.0


def test_settings_and_defaults_are_the_firmwares() -> None:
    defaults = {name: default for name, default, _, _ in TABLE}
    assert DutySettings()._asdict() == {name: defaults[name] for name in DutySettings._fields}
    assert duty_of({"still_interval_s": 900, "private_ids": True}, 5.0) == DutySettings(5.0, still_interval_s=900.0)


wakes = st.lists(
    st.tuples(st.integers(10, 20_000), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60
)
settings = st.builds(
    DutySettings,
    st.just(300.0),
    st.sampled_from([0.0, 3600.0]),
    st.sampled_from([60.0, 600.0]),
    st.sampled_from([0.0, 600.0, 1800.0]),
    st.sampled_from([0.0, 900.0]),
    st.sampled_from([0.0, 90.0]),
    st.sampled_from([0.0, 15.0]),
    st.just(12.0),
)


@given(settings, wakes)
def test_decisions_are_those_of_the_firmware(chosen: DutySettings, steps: list[tuple[int, bool, bool, bool]]) -> None:
    """Wake after wake: later by so much, whether there is sky, whether it moves, whether a limit is passed."""
    names = {name: int(value) for name, value in chosen._asdict().items()}
    tag_settings: Any = SimpleNamespace(mode="tracking", trip_interval_s=0, **names)
    state: Any = SimpleNamespace(
        uptime_s=0,
        fix_uptime_s=None,
        gnss_uptime_s=None,
        gnss_failures=0,
        motion=fields.MOTION_UNKNOWN,
        alarms_raised=0,
        alarms_held=lambda: False,
    )
    duty = Duty(chosen, 3)
    one = np.array([1])
    duty.remember(np.arange(3), np.full(3, -np.inf), np.zeros(3), np.zeros(3))
    for later_s, sky, moving, alarmed in steps:
        state.uptime_s += later_s
        duty.slept(one, np.array([float(later_s)]))
        now_s = np.array([float(state.uptime_s)])
        timeout_s = decide.gnss_timeout_s(tag_settings, state)
        assert duty.timeouts_s(one, now_s).tolist() == [timeout_s]
        if timeout_s:
            state.gnss_uptime_s = state.uptime_s
            state.gnss_failures = 0 if sky else min(state.gnss_failures + 1, 255)
            if sky:
                state.fix_uptime_s = state.uptime_s
                state.motion = decide.motion_of(1500 if moving else 100, None)
            duty.searched(one, np.array([sky]), np.array([moving]))
            if sky:
                duty.remember(one, now_s, np.zeros(1), np.zeros(1))
        state.alarms_raised = 1 if alarmed else 0x10  # a low battery hurries nobody
        interval_s = duty.intervals_s(one, np.array([alarmed]), np.array([False]))
        assert interval_s.tolist() == [decide.interval_s(tag_settings, state, False)]


def flock_of(settings: dict[str, int | bool | str], tags: int = 100, journals: bool = False) -> tuple[Flock, World]:
    provisions = make_provisions(7, 1000, tags, generation=1, settings=settings)
    world = make_world(WorldSettings(7, tags, cargo_shares=(0.3, 0.7, 0.0), cooler_failures_per_week=2.0))
    history = Journals(tags, JournalSettings(samples=60)) if journals else None
    return Flock(provisions, world, 300.0, float(STARTED_S), journals=history), world


def of_tags(samples: Samples) -> Iterator[Samples]:
    for tag in np.unique(samples.tags).tolist():
        rows = samples.tags == tag
        readings = type(samples.readings)(*(column[rows] for column in samples.readings))
        others = {name: getattr(samples, name)[rows] for name in samples._fields if name != "readings"}
        yield Samples(readings=readings, **others)


def test_resting_tags_sleep_longer_and_moving_ones_do_not() -> None:
    flock, world = flock_of({"still_interval_s": 1800})
    samples = flock.step(STARTED_S + 12 * HOUR_S)
    gaps_s = {300: 0, 1800: 0}
    for mine in of_tags(samples):
        known = fields.MOTION_UNKNOWN
        for (t_us, following_us), motion, interval_us in zip(
            pairwise(mine.t_us.tolist()), mine.readings.motion.tolist(), mine.intervals_us.tolist(), strict=False
        ):
            known = motion or known
            expected_s = 1800 if known == fields.MOTION_STILL else 300
            assert interval_us == expected_s * 1_000_000
            assert (following_us - t_us) / 1e6 == pytest.approx(expected_s, rel=0.051)
            gaps_s[expected_s] += 1
    assert min(gaps_s.values()) > 200
    speed_mps = world.environments(samples.world_tags, samples.t_us / 1e6).speed_mps
    assert (speed_mps[samples.readings.motion == fields.MOTION_MOVING] >= 1.0).all()
    assert (speed_mps[samples.readings.motion == fields.MOTION_STILL] < 1.0).all()


def test_tags_beyond_their_limits_sample_faster_and_tell_every_reason_at_once() -> None:
    limits: dict[str, int | bool | str] = {"temperature_high_mc": 3_000, "battery_low_mv": 4_200}
    samples = flock_of(limits)[0].step(STARTED_S + 3 * HOUR_S)
    assert (np.unique(samples.intervals_us) // 1_000_000).tolist() == [1, 60, 300]
    warm = samples.readings.temperature_mc > 3_100
    assert warm.sum() > 100
    assert (samples.intervals_us[warm] <= 60_000_000).all()


def test_history_of_a_ring_that_came_round_is_what_was_made() -> None:
    flock, _ = flock_of({"still_interval_s": 900, "temperature_high_mc": 6_000}, tags=12, journals=True)
    parts = [flock.step(STARTED_S + hour * HOUR_S) for hour in range(0, 18, 3)]
    timed = 0
    for tag in range(12):
        made = flock.made(tag)
        times_s = [t / 1e6 for part in parts for t in part.t_us[part.tags == tag].tolist()]
        records = flock.records(tag, max(0, made - 60), made - 1)
        known = [(4 * r.time_4s, t) for r, t in zip(records, times_s[-len(records) :], strict=True) if r.time_quality]
        timed += len(known)
        assert all(abs(said_s - made_s) <= 3 for said_s, made_s in known)
    assert timed > 250
    assert max(flock.made(tag) for tag in range(12)) > 150


def test_diary_keeps_the_newest_of_each_tag() -> None:
    diary, zero = Diary(2, 5), np.zeros(2, np.int64)
    for sequence in range(12):
        diary.write(np.array([0, 1]), np.full(2, sequence), np.array([sequence, -sequence]), np.zeros(2), zero)
    assert diary.read(1, np.arange(7, 12))[0].tolist() == [-7, -8, -9, -10, -11]


def test_twins_and_flock_tags_search_and_sample_as_often_in_the_same_world(tmp_path: Path) -> None:
    """The real firmware in virtual time beside the flock: tags of one world, on the road, at a gate, in a hall."""
    seed, tags, hours = 3, 400, 4
    settings: dict[str, int | bool | str] = {
        "still_interval_s": 900,
        "gnss_cold_timeout_s": 60,
        "gnss_hot_timeout_s": 15,
    }
    world = make_world(WorldSettings(seed, tags))
    provisions = make_provisions(seed, 1000, tags, settings=settings)
    samples = Flock(provisions, world, 300.0, float(STARTED_S)).step(STARTED_S + hours * HOUR_S)
    fixed = np.bincount(samples.tags[samples.readings.time_quality == fields.TIME_GNSS], minlength=tags)
    made = np.bincount(samples.tags, minlength=tags)
    moving = np.bincount(samples.tags[samples.readings.motion == fields.MOTION_MOVING], minlength=tags)
    for tag in (int(moving.argmax()), int(np.where(moving == 0, fixed, -1).argmax()), int(fixed.argmin())):
        spec = twin_spec({**QUICK, **settings, "interval_s": 300}, world=world.view(tag))
        folder = tmp_path / str(tag)
        folder.mkdir()
        with VirtualTwin(spec, folder, interpreter(), image=small_image(spec)) as twin:
            twin.run(STARTED_S + hours * HOUR_S)
        truths = [one.truth for one in twin.made]
        assert len(truths) == pytest.approx(made[tag], rel=0.12, abs=2)
        with_fix = sum(truth.time_quality == fields.TIME_GNSS for truth in truths)
        assert with_fix == pytest.approx(fixed[tag], rel=0.15, abs=3)
        in_motion = sum(truth.motion == fields.MOTION_MOVING for truth in truths)
        assert in_motion == pytest.approx(moving[tag], rel=0.15, abs=3)
        mine = samples.tags == tag
        placed = np.count_nonzero(samples.readings.latitude_e7[mine] != NOT_AVAILABLE)
        assert sum(truth.latitude_e7 is not None for truth in truths) == pytest.approx(placed, rel=0.15, abs=3)


def test_every_duty_setting_is_one_that_firmware_knows() -> None:
    assert set(DUTY_SETTINGS) <= {name for name, *_ in TABLE}
