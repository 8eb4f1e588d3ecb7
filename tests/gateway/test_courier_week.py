"""A week of a tag and a hub that hears two thirds of it, over connections that break and restarts that come anyhow."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import NamedTuple

import pytest
from courier_desk import Desk, Key, at_desk
from tag_journal import INTERVAL_S, JournalTag
from test_courier_hostile import BreakingLink
from waiting import until

from taghub.closed_batch import ClosedBatch, sample_keys
from tagwire.history import Record

DAY = 288  # samples


class Week(NamedTuple):
    """made: by the tag, up to the last one heard. heard, fetched: what reached the hub either way. refetched: what was
    fetched although it had been committed. missing: what the hub lacks in the end."""

    made: int
    heard: int
    fetched: int
    refetched: int
    missing: int
    visits: int


class CountingDesk(Desk):
    """Counts what is fetched that had been committed."""

    def watch(self, committed: set[Key], fetched: list[Key]) -> None:
        self.refetched = 0
        take_history, history_committed = self.hub.take_history, self.hub.history_committed

        def taken(tag_id: int, records: list[Record], rssi_dbm: int) -> None:
            keys = [(tag_id, record.counter) for record in records]
            self.refetched += len(committed.intersection(keys))
            fetched.extend(keys)
            take_history(tag_id, records, rssi_dbm)

        def safe(batches: list[ClosedBatch]) -> None:
            committed.update(key for batch in batches for key in sample_keys(batch))
            history_committed(batches)

        self.hub.take_history = taken  # type: ignore[method-assign]
        self.hub.history_committed = safe  # type: ignore[method-assign]


def simulated_week(folder: Path, days: float = 7.0, seed: int = 1) -> Week:
    """What became of each sample."""
    draw = random.Random(seed)
    tag = JournalTag(7)
    committed: set[Key] = set()
    fetched: list[Key] = []
    heard: set[int] = set()
    refetched = visits = 0
    counter = 0
    last = round(days * DAY)

    async def span(desk: CountingDesk) -> None:
        """Until the hub ends, for whatever reason."""
        nonlocal counter, refetched, visits
        desk.clock.passed_s = counter * INTERVAL_S
        desk.watch(committed, fetched)
        desk.links[(7).to_bytes(6, "big")] = lambda: BreakingLink(tag, draw.choice([0, 1, 3, 5, 8, 12, 10_000]))
        end = min(last, counter + draw.randrange(DAY // 2))
        while counter <= end:
            tag.newest_counter = counter
            if draw.random() < 0.65:
                heard.add(counter)
                if counter % 6 == 0:
                    before = len(desk.connects)
                    desk.hear(tag)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.1):  # or it wants none, or leaves a failing tag alone
                            await until(lambda before=before: len(desk.connects) > before)  # type: ignore[misc]
                    await until(lambda: not desk.courier.figures["active"])
                    if draw.random() < 0.7 and len(desk.connects) > before:
                        await asyncio.sleep(0.15)  # long enough for a batch to close and a commit; else it dies before
                else:
                    desk.hear_only(tag, counter)
            counter += 1
            desk.clock.passed_s += INTERVAL_S
        refetched += desk.refetched
        visits += len(desk.connects)

    async def calm(desk: CountingDesk) -> None:
        """In the end the link holds: all that is left comes."""
        nonlocal refetched
        desk.clock.passed_s = (counter + 100) * INTERVAL_S
        desk.watch(committed, fetched)
        tag.newest_counter = counter
        heard.add(counter)
        desk.hear(tag)
        await until(lambda: desk.courier.counts["visits"] > 0 and not desk.courier.figures["active"])
        await asyncio.sleep(0.3)
        refetched += desk.refetched
        missing.extend(desk.missing(tag))

    missing: list[tuple[int, int]] = []
    path = folder / "spool.db"
    while counter <= last:
        at_desk(span, [tag], 120.0, CountingDesk, killed=draw.random() < 0.5, path=path)
    at_desk(calm, [tag], 60.0, CountingDesk, path=path)
    left = sum(end - first + 1 for first, end in missing)
    return Week(counter + 1, len(heard), len(set(fetched)), refetched, left, visits)


def check(week: Week) -> None:
    assert week.refetched == 0
    assert week.missing == 0
    assert week.heard + week.fetched >= week.made
    assert week.visits > week.made / 100


def test_half_a_day_of_random_disconnections_and_restarts(tmp_path: Path) -> None:
    check(simulated_week(tmp_path, 0.5))


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_week_of_random_disconnections_and_restarts(tmp_path: Path, seed: int) -> None:
    check(simulated_week(tmp_path, 7.0, seed))
