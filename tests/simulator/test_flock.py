"""The flock makes the bytes that a tag's own code makes, and makes them the same whatever way it is asked."""

import numpy as np
import pytest

from tagfleet.flock import Flock, Samples
from tagfleet.identity import make_provisions
from tagfleet.oracle import NonceOracle, NonceReuse
from tagfleet.radio import RadioSettings, addresses, hear
from tagfleet.world.world import build_world
from tagwire import fields
from tagwire.beacon import advertisement, open_beacon, seal_beacon
from tagwire.bulk import NOT_AVAILABLE
from tagwire.keys import beacon_key
from tagwire.seal import aes128

START_S = 1_774_000_000.0
TAGS = 30


def flock(seed: int = 7, generation: int = 3) -> Flock:
    provisions = make_provisions(seed, 1000, TAGS, generation=generation)
    return Flock(provisions, build_world(seed, TAGS), 5.0, START_S)


def readings(samples: Samples) -> list[fields.Reading]:
    columns = [column.tolist() for column in samples.readings]
    return [fields.Reading._make(None if v == NOT_AVAILABLE else v for v in row) for row in zip(*columns, strict=True)]


def test_flock_bytes_are_those_of_the_tags_own_code() -> None:
    provisions = make_provisions(7, 1000, TAGS, generation=3)
    samples = flock().step(START_S + 300.0)
    assert len(samples.tags) == pytest.approx(TAGS * 60, abs=TAGS)
    assert (samples.readings.temperature_mc == NOT_AVAILABLE).any()  # sensors fail now and then
    assert (samples.readings.latitude_e7 != NOT_AVAILABLE).any()
    for i, reading in enumerate(readings(samples)):
        provision = provisions[int(samples.tags[i])]
        cipher = aes128(beacon_key(provision.root_key, provision.generation))
        counter = int(samples.counters[i])
        beacon = seal_beacon(cipher, provision.tag_id, counter, fields.encode_body(reading))
        assert samples.beacons[i].tobytes() == beacon
        assert samples.adv_data[i].tobytes() == advertisement(0xFFFF, beacon)
        assert fields.from_codes(fields.to_codes(reading)) == fields.decode_body(open_beacon(cipher, beacon, counter))


def test_flock_steps_do_not_change_what_is_made() -> None:
    at_once = flock().step(START_S + 60.0)
    stepwise = flock()
    pieces = [stepwise.step(START_S + t) for t in np.arange(0.0, 60.25, 0.25)]
    assert np.concatenate([p.beacons for p in pieces]).tobytes() == at_once.beacons.tobytes()
    assert np.array_equal(np.concatenate([p.t_us for p in pieces]), at_once.t_us)
    assert len(stepwise.step(START_S + 60.0).tags) == 0


def test_flock_another_seed_gives_other_bytes() -> None:
    assert flock(1).step(START_S + 20).beacons.tobytes() != flock(2).step(START_S + 20).beacons.tobytes()


def test_flock_counters_rise_by_one_from_the_generations_first() -> None:
    samples = flock(generation=3).step(START_S + 60.0)
    for tag in range(TAGS):
        counters = samples.counters[samples.tags == tag]
        assert np.array_equal(counters, (3 << 24) + np.arange(len(counters)))
        assert (np.diff(samples.t_us[samples.tags == tag]) > 4_000_000).all()


def test_flock_never_uses_a_nonce_twice() -> None:
    oracle = NonceOracle()
    tags = flock()
    samples = tags.step(START_S + 60.0)
    for _ in range(2):  # a sample that is advertised again is the same frame
        for i in range(len(samples.tags)):
            key = tags.keys[int(samples.tags[i])]
            beacon = samples.beacons[i].tobytes()
            oracle.check_beacon(key, int(samples.tag_ids[i]), int(samples.counters[i]), beacon)
    assert oracle.checked == 2 * len(samples.tags)


def test_oracle_refuses_another_body_under_the_same_counter() -> None:
    key = bytes(16)
    oracle = NonceOracle()
    first, second = (seal_beacon(aes128(key), 1, 9, bytes([i]) * 11) for i in range(2))
    oracle.check_beacon(key, 1, 9, first)
    oracle.check_beacon(key, 1, 9, first)
    oracle.check_beacon(b"\x01" * 16, 1, 9, second)  # another key is another matter
    oracle.check_beacon(key, 1, 10, seal_beacon(aes128(key), 1, 10, bytes(11)))
    with pytest.raises(NonceReuse):
        oracle.check_beacon(key, 1, 9, second)


def test_oracle_forgets_the_oldest_when_full() -> None:
    oracle = NonceOracle(max_nonces=3)
    for counter in range(5):
        oracle.check_beacon(bytes(16), 1, counter, seal_beacon(aes128(bytes(16)), 1, counter, bytes(11)))
    assert (oracle.checked, oracle.forgotten) == (5, 2)


def test_radio_hears_most_samples_more_than_once_and_some_not_at_all() -> None:
    samples = Flock(make_provisions(5, 1, 300), build_world(5, 300), 5.0, START_S).step(START_S + 60.0)
    settings = RadioSettings()
    reports = hear(settings, 5, samples.tag_ids, samples.counters, samples.t_us)
    per_sample = np.bincount(reports.rows, minlength=len(samples.tags))
    assert 2 < per_sample.mean() <= settings.burst_events
    assert 0 < (per_sample == 0).mean() < 0.05
    assert (np.diff(reports.t_us) >= 0).all()
    delay_us = reports.t_us - samples.t_us[reports.rows]
    assert delay_us.min() >= 0
    assert delay_us.max() < 1000 * (settings.burst_events * settings.burst_interval_ms + 10)
    assert -100 < reports.rssi_dbm.mean() < -65
    again = hear(settings, 5, samples.tag_ids[:100], samples.counters[:100], samples.t_us[:100])
    assert set(zip(again.rows.tolist(), again.t_us.tolist(), strict=True)) == {
        (row, t_us) for row, t_us in zip(reports.rows.tolist(), reports.t_us.tolist(), strict=True) if row < 100
    }


def test_addresses_are_static_random_and_differ() -> None:
    rows = addresses(np.array([1, 2, 0xFFFFFFFF], np.int64))
    assert (rows[:, 5] >> 6 == 3).all()
    assert len({row.tobytes() for row in rows}) == 3
