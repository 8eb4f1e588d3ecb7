"""The intake's rules: who is accepted, and under which word everything else is counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tags import NOW_S, NOW_US, Tag, reading

from taghub import intake as words
from taghub import registry
from taghub.budget import SearchBudget
from taghub.heard import Heard
from taghub.intake import Intake
from taghub.registry import Registry
from tagwire.alarm import reason_of
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE
from tagwire.fields import from_codes, to_codes, unpack_body
from tagwire.keyring import decode_entry

TAG = Tag(7)
RECEIVER = Path(__file__).resolve().parents[2] / "protocol" / "vectors" / "receiver.json"
VECTORS = json.loads(RECEIVER.read_text("utf-8"))


def intake_of(*tags: Tag, budget: SearchBudget | None = None, **changes: int | bytes | None) -> Intake:
    return Intake(Registry([tag.entry(**changes) for tag in tags]), budget)


def name_everybody(intake: Intake, now_us: int = NOW_US) -> None:
    """Let a hub that knows the time do all that private ids need."""
    intake.work(now_us, certain=True)
    while intake.has_work:
        intake.work(now_us, certain=True)


def counted(intake: Intake) -> dict[str, int]:
    return {word: count for word, count in intake.counts.items() if count}


def accepted_counters(intake: Intake, *counters: int, tag: Tag = TAG) -> list[int]:
    return [sample.counter for sample in intake.take([tag.heard(counter) for counter in counters])]


@pytest.mark.parametrize("run", VECTORS["runs"], ids=lambda run: run["name"])
def test_runs_of_the_specification(run: dict[str, Any]) -> None:
    intake = Intake(Registry([decode_entry(json.dumps(run["keyring"]).encode())]))
    for step in run["steps"]:
        before = dict(intake.counts)
        now_us = step["now_s"] * 1_000_000
        name_everybody(intake, now_us)
        samples = intake.take([Heard(now_us, -60, bytes.fromhex(step["beacon"]))])
        assert {word for word, count in intake.counts.items() if count != before[word]} == {step["expect"]}
        assert [sample.counter for sample in samples] == ([step["counter"]] if step["expect"] == "accepted" else [])
        for sample in samples:
            assert sample.unconfirmed == step.get("unconfirmed", sample.unconfirmed)
            assert sample.alarm == step.get("alarm", sample.alarm)


def test_new_sample_is_accepted_with_its_values() -> None:
    (sample,) = intake_of(TAG).take([TAG.heard(3, reading(-12_300))])
    assert (sample.tag_id, sample.counter, sample.t_us, sample.rssi_dbm) == (7, 3, NOW_US, -60)
    expected = from_codes(to_codes(reading(-12_300)))
    assert sample.reading == expected
    assert expected.time_s == NOW_S % 4096


def test_sender_is_known_by_its_last_sample_alone_whatever_its_hints() -> None:
    intake = intake_of(TAG)
    connectable = TAG.heard(3, hints=HINT_CONNECTABLE).payload
    assert intake.sender(connectable) is None  # nothing has been accepted yet
    accepted_counters(intake, 3)
    assert intake.sender(connectable) is None  # its MIC was never looked at
    intake.take([Heard(NOW_US, -60, connectable)])
    (tag,) = intake.registry.tags.values()
    assert intake.sender(connectable) is tag
    assert intake.sender(connectable[:-1] + b"\x00") is None
    assert intake.sender(connectable[:-1]) is None
    accepted_counters(intake, 4)
    assert intake.sender(connectable) is None  # a recording by now
    assert counted(intake) == {"accepted": 2, "repeat": 1}


def test_first_sample_of_a_tag_is_unconfirmed_and_the_second_is_not() -> None:
    samples = intake_of(TAG).take([TAG.heard(3), TAG.heard(4)])
    assert [sample.unconfirmed for sample in samples] == [True, False]


def test_repeats_of_a_burst_are_counted_and_not_accepted() -> None:
    intake = intake_of(TAG)
    assert accepted_counters(intake, 3, 3, 3) == [3]
    assert counted(intake) == {words.ACCEPTED: 1, words.REPEAT: 2}


def test_same_sample_with_another_hint_is_a_repeat() -> None:
    intake = intake_of(TAG)
    assert len(intake.take([TAG.heard(3), TAG.heard(3, hints=HINT_BACKLOG), TAG.heard(3, hints=HINT_CONNECTABLE)])) == 1
    assert counted(intake) == {words.ACCEPTED: 1, words.REPEAT: 2}


def test_alarm_is_accepted_with_its_reason_and_hints() -> None:
    (sample,) = intake_of(TAG).take([TAG.heard(3, reading(9_000), HINT_BACKLOG | HINT_CONNECTABLE, reason=1)])
    codes = unpack_body(sample.body)
    assert (sample.alarm, sample.backlog, sample.connectable, reason_of(codes)) == (True, True, True, 1)
    exact = to_codes(reading(9_000))
    assert (codes.latitude >> 2, codes.longitude >> 2) == (exact.latitude >> 2, exact.longitude >> 2)
    assert sample.reading.temperature_mc == 9_000


def test_older_sample_is_replayed_not_forged() -> None:
    intake = intake_of(TAG)
    assert accepted_counters(intake, 9, 8, 3) == [9]
    assert counted(intake) == {words.ACCEPTED: 1, words.REPLAYED: 2}


def test_counter_crosses_its_low_16_bits() -> None:
    intake = intake_of(TAG, last_counter=0xFFFE)
    assert accepted_counters(intake, 0xFFFF, 0x10000, 0x10001) == [0xFFFF, 0x10000, 0x10001]
    assert accepted_counters(intake, 0xFFFF) == []
    assert counted(intake) == {words.ACCEPTED: 3, words.REPLAYED: 1}


@pytest.mark.parametrize("counter", [0, 0xFFFF, 0x10000, 0x123456, 0xFFFFFF])
def test_first_contact_finds_any_sequence(counter: int) -> None:
    assert accepted_counters(intake_of(TAG), counter) == [counter]


@pytest.mark.parametrize("generation", [1, 255])
def test_first_contact_in_a_later_generation(generation: int) -> None:
    tag = Tag(7, generation)
    assert accepted_counters(intake_of(tag), generation << 24, tag=tag) == [generation << 24]
    assert accepted_counters(intake_of(tag), generation << 24 | 0xFFFFFF, tag=tag) == [generation << 24 | 0xFFFFFF]


def test_tag_that_was_away_for_long_is_found_again() -> None:
    intake = intake_of(TAG)
    assert accepted_counters(intake, 5, 0x300004) == [5, 0x300004]


def test_keyring_counter_is_where_the_hub_starts() -> None:
    intake = intake_of(TAG, last_counter=100)
    assert accepted_counters(intake, 100, 99, 101) == [101]


def test_search_is_bounded_by_the_budget_and_refills() -> None:
    budget = SearchBudget(tries_per_s=256, burst=256)
    intake = intake_of(TAG, Tag(8), budget=budget)
    forged = Heard(NOW_US, -60, TAG.beacon(3)[:-1] + b"\x00")
    intake.take([forged])
    assert counted(intake) == {words.FORGED: 1}
    far = Tag(8).heard(0x500000)
    assert intake.take([far]) == []
    assert intake.counts[words.BUDGET] == 1
    (sample,) = intake.take([far._replace(t_us=NOW_US + 1_000_000)])
    assert sample.counter == 0x500000


def test_forgeries_do_not_keep_known_tags_out() -> None:
    intake = intake_of(TAG, budget=SearchBudget(tries_per_s=0, burst=0))
    accepted_counters(intake, 1)
    for counter in range(2, 20):
        intake.take([Heard(NOW_US, -60, TAG.beacon(counter)[:-6] + bytes(6))])
        assert accepted_counters(intake, counter) == [counter]


def test_clock_that_steps_back_gives_no_tries() -> None:
    budget = SearchBudget(tries_per_s=1000, burst=10)
    assert budget.spend(10, NOW_US)
    assert not budget.spend(1, NOW_US - 3_600_000_000)
    assert not budget.spend(2, NOW_US - 3_600_000_000 + 1_000)
    assert budget.spend(1, NOW_US - 3_600_000_000 + 2_000)


def test_generation_change_is_followed_and_never_taken_back() -> None:
    tag = Tag(7, generation=2)
    intake = intake_of(tag, previous_generation=1, previous_beacon_key=tag.key(1))
    old, new = 1 << 24 | 50, 2 << 24
    assert accepted_counters(intake, old, new, tag=tag) == [old, new]
    assert accepted_counters(intake, old + 1, tag=tag) == []
    assert accepted_counters(intake, new + 1, tag=tag) == [new + 1]


def test_previous_generation_is_closed_when_the_keyring_knows_a_newer_counter() -> None:
    tag = Tag(7, generation=2)
    intake = intake_of(tag, previous_generation=1, previous_beacon_key=tag.key(1), last_counter=2 << 24 | 5)
    assert accepted_counters(intake, 1 << 24 | 50, tag=tag) == []
    assert accepted_counters(intake, 2 << 24 | 6, tag=tag) == [2 << 24 | 6]


def test_counter_does_not_run_on_into_the_next_generation() -> None:
    intake = intake_of(TAG, last_counter=0xFFFFFF)
    overrun = Tag(7)
    overrun.key = lambda generation=None: TAG.key(0)  # type: ignore[method-assign]
    assert accepted_counters(intake, 1 << 24, tag=overrun) == []
    assert counted(intake) == {words.FORGED: 1}


def test_unknown_tag_and_expired_entry() -> None:
    intake = intake_of(TAG, expires_s=NOW_S)
    intake.take([TAG.heard(1, t_us=NOW_US - 1), TAG.heard(2), Tag(9).heard(1)])
    assert counted(intake) == {words.ACCEPTED: 1, words.EXPIRED: 1, words.UNKNOWN: 1}


@pytest.mark.parametrize(
    ("byte0", "word"),
    [
        (0, words.VERSION),
        (2, words.VERSION),
        (3, words.VERSION),
        (0b0101, words.FORGED),
        (0b1001, words.SERVICE),
        (0b1101, words.KIND),
        (0x21, words.UNKNOWN),
    ],
)
def test_other_versions_and_kinds(byte0: int, word: str) -> None:
    intake = intake_of(TAG)
    intake.take([Heard(NOW_US, -60, bytes([byte0]) + TAG.beacon(1)[1:])])
    assert counted(intake) == {word: 1}


@given(st.binary(max_size=40))
def test_any_payload_raises_nothing_and_is_never_accepted(payload: bytes) -> None:
    intake = intake_of(TAG)
    assert intake.take([Heard(NOW_US, 127, payload)]) == []
    assert sum(intake.counts.values()) == 1


@given(st.integers(0, 24 * 8 - 1), st.integers(0, 0xFFFFFF))
def test_one_flipped_bit_is_never_accepted(bit: int, counter: int) -> None:
    intake = intake_of(TAG, Tag(6), Tag(5), Tag(3))
    frame = int.from_bytes(TAG.beacon(counter), "little") ^ 1 << bit
    assert intake.take([Heard(NOW_US, -60, frame.to_bytes(24, "little"))]) == []


@given(st.lists(st.integers(0, 40), max_size=60))
def test_accepted_counters_only_rise(counters: list[int]) -> None:
    intake = intake_of(TAG)
    accepted = accepted_counters(intake, *counters)
    assert accepted == sorted(set(accepted))
    assert sum(intake.counts.values()) == len(counters)
    assert set(accepted_counters(intake, *counters)) == set()


def test_large_keyring_opens_without_cached_ciphers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CACHED_CIPHERS_MAX", 0)
    assert accepted_counters(intake_of(TAG), 1, 2, 1) == [1, 2]
