"""The spool as the event loop sees it: nothing here ever waits for a disk but the writer's own task.

Everything that happened since the last commit goes into the next one: at the latest after COMMIT_INTERVAL_S, at once
for alarms. While the file cannot be written, batches go to the broker from memory, and are promised to nobody.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_LIVE, ClosedBatch, sample_keys
from taghub.outbox import READY_MAX, Outbox
from taghub.sample_rows import NO_ROWS, Rows, count_live, joined
from taghub.spool.commit import DROP_EVENT, Commit, Dropped, Loaded, StoreDamagedError, StoreError
from taghub.spool.errands import Errands, Notes, Row
from taghub.spool.schema import LANES_BY_LOSS
from taghub.spool.seen import Seen
from taghub.spool.store import Store
from tagwire.errors import DecodeError

COMMIT_INTERVAL_S = 0.05  # promised are 100 ms; the rest is for the disk
RETRY_S = 1.0  # while the file cannot be written
PENDING_SAMPLES_MAX = 100_000  # while it cannot, 3 MB
UNWRITTEN_MAX = 10_000  # while it cannot: answers of the broker that the file does not know

DROP_MEMORY = "memory_full"  # the file could not be written, and the broker was away as well

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)


class Known(NamedTuple):
    """What the hub knows at a commit. now_s: Unix seconds, None where its clock is not to be trusted. epoch: the last
    certain one of private ids. last: the highest counter of each tag."""

    now_s: int | None
    epoch: int
    last: Callable[[], Mapping[int, int]]


class SpoolEvents(Protocol):
    """What the owner of a spool is told, in the event loop."""

    def samples_committed(self, samples: Rows) -> None:
        """They survive whatever happens from now on."""

    def history_committed(self, batches: list[ClosedBatch]) -> None:
        """Batches of the backlog are on the disk, each told once."""

    def batches_ready(self) -> None:
        """There may be something to send."""

    def batches_dropped(self, dropped: list[Dropped]) -> None:
        """Samples were given up."""

    def known(self) -> Known:
        """What goes into the commit that starts now."""


class Spool:
    """`outbox` says what goes next; what the broker answered is told to the spool."""

    def __init__(self, store: Store, loaded: Loaded, events: SpoolEvents, memory_bytes: int) -> None:
        """store: opened. memory_bytes: how much may wait in memory while the file cannot be written."""
        self.outbox = Outbox()
        self.errands = Errands(loaded.errands)
        """What the courier has to do; changes go to the disk with the next commit, after `note`."""
        self.failing = ""
        """Why the file cannot be written now; empty while it can."""
        self.failures = 0
        """Commits that have failed."""
        self.repairs = 0
        """Damaged files that were replaced."""
        self.dropped_memory = 0
        """Samples dropped because neither the file nor the broker could take them."""
        self._dropped_events = 0
        self._store = store
        self._events = events
        self._memory_bytes = memory_bytes
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._samples: list[Rows] = []
        self._batches: dict[int, ClosedBatch] = {}
        self._acknowledged: set[int] = set()
        self._refused: set[int] = set()
        self._filled: list[tuple[int, int, int]] = []
        self._reopened: list[tuple[int, int, int]] = []
        self._lost: list[tuple[int, int]] = []  # samples of batches that were dropped from memory
        self._committing = NO_ROWS  # samples on their way to the disk
        self._untold: set[int] = set()  # batches of the backlog that `history_committed` has to tell
        self._live_accepted = self._live_batched = loaded.live_batched
        self._live_accepted += len(loaded.open)
        self._fault = ""
        self._busy = False
        self._stopping = False
        self._rebase = False  # the file's replay state is behind: the next commit brings all of it
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._wake.set()  # what the file held at the start waits to be sent

    @property
    def store(self) -> Store:
        return self._store

    @property
    def dropped(self) -> dict[str, int]:
        """Samples that were given up, by reason: from the file since it was made, from memory since the start. Events
        and replies, which are no samples, are together under DROP_EVENT."""
        file = self._store.totals.dropped
        events = file[DROP_EVENT] + self._dropped_events
        return {**file, DROP_EVENT: events, DROP_MEMORY: self.dropped_memory}

    @property
    def undelivered_batches(self) -> int:
        """Closed batches that the broker has not acknowledged; in the file, or still on their way to it."""
        totals = self._store.totals
        return totals.batches - totals.poison + len(self._batches)

    @property
    def all_delivered(self) -> bool:
        """Whether every closed batch is acknowledged, and the file knows it."""
        return not (self._busy or self._acknowledged or self._refused or self.undelivered_batches)

    def accept(self, samples: Rows) -> None:
        """New samples; `samples_committed` follows."""
        self._samples.append(samples)
        self._live_accepted += count_live(samples)
        self._wake.set()

    def add(self, batches: list[ClosedBatch]) -> None:
        """Batches of samples that were accepted, in the order of their acceptance within each lane."""
        for batch in batches:
            self._batches[batch.sequence] = batch
            if batch.lane == LANE_LIVE:
                self._live_batched += batch.samples
            elif batch.lane == LANE_BACKLOG:
                self._untold.add(batch.sequence)
            else:
                self._urgent.set()
        # An event waits for no disk: when it was published and lost by a crash, it is raised again under the same id.
        # What does not fit the outbox is put there by the commit.
        self.outbox.put(batch for batch in batches if batch.lane < LANE_ALARM)
        if self.failing:
            self._send_unsaved()
            self._events.batches_ready()
        self._wake.set()

    def note(self, filled: Iterable[tuple[int, int, int]] = (), reopened: Iterable[tuple[int, int, int]] = ()) -> None:
        """What a courier has learnt, see Notes; also after a change of `errands`."""
        self._filled += filled
        self._reopened += reopened
        self._wake.set()

    async def seen(self, tag_id: int) -> Seen | None:
        """What has arrived from a tag, and what is missing: as of the last commit, and with the samples that are on
        their way into the next one. None where nothing ever did."""
        pending = joined([NO_ROWS, self._committing, *self._samples])
        seen: Seen | None = await self._in_thread(self._store.seen, tag_id)
        for counter in pending["counter"][pending["tag_id"] == tag_id].tolist():
            if seen is None:
                seen = Seen(counter)
            seen.add(counter)
        return seen

    def next_to_send(self, now_s: float, alarms_only: bool = False) -> ClosedBatch | None:
        """The next batch to publish, see Outbox."""
        batch = self.outbox.next_to_send(now_s, alarms_only)
        if self.outbox.wants_more and self._more_stored():
            self._wake.set()
        return batch

    def acknowledged(self, sequence: int) -> ClosedBatch | None:
        """The broker has a batch; None when it was not in flight."""
        batch = self.outbox.acknowledged(sequence)
        if batch is not None and not self._take_unsaved(sequence):
            self._acknowledged.add(sequence)
            self._wake.set()
        return batch

    def refused(self, sequence: int, now_s: float, for_good: bool) -> None:
        """The broker has refused a batch: to be tried again, or, `for_good` or after its last try, never."""
        if for_good:
            self.outbox.forget([sequence])
        elif self.outbox.refused(sequence, now_s):
            return
        self._refused.add(sequence)
        self._wake.set()

    def replace(self, sequence: int, parts: list[ClosedBatch]) -> None:
        """Send `parts` in the place of a batch: its samples, in other batches."""
        self.outbox.forget([sequence])
        if not self._take_unsaved(sequence):
            self._acknowledged.add(sequence)
        self._batches |= {part.sequence: part for part in parts}
        self._urgent.set()
        self._wake.set()

    async def run(self) -> None:
        """The writer, until `stop`; then the last commit."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            begun_s = loop.time()
            self._urgent.clear()
            await self._work()
            pause_s = RETRY_S if self.failing else COMMIT_INTERVAL_S
            if self.failing:
                self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(begun_s + pause_s):
                    await self._urgent.wait()
        await self._work(checkpoint=True)
        await self._in_thread(self._store.close)
        self._executor.shutdown()

    def stop(self) -> None:
        """Let `run` commit what is left, close the file, and return."""
        self._stopping = True
        self._wake.set()
        self._urgent.set()

    async def check(self) -> None:
        """Read the whole file in another thread, and replace it if it is damaged."""
        fault = await asyncio.to_thread(self._store.check)
        if fault:
            self._fault = fault
            self._wake.set()

    async def _work(self, checkpoint: bool = False) -> None:
        self._busy = True
        try:
            if self._fault:
                fault, self._fault = self._fault, ""
                raise StoreDamagedError(fault)
            await self._commit(checkpoint)
            await self._refill()
        except StoreDamagedError as error:
            await self._repair(error)
        finally:
            self._busy = False
        self._events.batches_ready()

    async def _commit(self, checkpoint: bool) -> None:
        samples, self._samples = joined([NO_ROWS, *self._samples]), []
        batches, self._batches = self._batches, {}
        acknowledged, self._acknowledged = self._acknowledged, set()
        refused, self._refused = self._refused, set()
        lost, self._lost = self._lost, []
        notes = self._take_notes()
        news = len(samples) or batches or acknowledged or refused or any(notes) or lost
        if not (news or checkpoint or self._rebase):
            return
        known = self._events.known()
        live_from = self._live_accepted - count_live(samples)
        commit = Commit(
            samples,
            live_from,
            list(batches.values()),
            self._live_batched,
            acknowledged,
            refused,
            self.outbox.flying,
            known.now_s,
            known.last() if self._rebase else {},
            known.epoch,
            checkpoint or self._rebase,
            [key for batch in batches.values() if batch.lane == LANE_BACKLOG for key in sample_keys(batch)],
            notes,
            lost,
        )
        self._committing = samples
        try:
            dropped = await self._in_thread(self._store.commit, commit)
        except Exception as error:  # whatever it is, nothing that was taken for this commit may be lost
            self._samples.insert(0, samples)
            self._batches = {
                number: batch
                for number, batch in (batches | self._batches).items()
                if number not in self._acknowledged and number not in self._refused
            }
            self._acknowledged |= acknowledged - batches.keys()
            self._refused |= refused - batches.keys()
            self._lost = [*lost, *self._lost]
            self._filled = [*notes.filled, *self._filled]
            self._reopened = [*notes.reopened, *self._reopened]
            self.errands.put_back(notes.rows)
            if isinstance(error, StoreDamagedError):
                raise
            self._failed(error)
            return
        finally:
            self._committing = NO_ROWS
        if self.failing:
            _logger.warning("the spool can be written again")
        self.failing, self._rebase = "", False
        self._events.samples_committed(samples)
        history = [batch for number, batch in batches.items() if number in self._untold]
        if history:
            self._untold.difference_update(batches)
            self._events.history_committed(history)
        gone = {drop.sequence for drop in dropped}
        held = {*self.outbox.held, *self._acknowledged, *self._refused}
        self.outbox.put(batch for number, batch in batches.items() if number not in gone | held)
        self._give_up(dropped)

    def _take_notes(self) -> Notes:
        filled, self._filled = self._filled, []
        reopened, self._reopened = self._reopened, []
        rows: list[Row] = self.errands.take_changed() if self.errands.has_changed else []
        return Notes(filled, reopened, rows)

    async def _refill(self) -> None:
        if not self.outbox.wants_more or not self._more_stored():
            return
        if self.failing and len(self._acknowledged) >= UNWRITTEN_MAX:
            return  # a full disk can be read, but each batch that goes has to be remembered here
        held = [*self.outbox.held, *self._acknowledged, *self._refused]
        try:
            batches, dropped = await self._in_thread(self._store.next, held, READY_MAX)
        except StoreDamagedError:
            raise
        except Exception as error:
            if not self.failing:
                self._failed(error)
            return
        self.outbox.refill(batches)
        self._give_up(dropped)

    async def _repair(self, error: StoreDamagedError) -> None:
        """A new file in the place of a damaged one; what is known in memory goes into it."""
        self.repairs += 1
        try:
            loaded = await self._in_thread(self._store.rebuild, str(error))
        except Exception as failure:
            self._failed(failure)
            return
        _logger.error("%s", loaded.note)
        self._rebase = True
        self.errands.all_changed()
        self._batches = {batch.sequence: batch for batch in self.outbox.batches} | self._batches
        self._wake.set()

    def _failed(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, (StoreError, StoreDamagedError)) else repr(error)
        self.failures += 1
        if not self.failing:
            _logger.error("the spool cannot be written: %s; batches go to the broker from memory", reason)
            if not isinstance(error, (StoreError, StoreDamagedError)):
                _logger.error("this should not happen; please report it", exc_info=error)
        self.failing = reason
        pending = sum(map(len, self._samples))
        if pending > PENDING_SAMPLES_MAX:  # they are in batches; only their replay state is left behind
            self._samples = [joined(self._samples)[-PENDING_SAMPLES_MAX // 2 :]]
            self._rebase = True
        self._send_unsaved()

    def _send_unsaved(self) -> None:
        held = {*self.outbox.held}
        self.outbox.put((batch for number, batch in self._batches.items() if number not in held), saved=False)
        size = sum(len(batch.payload) for batch in self._batches.values())
        if size > self._memory_bytes:
            self._drop_unsaved(size)

    def _drop_unsaved(self, size: int) -> None:
        """Make room in memory, which holds `size` bytes of payloads: by lane as in the file, the oldest first."""
        flying = {*self.outbox.flying}
        for lane in LANES_BY_LOSS:
            for batch in [each for each in self._batches.values() if each.lane == lane and each.sequence not in flying]:
                if size <= self._memory_bytes:
                    return
                self._take_unsaved(batch.sequence)
                size -= len(batch.payload)
                if batch.lane < LANE_ALARM:
                    self._dropped_events += 1
                elif len(self._lost) < PENDING_SAMPLES_MAX:
                    with contextlib.suppress(DecodeError):  # our own; what it cannot tell is not worth the writer
                        self._lost += sample_keys(batch)
                self.dropped_memory += batch.samples
                self._give_up([Dropped(batch.sequence, batch.samples, DROP_MEMORY)])

    def _take_unsaved(self, sequence: int) -> bool:
        self._untold.discard(sequence)
        return self._batches.pop(sequence, None) is not None

    def _more_stored(self) -> bool:
        totals = self._store.totals
        return totals.batches - totals.poison > len(self.outbox.held) + len(self._acknowledged) + len(self._refused)

    def _give_up(self, dropped: list[Dropped]) -> None:
        self.outbox.forget(drop.sequence for drop in dropped)
        lost = [drop for drop in dropped if drop.samples]
        if lost:
            self._events.batches_dropped(lost)

    async def _in_thread(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
