"""What the subscriber makes of publishes, good and bad."""

import numpy as np

from tagfleet.consumer import Consumer
from tagfleet.figures import RunFigures
from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.ledger import Ledger
from tagfleet.scenario import find, read
from tagfleet.slo import Measured, checks
from tagfleet.world.world import build_world
from tagwire.batch import Batch, encode_batch
from tagwire.bulk import NOT_AVAILABLE, to_codes
from tagwire.fields import TIME_ESTIMATED

START_S = 1_774_000_000.0
TOPIC = "tags/v1/demo/truck-1/samples"


def run_figures(tags: int) -> RunFigures:
    return RunFigures("demo", "a run", 1.0, 1.0, tags, 1, "taghub", latest={})


def test_consumer_finds_every_value_of_a_batch_right() -> None:
    samples = Flock(make_provisions(9, 1, 100), build_world(9, 100), 5.0, START_S).step(START_S + 10)
    codes = to_codes(samples.readings)
    heard_s = samples.t_us // 1_000_000
    unknown = samples.readings.time_s == NOT_AVAILABLE  # by the tag; the hub stamps it and says so
    time_s = np.where(unknown, heard_s, (samples.readings.time_s + 2) // 4 * 4)
    batch = Batch(
        "truck-1",
        1,
        int(START_S),
        2,
        None,
        {
            "tag": samples.tag_ids,
            "counter": samples.counters,
            "time": time_s,
            "latitude": codes.latitude,
            "longitude": codes.longitude,
            "temperature": codes.temperature,
            "humidity": codes.humidity,
            "battery": codes.battery,
            "fix": codes.fix,
            "motion": codes.motion,
            "quality": np.where(unknown, TIME_ESTIMATED, codes.time_quality),
            "heard": heard_s - time_s,
            "rssi": np.full(len(time_s), -80 // 4),
            "flags": np.zeros_like(time_s),
        },
    )
    payload = encode_batch(batch)
    ledger, figures = Ledger.for_tags(range(1, 101), int(START_S * 1e6)), run_figures(100)
    consumer = Consumer(ledger, figures, {})
    ledger.made(samples.tag_ids, samples.counters, samples.readings, samples.t_us)
    ledger.reported(samples.tag_ids, samples.counters, 0, samples.t_us)
    consumer.take(int(START_S * 1e6) + 11_000_000, TOPIC, payload)
    account = ledger.account()
    assert account.examples["wrong"] == []
    assert (account.made, account.delivered) == (200, 200)
    assert (figures.batches, figures.batch_samples, figures.batch_bytes) == (1, 200, len(payload))
    assert figures.latest is not None
    assert figures.latest[1].rssi_dbm == -78

    consumer.take(int(START_S * 1e6) + 12_000_000, TOPIC, payload)
    assert ledger.account().duplicated == 200


def test_consumer_counts_what_is_no_batch_and_no_status() -> None:
    figures = run_figures(0)
    consumer = Consumer(Ledger.for_tags([], 0), figures, {})
    for payload in (b"", b"\x00", b"\xff" * 50):
        consumer.take(1, TOPIC, payload)
    consumer.take(1, "tags/v1/demo/truck-1/status", b"{")
    assert figures.undecodable == 4
    ledger = Ledger.for_tags([], 0)
    measured = Measured(ledger.account(), ledger.latency, 1.0, None, None, figures.undecodable)
    assert not next(check for check in checks(read(find("demo")).slo, measured) if check.name == "decodable").good


def test_consumer_reads_the_hubs_counters() -> None:
    figures = run_figures(0)
    consumer = Consumer(Ledger.for_tags([], 0), figures, {})
    consumer.take(1, "tags/v1/demo/truck-1/status", b'{"state":"online","intake":{"forged":3,"accepted":"?"}}')
    consumer.take(1, "tags/v1/demo/truck-1/status", b'{"radios":[{"open":true},{"open":false},3]}')
    consumer.take(1, "tags/v1/demo/truck-1/status", b'{"state":"lost"}')
    assert figures.intake == {"forged": 3}
    assert figures.open_radios == 1
