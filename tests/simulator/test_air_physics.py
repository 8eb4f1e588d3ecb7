"""The air agrees with what is computed and published, tells every loss by its reason, and does not mind the steps."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tagfleet.air import Air, AirSettings, Heard
from tagfleet.air.collisions import collided
from tagfleet.air.experiments import (
    IDEAL,
    NIKODEM_COLLISIONS,
    NIKODEM_TAGS,
    RUUVI_RECEIVED,
    STRZODA_CUT,
    STRZODA_DBM,
    OneRoom,
    closed_form,
    received_dbm,
    received_share,
    steady,
)
from tagfleet.air.scanner import deaf, interfered, listening
from tagfleet.air.settings import PDU_US
from tagfleet.flock import Flock, Samples
from tagfleet.identity import make_provisions
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.world import build_world
from tagwire.air import Decoder

START_US = 1_774_000_000_000_000
ONE_EVENT = AirSettings(burst_events=1, burst_repeats=0)
CLEAR = replace(IDEAL, burst_events=12, interval_s=60.0)


class TruckAtDepot(OneRoom):
    """Tags of even index in truck 0, of odd index in the depot, which is place 2; truck 1 is elsewhere and empty."""

    trucks = 2
    places = 3

    def __init__(self, loading: bool) -> None:
        super().__init__(1)
        self.loading = loading

    def places_of(self, tags: Ints, t_s: Floats) -> Ints:
        return np.where(tags % 2, 2, 0)

    def docked(self, t_s: float) -> Ints:
        return np.array([2 if self.loading else -1, -1])


def at(times_us: list[int], tags: list[int] | None = None) -> Samples:
    samples = steady(len(times_us), 1.0, 1, 1)
    tag = np.arange(len(times_us)) if tags is None else np.array(tags)
    return samples._replace(
        t_us=START_US + np.array(times_us),
        tags=tag,
        tag_ids=tag + 1,
        world_tags=tag,
        intervals_us=np.full(len(tag), 60_000_000),
    )


@pytest.mark.parametrize(
    ("tags", "interval_s", "events", "expected"),
    [
        (100, 0.1, 400, 0.475),
        (100, 1.0, 200, 0.928),
        (100, 10.0, 100, 0.993),
        (500, 1.0, 60, 0.687),
        (500, 10.0, 60, 0.963),
        (1000, 1.0, 30, 0.472),
        (1000, 10.0, 30, 0.928),
        (141, 1.0, 200, 0.90),
        (298, 1.0, 100, 0.80),
        (923, 1.0, 30, 0.50),
    ],
)
def test_reception_follows_the_closed_form(tags: int, interval_s: float, events: int, expected: float) -> None:
    """exp(-2 (N - 1) T / I), within 0.02: 30,000 events, of which those of one pair of tags stand together."""
    assert closed_form(tags, interval_s) == pytest.approx(expected, abs=0.001)
    assert received_share(IDEAL, tags, interval_s, events) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("distance_m", "mean_dbm", "sd_db"), STRZODA_DBM)
def test_loudness_is_as_strzoda_measured(distance_m: float, mean_dbm: float, sd_db: float) -> None:
    """Mean within 2.6 dB (the table's own distance to its fit is 1.5 dB), SD within 1.3 dB."""
    mean, sd = received_dbm(AirSettings(), distance_m)
    assert mean == pytest.approx(mean_dbm, abs=2.6)
    assert sd == pytest.approx(sd_db, abs=1.3)


def test_interference_cuts_deliveries_as_strzoda_measured() -> None:
    quiet = received_share(replace(ONE_EVENT, interference_share=0.0), 20, 1.0, 500)
    cut = 1 - received_share(ONE_EVENT, 20, 1.0, 500) / quiet
    assert STRZODA_CUT[0] <= cut <= STRZODA_CUT[1]


def test_collision_rate_of_200_tags_is_in_the_measured_range() -> None:
    """Nikodem and Bawiec: 0.22 to 0.33 over 200 tags. The model has that at an event each 0.6 to 0.38 s."""
    slow, fast = (1 - received_share(IDEAL, NIKODEM_TAGS, interval_s, 100) for interval_s in (0.6, 0.38))
    assert slow == pytest.approx(NIKODEM_COLLISIONS[0], abs=0.02)
    assert fast == pytest.approx(NIKODEM_COLLISIONS[1], abs=0.02)


@pytest.mark.parametrize(("interval_ms", "window_ms"), [(11.25, 11.25), (60, 30), (7000, 7000)])
@pytest.mark.parametrize("tags", [1, 20, 100])
def test_received_share_is_in_the_range_of_ruuvis_experience(interval_ms: float, window_ms: float, tags: int) -> None:
    """25 to 90 % in good conditions: BlueZ's discovery, its monitors, and Ruuvi's own gateway."""
    settings = replace(ONE_EVENT, scan_interval_ms=interval_ms, scan_window_ms=window_ms)
    share = received_share(settings, tags, 1.285, max(2000 // tags, 20))
    assert RUUVI_RECEIVED[0] <= share <= RUUVI_RECEIVED[1]


def test_capture_lets_the_louder_of_two_through() -> None:
    hubs, start_us = np.zeros(4, np.int64), np.array([1000, 1100, 9000, 9000 + PDU_US])
    rssi_dbm = np.array([-60, -75, -60, -60], np.float32)
    assert collided(hubs, start_us, rssi_dbm, 9.0).tolist() == [False, True, False, False]
    assert collided(hubs, start_us, rssi_dbm, 16.0).tolist() == [True, True, False, False]
    assert collided(hubs, start_us, rssi_dbm, math.inf).tolist() == [True, True, False, False]
    assert not collided(np.arange(4), np.full(4, 5), rssi_dbm, math.inf).any()  # four hubs apart


def test_capture_counts_the_sum_of_many() -> None:
    rssi_dbm = np.array([-60] + [-72] * 8, np.float32)  # one is 12 dB louder than each, 3 dB than all
    start_us = np.arange(9) * 20
    assert not collided(np.zeros(2, np.int64), start_us[:2], rssi_dbm[:2], 9.0)[0]
    assert collided(np.zeros(9, np.int64), start_us, rssi_dbm, 9.0).all()


def test_scanner_hears_its_own_channel_within_its_window() -> None:
    settings = replace(IDEAL, scan_interval_ms=100.0, scan_window_ms=40.0, channel_step_us=500)
    start_us = np.array([0, 39_624, 39_625, 100_000, 138_000, 139_200, 200_000, 299_300, 299_600, 60_000])
    heard, channel = listening(settings, np.zeros(len(start_us), np.int64), start_us)
    # On channel 38 the PDU starts 500 us after the event's start; an event at 299.3 ms is met on no channel: its PDU on
    # 39 falls behind the window's end, that on 37 was earlier.
    assert heard.tolist() == [True, True, False, True, True, False, True, False, False, False]
    assert channel[heard].tolist() == [0, 0, 1, 1, 2]


def test_scanner_that_moves_on_within_an_event_meets_the_next_channel() -> None:
    settings = replace(IDEAL, scan_interval_ms=100.0, scan_window_ms=100.0, channel_step_us=500)
    heard, channel = listening(settings, np.zeros(3, np.int64), np.array([199_200, 199_700, 299_300]))
    assert heard.tolist() == [False, True, False]  # cut at the end; 38 is over, 39 comes; 39 is over, 37 has passed
    assert channel[1] == 2


def test_scan_window_is_the_share_that_is_heard() -> None:
    half = replace(IDEAL, scan_interval_ms=60.0, scan_window_ms=30.0)
    assert received_share(half, 5, 10.0, 4000) == pytest.approx((30 - PDU_US / 1000) / 60, abs=0.01)


def test_hub_is_deaf_after_each_decode_and_only_then() -> None:
    busy_us = np.array([0, 2_000])
    hubs = np.array([0, 0, 0, 0, 1, 1])
    start_us = np.array([1_000, 1_500, 1_800, 9_000, 1_900, 2_000])
    # 376 + 624 us: the second and third fall into the first's time; what is not taken does not lengthen it
    assert deaf(busy_us, hubs, start_us, 624).tolist() == [False, True, True, False, True, False]
    assert busy_us.tolist() == [10_000, 3_000]
    assert deaf(busy_us, np.array([0, 0]), np.array([9_999, 10_000]), 624).tolist() == [True, False]


def test_interference_comes_in_slots_that_differ_by_hub() -> None:
    settings = AirSettings(interference_share=0.3, interference_slot_ms=5.0)
    start_us = START_US + np.arange(0, 20_000_000, 1000)
    here, there = (interfered(settings, 1, np.full(len(start_us), hub), start_us) for hub in (0, 1))
    assert here.mean() == pytest.approx(0.3, abs=0.02)
    assert (here[1:] == here[:-1]).mean() > 0.85  # neighbours share a fate
    assert 0.4 < (here == there).mean() < 0.7


def hear_all(air: Air, samples: Samples, ends_us: list[int]) -> Heard:
    parts: list[tuple[int, Heard]] = []
    for until_us in ends_us:
        due = samples.t_us <= until_us
        new = due & (samples.t_us > (parts[-1][0] if parts else 0))
        before, behind = ([column[new] for column in part] for part in (samples[:4], samples[5:]))
        some = Samples._make([*before, samples.readings, *behind])
        parts.append((until_us, air.hear(some, until_us)))
    return Heard.joined([heard for _, heard in parts])


def test_air_steps_do_not_change_what_is_heard() -> None:
    """A crowded depot and trucks around it: collisions, dead time and repeats across every border of steps."""
    world = build_world(5, 300)
    flock = Flock(make_provisions(5, 1, 300), world, 5.0, START_US / 1e6)
    samples = flock.step(START_US / 1e6 + 12.0)
    settings = AirSettings(interval_s=5.0)
    hubs = np.arange(world.places) // 20
    ends_us = [START_US + 12_000_000, START_US + 20_000_000]
    at_once = Air(settings, world, hubs)
    whole = hear_all(at_once, samples, ends_us)
    assert min(at_once.unheard.values()) > 50
    assert at_once.events == len(whole.hubs) + sum(at_once.unheard.values())
    assert at_once.waiting == 0
    rng = np.random.default_rng(1)
    cuts = np.sort(rng.integers(START_US, START_US + 13_000_000, 400)).tolist() + ends_us
    stepwise = Air(settings, world, hubs)
    pieces = hear_all(stepwise, samples, sorted(cuts))
    assert [column.tobytes() for column in pieces] == [column.tobytes() for column in whole]
    assert (stepwise.events, stepwise.unheard) == (at_once.events, at_once.unheard)
    assert (np.diff(whole.t_us) >= 0).all()


def test_sample_is_advertised_in_bursts_over_its_interval() -> None:
    air = Air(replace(CLEAR, burst_repeats=2), OneRoom(1))
    heard = Heard.joined([air.hear(at([0]), START_US), air.hear(None, START_US + 60_000_000)])
    after_s = (heard.t_us - START_US) / 1e6
    assert len(after_s) == 36
    assert np.bincount((after_s // 20).astype(int)).tolist() == [12, 12, 12]
    burst_s = after_s[:12]
    assert burst_s[0] == pytest.approx(PDU_US / 1e6)
    assert (np.diff(burst_s) >= 0.025).all()
    assert (np.diff(burst_s) <= 0.035).all()
    assert set(heard.counters.tolist()) == {0}


def test_each_hub_hears_its_own_place() -> None:
    air = Air(CLEAR, TruckAtDepot(loading=False))
    heard = Heard.joined([air.hear(at([0, 1_000_000]), START_US + 1_000_000), air.hear(None, START_US + 9_000_000)])
    by_hub = heard.of_hubs()
    assert {hub: set(one.tags.tolist()) for hub, one in by_hub.items()} == {0: {0}, 2: {1}}
    records = Decoder().feed(by_hub[2].records())
    assert [record.rssi_dbm for record in records] == by_hub[2].rssi_dbm.tolist()


def test_truck_that_loads_and_its_depot_hear_each_other_less_loudly() -> None:
    air = Air(CLEAR, TruckAtDepot(loading=True))
    heard = Heard.joined([air.hear(at([0, 1_000_000]), START_US + 1_000_000), air.hear(None, START_US + 9_000_000)])
    loudness = {
        hub: {tag: one.rssi_dbm[one.tags == tag].mean() for tag in (0, 1)} for hub, one in heard.of_hubs().items()
    }
    assert set(loudness) == {0, 2}
    assert loudness[0][0] > loudness[2][0] + 6
    assert loudness[2][1] > loudness[0][1] + 6


def test_tag_in_a_place_without_hub_is_heard_by_nobody() -> None:
    air = Air(CLEAR, TruckAtDepot(loading=False), hub_of_place=np.array([0, 1, -1]))
    heard = Heard.joined([air.hear(at([0, 1_000_000]), START_US + 1_000_000), air.hear(None, START_US + 9_000_000)])
    assert set(heard.tags.tolist()) == {0}
    assert air.events == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"burst_events": 0},
        {"burst_events": 65},
        {"burst_interval_ms": 10},
        {"burst_repeats": -1},
        {"interval_s": 1.0},
        {"channel_step_us": 300},
        {"scan_window_ms": 20.0},
        {"truck_m": 0.5},
        {"interference_share": 1.5},
        {"fading_db": -1.0},
        {"sensitivity_slope_db": 0.0},
    ],
)
def test_settings_that_no_radio_has_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0] + "|do not fit|negative|slope"):
        AirSettings(**wrong)  # type: ignore[arg-type]
