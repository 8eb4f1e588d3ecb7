"""The spool in the event loop: commits, failures, repairs; a real file behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tags import NOW_S, NOW_US
from waiting import until

from taghub.batcher import Batcher
from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_EVENT, LANE_LIVE, LANE_REPLY, ClosedBatch
from taghub.intake import Accepted
from taghub.outbox import READY_MAX
from taghub.sample_columns import Fetched
from taghub.sample_rows import Rows, rows_of
from taghub.spool import DROP_MEMORY, Dropped, Known, Limits, Spool, Store, StoreError
from tagwire.fields import TIME_HUB
from tagwire.history import Record


class News:
    """A SpoolEvents."""

    def __init__(self) -> None:
        self.committed: list[int] = []
        self.history: list[int] = []
        self.dropped: list[Dropped] = []

    def samples_committed(self, samples: Rows) -> None:
        self.committed += samples["counter"].tolist()

    def history_committed(self, batches: list[ClosedBatch]) -> None:
        self.history += [batch.sequence for batch in batches]

    def batches_ready(self) -> None:
        pass

    def batches_dropped(self, dropped: list[Dropped]) -> None:
        self.dropped += dropped

    def known(self) -> Known:
        return Known(NOW_S, 0, dict)


class StubbornStore(Store):
    """A disk that is full while `full` is set."""

    full = False
    fault: Exception = StoreError("disk full")

    def commit(self, *args: Any) -> list[Dropped]:
        if self.full:
            raise self.fault
        return super().commit(*args)


def sample(counter: int) -> Accepted:
    return Accepted(7, counter, bytes(11), NOW_US, -60, False, 0)


def batch(sequence: int, size: int = 100) -> ClosedBatch:
    return ClosedBatch(sequence, LANE_LIVE, NOW_S, 1, bytes(size))


@contextlib.asynccontextmanager
async def spool(path: Path, news: News, memory_bytes: int = 10_000) -> AsyncIterator[tuple[Spool, StubbornStore]]:
    store = StubbornStore(path, "normal", Limits(1 << 30, 1e9, "oldest"))
    made = Spool(store, store.open(), news, memory_bytes)
    writer = asyncio.create_task(made.run())
    try:
        yield made, store
    finally:
        made.stop()
        await writer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr("taghub.spool.spool.RETRY_S", 0.05)

    def run_scenario(scenario: Callable[[Spool, StubbornStore, News], Any]) -> None:
        async def main() -> None:
            news = News()
            async with spool(tmp_path / "spool.db", news) as (made, store):
                async with asyncio.timeout(30):
                    await scenario(made, store, news)

        asyncio.run(main())

    return run_scenario


def sent(made: Spool) -> list[int]:
    return [each.sequence for each in iter(lambda: made.next_to_send(0.0), None)]


def test_sample_is_committed_and_its_batch_sent_only_then(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        made.accept(rows_of([sample(1)]))
        made.add([batch(1)])
        assert (news.committed, sent(made)) == ([], [])
        await until(lambda: news.committed == [1])
        await until(lambda: sent(made) == [1])
        assert made.acknowledged(1) is not None
        await until(lambda: made.all_delivered)
        assert store.totals.batches == 0

    run(scenario)


def test_backlog_longer_than_memory_comes_from_the_file_and_each_batch_once(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        for sequence in range(5 * READY_MAX):
            made.add([batch(sequence)])
        await until(lambda: store.totals.batches == 5 * READY_MAX)
        order: list[int] = []
        while len(order) < 5 * READY_MAX:
            for sequence in sent(made):
                order.append(sequence)
                made.acknowledged(sequence)
            await asyncio.sleep(0.01)
        assert sorted(order) == list(range(5 * READY_MAX))
        assert order[:READY_MAX] == list(range(4 * READY_MAX, 5 * READY_MAX))  # what is new goes first
        await until(lambda: made.all_delivered)

    run(scenario)


def test_full_disk_sends_from_memory_and_promises_nothing_until_there_is_room(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        store.full = True
        made.accept(rows_of([sample(1), sample(2)]))
        made.add([batch(1), batch(2)])
        await until(lambda: made.failing == "disk full")
        assert sent(made) == [1, 2]
        made.acknowledged(1)
        assert news.committed == []
        assert made.undelivered_batches == 1
        store.full = False
        await until(lambda: news.committed == [1, 2])
        assert made.failing == ""
        await until(lambda: store.totals.batches == 1)
        made.acknowledged(2)
        await until(lambda: made.all_delivered)

    run(scenario)


def test_full_disk_does_not_keep_back_what_was_stored_before(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        count = 3 * READY_MAX
        made.add([batch(sequence) for sequence in range(count)])
        await until(lambda: store.totals.batches == count)
        store.full = True
        made.add([batch(count)])
        await until(lambda: made.failing != "")
        order: list[int] = []
        while len(order) < count + 1:
            for sequence in sent(made):
                order.append(sequence)
                made.acknowledged(sequence)
            await asyncio.sleep(0.01)
        assert sorted(order) == list(range(count + 1))
        store.full = False
        await until(lambda: made.all_delivered)

    run(scenario)


def test_fault_that_nobody_has_thought_of_ends_no_writer_and_loses_nothing(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        store.full, store.fault = True, OverflowError("Python int too large to convert to SQLite INTEGER")
        made.accept(rows_of([sample(1)]))
        made.add([batch(1)])
        await until(lambda: made.failing != "")
        store.full = False
        await until(lambda: news.committed == [1])
        await until(lambda: store.totals.batches == 1)

    run(scenario)


def test_full_disk_without_a_broker_is_bounded_and_counted(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        store.full = True
        made.add([batch(0)])
        await until(lambda: made.failing != "")
        made.add([batch(sequence, 1000) for sequence in range(1, 15)])
        assert news.dropped == [Dropped(sequence, 1, DROP_MEMORY) for sequence in range(5)]
        assert made.dropped_memory == 5
        store.full = False
        await until(lambda: store.totals.batches == 10)

    run(scenario)


def test_memory_drops_alarms_and_events_last(run: Callable[..., None]) -> None:
    lanes = {LANE_EVENT: [1], LANE_ALARM: [2, 3], LANE_LIVE: [4, 7], LANE_BACKLOG: [5, 6], LANE_REPLY: [8]}

    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        store.full = True
        made.add([batch(0, 0)])
        await until(lambda: made.failing != "")
        lane_of = {sequence: lane for lane, sequences in lanes.items() for sequence in sequences}
        for sequence, lane in sorted(lane_of.items()):
            made.add([ClosedBatch(sequence, lane, NOW_S, int(lane >= LANE_ALARM), bytes(1000))])
        assert news.dropped == []
        for sequence in range(9, 15):
            made.add([ClosedBatch(sequence, LANE_ALARM, NOW_S, 1, bytes(1300))])
        assert [drop.sequence for drop in news.dropped] == [5, 6, 0, 4, 7, 2]
        assert (made.dropped["memory_full"], made.dropped["events"]) == (6, 1), "the reply is told apart"
        assert sorted(sent(made)) == [1, 3, *range(9, 15)], "what was dropped is not sent either"
        store.full = False
        await until(lambda: store.totals.batches == 8)

    run(scenario)


def test_samples_that_were_dropped_from_memory_may_be_fetched_from_their_tag(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        store.full = True
        made.add([batch(0)])
        await until(lambda: made.failing != "")
        batcher = Batcher("hub-1", 0.0, 1, 1)
        for counter in range(200):
            rows = rows_of([sample(counter)])
            made.accept(rows)
            batcher.add(rows, 0.0)
            made.add(batcher.take_due(0.0, NOW_S, TIME_HUB, None))
        dropped = sum(drop.samples for drop in news.dropped if drop.sequence)
        assert dropped > 10
        store.full = False
        await until(lambda: made.failing == "")
        await until(lambda: len(news.committed) == 200)
        seen = await made.seen(7)
        assert seen is not None
        assert seen.missing() == [(0, dropped - 1)]
        assert seen.last == 199

    run(scenario)


def test_fault_that_the_check_finds_is_repaired_and_nothing_in_memory_is_lost(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        made.add([batch(1), batch(2)])
        await until(lambda: store.totals.batches == 2)
        await made.check()
        assert made.repairs == 0
        store.check = lambda: "a fault"  # type: ignore[method-assign]
        await made.check()
        await until(lambda: made.repairs == 1)
        await until(lambda: store.totals.batches == 2)
        assert sent(made) == [1, 2]

    run(scenario)


def test_refused_for_good_is_reported_and_not_sent_again(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        made.add([batch(1), batch(2)])
        await until(lambda: sent(made) == [1, 2])
        made.refused(1, 0.0, for_good=True)
        await until(lambda: news.dropped == [Dropped(1, 1, "refused")])
        made.acknowledged(2)
        await until(lambda: made.all_delivered)
        assert (store.totals.poison, sent(made)) == (1, [])

    run(scenario)


def test_event_waits_for_no_disk_and_is_sent_once(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        event = ClosedBatch(1, LANE_EVENT, NOW_S, 0, b"{}")
        made.add([event])
        assert made.next_to_send(0.0, alarms_only=True) == event  # before any commit
        await until(lambda: store.totals.batches == 1)
        assert made.next_to_send(0.0) is None
        made.acknowledged(1)
        await until(lambda: store.totals.batches == 0)

    run(scenario)


def test_event_whose_answer_is_faster_than_the_disk_leaves_nothing_behind(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        for sequence in range(100):
            made.add([ClosedBatch(sequence, LANE_EVENT, NOW_S, 0, b"{}")])
            await asyncio.sleep(0.001 * (sequence % 3))
            while (event := made.next_to_send(0.0)) is not None:
                made.acknowledged(event.sequence)
        await until(lambda: made.all_delivered)
        assert store.totals.batches == 0

    run(scenario)


def test_backlog_is_told_once_when_it_is_on_the_disk(run: Callable[..., None]) -> None:
    async def scenario(made: Spool, store: StubbornStore, news: News) -> None:
        parts = [ClosedBatch(number, LANE_BACKLOG, NOW_S, 1, payload) for number, payload in enumerate(history(3))]
        made.add(parts[:1])
        await until(lambda: news.history == [0])
        sent = made.next_to_send(0.0)
        assert sent is not None
        made.replace(0, parts[1:])
        await until(lambda: store.totals.batches == 2)
        assert news.history == [0]
        seen = await made.seen(7)
        assert seen is not None
        assert (seen.floor, seen.last) == (2, 2)

    run(scenario)


def history(count: int) -> list[bytes]:
    """Batches of the backlog, of one sample each."""
    batcher = Batcher("hub-1", 0.0, 1, 0)
    records = [Record._make([counter, NOW_S // 4, *[0] * 8, False]) for counter in range(count)]
    batcher.add_history([Fetched(7, record, NOW_US) for record in records], 0.0)
    return [closed.payload for closed in batcher.take_due(0.0, NOW_S, TIME_HUB, None)]
