"""The spool file: what a commit keeps, what a start finds, and what is left of a damaged file."""

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tags import NOW_S, NOW_US

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_EVENT, LANE_LIVE, UNDATED, ClosedBatch
from taghub.intake import Accepted
from taghub.sample_rows import NO_ROWS, rows_of
from taghub.spool import Limits, Loaded, Store, StoreError
from taghub.spool.commit import (
    DROP_DAMAGED,
    DROP_EVENT,
    DROP_FULL,
    DROP_OLD,
    DROP_REASONS,
    DROP_REFUSED,
    Commit,
    Dropped,
    StoreDamagedError,
)
from taghub.spool.errands import Errands, Notes, Row
from tagwire.beacon import KIND_ALARM

LIMITS = Limits(1_000_000, 3600.0, "oldest")
PAYLOAD = bytes(range(250))


def sample(counter: int, tag_id: int = 7, alarm: bool = False) -> Accepted:
    return Accepted(tag_id, counter, bytes(11), NOW_US, -60, False, KIND_ALARM << 2 if alarm else 0)


def batch(sequence: int, lane: int = LANE_LIVE, payload: bytes = PAYLOAD, created_s: int = NOW_S) -> ClosedBatch:
    return ClosedBatch(sequence, lane, created_s, 2, payload)


def opened(path: Path, limits: Limits = LIMITS) -> tuple[Store, Loaded]:
    store = Store(path, "normal", limits)
    return store, store.open()


def samples(store: Store, *counters: int, live_from: int = 0, live_batched: int = 0) -> None:
    rows = rows_of([sample(counter) for counter in counters])
    store.commit(Commit(rows, live_from, [], live_batched, now_s=NOW_S))


def found(loaded: Loaded) -> Any:
    """With the open samples as a list."""
    samples: Any = [Accepted(*row) for row in loaded.open.tolist()]
    return loaded._replace(open=samples)


def expected(last: dict[int, int], samples: Any, live_batched: int, next_sequence: int, epoch: int) -> Loaded:
    """With the open samples as `found` has them."""
    return Loaded(last, samples, live_batched, next_sequence, epoch)


def batches(store: Store, *closed: ClosedBatch, held: tuple[int, ...] = ()) -> list[Dropped]:
    return store.commit(Commit(NO_ROWS, 0, list(closed), 0, held=held, now_s=NOW_S))


def stored(store: Store) -> list[int]:
    return [each.sequence for each in store.next([], 1000)[0]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def test_open_samples_and_state_survive_without_any_end(path: Path) -> None:
    store, loaded = opened(path)
    assert found(loaded) == expected({}, [], 0, 0, 0)
    store.commit(Commit(rows_of([sample(1), sample(2, alarm=True), sample(4)]), 0, [batch(50, LANE_ALARM)], 0))
    samples(store, 5, live_from=2)
    again, loaded = opened(path)  # the first was never closed
    assert found(loaded) == expected({7: 5}, [sample(1), sample(4), sample(5)], 0, 51, 0)
    seen = again.seen(7)
    assert seen is not None
    assert seen.missing() == [(3, 3)]
    assert again.totals[:3] == (1, 2, len(PAYLOAD))


def test_samples_that_are_in_a_batch_are_not_open(path: Path) -> None:
    store, _ = opened(path)
    samples(store, 1, 2, 3)
    store.commit(Commit(rows_of([sample(4), sample(5)]), 3, [batch(1), batch(2)], 4))
    _, loaded = opened(path)
    assert (found(loaded).open, loaded.live_batched) == ([sample(5)], 4)


def test_checkpoint_empties_the_journal_and_changes_nothing_else(path: Path) -> None:
    store, _ = opened(path)
    for counter in range(1, 10):
        samples(store, counter, live_from=counter - 1)
    store.commit(Commit(NO_ROWS, 9, [batch(1)], 8, checkpoint=True, epoch=77, now_s=NOW_S))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM journal").fetchone() == (1,)
    store, loaded = opened(path)
    assert found(loaded) == expected({7: 9}, [sample(9)], 8, 2, 77)
    samples(store, 10, live_from=9, live_batched=8)
    _, loaded = opened(path)
    assert (loaded.last, found(loaded).open) == ({7: 10}, [sample(9), sample(10)])


def test_acknowledged_batches_are_gone_and_counted_down(path: Path) -> None:
    store, _ = opened(path)
    batches(store, batch(1), batch(2))
    store.commit(Commit(NO_ROWS, 0, [], 0, acknowledged=[1, 99]))
    assert (stored(store), store.totals[:3]) == ([2], (1, 2, len(PAYLOAD)))
    batches(store, batch(2))  # again, after a repair
    assert store.totals.batches == 1


def test_next_brings_the_urgent_first_and_none_that_is_held(path: Path) -> None:
    store, _ = opened(path)
    batches(store, batch(1, LANE_BACKLOG), batch(2), batch(3), batch(4, LANE_ALARM))
    assert stored(store) == [4, 2, 3, 1]
    assert [each.sequence for each in store.next([4, 3], 1)[0]] == [2]


@pytest.mark.parametrize(("when_full", "left"), [("oldest", [2, 4, 5]), ("newest", [2, 3, 4])])
def test_full_spool_loses_by_lane_then_by_age_and_counts(path: Path, when_full: str, left: list[int]) -> None:
    store, _ = opened(path, Limits(3 * len(PAYLOAD), 3600.0, when_full))
    batches(store, batch(1, LANE_BACKLOG), batch(2, LANE_ALARM), batch(3))
    assert batches(store, batch(4)) == [Dropped(1, 2, DROP_FULL)]
    batches(store, batch(5))
    assert sorted(stored(store)) == left
    assert store.totals.dropped[DROP_FULL] == 4
    _, again = opened(path)[0].totals, store.totals
    assert again.dropped[DROP_FULL] == 4


def test_batch_in_flight_is_never_dropped(path: Path) -> None:
    store, _ = opened(path, Limits(1, 3600.0, "oldest"))
    assert batches(store, batch(1), held=(1,)) == []
    assert batches(store, batch(2), held=(1,)) == [Dropped(2, 2, DROP_FULL)]


def test_old_batches_go_when_the_time_is_known(path: Path) -> None:
    store, _ = opened(path)
    store.commit(Commit(NO_ROWS, 0, [batch(1, created_s=NOW_S - 3601), batch(2)], 0))
    assert stored(store) == [1, 2]
    assert batches(store, batch(3)) == [Dropped(1, 2, DROP_OLD)]


def test_batches_closed_before_the_time_was_known_are_as_old_as_the_knowledge(path: Path) -> None:
    """A truck starts without network and without a battery clock: its first hours must not go as decades old."""
    store, _ = opened(path)
    store.commit(Commit(NO_ROWS, 0, [batch(1, created_s=UNDATED), batch(2, created_s=UNDATED)], 0))
    assert batches(store, batch(3)) == []
    store.close()
    store, _ = opened(path)
    late_s = NOW_S + 3601
    (dropped,) = store.commit(Commit(NO_ROWS, 0, [batch(4, created_s=late_s)], 0, held=(2,), now_s=late_s))[:1]
    assert dropped == Dropped(1, 2, DROP_OLD)
    store.commit(Commit(NO_ROWS, 0, [batch(5, created_s=UNDATED)], 0))  # after a start without the time
    assert store.commit(Commit(NO_ROWS, 0, [batch(6, created_s=late_s)], 0, now_s=late_s)) == []
    assert stored(store) == [2, 4, 5, 6]


@pytest.mark.parametrize("now_s", [NOW_S, None])
def test_start_knows_whether_the_last_run_knew_the_time(path: Path, now_s: int | None) -> None:
    store, _ = opened(path)
    store.commit(Commit(rows_of([sample(1)]), 0, [], 0, now_s=now_s))
    store.close()
    assert opened(path)[1].certain == (now_s is not None)


def test_refused_batch_stays_in_the_file_counted_and_is_the_first_to_go(path: Path) -> None:
    store, _ = opened(path, Limits(2 * len(PAYLOAD), 3600.0, "oldest"))
    batches(store, batch(1), batch(2))
    assert store.commit(Commit(NO_ROWS, 0, [], 0, refused=[2])) == [Dropped(2, 2, DROP_REFUSED)]
    assert (stored(store), store.totals.batches, store.totals.poison) == ([1], 2, 1)
    assert batches(store, batch(3)) == [Dropped(2, 0, DROP_FULL)]
    assert store.totals.dropped == {**dict.fromkeys(DROP_REASONS, 0), DROP_REFUSED: 2}
    assert store.totals.poison == 0


def test_start_does_not_depend_on_what_waits(path: Path) -> None:
    store, _ = opened(path, Limits(1 << 40, 1e9, "oldest"))
    for first in range(0, 2000, 500):
        batches(store, *[batch(first + i, payload=PAYLOAD * 40) for i in range(500)])
    store.close()
    # Every page but those of the small tables is made unreadable: a start must not even look at them.
    pages: set[int] = set()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT pageno FROM dbstat WHERE name = 'batch' AND pagetype = 'overflow'"
        pages = {row[0] for row in database.execute(query)}
    assert len(pages) > 1000
    data = bytearray(path.read_bytes())
    for page in pages:
        data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(data)
    again, loaded = opened(path)
    assert (loaded.note, again.totals.batches) == ("", 2000)


def test_commit_that_fails_changes_nothing(path: Path) -> None:
    store, _ = opened(path)
    samples(store, 1)
    before = store.totals
    assert store._opened is not None
    pages = store._opened.execute("PRAGMA page_count").fetchone()[0]
    store._opened.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        store.commit(Commit(rows_of([sample(2)]), 1, [batch(1, payload=bytes(100_000))], 2))
    assert store.totals == before
    store._opened.execute("PRAGMA max_page_count = 1000000")
    samples(store, 3, live_from=1)
    _, loaded = opened(path)
    assert (loaded.last, found(loaded).open) == ({7: 3}, [sample(1), sample(3)])


def fill(path: Path) -> None:
    store, _ = opened(path)
    samples(store, *range(1, 50))
    batches(store, *[batch(i, payload=random.Random(i).randbytes(5000)) for i in range(1, 101)])
    store.commit(Commit(NO_ROWS, 49, [], 0, checkpoint=True))
    samples(store, 50, 51, live_from=49)
    store.close()


def test_flipped_bit_in_a_payload_costs_that_batch_and_is_counted(path: Path) -> None:
    fill(path)
    data = bytearray(path.read_bytes())
    where = data.index(random.Random(33).randbytes(5000)[2000:2100])
    data[where + 5] ^= 4
    path.write_bytes(data)
    store, loaded = opened(path)
    assert loaded.note == ""
    good, dropped = store.next([], 1000)
    assert [each.sequence for each in good] == [i for i in range(1, 101) if i != 33]
    assert dropped == [Dropped(33, 2, DROP_DAMAGED)]
    assert store.totals.dropped[DROP_DAMAGED] == 2


def test_file_that_is_gone_while_in_use_is_noticed_and_nothing_of_it_is_lost(path: Path) -> None:
    store, _ = opened(path)
    samples(store, 1, 2)
    batches(store, batch(1))
    for part in path.parent.glob("spool.db*"):
        part.unlink()
    with pytest.raises(StoreDamagedError):
        samples(store, 3, live_from=2)
    loaded = store.rebuild("gone")
    assert (loaded.last, found(loaded).open) == ({7: 2}, [sample(1), sample(2)])
    assert (stored(store), store.totals.batches) == ([1], 1)
    samples(store, 3, live_from=2)
    assert opened(path)[1].last == {7: 3}


def test_file_of_something_else_is_set_aside(path: Path) -> None:
    path.write_bytes(b"This is no database, and never was one. " * 1000)
    store, loaded = opened(path)
    assert "damaged" in loaded.note
    assert [file.read_bytes()[:7] for file in path.parent.glob("spool.db.damaged-*")] == [b"This is"]
    batches(store, batch(1))
    assert stored(store) == [1]


@pytest.mark.parametrize("seed", range(8))
def test_truncated_file_gives_what_is_left(path: Path, seed: int) -> None:
    fill(path)
    data = path.read_bytes()
    path.write_bytes(data[: random.Random(seed).randrange(1, len(data))])
    store, _ = opened(path)
    still_works(store, path)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_never_stop_a_start_nor_make_up_a_batch(path: Path, seed: int) -> None:
    fill(path)
    dice = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(dice.choice([1, 10, 1000])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    store, _ = opened(path)
    still_works(store, path)


def still_works(store: Store, path: Path) -> None:
    """Whatever it holds is what was written, and it takes more; a fault that shows only now is repaired likewise."""
    for _ in range(3):
        try:
            good, _ = store.next([], 1000)
            store.commit(Commit(rows_of([sample(200)]), 500, [batch(1000)], 500, checkpoint=True))
            break
        except StoreDamagedError as error:
            store.rebuild(str(error))
    else:
        pytest.fail("repairing does not end")
    for each in good:
        assert each.payload == random.Random(each.sequence).randbytes(5000) or each.sequence == 1000
    assert 1000 in stored(store)
    store.close()
    again, loaded = opened(path)
    assert loaded.last[7] == 200
    again.close()


BROKEN_ROWS = {
    "meta": "UPDATE meta SET value = 'x' WHERE name = 'next_sequence'",
    "meta_huge": "UPDATE meta SET value = 9223372036854775807 WHERE name = 'next_sequence'",
    "floor": "UPDATE tag SET floor = 'x'",
    "bitmap": "UPDATE tag SET bitmap = 7",
    "live_from": "UPDATE journal SET live_from = 'x'",
    "owed": "UPDATE errand SET owed = 'x'",
    "base": "UPDATE errand SET base = -1",
    "column": "ALTER TABLE journal RENAME COLUMN live TO lice",
    "table": "ALTER TABLE meta RENAME TO neta",
    "no_text": "UPDATE meta SET name = CAST(x'fffe' AS TEXT) WHERE name = 'bytes'",
    "count": "UPDATE batch SET count = 'x'",
    "date": "UPDATE batch SET created_s = 'x'",
    "lane": "UPDATE batch SET lane = 'x'",
}


@pytest.mark.parametrize("statement", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_row_that_was_never_written_stops_no_start_and_no_commit(path: Path, statement: str) -> None:
    """What a flipped bit makes of a value or of a name, SQLite does not call damage."""
    fill(path)
    store, _ = opened(path)
    row = Row(7, 1, 1, 1, b"\x01")
    store.commit(Commit(NO_ROWS, 400, [], 400, notes=Notes(rows=[row]), checkpoint=True, now_s=NOW_S))
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
    store, loaded = opened(path)
    assert Errands(loaded.errands).owed(7) in ([], [(1, 1)])
    still_works(store, path)


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        Store(tmp_path / "nowhere" / "spool.db", "full", LIMITS).open()


@pytest.mark.parametrize("payload_bytes", [100, 300, 12_000])
def test_store_in_memory_takes_little_more_than_its_bound(payload_bytes: int) -> None:
    """Of small batches, of a hub with few tags, as of large ones."""
    bound_bytes = 1_000_000
    store = Store(None, "off", Limits(bound_bytes, float("inf"), "oldest"))
    store.open()
    for first in range(0, 2 * bound_bytes // payload_bytes, 20):
        batches = [ClosedBatch(first + i, LANE_LIVE, 0, 41, bytes(payload_bytes)) for i in range(20)]
        store.commit(Commit(NO_ROWS, 0, batches, 0))
    assert 0.9 * bound_bytes < store.totals.bytes <= bound_bytes
    database = store._opened
    assert database is not None
    pages, page_bytes = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    assert pages * page_bytes < 2 * bound_bytes
    store.close()


def test_fetched_samples_close_their_gaps_in_the_transaction_of_their_batch(path: Path) -> None:
    store, _ = opened(path)
    samples(store, 1, 5, 9)
    store.commit(Commit(NO_ROWS, 3, [batch(1, LANE_BACKLOG)], 0, fetched=[(7, 2), (7, 3), (7, 4), (8, 100)]))
    again, loaded = opened(path)  # the first was never closed
    assert loaded.last == {7: 9, 8: 100}
    seen = again.seen(7)
    assert seen is not None
    assert seen.missing() == [(6, 8)]
    seen.add(6)  # a copy
    assert again.seen(7).missing() == [(6, 8)]  # type: ignore[union-attr]


def test_events_go_first_and_are_dropped_last_and_counted(path: Path) -> None:
    store, _ = opened(path, Limits(600, 3600.0, "oldest"))
    event = ClosedBatch(1, LANE_EVENT, NOW_S, 0, PAYLOAD)
    batches(store, event, batch(2, LANE_ALARM))
    assert stored(store) == [1, 2]
    assert batches(store, event._replace(sequence=3)) == [Dropped(2, 2, DROP_FULL)]
    assert batches(store, event._replace(sequence=4)) == [Dropped(1, 1, DROP_EVENT)]
    store.commit(Commit(NO_ROWS, 0, [], 0, refused=[3]))
    assert (stored(store), store.totals.dropped[DROP_EVENT], store.totals.dropped[DROP_FULL]) == ([4], 2, 2)
