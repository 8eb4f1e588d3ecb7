"""The spool file: SQLite in WAL mode. Blocking; one thread at a time.

A commit is one transaction: the samples just accepted, the batches just closed, what the broker has acknowledged, and
the counts of all that. When `commit` has returned, a power cut changes nothing of it (with durability "full").
"""

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from taghub.closed_batch import (
    LANE_ALARM,
    LANE_BACKLOG,
    LANE_LIVE,
    LANE_POISON,
    UNDATED,
    ClosedBatch,
    sample_keys,
)
from taghub.sample_rows import NO_ROWS, are_alarms, count_live, joined
from taghub.sample_rows import from_bytes as rows_from_bytes
from taghub.spool import schema, sound
from taghub.spool.commit import (
    DROP_DAMAGED,
    DROP_EVENT,
    DROP_FULL,
    DROP_OLD,
    DROP_REASONS,
    DROP_REFUSED,
    Commit,
    Dropped,
    Limits,
    Loaded,
    StoreDamagedError,
    StoreError,
    Totals,
)
from taghub.spool.errands import Row
from taghub.spool.faults import translated
from taghub.spool.salvage import readable_rows, set_aside
from taghub.spool.seen import Seen, from_bytes
from taghub.spool.states import TagStates
from tagwire.errors import DecodeError

CHECKPOINT_SAMPLES = 50_000  # bounds what a start has to read: 1.5 MB
CHECKPOINT_S = 300.0

_DATED = "dated_s"  # in `meta`: when the time became known after the last batch that has no date; 0 until then


class Store:
    """One spool file, or one in memory where `path` is None."""

    def __init__(self, path: Path | None, durability: str, limits: Limits) -> None:
        self._path = path
        self._durability = durability
        self._limits = limits
        self._opened: sqlite3.Connection | None = None
        self._inode = 0
        self._meta: dict[str, int] = {}
        self._meta_on_disk: dict[str, int] = {}
        self._states = TagStates()
        self._journal_id = 0
        self._since_checkpoint = 0
        self._checkpoint_s = time.monotonic()

    def open(self) -> Loaded:
        """Open or make the file; a damaged one is set aside, and what can be saved from it is saved.

        Raises StoreError when neither is possible.
        """
        try:
            self._connect()
            return self._load()
        except StoreDamagedError as error:
            reason = str(error)
        try:
            return self.rebuild(reason)
        except StoreDamagedError as error:
            raise StoreError(f"{self._path}: damaged ({reason}), and so is what was made of it: {error}") from error

    def close(self) -> None:
        """Close the file. What was not committed is not in it."""
        if self._opened is not None:
            with contextlib.suppress(sqlite3.Error):
                self._opened.close()
            self._opened = None

    @property
    def totals(self) -> Totals:
        meta = self._meta
        dropped = {reason: meta.get(reason, 0) for reason in DROP_REASONS}
        return Totals(
            meta.get("batches", 0), meta.get("samples", 0), meta.get("bytes", 0), meta.get("poison", 0), dropped
        )

    def seen(self, tag_id: int) -> Seen | None:
        """What has arrived from a tag by now; None where nothing ever did."""
        seen = self._states.get(tag_id)
        return None if seen is None else Seen(seen.floor, seen.bits)

    def commit(self, commit: Commit) -> list[Dropped]:
        """Make it durable. What had to be dropped for it comes back.

        Raises StoreError, and then nothing of it has happened; StoreDamagedError, and then `rebuild` is needed.
        """
        for tag_id, last in commit.last.items():
            self._states.add(tag_id, last)
        with self._transaction() as database:
            checkpoint = (
                commit.checkpoint
                or self._since_checkpoint >= CHECKPOINT_SAMPLES
                or time.monotonic() - self._checkpoint_s > CHECKPOINT_S
            )
            if checkpoint:
                self._checkpoint(database, commit)
            if len(commit.samples):
                self._journal(database, commit)
            dropped = self._write_batches(database, commit)
        if checkpoint:
            self._states.checkpointed()
            self._since_checkpoint = 0
            self._checkpoint_s = time.monotonic()
        self._since_checkpoint += len(commit.samples)
        self._states.add_many(commit.samples["tag_id"], commit.samples["counter"])
        for key in commit.lost:
            self._states.lose(*key)
            self._since_checkpoint = CHECKPOINT_SAMPLES  # the journal says that they have arrived
        return dropped

    def next(self, held: Collection[int], count: int) -> tuple[list[ClosedBatch], list[Dropped]]:
        """Up to `count` batches to send, the most urgent lane first, but none of `held`; and what had to be given up
        because its bytes are not those that were written. Raises as `commit`."""
        with self._guarded() as database:
            rows = database.execute(schema.NEXT.format(_numbers(held)), (count,)).fetchall()
        batches, damaged = [], []
        for row in rows:
            if sound.is_batch(row):
                sequence, lane, created_s, samples, _, payload = row
                batches.append(ClosedBatch(sequence, lane, created_s, samples, payload))
            else:
                damaged.append(row[0])
        if not damaged:
            return batches, []
        with self._transaction() as database:
            dropped = [self._drop(database, sequence, DROP_DAMAGED) for sequence in damaged]
        return batches, dropped

    def check(self) -> str:
        """Read the whole file, which takes long on a long spool: what is wrong with it, empty where nothing is. On a
        connection of its own, so it may run in another thread."""
        if self._path is None:
            return ""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
                (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:
            return ""  # it could not be asked; a damaged file answers with DatabaseError
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if answer == "ok" else str(answer)

    def rebuild(self, reason: str) -> Loaded:
        """Set the file aside and start a new one, with what can be read of the old one and what is known here.

        Raises StoreError when the folder cannot be written.
        """
        if self._path is None:
            raise StoreError(f"the spool in memory is damaged: {reason}")
        known, old = self._states.last(), self._opened
        try:
            aside = set_aside(self._path, time.time_ns() // 1_000_000)
        except OSError as error:
            raise StoreError(f"{self._path}: damaged ({reason}), and cannot be set aside: {error.strerror}") from None
        if old is None and aside is not None:
            old = sqlite3.connect(aside, isolation_level=None, check_same_thread=False)
        self._opened = None
        self._meta, self._meta_on_disk, self._journal_id = {}, {}, 0
        self._states = TagStates()
        self._connect()
        if old is not None:
            self._copy(old, known)
            with contextlib.suppress(sqlite3.Error):
                old.close()
        loaded = self._load()
        totals = self.totals
        note = (
            f"the spool file was damaged ({reason}): {totals.batches} batches with {totals.samples} samples, "
            f"{len(loaded.open)} more samples and the state of {len(loaded.last)} tags could be saved; "
            + (f"the old file is {aside.name}" if aside else "the old file is gone")
        )
        return loaded._replace(note=note)

    def _connect(self) -> None:
        with translated(self._path):
            database = sqlite3.connect(self._path or ":memory:", isolation_level=None, check_same_thread=False)
            self._opened = database
            if self._path is not None:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute(f"PRAGMA synchronous = {self._durability}")
                database.execute("PRAGMA journal_size_limit = 4000000")
                self._inode = self._path.stat().st_ino
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                database.executescript(f"BEGIN IMMEDIATE; {schema.CREATE} COMMIT;")
            if database.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
                raise StoreDamagedError("it is no spool")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != schema.USER_VERSION:
                raise StoreDamagedError(f"it is of version {version}")
            database.execute(schema.CREATE_LATER)

    def _load(self) -> Loaded:
        with self._guarded() as database:
            meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
            tags = database.execute("SELECT tag_id, floor, bitmap FROM tag").fetchall()
            rows = database.execute("SELECT id, live_from, live, crc, records FROM journal ORDER BY id").fetchall()
            errands = database.execute("SELECT tag_id, lowest, adopting, base, owed FROM errand").fetchall()
        are_sound = all(map(sound.is_meta, meta.items())) and all(map(sound.is_errand, errands))
        if not are_sound or not all(sound.are_counts(tag_id, floor) for tag_id, floor, _ in tags):
            raise StoreDamagedError("a row is none that was written")
        self._meta, self._meta_on_disk = meta, dict(meta)
        self._journal_id = meta.get("checkpoint", 0)
        batched = meta.get("live_batched", 0)
        parts = [NO_ROWS]
        live_end = 0
        try:
            self._states.load(tags)
            for row_id, live_from, live, crc, records in rows:
                if zlib.crc32(records) != crc:
                    raise StoreDamagedError(f"journal row {row_id} has other bytes than were written")
                samples = rows_from_bytes(records)
                self._states.add_many(samples["tag_id"], samples["counter"])
                if live_from + live > batched:
                    parts.append(samples[~are_alarms(samples)][max(0, batched - live_from) :])
                    live_end = live_from + live
                self._journal_id = max(self._journal_id, row_id)
        except (ValueError, TypeError, OverflowError) as error:
            raise StoreDamagedError(f"a row is none that was written: {error}") from None
        open_samples = joined(parts)
        if len(open_samples):
            batched = live_end - len(open_samples)
        self._since_checkpoint = CHECKPOINT_SAMPLES if rows else 0  # at the next commit
        next_sequence, epoch = meta.get("next_sequence", 0), meta.get("epoch", 0)
        last, certain = self._states.last(), bool(meta.get("certain", 1))
        todo = tuple(Row(*row) for row in errands)
        return Loaded(last, open_samples, batched, next_sequence, epoch, errands=todo, certain=certain)

    def _checkpoint(self, database: sqlite3.Connection, commit: Commit) -> None:
        """The state as of the last commit, so that the journal up to there is needed for open samples only."""
        database.executemany(schema.REPLACE_TAG, self._states.changed_rows())
        self._meta |= {"checkpoint": self._journal_id, "live_batched": commit.live_batched}
        self._meta["epoch"] = max(self._meta.get("epoch", 0), commit.epoch)
        database.execute(schema.TRIM_JOURNAL, (self._journal_id, commit.live_batched))

    def _journal(self, database: sqlite3.Connection, commit: Commit) -> None:
        records = commit.samples.tobytes()
        live = count_live(commit.samples)
        self._journal_id += 1
        row = (self._journal_id, commit.live_from, live, zlib.crc32(records), records)
        database.execute(schema.INSERT_JOURNAL, row)

    def _write_batches(self, database: sqlite3.Connection, commit: Commit) -> list[Dropped]:
        for sequence in commit.acknowledged:
            self._delete(database, sequence)
        for tag_id, first, lowest in commit.notes.reopened:  # before what was fetched of it
            self._states.reopen(tag_id, first, lowest)
        for key in commit.fetched:
            self._states.add(*key)
        for tag_id, first, last in commit.notes.filled:
            self._states.fill(tag_id, first, last)
        # In no journal row, so the state goes with its batch; what else it has of these tags is in the journal as well.
        self._write_states(
            database, {key[0] for key in (*commit.fetched, *commit.notes.reopened, *commit.notes.filled)}
        )
        database.executemany(schema.REPLACE_ERRAND, commit.notes.rows)
        for batch in commit.batches:
            crc = zlib.crc32(batch.payload)
            if database.execute(schema.INSERT_BATCH, (*batch[:4], crc, batch.payload)).rowcount:
                self._count(1, batch.samples, len(batch.payload))
            if batch.created_s == UNDATED:
                self._meta[_DATED] = 0
            self._meta["next_sequence"] = max(self._meta.get("next_sequence", 0), batch.sequence + 1)
        if commit.batches:
            self._meta["live_batched"] = commit.live_batched
        self._meta["certain"] = int(commit.now_s is not None)
        dropped = [self._set_aside(database, sequence) for sequence in commit.refused]
        return dropped + self._make_room(database, commit)

    def _write_states(self, database: sqlite3.Connection, tag_ids: Iterable[int]) -> None:
        database.executemany(schema.REPLACE_TAG, self._states.rows(tag_ids))

    def _make_room(self, database: sqlite3.Connection, commit: Commit) -> list[Dropped]:
        held, limits, dropped = _numbers(commit.held), self._limits, []
        if commit.now_s is not None and not self._meta.get(_DATED):
            self._meta[_DATED] = commit.now_s
        for lane in schema.LANES_BY_LOSS:
            while self._meta.get("bytes", 0) > limits.max_bytes:
                row = database.execute(schema.ENDS_OF_LANE[limits.when_full].format(held), (lane,)).fetchone()
                if row is None:
                    break
                dropped.append(self._drop(database, row[0], DROP_FULL))
            while commit.now_s is not None and commit.batches:
                row = database.execute(schema.ENDS_OF_LANE["oldest"].format(held), (lane,)).fetchone()
                if row is None:
                    break
                is_dated = sound.are_counts(row[1]) and row[1] != UNDATED
                since_s = row[1] if is_dated else self._meta[_DATED]
                if commit.now_s - since_s <= limits.max_age_s:
                    break
                dropped.append(self._drop(database, row[0], DROP_OLD))
        return dropped

    def _set_aside(self, database: sqlite3.Connection, sequence: int) -> Dropped:
        row = database.execute(schema.POISON_BATCH, (sequence,)).fetchone()
        samples = 0 if row is None or not sound.are_counts(row[0]) else row[0]
        if row is not None and not samples:
            self._meta[DROP_EVENT] = self._meta.get(DROP_EVENT, 0) + 1
        self._meta["poison"] = self._meta.get("poison", 0) + (row is not None)
        self._meta[DROP_REFUSED] = self._meta.get(DROP_REFUSED, 0) + samples
        return Dropped(sequence, samples, DROP_REFUSED)

    def _drop(self, database: sqlite3.Connection, sequence: int, reason: str) -> Dropped:
        self._lose(database, sequence)
        samples, lane = self._delete(database, sequence)
        if lane == LANE_POISON:  # counted when it was refused
            return Dropped(sequence, 0, reason)
        if lane < LANE_ALARM:
            reason, samples = DROP_EVENT, 1
        self._meta[reason] = self._meta.get(reason, 0) + samples
        return Dropped(sequence, samples, reason)

    def _lose(self, database: sqlite3.Connection, sequence: int) -> None:
        """The samples of a batch that is given up may be fetched again: nobody has them but the tag."""
        row = database.execute(schema.PAYLOAD, (sequence,)).fetchone()
        if row is None or row[0] not in (LANE_ALARM, LANE_LIVE, LANE_BACKLOG):
            return
        with contextlib.suppress(DecodeError):  # damaged: nobody can say which they were
            keys = sample_keys(ClosedBatch(sequence, row[0], 0, 0, row[1]))
            for key in keys:
                self._states.lose(*key)
            self._write_states(database, {tag_id for tag_id, _ in keys})
            self._since_checkpoint = CHECKPOINT_SAMPLES  # the journal may still say that they have arrived

    def _delete(self, database: sqlite3.Connection, sequence: int) -> tuple[int, int]:
        row = database.execute(schema.DELETE_BATCH, (sequence,)).fetchone()
        if row is None:
            return 0, 0
        samples, size, lane = row
        if not sound.are_counts(samples):
            samples = 0
        self._count(-1, -samples, -size)
        if lane == LANE_POISON:
            self._meta["poison"] = self._meta.get("poison", 0) - 1
        return samples, lane

    def _count(self, batches: int, samples: int, size: int) -> None:
        for name, change in (("batches", batches), ("samples", samples), ("bytes", size)):
            self._meta[name] = self._meta.get(name, 0) + change

    def _copy(self, old: sqlite3.Connection, known: Mapping[int, int]) -> None:
        """What can be read of another file, row by row; a row whose checksum is wrong is none."""
        with self._transaction() as database:
            found: dict[str, int] = dict(filter(sound.is_meta, readable_rows(old, "meta", "name", "value")))
            kept = ("live_batched", "next_sequence", "epoch", "certain", *DROP_REASONS)
            self._meta |= {name: found[name] for name in kept if name in found}
            for tag_id, floor, bitmap in readable_rows(old, "tag", "tag_id", "floor, bitmap"):
                with contextlib.suppress(ValueError, TypeError, OverflowError):
                    from_bytes(floor, bitmap)
                    if sound.are_counts(tag_id, floor):
                        database.execute(schema.REPLACE_TAG, (tag_id, floor, bitmap))
            for row in filter(sound.is_errand, readable_rows(old, "errand", "tag_id", "lowest, adopting, base, owed")):
                database.execute(schema.REPLACE_ERRAND, row)
            for row in readable_rows(old, "journal", "id", "live_from, live, crc, records"):
                if sound.are_counts(*row[:3]) and sound.is_payload(row[3], row[4]):
                    database.execute(schema.INSERT_JOURNAL, row)
            saved_bytes = 0
            for row in readable_rows(old, "batch", "sequence", "lane, created_s, count, crc, payload"):
                if sound.is_batch(row):
                    database.execute(schema.INSERT_BATCH, row)
                    self._count(1, row[3], len(row[5]))
                    self._meta["poison"] = self._meta.get("poison", 0) + (row[1] == LANE_POISON)
                    self._meta["next_sequence"] = max(self._meta.get("next_sequence", 0), row[0] + 1)
                    saved_bytes += len(row[5])
            lost = max(0, found.get("samples", 0) - self._meta.get("samples", 0))
            self._meta[DROP_DAMAGED] = self._meta.get(DROP_DAMAGED, 0) + lost
        self._load()
        for tag_id, last in known.items():
            self._states.add(tag_id, last)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: of the file, and of the counts."""
        meta, journal_id = dict(self._meta), self._journal_id
        with self._guarded() as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                yield database
                changes = self._meta.items() - self._meta_on_disk.items()
                database.executemany(schema.REPLACE_META, changes)
                database.execute("COMMIT")
            except BaseException:
                self._meta, self._journal_id = meta, journal_id
                if database.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise
        self._meta_on_disk = dict(self._meta)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """The open file, still the one that was opened; its errors as this module's."""
        with translated(self._path):
            if self._opened is None:
                raise StoreError("the spool is closed")
            if self._path is not None:
                try:
                    inode = self._path.stat().st_ino
                except FileNotFoundError:
                    inode = 0
                if inode != self._inode:
                    raise StoreDamagedError("another file, or none, has its name")
            yield self._opened


def _numbers(sequences: Iterable[int]) -> str:
    """For SQL; nothing but numbers ever gets into it."""
    return ",".join(str(int(sequence)) for sequence in sequences)
