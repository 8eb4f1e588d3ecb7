"""When batches close, and which time a sample gets."""

from tags import NOW_S, NOW_US, Tag, reading

from taghub.batcher import Batcher
from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_LIVE, ClosedBatch, sample_keys
from taghub.intake import Accepted, Intake
from taghub.registry import Registry
from taghub.sample_columns import Fetched
from taghub.sample_rows import Rows, rows_of
from tagwire.batch import MAX_BATCH_BYTES, SAFE_SAMPLES, Batch, decode_batch, samples
from tagwire.beacon import KIND_ALARM
from tagwire.fields import TIME_ESTIMATED, TIME_GNSS, TIME_HUB, TIME_UNKNOWN, to_codes
from tagwire.history import Record

TAG = Tag(7)


def accepted(*counters: int, time_s: int | None = NOW_S, t_us: int = NOW_US) -> Rows:
    intake = Intake(Registry([TAG.entry()]))
    return rows_of(intake.take([TAG.heard(counter, reading(time_s=time_s), t_us=t_us) for counter in counters]))


def take(batcher: Batcher, now_s: float, close: bool = False) -> list[ClosedBatch]:
    return batcher.take_due(now_s, NOW_S, TIME_HUB, (525200000, 134050000), close)


def test_batch_closes_at_its_age_and_not_before() -> None:
    batcher = Batcher("hub-1", 1.0, 100, 5)
    assert batcher.due_s is None
    batcher.add(accepted(1), 10.0)
    batcher.add(accepted(2), 10.9)
    assert batcher.due_s == 11.0
    assert take(batcher, 10.99) == []
    (closed,) = take(batcher, 11.0)
    assert closed[:4] == (5, LANE_LIVE, NOW_S, 2)
    assert sample_keys(closed) == [(7, 1), (7, 2)]
    assert batcher.due_s is None
    assert take(batcher, 99.0) == []


def test_full_batches_close_at_once_and_the_rest_waits() -> None:
    batcher = Batcher("hub-1", 1.0, 2, 5)
    batcher.add(accepted(1, 2, 3, 4, 5), 10.0)
    assert [sample_keys(batch) for batch in take(batcher, 10.0)] == [[(7, 1), (7, 2)], [(7, 3), (7, 4)]]
    assert batcher.open_samples == 1
    (last,) = take(batcher, 10.0, close=True)
    assert (last.sequence, sample_keys(last)) == (7, [(7, 5)])


def test_alarms_close_at_once_in_a_batch_of_their_own() -> None:
    batcher = Batcher("hub-1", 60.0, 100, 5)
    samples_heard = accepted(1, 2, 3)
    samples_heard["byte0"][1] = KIND_ALARM << 2
    batcher.add(samples_heard, 10.0)
    (closed,) = take(batcher, 10.0)
    assert (closed.lane, sample_keys(closed)) == (LANE_ALARM, [(7, 2)])
    assert (batcher.open_samples, batcher.due_s) == (2, 70.0)


def wild(count: int) -> Rows:
    """Samples that nothing can be predicted of."""
    return rows_of(
        Accepted(
            i * 2654435761 % (1 << 32), i * 40503 % (1 << 32), bytes(8) + i.to_bytes(3, "big"), i, -i % 99, True, 0
        )
        for i in range(count)
    )


def test_batches_fit_a_publish_whatever_came_before() -> None:
    batcher = Batcher("h" * 64, 1.0, 12_000, 1 << 60)
    batcher.add(wild(SAFE_SAMPLES), 0.0)
    calm = rows_of([Accepted(7, counter, bytes(11), NOW_US, -60, False, 0) for counter in range(12_000)])
    batcher.add(calm, 0.0)
    closed = take(batcher, 2.0)
    assert closed[0].samples == SAFE_SAMPLES  # before it knows better
    assert closed[1].samples > SAFE_SAMPLES
    batcher.add(wild(12_000), 3.0)
    closed += take(batcher, 5.0)
    assert max(len(batch.payload) for batch in closed) <= MAX_BATCH_BYTES
    assert sum(batch.samples for batch in closed) == 26_000
    assert [batch.sequence for batch in closed] == [(1 << 60) + i for i in range(len(closed))]


def decoded(batch_samples: Rows) -> Batch:
    batcher = Batcher("hub-1", 1.0, 100, 5)
    batcher.add(batch_samples, 10.0)
    return decode_batch(take(batcher, 11.0)[0].payload)


def test_batch_says_who_where_and_what() -> None:
    batch = decoded(accepted(1))
    assert (batch.hub, batch.sequence, batch.created_s, batch.clock) == ("hub-1", 5, NOW_S, TIME_HUB)
    assert batch.position == (525200000, 134050000)
    (sample,) = samples(batch)
    assert (sample.tag_id, sample.counter, sample.heard_s, sample.unconfirmed) == (7, 1, NOW_S, True)
    assert (sample.reading.temperature_mc, sample.reading.battery_mv) == (21_000, 3_640)
    assert -62 <= sample.rssi_dbm <= -58


def test_sample_gets_its_full_time_back() -> None:
    for counter, age_s in enumerate((0, 4, 1_999, -1_999)):
        (sample,) = samples(decoded(accepted(counter, time_s=NOW_S - age_s)))
        assert abs(sample.reading.time_s - (NOW_S - age_s)) <= 2  # type: ignore[operator]
        assert (sample.heard_s, sample.reading.time_quality) == (NOW_S, TIME_GNSS)


def test_sample_without_time_is_stamped_with_its_first_hearing() -> None:
    (sample,) = samples(decoded(accepted(1, time_s=None)))
    assert (sample.reading.time_s, sample.reading.time_quality) == (NOW_S // 4 * 4, TIME_ESTIMATED)


def test_hub_with_an_absurd_clock_still_delivers() -> None:
    for t_us in (0, -5, (1 << 63) - 1):
        heard = accepted(1)
        heard["t_us"] = t_us
        assert len(samples(decoded(heard))) == 1


def fetched(counter: int, time_s: int | None = NOW_S, t_us: int = NOW_US + 3_600_000_000) -> Fetched:
    """A sample of the test's tag, as its journal has it."""
    codes = to_codes(reading(time_s=time_s))
    time_4s = 0 if time_s is None else (time_s + 2) // 4
    return Fetched(7, Record(counter, time_4s, *codes[:7], codes.time_quality, False), t_us)


def test_backlog_has_a_batch_and_a_lane_of_its_own() -> None:
    batcher = Batcher("hub-1", 1.0, 2, 5)
    batcher.add(accepted(9), 10.0)
    batcher.add_history([fetched(1)], 10.5)
    assert (batcher.open_samples, batcher.due_s) == (2, 11.0)
    (live,) = take(batcher, 11.0)
    assert (live.lane, batcher.due_s) == (LANE_LIVE, 11.5)
    assert take(batcher, 11.4) == []
    batcher.add_history([fetched(2), fetched(3)], 11.4)
    (full,) = take(batcher, 11.4)
    assert (full.lane, full.sequence, sample_keys(full)) == (LANE_BACKLOG, 6, [(7, 1), (7, 2)])
    (rest,) = take(batcher, 11.5)
    assert (rest.lane, sample_keys(rest), batcher.due_s) == (LANE_BACKLOG, [(7, 3)], None)


def test_backlog_has_the_values_of_the_beacon_and_the_time_of_the_tag() -> None:
    batcher = Batcher("hub-1", 1.0, 100, 5)
    batcher.add_history([fetched(1), fetched(2, time_s=None)], 0.0)
    (closed,) = take(batcher, 1.0)
    timed, untimed = samples(decode_batch(closed.payload))
    (heard,) = samples(decoded(accepted(1)))
    assert timed._replace(heard_s=heard.heard_s, rssi_dbm=heard.rssi_dbm, unconfirmed=True) == heard
    assert (timed.heard_s, timed.rssi_dbm) == (NOW_S + 3600, 126)
    assert (untimed.reading.time_s, untimed.reading.time_quality, untimed.heard_s) == (None, TIME_UNKNOWN, NOW_S + 3600)
