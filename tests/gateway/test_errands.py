"""What a hub owes its tags: the same answers as plain sets, bounded, and durable with what it is about."""

import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tags import NOW_S, NOW_US

from taghub.batcher import Batcher
from taghub.closed_batch import ClosedBatch
from taghub.sample_columns import Fetched
from taghub.sample_rows import NO_ROWS
from taghub.spool.commit import Commit, Limits
from taghub.spool.errands import OWED_WIDTH, Errands, Notes
from taghub.spool.store import Store
from tagwire.fields import TIME_HUB
from tagwire.history import Record
from tagwire.ranges import normalized

counters = st.integers(0, 300)


@given(st.lists(st.tuples(st.booleans(), counters, st.integers(0, 20))))
def test_owed_is_a_set_of_counters(steps: list[tuple[bool, int, int]]) -> None:
    errands, owed = Errands(), set()
    for acknowledged, counter, length in steps:
        span = range(counter, counter + length + 1)
        if acknowledged:
            errands.acknowledged((7, c) for c in span)
            owed |= set(span)
        else:
            errands.told(7, [(span[0], span[-1])])
            owed -= set(span)
        assert errands.owed(7) == normalized((c, c) for c in owed)
        again = Errands(errands.take_changed())
        assert again.owed(7) == errands.owed(7) or not owed
        errands.put_back(again.take_changed())
        errands.all_changed()
    assert errands.owed_count(7) == errands.owed_total == len(owed)


def test_what_is_never_told_is_forgotten_and_counted() -> None:
    errands = Errands()
    errands.acknowledged([(7, 0), (7, 1), (7, OWED_WIDTH + 1)])
    assert (errands.owed(7), errands.forgotten) == ([(OWED_WIDTH + 1, OWED_WIDTH + 1)], 2)
    errands.acknowledged([(7, 1)])
    assert (errands.owed(7), errands.forgotten) == ([(OWED_WIDTH + 1, OWED_WIDTH + 1)], 3)
    errands.acknowledged([(7, 0xFFFFFFFF)])
    assert errands.owed(7) == [(0xFFFFFFFF, 0xFFFFFFFF)]


def test_next_generation_does_not_take_the_memory_of_all_counters_between() -> None:
    errands = Errands()
    errands.acknowledged([(7, 1), (7, 2)])
    tracemalloc.start()
    errands.acknowledged([(7, 0xFF000000)])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100_000
    assert (errands.owed(7), errands.forgotten) == ([(0xFF000000, 0xFF000000)], 2)


def test_history_before_the_first_sample_is_adopted_once() -> None:
    errands = Errands()
    assert errands.adopting_below(7) is None
    errands.first_heard(7, 100)
    errands.first_heard(7, 101)
    assert errands.adopting_below(7) == 100
    errands.adopted(7, 40, done=False)
    assert errands.adopting_below(7) == 40
    errands.adopted(7, 10, done=True)
    again = Errands(errands.take_changed())
    assert again.adopting_below(7) is None
    again.first_heard(7, 200)
    assert again.adopting_below(7) is None
    assert not errands.has_changed


def backlog(sequence: int, *counters: int, tag_id: int = 7) -> ClosedBatch:
    batcher = Batcher("hub-1", 0.0, 1000, sequence)
    batcher.add_history(
        [Fetched(tag_id, Record._make([c, NOW_S // 4, *[0] * 7, 3, False]), NOW_US) for c in counters], 0.0
    )
    (closed,) = batcher.take_due(0.0, NOW_S, TIME_HUB, None)
    return closed


def keys(*counters: int) -> list[tuple[int, int]]:
    return [(7, counter) for counter in counters]


def test_errands_and_what_is_missing_survive_with_the_batches_they_are_about(tmp_path: Path) -> None:
    store = Store(tmp_path / "spool.db", "off", Limits(1_000_000, 1e9, "oldest"))
    errands = Errands(store.open().errands)
    store.commit(Commit(NO_ROWS, 0, [], 0, last={7: 100}))
    errands.first_heard(7, 100)
    errands.adopted(7, 90, done=True)
    errands.acknowledged(keys(100))
    rows = errands.take_changed()
    store.commit(Commit(NO_ROWS, 0, [], 0, notes=Notes([], [(7, 90, 100)], rows)))
    fetched = backlog(1, 90, 91, 95)
    store.commit(Commit(NO_ROWS, 0, [fetched], 0, fetched=keys(90, 91, 95), notes=Notes([(7, 96, 97)])))
    store.close()
    again = Store(tmp_path / "spool.db", "off", Limits(1_000_000, 1e9, "oldest"))
    loaded = again.open()
    seen = again.seen(7)
    assert seen is not None
    assert seen.missing() == [(92, 94), (98, 99)]
    assert loaded.last == {7: 100}
    errands = Errands(loaded.errands)
    assert (errands.owed(7), errands.adopting_below(7)) == ([(100, 100)], None)
    again.rebuild("for the test")
    assert again.seen(7).missing() == [(92, 94), (98, 99)]  # type: ignore[union-attr]
    again.close()


def test_samples_of_a_batch_that_is_given_up_are_missing_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "spool.db", "off", Limits(10, 1e9, "oldest"))
    store.open()
    store.commit(Commit(NO_ROWS, 0, [], 0, last={7: 100}, notes=Notes([], [(7, 90, 100)])))
    (dropped,) = store.commit(Commit(NO_ROWS, 0, [backlog(1, 90, 91)], 0, fetched=keys(90, 91)))
    assert dropped.samples == 2
    assert store.seen(7).missing() == [(90, 99)]  # type: ignore[union-attr]
    store.close()
    again = Store(tmp_path / "spool.db", "off", Limits(10, 1e9, "oldest"))
    again.open()
    assert again.seen(7).missing() == [(90, 99)]  # type: ignore[union-attr]
    again.close()


def test_file_from_before_couriers_gets_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "spool.db", "off", Limits(1_000_000, 1e9, "oldest"))
    store.open()
    store.commit(Commit(NO_ROWS, 0, [], 0, last={7: 100}, checkpoint=True))
    with store._transaction() as database:
        database.execute("DROP TABLE errand")
    store.close()
    again = Store(tmp_path / "spool.db", "off", Limits(1_000_000, 1e9, "oldest"))
    loaded = again.open()
    assert (loaded.last, loaded.errands, loaded.note) == ({7: 100}, (), "")
    again.close()
