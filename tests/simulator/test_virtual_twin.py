"""The whole firmware in virtual time: what it does over hours, with faults, alarms, motion, modes and private ids."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twin_bench import QUICK, ROOT_KEY, interpreter, twin_spec, world

from tagfleet.twin.counters import Private, is_service, sealed_under
from tagfleet.twin.power_cuts import journal_counters, small_image
from tagfleet.twin.receiver import sentence
from tagfleet.twin.virtual_board import DEEPSLEEP_RESET, PWRON_RESET, SOFT_RESET
from tagfleet.twin.virtual_time import STARTED_S, VirtualTwin
from tagwire.alarm import (
    REASON_CLEARED,
    REASON_OPENED,
    REASON_SENSOR_FAULT,
    REASON_SHOCK,
    REASON_TEMPERATURE_HIGH,
    reason_of,
    with_reason,
)
from tagwire.beacon import HINT_BACKLOG, HINT_PRIVATE, KIND_ALARM, KIND_SERVICE, epoch_of, open_beacon, parse_header
from tagwire.fields import (
    MOTION_MOVING,
    MOTION_STILL,
    TIME_GNSS,
    TIME_UNKNOWN,
    Codes,
    to_codes,
    unpack_body,
)
from tagwire.keys import beacon_key, id_key
from tagwire.seal import aes128
from tagwire.service import SERVICE_BATTERY_LOW, SERVICE_CLOCK_LOST, SERVICE_CRASH_LOOP, SERVICE_STORAGE, decode_service

SETTINGS = {**QUICK, "interval_s": 300}
WITH_GNSS = {**SETTINGS, "gnss_cold_timeout_s": 20, "gnss_hot_timeout_s": 10}
ENCRYPT = aes128(beacon_key(ROOT_KEY, 0))
ENCRYPT_ID = aes128(id_key(ROOT_KEY, 0))

NewTwin = Callable[..., AbstractContextManager[VirtualTwin]]


@pytest.fixture
def new_twin(tmp_path: Path) -> NewTwin:
    @contextmanager
    def make(settings: dict[str, Any] = SETTINGS, **changes: Any) -> Iterator[VirtualTwin]:
        spec = twin_spec(settings, **{"world": world, **changes})
        with VirtualTwin(spec, tmp_path, interpreter(), image=small_image(spec)) as twin:
            yield twin
            assert twin.crashes == 0

    return make


def samples(twin: VirtualTwin) -> list[tuple[int, int, Codes]]:
    """(counter, kind, codes) of each sample, and every one is what its buses delivered."""
    found, counter = [], -1
    for made in twin.made:
        counter = sealed_under(ENCRYPT, made.frame, counter + 1, Private(7, ENCRYPT_ID, made.t_s))
        header = parse_header(made.frame)
        private = header.hints & HINT_PRIVATE
        epoch = epoch_of(int(made.t_s)) if private else 0
        codes = unpack_body(open_beacon(ENCRYPT, made.frame, counter, 7 if private else None, epoch))
        truth = to_codes(made.truth)
        if header.kind == KIND_ALARM:
            truth = with_reason(truth, reason_of(codes))
        assert codes == truth, twin.console()
        found.append((counter, header.kind, codes))
    return found


def reasons(twin: VirtualTwin) -> list[int | None]:
    return [reason_of(codes) if kind == KIND_ALARM else None for _, kind, codes in samples(twin)]


@pytest.mark.parametrize(
    ("settings", "temperature", "humidity"),
    [
        ({"climate": "sht4x"}, True, True),
        ({"climate": "sht3x"}, True, True),
        ({"climate": "aht20"}, True, True),
        ({"climate": "bme280"}, True, True),
        ({"climate": "dht22"}, True, True),
        ({"climate": "none"}, False, False),
        ({"climate": "none", "probe": "ds18b20"}, True, False),
        ({"probe": "max31865"}, True, True),
    ],
)
def test_every_sensor_is_read_by_the_tag(
    new_twin: NewTwin, settings: dict[str, str], temperature: bool, humidity: bool
) -> None:
    with new_twin({**SETTINGS, **settings}) as twin:
        twin.wake()
        twin.wake()
        for made, frame_codes in zip(twin.made, [s[2] for s in _loose(twin)], strict=True):
            assert (made.truth.temperature_mc is not None) == temperature
            assert (made.truth.humidity_mpct is not None) == humidity
            truth = to_codes(made.truth)
            assert abs(frame_codes.temperature - truth.temperature) <= 1  # a chip's own formula against the driver's
            assert abs(frame_codes.humidity - truth.humidity) <= 1
        if temperature:
            assert made.truth.temperature_mc == pytest.approx(-20_250, abs=60)


def _loose(twin: VirtualTwin) -> list[tuple[int, int, Codes]]:
    found, counter = [], -1
    for made in twin.made:
        counter = sealed_under(ENCRYPT, made.frame, counter + 1)
        found.append((counter, parse_header(made.frame).kind, unpack_body(open_beacon(ENCRYPT, made.frame, counter))))
    return found


def _absent(twin: VirtualTwin) -> None:
    twin.board.buses.climate.present = False


def _damaged(twin: VirtualTwin) -> None:
    twin.board.buses.climate.damaged = b"\x01\x02\x03\x04\x05\x06"


def _stuck(twin: VirtualTwin) -> None:
    twin.board.buses.stuck = True


def _garbage(twin: VirtualTwin) -> None:
    twin.board.buses.receiver.garbage = bytes(range(255, -1, -1)) * 3


def _dead_battery(twin: VirtualTwin) -> None:
    twin.board.buses.battery_mv = 400


def _radio(twin: VirtualTwin) -> None:
    twin.board.radio_works = False


def _nvs(twin: VirtualTwin) -> None:
    twin.board.nvs_works = False


def _years_on(twin: VirtualTwin) -> None:
    twin.board.step_clock(20 * 365 * 86400)


def _years_back(twin: VirtualTwin) -> None:
    twin.board.step_clock(-10 * 365 * 86400)


@pytest.mark.parametrize(
    "fault", [_absent, _damaged, _stuck, _garbage, _dead_battery, _radio, _nvs, _years_on, _years_back]
)
def test_fault_leaves_the_cycle_running_and_is_over_when_it_ends(
    new_twin: NewTwin, fault: Callable[[VirtualTwin], None]
) -> None:
    with new_twin(WITH_GNSS) as twin:
        for _ in range(3):
            twin.wake()
        fault(twin)
        for _ in range(20):
            halt = twin.wake()
            assert halt is not None
            assert halt.cause in (DEEPSLEEP_RESET, SOFT_RESET)  # the latter into a window for hubs
            assert halt.sleep_s is not None
            assert halt.sleep_s <= 300
        buses = twin.board.buses
        buses.climate.present, buses.climate.damaged, buses.stuck = True, bytes(6), False
        buses.receiver.garbage, buses.battery_mv = None, None
        twin.board.radio_works = twin.board.nvs_works = True
        for _ in range(10):
            twin.wake()
        last = twin.made[-1].truth
        assert (last.temperature_mc, last.battery_mv) == (-20_249, 3712)
        assert last.time_quality == TIME_GNSS
        found = samples(twin)
        assert [counter for counter, _, _ in found] == sorted({counter for counter, _, _ in found})


def test_sensor_that_fails_is_told_once_and_so_is_its_recovery(new_twin: NewTwin) -> None:
    with new_twin() as twin:
        twin.wake()
        _absent(twin)
        twin.wake()
        twin.wake()
        twin.board.buses.climate.present = True
        twin.wake()
        twin.wake()
        assert reasons(twin) == [None, REASON_SENSOR_FAULT, None, REASON_CLEARED, None]


def test_alarm_is_advertised_at_once_for_longer_and_sampled_faster(new_twin: NewTwin) -> None:
    limits = {"temperature_high_mc": 8_000, "alarm_interval_s": 30}
    celsius = [5.0]
    with new_twin({**SETTINGS, **limits}, world=lambda t_s: world(t_s)._replace(temperature_c=celsius[0])) as twin:
        twin.wake()
        celsius[0] = 9.0
        began_s = twin.now_s
        halt = twin.wake()
        assert halt is not None
        assert halt.sleep_s == pytest.approx(30, abs=8)
        assert twin.now_s - began_s - (halt.sleep_s or 0) > 5  # alarm_burst_s
        twin.wake()
        celsius[0] = 7.0
        twin.wake()
        halt = twin.wake()
        assert halt is not None
        assert halt.sleep_s is not None
        assert halt.sleep_s > 200
        assert reasons(twin) == [None, REASON_TEMPERATURE_HIGH, None, REASON_CLEARED, None]


def test_trip_has_its_own_limits_and_interval(new_twin: NewTwin) -> None:
    trip = {"trip_number": 3, "trip_interval_s": 60, "trip_temperature_high_mc": -30_000}
    with new_twin({**WITH_GNSS, **trip, "trip_start_s": STARTED_S + 600}) as twin:
        twin.run(STARTED_S + 900)
        # On the trip -20.25 degrees are too warm.
        assert reasons(twin)[:3] == [None, None, REASON_TEMPERATURE_HIGH]
        assert twin.made[-1].t_s - twin.made[-2].t_s < 70


def test_moved_tag_wakes_at_once_and_a_still_one_sleeps_longer(new_twin: NewTwin) -> None:
    settings = {**SETTINGS, "accelerometer": "lis2dh12", "still_interval_s": 3600}
    with new_twin(settings) as twin:
        for _ in range(3):
            twin.wake()
        accelerometer = twin.board.buses.accelerometer
        assert accelerometer is not None
        moved_s = twin.now_s + 1000
        twin.schedule(moved_s, lambda: accelerometer.move(200))
        twin.wake()
        assert twin.now_s == moved_s
        twin.wake()
        assert twin.made[-1].t_s == pytest.approx(moved_s, abs=3)
        motions = [codes.motion for _, _, codes in samples(twin)]
        assert motions[-2:] == [MOTION_STILL, MOTION_MOVING]
        assert twin.now_s - moved_s == pytest.approx(300, abs=5)  # no longer the interval of rest


def test_shock_wakes_the_tag_is_an_alarm_and_does_not_keep_it_awake(new_twin: NewTwin) -> None:
    settings = {**SETTINGS, "accelerometer": "lis2dh12", "shock_threshold_mg": 4000}
    with new_twin(settings) as twin:
        for _ in range(3):
            twin.wake()
        accelerometer = twin.board.buses.accelerometer
        assert accelerometer is not None
        hit_s = twin.now_s + 100

        def ride(after_s: float, mg: float) -> None:
            for second in range(20):
                twin.schedule(hit_s + after_s + second, lambda: accelerometer.hit(mg))

        ride(0, 5000)
        ride(30, 5000)  # while it is told, and again soon after
        ride(320, 3000)  # on the move, and nothing that counts
        twin.wake()
        twin.wake()
        assert twin.made[-1].t_s == pytest.approx(hit_s, abs=3)
        twin.wake()
        twin.wake()
        assert twin.made[-1].t_s == pytest.approx(hit_s + 600, abs=10)
        assert reasons(twin)[4:] == [REASON_SHOCK, REASON_SHOCK, None]


def test_accelerometer_that_falls_silent_is_told_and_set_up_again_when_it_answers(new_twin: NewTwin) -> None:
    settings = {**SETTINGS, "accelerometer": "lis2dh12", "shock_threshold_mg": 4000}
    with new_twin(settings) as twin:
        for _ in range(3):
            twin.wake()
        accelerometer = twin.board.buses.accelerometer
        assert accelerometer is not None
        accelerometer.present = False
        for _ in range(3):
            twin.wake()
        accelerometer.power_on()  # what was loose has made contact again
        accelerometer.present = True
        for _ in range(2):
            twin.wake()
        hit_s = twin.now_s + 100
        twin.schedule(hit_s, lambda: accelerometer.hit(5000))
        for _ in range(2):
            twin.wake()
        assert twin.made[-1].t_s == pytest.approx(hit_s, abs=3)
        told = [reason for reason in reasons(twin) if reason is not None]
        assert told == [REASON_SENSOR_FAULT, REASON_CLEARED, REASON_SHOCK]


@pytest.mark.parametrize("pin", ["motion", "tamper"])
def test_pin_that_is_stuck_or_loose_wakes_the_tag_at_most_once_an_interval(new_twin: NewTwin, pin: str) -> None:
    """A short to 3.3 V, or a lid that rattles and is closed whenever the tag looks."""
    settings = {**SETTINGS, "accelerometer": "lis2dh12", "shock_threshold_mg": 4000, "tamper": True}
    with new_twin(settings) as twin:
        twin.wake()
        buses = twin.board.buses
        stuck = getattr(buses.wiring, pin)
        buses.wakes = lambda: stuck in buses.wake_pins  # type: ignore[method-assign]
        began_s = twin.now_s
        twin.run(began_s + 6 * 3600)
        assert len(twin.made) <= 2 * 6 * 12 + 3


def test_opened_box_wakes_the_tag_and_is_an_alarm(new_twin: NewTwin) -> None:
    with new_twin({**SETTINGS, "tamper": True}) as twin:
        twin.wake()
        opened_s = twin.now_s + 100

        def open_box() -> None:
            twin.board.buses.open_box = True

        twin.schedule(opened_s, open_box)
        twin.wake()
        twin.wake()
        assert twin.made[-1].t_s == pytest.approx(opened_s, abs=3)
        twin.wake()
        assert twin.wakes == 4  # an open box does not keep it awake
        twin.board.buses.open_box = False
        twin.wake()
        assert [reason for reason in reasons(twin) if reason is not None] == [REASON_OPENED, REASON_CLEARED]


def test_flight_mode_keeps_the_journal_and_the_radio_off(new_twin: NewTwin) -> None:
    with new_twin({**SETTINGS, "mode": "flight", "flight_h": 2}) as twin:
        twin.run(STARTED_S + 2 * 3600 - 60)
        assert twin.advertised == []
        twin.run(STARTED_S + 3 * 3600)
        assert len(twin.made) == pytest.approx(12, abs=1)
        kept = journal_counters(twin.flash.read_bytes())
        assert kept == list(range(len(kept)))
        assert len(kept) >= 28


def test_shelf_mode_makes_a_sample_every_six_hours(new_twin: NewTwin) -> None:
    with new_twin({**WITH_GNSS, "mode": "shelf"}) as twin:
        twin.run(STARTED_S + 86400)
        assert len(twin.made) == 4
        assert {made.truth.time_quality for made in twin.made} == {TIME_UNKNOWN}  # no GNSS


def test_gnss_is_searched_less_often_without_sky_and_at_least_each_half_hour(new_twin: NewTwin) -> None:
    searches: list[float] = []
    with new_twin(WITH_GNSS, world=lambda t_s: world(t_s)._replace(has_sky=False)) as twin:
        receiver = twin.board.buses.receiver
        power = receiver.power

        def observed(on: bool, now_s: float) -> None:
            if on:
                searches.append(now_s)
            power(on, now_s)

        receiver.power = observed  # type: ignore[method-assign]
        twin.run(STARTED_S + 6 * 3600)
    gaps = [b - a for a, b in pairwise(searches)]
    assert max(gaps) <= 1800 + 330
    assert len(searches) < 6 * 3600 / 300 / 3


def test_gnss_search_without_any_signal_ends_early(new_twin: NewTwin) -> None:
    """And one where a signal has been had goes on to its end."""
    lengths: list[float] = []
    settings = {**SETTINGS, "gnss_cold_timeout_s": 90, "gnss_dark_s": 15}
    with new_twin(settings, world=lambda t_s: world(t_s)._replace(has_sky=False)) as twin:
        receiver = twin.board.buses.receiver
        for garbage in (None, sentence("GPGSV,1,1,01,02,41,288,21"), sentence("GNVTG,,,,,,,,,N")):
            receiver.garbage = garbage
            began_s = twin.now_s
            twin.wake(PWRON_RESET)
            lengths.append(twin.made[-1].t_s - began_s)
    assert lengths == [pytest.approx(15, abs=2), pytest.approx(90, abs=2), pytest.approx(90, abs=2)]


def test_battery_too_low_for_a_sample_is_said_and_costs_none_that_was_made(new_twin: NewTwin) -> None:
    with new_twin({**WITH_GNSS, "battery_stop_mv": 3_300}) as twin:
        for _ in range(3):
            twin.wake()
        twin.board.buses.battery_mv = 3_290
        for _ in range(3):
            halt = twin.wake()
            assert halt is not None
            assert halt.sleep_s == pytest.approx(3600, abs=5)
            assert not twin.board.buses.receiver.is_on
        services = [frame for _, frame in twin.advertised if is_service(frame)]
        assert [decode_service(frame).reason for frame in services] == [SERVICE_BATTERY_LOW] * 3
        assert journal_counters(twin.flash.read_bytes()) == [0, 1, 2]  # RTC memory may lose its power now
        twin.board.buses.battery_mv = 3_400
        twin.wake()
        assert [counter for counter, _, _ in samples(twin)] == [0, 1, 2, 3]


def test_private_tag_changes_name_and_counter_mask_each_epoch_and_sends_nothing_without_the_time(
    new_twin: NewTwin,
) -> None:
    sky = [False]
    with new_twin({**WITH_GNSS, "private_ids": True}, world=lambda t_s: world(t_s)._replace(has_sky=sky[0])) as twin:
        twin.wake()
        (_, frame) = twin.advertised[-1]
        assert decode_service(frame).reason == SERVICE_CLOCK_LOST
        assert frame[1:7] == bytes(6)
        sky[0] = True
        twin.run(STARTED_S + 3 * 3600)
        found = samples(twin)
        assert len(found) > 30
        names = {epoch_of(int(made.t_s)): made.frame[1:5] for made in twin.made}
        assert len(set(names.values())) == len(names) > 8
        assert all(parse_header(made.frame).hints & HINT_PRIVATE for made in twin.made)


def test_flash_that_refuses_the_journal_is_said_on_the_air_and_costs_no_sample_while_there_is_room(
    new_twin: NewTwin,
) -> None:
    def said(twin: VirtualTwin) -> list[int]:
        return [decode_service(frame).reason for _, frame in twin.advertised if is_service(frame)]

    with new_twin({**SETTINGS, "window_unsettled": 10_000}) as twin:
        twin.wake()
        twin.board.flash_works = False
        while len(twin.made) < 12:
            twin.wake()
        told = said(twin)
        assert told == [SERVICE_STORAGE] * 4  # of samples 9 to 12: from the one after the first refusal on
        while len(said(twin)) == len(twin.made) - 8:
            twin.wake()
        assert len(twin.made) == 16  # then a new limit of the counter is due, and no sample is made without
        assert set(said(twin)) == {SERVICE_STORAGE}
        told = said(twin)
        twin.board.flash_works = True
        for _ in range(2):
            assert twin.wake() is not None
        assert len(twin.made) == 18
        assert said(twin) == told
        counters = [counter for counter, _, _ in samples(twin)]
        assert counters == list(range(18))
        assert journal_counters(twin.flash.read_bytes()) == counters[1:17]  # 16 may wait, the 17th pushed one out


def test_backlog_is_hinted_when_enough_is_unsettled(new_twin: NewTwin) -> None:
    with new_twin() as twin:
        while len(twin.made) < 13:  # a wake is a window for hubs once there is a backlog
            twin.wake()
        hints = [bool(parse_header(made.frame).hints & HINT_BACKLOG) for made in twin.made]
        assert hints == [False] * 11 + [True] * 2
        twin.wake(PWRON_RESET)  # it counts what its journal holds
        assert hints[-1]


def test_firmware_that_crashes_is_logged_kept_reachable_and_tried_again(tmp_path: Path) -> None:
    """A driver that is broken in a way that nobody has thought of."""
    spec = twin_spec(SETTINGS)
    with VirtualTwin(spec, tmp_path, interpreter(), frozen=False) as twin:
        twin.wake()
        chip = twin.board.buses.climate
        chip.read = lambda length, now_s: b""  # IndexError in the driver
        halts = [twin.wake() for _ in range(12)]
        assert all(halt is not None and halt.cause == DEEPSLEEP_RESET for halt in halts)
        services = [frame for _, frame in twin.advertised if parse_header(frame).kind == KIND_SERVICE]
        assert [decode_service(frame).reason for frame in services[:1]] == [SERVICE_CRASH_LOOP]
        assert [round(halt.sleep_s or 0) for halt in halts if halt][:8] == [60] * 5 + [600] * 3
        del chip.read
        for _ in range(7):
            twin.wake()
        assert len(twin.made) >= 2
        assert twin.made[-1].truth.temperature_mc == -20_249
