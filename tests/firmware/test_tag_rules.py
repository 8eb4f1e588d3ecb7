"""The firmware's other pure rules: settings, RTC state, sensor conversions, and which reading a cycle makes."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag.boards import load_board
from tag.cycle import age_class, fix_class, make_reading, motion_of
from tag.pending import Pending
from tag.sensors import battery, sht4x
from tag.sensors.nmea import Fix
from tag.settings import TABLE, read_settings
from tag.state import State, decode_state, encode_state
from tagsmith.manifest import firmware_folder
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
    TIME_UNKNOWN,
)

README = firmware_folder() / "README.md"
NOW_S = 1_795_428_930
FIX = Fix(NOW_S, 482194257, 163678985, 294, 110)


def test_settings_default_and_are_within_their_own_limits() -> None:
    settings, complaints = read_settings({})
    assert complaints == []
    assert settings == tuple(row[1] for row in TABLE)
    assert all(minimum <= default <= maximum for _, default, minimum, maximum in TABLE)


def test_readme_has_the_settings_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (\d+) \| (\d+) to (\d+) \|", README.read_text(), re.MULTILINE)
    assert [(name, int(default), int(low), int(high)) for name, default, low, high in rows] == list(TABLE)


@pytest.mark.parametrize("value", [1, 86401, "300", True, None, 5.0])
def test_setting_out_of_range_gives_way_to_its_default_and_is_reported(value: object) -> None:
    settings, complaints = read_settings({"interval_s": value})  # type: ignore[dict-item]
    assert settings.interval_s == 300
    assert complaints == ["setting interval_s is not within 2 to 86400: 300 is used"]


def test_unknown_setting_is_reported_and_ignored() -> None:
    settings, complaints = read_settings({"colour": 1, "interval_s": 60})
    assert settings.interval_s == 60
    assert complaints == ["setting colour is not known, ignored"]


PENDING = Pending(unsettled=40, dropped=3)
PENDING.add(31, bytes(range(11)), NOW_S // 4, False)
PENDING.add(32, bytes(range(11, 22)), NOW_S // 4, True)
STATE = State(7, 33, 48, 2, NOW_S, -338568700, 1512095557, bytes(range(24)), PENDING)


def test_state_comes_back_from_rtc_memory() -> None:
    state = decode_state(encode_state(STATE) + bytes(100), 7)
    assert state is not None
    assert vars(state.pending) == vars(PENDING)
    assert vars(state) == {**vars(STATE), "pending": state.pending}


def test_state_of_another_tag_or_of_no_tag_is_none() -> None:
    data = encode_state(STATE)
    assert decode_state(data, 8) is None
    assert decode_state(b"", 7) is None
    assert decode_state(data[:-1], 7) is None


@given(st.integers(0, len(encode_state(STATE)) * 8 - 1))
def test_state_with_any_bit_flipped_is_none(bit: int) -> None:
    data = bytearray(encode_state(STATE))
    data[bit // 8] ^= 1 << bit % 8
    assert decode_state(bytes(data), 7) is None


def answer(temperature: int, humidity: int) -> bytes:
    words = [word.to_bytes(2, "big") for word in (temperature, humidity)]
    return b"".join(word + bytes([sht4x.crc8(word)]) for word in words)


def test_sht4x_checksum_is_the_datasheets() -> None:
    assert sht4x.crc8(b"\xbe\xef") == 0x92


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
    assert battery.read_mv(adc, (2, 1)) == expected  # type: ignore[arg-type]


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
    ("speed_mmps", "expected"), [(None, MOTION_UNKNOWN), (0, MOTION_STILL), (999, MOTION_STILL), (1000, MOTION_MOVING)]
)
def test_motion_at_its_limits(speed_mmps: int | None, expected: int) -> None:
    assert motion_of(speed_mmps) == expected


def reading(fix: Fix | None, state: State, now_s: int):  # type: ignore[no-untyped-def]
    return make_reading(fix, (21_000, None), 3700, state, now_s, 12 * 3600)


def test_fix_of_this_cycle_gives_position_motion_and_time() -> None:
    made = reading(FIX, State(7, 0, 0), 0)
    assert made[:2] == (482194257, 163678985)
    assert (made.fix, made.motion, made.time_s, made.time_quality) == (FIX_5M, MOTION_STILL, NOW_S, TIME_GNSS)
    assert (made.temperature_mc, made.humidity_mpct, made.battery_mv) == (21_000, None, 3700)


def test_tag_without_any_fix_knows_no_position_and_no_time() -> None:
    made = reading(None, State(7, 0, 0), 1234)
    assert made[:2] == (None, None)
    assert (made.fix, made.time_s, made.time_quality) == (FIX_NONE, None, TIME_UNKNOWN)


def test_earlier_fix_gives_an_aged_position_and_an_estimated_time() -> None:
    made = reading(None, STATE, NOW_S + 1000)
    assert made[:2] == (-338568700, 1512095557)
    assert (made.fix, made.motion, made.time_s, made.time_quality) == (
        FIX_1H,
        MOTION_UNKNOWN,
        NOW_S + 1000,
        TIME_ESTIMATED,
    )


@pytest.mark.parametrize("now_s", [NOW_S + 12 * 3600 + 1, NOW_S - 1, 946_684_800])
def test_clock_that_cannot_be_trusted_gives_neither_time_nor_position(now_s: int) -> None:
    made = reading(None, STATE, now_s)
    assert made[:2] == (None, None)
    assert (made.fix, made.time_s, made.time_quality) == (FIX_NONE, None, TIME_UNKNOWN)


@pytest.mark.parametrize("name", ["esp32-devkit", "esp32c3-devkit"])
def test_board_is_found_by_its_provisioned_name(name: str) -> None:
    board = load_board(name)
    pins = [board.i2c_scl, board.i2c_sda, board.gnss_rx, board.gnss_tx, board.gnss_power, board.battery_adc]
    assert len(set(pins)) == len(pins)


def test_board_that_does_not_exist_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        load_board("toaster")
