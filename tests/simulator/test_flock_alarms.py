"""Alarms and private ids of the flock: judged as a tag judges, the bytes of its own code, the same in its journal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfleet.alarms import NO_ALARM, Alarms, limits_of
from tagfleet.delivery import delivery_of
from tagfleet.fidelity import wrong_fields
from tagfleet.flock import Flock, Samples
from tagfleet.identity import make_provisions
from tagfleet.journals import Journals, JournalSettings
from tagfleet.oracle import NonceOracle
from tagfleet.world.world import WorldSettings, make_world
from tagwire import alarm, fields
from tagwire.batch import FLAG_ALARM, Batch
from tagwire.beacon import HINT_PRIVATE, KIND_ALARM, KIND_SAMPLE, epoch_of, open_beacon, parse_header, seal_beacon
from tagwire.bulk import NOT_AVAILABLE, CodeColumns, to_codes
from tagwire.history import codes_of
from tagwire.keys import beacon_key, id_key
from tagwire.seal import aes128

START_S = 1_774_000_000.0
TAGS = 60
LIMITS: dict[str, int | bool | str] = {
    "temperature_high_mc": 6_000,
    "temperature_low_mc": 3_000,
    "humidity_high_mpct": 92_000,
    "battery_low_mv": 3_450,
}


def flock(settings: dict[str, int | bool | str], journals: bool = False) -> Flock:
    provisions = make_provisions(7, 1000, TAGS, generation=1, settings=settings)
    world = make_world(WorldSettings(7, TAGS, cargo_shares=(0.3, 0.7, 0.0), cooler_failures_per_week=2.0))
    return Flock(provisions, world, 60.0, START_S, journals=Journals(TAGS, JournalSettings()) if journals else None)


def reasons_of(samples: Samples) -> list[int]:
    """The reason in each alarm's codes, by the portable decoder; NO_ALARM for samples."""
    found = []
    for tag, counter, beacon in zip(samples.tags, samples.counters, samples.beacons, strict=True):
        header = parse_header(beacon.tobytes())
        if header.kind != KIND_ALARM:
            found.append(NO_ALARM)
            continue
        provision = make_provisions(7, 1000, TAGS)[int(tag)]
        encrypt = aes128(beacon_key(provision.root_key, 1))
        found.append(alarm.reason_of(fields.unpack_body(open_beacon(encrypt, beacon.tobytes(), int(counter)))))
    return found


@given(st.lists(st.sampled_from([None, 2_000, 2_900, 3_300, 3_600, 5_000, 5_700, 6_000, 6_100, 9_000]), max_size=40))
def test_alarms_are_judged_as_the_rules_say(temperatures_mc: list[int | None]) -> None:
    """One limit above, one below: passed beyond it, over when back by half a degree; each told once, and the end."""
    limits = limits_of({"temperature_high_mc": 6_000, "temperature_low_mc": 3_000})
    assert limits is not None
    expected = []
    high = low = False
    for temperature_mc in temperatures_mc:
        before = high or low
        told = NO_ALARM
        if temperature_mc is not None:
            was = high, low
            high = temperature_mc > 5_500 if high else temperature_mc > 6_000
            low = temperature_mc < 3_500 if low else temperature_mc < 3_000
            if high and not was[0]:
                told = alarm.REASON_TEMPERATURE_HIGH
            elif low and not was[1]:
                told = alarm.REASON_TEMPERATURE_LOW
        if before and not (high or low):
            told = alarm.REASON_CLEARED
        expected.append(told)
    codes = [
        fields.to_codes(fields.Reading(None, None, value, 50_000, 4_000, 0, 0, None, 0)) for value in temperatures_mc
    ]
    columns = CodeColumns(*(np.array([code[i] for code in codes], np.int64) for i in range(9)))
    judged = Alarms(limits, 1).judge(np.zeros(len(codes), np.int64), columns)
    assert judged.tolist() == expected


def test_several_reasons_are_told_one_a_sample_the_most_urgent_first() -> None:
    limits = limits_of({"temperature_high_mc": 6_000, "battery_low_mv": 3_500})
    assert limits is not None
    rows = [
        fields.to_codes(fields.Reading(None, None, mc, 50_000, mv, 0, 0, None, 0))
        for mc, mv in [(5_000, 4_000), (8_000, 3_300), (8_000, 3_300), (8_000, 3_300), (5_000, 3_300), (5_000, 3_900)]
    ]
    columns = CodeColumns(*(np.array([row[i] for row in rows], np.int64) for i in range(9)))
    assert Alarms(limits, 1).judge(np.zeros(6, np.int64), columns).tolist() == [
        NO_ALARM,
        alarm.REASON_TEMPERATURE_HIGH,
        alarm.REASON_BATTERY_LOW,
        NO_ALARM,
        NO_ALARM,
        alarm.REASON_CLEARED,
    ]


def test_settings_without_limits_make_no_alarm() -> None:
    assert limits_of({}) is None
    assert limits_of({"temperature_hysteresis_mc": 100, "interval_s": 60}) is None
    assert not (flock({}).step(START_S + 3600).beacons[:, 0] >> 2 & 3).any()


def test_alarms_are_the_bytes_of_the_tags_own_code() -> None:
    samples = flock(LIMITS).step(START_S + 12 * 3600)
    provisions = make_provisions(7, 1000, TAGS, generation=1)
    readings = [
        fields.Reading._make(None if value == NOT_AVAILABLE else value for value in row)
        for row in zip(*(column.tolist() for column in samples.readings), strict=True)
    ]
    reasons = reasons_of(samples)
    kinds = samples.beacons[:, 0] >> 2 & 3
    assert {r for r in reasons if r != NO_ALARM} >= {alarm.REASON_TEMPERATURE_HIGH, alarm.REASON_CLEARED}
    for row in np.flatnonzero(kinds == KIND_ALARM).tolist():
        provision = provisions[int(samples.tags[row])]
        body = fields.pack_body(alarm.alarm_codes(readings[row], reasons[row]))
        encrypt = aes128(beacon_key(provision.root_key, 1))
        counter = int(samples.counters[row])
        assert samples.beacons[row].tobytes() == seal_beacon(encrypt, provision.tag_id, counter, body, kind=KIND_ALARM)


def test_alarms_do_not_depend_on_the_steps() -> None:
    at_once = flock(LIMITS).step(START_S + 6 * 3600)
    stepwise = flock(LIMITS)
    pieces = [stepwise.step(START_S + t) for t in range(0, 6 * 3600 + 1, 450)]
    assert np.concatenate([p.beacons for p in pieces]).tobytes() == at_once.beacons.tobytes()


def test_journal_holds_alarms_as_their_beacons_said() -> None:
    tags = flock(LIMITS, journals=True)
    samples = tags.step(START_S + 12 * 3600)
    reasons = np.array(reasons_of(samples))
    alarmed = np.unique(samples.tags[reasons != NO_ALARM])
    assert len(alarmed) > 3
    for tag in alarmed.tolist()[:4]:
        mine = samples.tags == tag
        made = int(mine.sum())
        pieces = [*tags.records(tag, made - 100, made - 1), *tags.records(tag, 0, made - 101)]
        records = sorted(pieces, key=lambda record: record.counter)
        assert [r.alarm for r in records] == (reasons[mine] != NO_ALARM).tolist()
        told = [alarm.reason_of(codes_of(r)) for r in records if r.alarm]
        assert told == [r for r in reasons[mine].tolist() if r != NO_ALARM]


def test_ledger_finds_an_alarms_values_right() -> None:
    samples = flock(LIMITS).step(START_S + 12 * 3600)
    rows = np.flatnonzero(samples.beacons[:, 0] >> 2 & 3 == KIND_ALARM)
    alarms = samples.readings._replace(**{n: getattr(samples.readings, n)[rows] for n in samples.readings._fields})
    reasons = np.array(reasons_of(samples))[rows]
    codes = [
        alarm.alarm_codes(fields.Reading._make(None if v == NOT_AVAILABLE else v for v in row), reason)
        for row, reason in zip(zip(*(c.tolist() for c in alarms), strict=True), reasons.tolist(), strict=True)
    ]
    columns = dict(zip(fields.Codes._fields, (np.array(column) for column in zip(*codes, strict=True)), strict=True))
    known = alarms.time_s != NOT_AVAILABLE
    made_us = samples.t_us[rows]
    batch = Batch(
        "hub",
        1,
        0,
        2,
        None,
        {
            **{
                name: columns[name]
                for name in ("latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion")
            },
            "tag": samples.tag_ids[rows],
            "counter": samples.counters[rows],
            "time": np.where(known, alarms.time_s, made_us // 1_000_000),
            "quality": np.where(known, columns["time_quality"], fields.TIME_ESTIMATED),
            "heard": np.zeros(len(rows), np.int64),
            "rssi": np.full(len(rows), -20),
            "flags": np.full(len(rows), FLAG_ALARM),
        },
    )
    wrong = wrong_fields(alarms, delivery_of(batch).readings, made_us)
    assert {name: int(mask.sum()) for name, mask in wrong.items() if mask.any()} == {}


def test_private_flock_is_called_otherwise_every_epoch() -> None:
    tags = flock({"private_ids": True})
    samples = tags.step(START_S + 3600)
    provisions = make_provisions(7, 1000, TAGS, generation=1)
    assert (samples.beacons[:, 0] & HINT_PRIVATE).all()
    codes = to_codes(samples.readings)
    oracle = NonceOracle()
    for row in range(0, len(samples.tags), 7):
        provision = provisions[int(samples.tags[row])]
        epoch = epoch_of(int(samples.t_us[row]) // 1_000_000)
        encrypt_id = aes128(id_key(provision.root_key, 1))
        key = beacon_key(provision.root_key, 1)
        body = fields.pack_body(fields.Codes(*(int(column[row]) for column in codes)))
        counter = int(samples.counters[row])
        sealed = seal_beacon(aes128(key), provision.tag_id, counter, body, 0, KIND_SAMPLE, encrypt_id, epoch)
        assert samples.beacons[row].tobytes() == sealed
        oracle.check_beacon(key, provision.tag_id, counter, sealed, epoch)
    ids = {(int(t), b[1:5].tobytes()) for t, b in zip(samples.tags, samples.beacons, strict=True)}
    assert TAGS * 4 <= len(ids) <= TAGS * 5
    last = samples.tags == 5
    assert tags.tag_called(int.from_bytes(samples.beacons[last][-1][1:5].tobytes(), "little")) == 5
    assert tags.tag_called(0x12345678) is None


@pytest.mark.parametrize("settings", [{}, {"private_ids": True}, LIMITS])
def test_flock_with_settings_is_the_same_for_the_same_seed(settings: dict[str, int | bool | str]) -> None:
    first, again = (flock(settings).step(START_S + 1200) for _ in range(2))
    assert first.adv_data.tobytes() == again.adv_data.tobytes()
