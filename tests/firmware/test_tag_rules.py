"""The firmware's other pure rules: settings, RTC state, sensor conversions, and which reading a cycle makes."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tag import cycle, decide, faults
from tag.alarms import judge, take_reason
from tag.boards import load_board
from tag.pending import Pending
from tag.provisioning import make_config
from tag.reading import age_class, fix_class, make_reading
from tag.sensors import battery, sht4x
from tag.sensors.crc8 import crc8
from tag.sensors.nmea import Fix
from tag.settings import CHOICES, FLAGS, NOTES, TABLE, read_settings
from tag.state import State, decode_state, encode_state
from tagsmith.manifest import firmware_folder
from tagwire import service
from tagwire.alarm import (
    REASON_BATTERY_LOW,
    REASON_CLEARED,
    REASON_HUMIDITY_HIGH,
    REASON_OPENED,
    REASON_SENSOR_FAULT,
    REASON_TEMPERATURE_HIGH,
    REASON_TEMPERATURE_LOW,
)
from tagwire.fields import (
    FIX_1D,
    FIX_1H,
    FIX_5M,
    FIX_10MIN,
    FIX_15M,
    FIX_50M,
    FIX_NONE,
    FIX_POOR,
    MOTION_MOVING,
    MOTION_STILL,
    MOTION_UNKNOWN,
    TIME_ESTIMATED,
    TIME_GNSS,
    TIME_HUB,
    TIME_UNKNOWN,
    Reading,
    to_codes,
)
from tagwire.keys import beacon_key, id_key
from tagwire.provision import Provision
from tagwire.words import BOARD_WORDS

README = firmware_folder() / "README.md"
NOW_S = 1_795_428_930
FIX = Fix(NOW_S, 482194257, 163678985, 294, 110)


Given = dict[str, int | bool | str]  # settings by name, as a provisioning file has them


def config(**given: int | bool | str):  # type: ignore[no-untyped-def]
    settings, complaints = read_settings(given)
    assert complaints == []
    return make_config(Provision(7, bytes(range(16)), 2, 0x0499, "esp32c3-devkit", given), settings)


def test_settings_default_and_are_within_their_own_limits() -> None:
    settings, complaints = read_settings({})
    assert complaints == []
    defaults = [row[1] for row in TABLE] + [0 for _ in FLAGS] + [choices[0] for _, choices in CHOICES]
    assert list(settings) == defaults
    assert list(settings._fields) == [row[0] for row in TABLE] + list(FLAGS) + [name for name, _ in CHOICES]
    assert all(minimum <= default <= maximum for _, default, minimum, maximum in TABLE)


def test_readme_has_the_settings_table() -> None:
    text = README.read_text()
    rows = re.findall(r"^\| `(\w+)` \| [\w%°. ]+ \| (-?\d+) \| (-?\d+) to (-?\d+) \|", text, re.MULTILINE)
    assert [(name, int(default), int(low), int(high)) for name, default, low, high in rows] == list(TABLE)
    for name, choices in CHOICES:
        assert f"| `{name}` | | {choices[0]} | {', '.join(choices)} |" in text
    for name in FLAGS:
        assert f"| `{name}` | | false | true, false |" in text
    assert all(f"`{name}`" in text for name in NOTES)


def test_config_comes_back_from_its_bytes() -> None:
    given: Given = {
        "temperature_low_mc": -70_000,
        "trip_start_s": 0xEFFFFFFF,
        "tamper": True,
        "climate": "bme280",
    }
    made = config(**given)
    again = type(made)(made.data)
    assert again.settings == read_settings(given)[0]
    assert (again.tag_id, again.company_id, again.generation, again.board) == (7, 0x0499, 2, "esp32c3-devkit")
    assert again.beacon_key == beacon_key(bytes(range(16)), 2)
    assert again.id_key == id_key(bytes(range(16)), 2)
    assert again.watches
    assert not config().watches


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"tamper": 1}, "setting tamper is not true or false: false is used"),
        ({"probe": "pt1000"}, "setting probe is none of none, ds18b20, max31865: none is used"),
    ],
)
def test_flag_or_choice_that_is_none_gives_way_to_its_default(given: Given, complaint: str) -> None:
    settings, complaints = read_settings(given)
    assert complaints == [complaint]
    assert settings == read_settings({})[0]


@pytest.mark.parametrize("value", [1, 86401, "300", True, None, 5.0])
def test_setting_out_of_range_gives_way_to_its_default_and_is_reported(value: object) -> None:
    settings, complaints = read_settings({"interval_s": value})  # type: ignore[dict-item]
    assert settings.interval_s == 300
    assert complaints == ["setting interval_s is not within 2 to 86400: 300 is used"]


def test_unknown_setting_is_reported_and_ignored() -> None:
    settings, complaints = read_settings({"colour": 1, "interval_s": 60})
    assert settings.interval_s == 60
    assert complaints == ["setting colour is not known, ignored"]


def state(**values: object) -> State:
    made = State(config(), 33, 48)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def filled() -> State:
    pending = Pending(unsettled=40, dropped=3)
    pending.add(31, bytes(range(11)), NOW_S // 4, False)
    pending.add(32, bytes(range(11, 22)), NOW_S // 4, True)
    return state(
        counter=32, kind=1, body=bytes(range(11)), repeats=2, fix_time_s=NOW_S, latitude_e7=-338568700,
        longitude_e7=1512095557, uptime_s=12345, fix_uptime_s=0, crashes=3, alarm_seconds=[1, 0, 65535, 0, 7],
        alarms_unsent=0x80, wakes=65535, pending=pending,
    )  # fmt: skip


STATE = encode_state(filled())


def test_state_comes_back_from_rtc_memory() -> None:
    expected = filled()
    found = decode_state(STATE + bytes(100))
    assert found is not None
    assert vars(found.pending) == vars(expected.pending)
    assert found.config.data == expected.config.data
    assert vars(found) == {**vars(expected), "pending": found.pending, "config": found.config}
    assert found.gnss_uptime_s is None


def test_state_fits_into_rtc_memory_however_much_waits() -> None:
    full = filled()
    for counter in range(33, 60):
        full.pending.add(counter, bytes(11), 0, False)
    assert full.pending.dropped > 3
    assert len(encode_state(full)) <= 2048


@given(st.binary(max_size=2048))
@example(b"")
@example(b"TAG3")
@example(b"TAG3\xff\xff\xff\xff")
@example(STATE[:-1])
def test_random_rtc_memory_is_no_state(data: bytes) -> None:
    assert decode_state(data) is None


@given(st.integers(0, len(STATE) * 8 - 1))
def test_state_with_any_bit_flipped_is_none(bit: int) -> None:
    data = bytearray(STATE)
    data[bit // 8] ^= 1 << bit % 8
    assert decode_state(bytes(data)) is None


def answer(temperature: int, humidity: int) -> bytes:
    words = [word.to_bytes(2, "big") for word in (temperature, humidity)]
    return b"".join(word + bytes([crc8(word)]) for word in words)


def test_sht4x_checksum_is_the_datasheets() -> None:
    assert crc8(b"\xbe\xef") == 0x92


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_sht4x_words_convert_to_the_nearest_milli_unit(temperature: int, humidity: int) -> None:
    temperature_mc, humidity_mpct = sht4x.convert(answer(temperature, humidity))
    assert temperature_mc == round(-45_000 + 175_000 * temperature / 65_535)
    assert humidity_mpct == min(max(round(-6_000 + 125_000 * humidity / 65_535), 0), 100_000)


def test_sht4x_word_with_a_wrong_checksum_costs_itself_alone() -> None:
    good = answer(0x6666, 0x8000)
    assert sht4x.convert(good[:2] + b"\x00" + good[3:]) == (None, 56_501)
    assert sht4x.convert(good[:5] + b"\x00") == (25_000, None)


@pytest.mark.parametrize(("pin_uv", "expected"), [(1_850_000, 3700), (0, None), (499_000, None), (3_100_000, None)])
def test_battery_is_the_mean_through_the_divider_or_none(pin_uv: int, expected: int | None) -> None:
    noise = iter([-4_000, 4_000] * 4)
    adc = SimpleNamespace(read_uv=lambda: pin_uv + next(noise))
    assert battery.read_mv(adc, (2, 1)) == expected


@pytest.mark.parametrize(
    ("accuracy_cm", "expected"),
    [(0, FIX_5M), (500, FIX_5M), (501, FIX_15M), (1500, FIX_15M), (5000, FIX_50M), (5001, FIX_POOR), (None, FIX_POOR)],
)
def test_fix_class_at_its_limits(accuracy_cm: int | None, expected: int) -> None:
    assert fix_class(accuracy_cm) == expected


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(0, FIX_10MIN), (600, FIX_10MIN), (601, FIX_1H), (3601, FIX_1D), (86400, FIX_1D), (86401, 0), (-1, 0)],
)
def test_age_class_at_its_limits(age_s: int, expected: int) -> None:
    assert age_class(age_s) == expected


@pytest.mark.parametrize(
    ("speed_mmps", "stirred", "expected"),
    [
        (None, None, MOTION_UNKNOWN),
        (0, None, MOTION_STILL),
        (999, None, MOTION_STILL),
        (1000, None, MOTION_MOVING),
        (None, False, MOTION_STILL),
        (None, True, MOTION_MOVING),
        (0, True, MOTION_MOVING),
        (1000, False, MOTION_MOVING),
    ],
)
def test_motion_by_speed_and_accelerometer(speed_mmps: int | None, stirred: bool | None, expected: int) -> None:
    assert decide.motion_of(speed_mmps, stirred) == expected


def reading(fix: Fix | None, made: State, now_s: int):  # type: ignore[no-untyped-def]
    return make_reading(fix, (21_000, None), 3700, MOTION_STILL, made, now_s, 12 * 3600)


def with_fix(quality: int = TIME_GNSS) -> State:
    return state(fix_time_s=NOW_S, latitude_e7=-338568700, longitude_e7=1512095557, clock_s=NOW_S, time_quality=quality)


def test_fix_of_this_cycle_gives_position_and_time() -> None:
    made = reading(FIX, state(), 0)
    assert made[:2] == (482194257, 163678985)
    assert (made.fix, made.motion, made.time_s, made.time_quality) == (FIX_5M, MOTION_STILL, NOW_S, TIME_GNSS)
    assert (made.temperature_mc, made.humidity_mpct, made.battery_mv) == (21_000, None, 3700)


def test_tag_without_any_fix_knows_no_position_and_no_time() -> None:
    made = reading(None, state(), 1234)
    assert made[:2] == (None, None)
    assert (made.fix, made.time_s, made.time_quality) == (FIX_NONE, None, TIME_UNKNOWN)


def test_earlier_fix_gives_an_aged_position_and_an_estimated_time() -> None:
    made = reading(None, with_fix(), NOW_S + 1000)
    assert made[:2] == (-338568700, 1512095557)
    assert (made.fix, made.time_s, made.time_quality) == (FIX_1H, NOW_S + 1000, TIME_ESTIMATED)


@pytest.mark.parametrize(("age_s", "quality"), [(0, TIME_HUB), (600, TIME_HUB), (601, TIME_ESTIMATED)])
def test_hubs_time_is_its_own_for_ten_minutes(age_s: int, quality: int) -> None:
    assert reading(None, with_fix(TIME_HUB), NOW_S + age_s).time_quality == quality


@pytest.mark.parametrize("now_s", [NOW_S + 12 * 3600 + 1, NOW_S - 1, 946_684_800])
def test_clock_that_cannot_be_trusted_gives_neither_time_nor_position(now_s: int) -> None:
    made = reading(None, with_fix(), now_s)
    assert made[:2] == (None, None)
    assert (made.fix, made.time_s, made.time_quality) == (FIX_NONE, None, TIME_UNKNOWN)


@pytest.mark.parametrize("name", ["esp32-devkit", "esp32c3-devkit", "esp32s3-devkit", "esp32c6-devkit"])
def test_board_is_found_by_its_provisioned_name(name: str) -> None:
    board = load_board(name)
    pins = [board.i2c_scl, board.i2c_sda, board.gnss_rx, board.gnss_tx, board.gnss_power, board.battery_adc]
    pins += [board.one_wire, *board.spi[1:], board.motion, board.tamper]
    pins += [] if board.led is None else [board.led]
    assert len(set(pins)) == len(pins)
    assert BOARD_WORDS[board.number] == name
    assert board.wake in ("ext1", "gpio")


def test_board_that_does_not_exist_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        load_board("toaster")


def test_every_wake_ends_asleep() -> None:
    """From each phase, with each outcome that it can have, the table leads to ASLEEP, and never into a circle."""
    after: dict[int, set[int]] = {}
    for (phase, _), following in cycle.TABLE.items():
        after.setdefault(phase, set()).add(following)

    def walk(phase: int, seen: tuple[int, ...]) -> None:
        assert phase not in seen, seen
        if phase != cycle.ASLEEP:
            assert after[phase]
            for following in after[phase]:
                walk(following, (*seen, phase))

    walk(cycle.WAKE, ())


def test_faults_are_the_service_beacons_numbers() -> None:
    names = {"NO_KEY", "SETTINGS", "COUNTER_LOST", "COUNTER_EXHAUSTED", "CRASH_LOOP", "CLOCK_LOST"}
    for name in names:
        assert getattr(faults, name) == getattr(service, f"SERVICE_{name}")


@pytest.mark.parametrize(
    ("given", "values", "expected"),
    [
        ({}, {}, 90),  # never looked: a cold start
        ({"gnss_cold_timeout_s": 0}, {}, 0),
        ({}, {"gnss_uptime_s": 995, "fix_uptime_s": 995}, 15),  # with each sample, hot
        ({}, {"gnss_uptime_s": 995, "fix_uptime_s": 995, "motion": MOTION_STILL}, 0),  # at rest less often
        ({}, {"gnss_uptime_s": 100, "fix_uptime_s": 100, "motion": MOTION_STILL}, 15),
        ({}, {"gnss_uptime_s": 945, "gnss_failures": 1}, 0),  # no sky a minute ago
        ({}, {"gnss_uptime_s": 940, "gnss_failures": 1}, 90),
        ({}, {"gnss_uptime_s": 881, "gnss_failures": 2}, 90),
        ({}, {"gnss_uptime_s": 1, "gnss_failures": 200, "uptime_s": 1799}, 90),  # but each half hour
        ({}, {"gnss_uptime_s": 1, "gnss_failures": 200, "uptime_s": 1000}, 0),
        ({}, {"gnss_uptime_s": 99, "fix_uptime_s": 99, "uptime_s": 99 + 4 * 3600}, 90),  # its orbits are too old
        ({"mode": "shelf"}, {}, 0),
    ],
)
def test_gnss_is_searched_when_it_is_worth_it(given: Given, values: dict[str, int], expected: int) -> None:
    made = state(**{"uptime_s": 1000, **values})
    assert decide.gnss_timeout_s(read_settings(given)[0], made) == expected


TRIP = {"trip_number": 5, "trip_start_s": NOW_S, "trip_stop_s": NOW_S + 100, "trip_interval_s": 30}


@pytest.mark.parametrize(
    ("given", "now_s", "expected"),
    [
        ({}, NOW_S, False),
        (TRIP, NOW_S - 1, False),
        (TRIP, NOW_S, True),
        (TRIP, NOW_S + 99, True),
        (TRIP, NOW_S + 100, False),
        (TRIP, None, False),
        ({"trip_number": 5}, None, True),
        ({"trip_number": 5, "trip_start_s": NOW_S}, NOW_S * 2, True),
    ],
)
def test_trip_runs_from_its_start_to_its_stop(given: Given, now_s: int | None, expected: bool) -> None:
    assert decide.on_trip(read_settings(given)[0], now_s) == expected


@pytest.mark.parametrize(
    ("given", "values", "trip", "expected"),
    [
        ({}, {}, False, 300),
        ({"still_interval_s": 3600}, {"motion": MOTION_STILL}, False, 3600),
        ({"still_interval_s": 3600}, {"motion": MOTION_MOVING}, False, 300),
        ({"still_interval_s": 3600}, {}, False, 300),
        (TRIP, {"motion": MOTION_STILL}, True, 30),
        ({}, {"alarms_raised": 1}, False, 60),
        ({}, {"alarms_raised": 0x70}, False, 300),
        ({}, {"alarm_seconds": [0, 1, 0, 0, 0]}, False, 60),
        ({"interval_s": 20}, {"alarms_raised": 1}, False, 20),
        ({"mode": "shelf"}, {"alarms_raised": 1}, False, 21600),
    ],
)
def test_interval_follows_motion_trip_and_alarm(
    given: Given, values: dict[str, object], trip: bool, expected: int
) -> None:
    assert decide.interval_s(read_settings(given)[0], state(**values), trip) == expected


def test_flight_mode_ends_by_itself() -> None:
    settings = read_settings({"mode": "flight", "flight_h": 2})[0]
    assert decide.radio_is_off(settings, state(mode_uptime_s=500, uptime_s=500 + 7199))
    assert not decide.radio_is_off(settings, state(mode_uptime_s=500, uptime_s=500 + 7200))
    assert not decide.radio_is_off(read_settings({})[0], state())


def test_window_opens_each_sixth_wake_with_a_backlog_and_always_on_the_shelf() -> None:
    settings = read_settings({})[0]
    assert [wake for wake in range(1, 20) if decide.window_is_due(settings, 12, wake)] == [6, 12, 18]
    assert not any(decide.window_is_due(settings, 11, wake) for wake in range(20))
    assert decide.window_is_due(read_settings({"mode": "shelf"})[0], 0, 1)


@pytest.mark.parametrize(("now_s", "expected"), [(1300, 300), (1000, 0), (999, None), (1000 + 301 + 3600, None)])
def test_clock_that_jumped_is_noticed(now_s: int, expected: int | None) -> None:
    assert decide.elapsed_s(state(seen_s=1000, planned_s=300), now_s) == expected


def told(settings, made: State, samples: list[tuple[int, dict[str, int]]], opened: bool = False) -> list[int | None]:  # type: ignore[no-untyped-def]
    """The reasons told with samples, each after so many seconds."""
    reasons = []
    for elapsed_s, values in samples:
        codes = to_codes(Reading(None, None, values.get("mc"), values.get("mpct"), values.get("mv"), 0, 0, None, 0))
        judge(settings, made, codes, elapsed_s, opened, False, False)
        reasons.append(take_reason(made))
    return reasons


def test_alarm_is_raised_and_cleared_with_hysteresis_on_the_wires_codes() -> None:
    settings = read_settings({"temperature_high_mc": 8_000, "temperature_hysteresis_mc": 500})[0]
    made = state()
    temperatures = [8_049, 8_050, 8_500, 7_600, 7_549, 7_500, 8_100]  # 8.05 is 8.1 on the wire, 7.549 is 7.5
    assert told(settings, made, [(60, {"mc": mc}) for mc in temperatures]) == [
        None, REASON_TEMPERATURE_HIGH, None, None, REASON_CLEARED, None, REASON_TEMPERATURE_HIGH,
    ]  # fmt: skip


def test_alarm_waits_for_its_hold_time_and_a_single_good_sample_starts_it_anew() -> None:
    settings = read_settings({"temperature_low_mc": 2_000, "alarm_hold_s": 120})[0]
    made = state()
    cold, warm = {"mc": 1_000}, {"mc": 3_000}
    assert told(settings, made, [(60, cold), (60, cold), (60, warm), (60, cold), (60, cold), (60, cold)]) == [
        None, None, None, None, None, REASON_TEMPERATURE_LOW,
    ]  # fmt: skip


def test_several_alarms_are_told_one_by_one_and_cleared_once() -> None:
    settings = read_settings({"humidity_high_mpct": 60_000, "battery_low_mv": 3_400, "tamper": True})[0]
    made = state()
    bad, good = {"mpct": 70_000, "mv": 3_000}, {"mpct": 50_000, "mv": 3_700}
    assert told(settings, made, [(1, bad), (1, bad), (1, bad), (1, bad)], opened=True) == [
        REASON_HUMIDITY_HIGH, REASON_BATTERY_LOW, REASON_OPENED, None,
    ]  # fmt: skip
    assert told(settings, made, [(1, good), (1, good)]) == [REASON_CLEARED, None]


def test_value_that_is_not_available_neither_raises_nor_clears() -> None:
    settings = read_settings({"temperature_high_mc": 8_000})[0]
    made = state()
    assert told(settings, made, [(60, {}), (60, {"mc": 9_000}), (60, {})]) == [None, REASON_TEMPERATURE_HIGH, None]
    assert made.alarms_raised == 1


def test_sensor_that_answered_once_and_fails_is_an_alarm() -> None:
    settings = read_settings({})[0]
    made = state(sensors=1, faults=1)
    assert told(settings, made, [(60, {})]) == [REASON_SENSOR_FAULT]
    made.faults = 0
    assert told(settings, made, [(60, {})]) == [REASON_CLEARED]
    assert told(settings, state(sensors=0, faults=1), [(60, {})]) == [None]


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(-90_000, 130_000), st.integers(0, 100_000)), max_size=30),
    st.integers(-80_000, 125_000),
    st.integers(0, 3600),
)
def test_wide_open_limits_never_raise_and_any_history_stays_in_its_bytes(
    samples: list[tuple[int, int, int]], limit_mc: int, hold_s: int
) -> None:
    history = [(elapsed, {"mc": mc, "mpct": mpct, "mv": 2_000}) for elapsed, mc, mpct in samples]
    assert set(told(read_settings({})[0], state(), history)) <= {None}
    made = state()
    told(read_settings({"temperature_high_mc": limit_mc, "alarm_hold_s": hold_s})[0], made, history)
    assert decode_state(encode_state(made)) is not None
