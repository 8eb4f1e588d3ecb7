"""The limits that a board's self test is judged by."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagsmith.selftest import PARTS, Limits, judge, missing

GOOD: dict[str, dict[str, Any]] = {
    "flash": {"free_kb": 64, "same": True},
    "memory": {"free_kb": 40},
    "climate": {"temperature_mc": 45_000, "humidity_mpct": 5_000},
    "probe": {"kind": "ds18b20", "temperature_mc": 5_000},
    "accelerometer": {"kind": "lis2dh12", "answers": True},
    "battery": {"battery_mv": 3_300},
    "gnss": {"sentences": 2, "rejected": 0, "fixes": 0},
    "radio": {"advertised": True},
}


@pytest.mark.parametrize("part", PARTS)
def test_values_on_the_limits_pass(part: str) -> None:
    verdict = judge(part, GOOD[part], Limits())
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("flash", "free_kb", 63),
        ("flash", "same", False),
        ("memory", "free_kb", 39),
        ("climate", "temperature_mc", 45_001),
        ("climate", "temperature_mc", None),
        ("climate", "humidity_mpct", 4_999),
        ("probe", "temperature_mc", 4_999),
        ("accelerometer", "answers", None),
        ("battery", "battery_mv", 3_299),
        ("battery", "battery_mv", None),
        ("gnss", "sentences", 1),
        ("radio", "advertised", False),
    ],
)
def test_value_beyond_a_limit_fails_and_says_what_to_look_at(part: str, name: str, value: object) -> None:
    verdict = judge(part, {**GOOD[part], name: value}, Limits())
    assert not verdict.passed
    assert verdict.try_next


@given(st.sampled_from((*PARTS, "other")), st.dictionaries(st.text(max_size=16), st.none() | st.text() | st.booleans()))
def test_nonsense_from_a_board_fails_and_does_not_raise(part: str, values: dict[str, object]) -> None:
    assert not judge(part, values, Limits()).passed


def test_part_that_was_not_reported_fails() -> None:
    assert [verdict.part for verdict in missing([judge("flash", GOOD["flash"], Limits())], PARTS)] == list(PARTS[1:])
