"""What goes into a spool file, what comes back, and what can go wrong. Pure: types only."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from taghub.closed_batch import ClosedBatch
from taghub.sample_rows import Rows
from taghub.spool.errands import Notes, Row

DROP_FULL = "spool_full"
DROP_OLD = "spool_old"
DROP_DAMAGED = "spool_damaged"
DROP_REFUSED = "refused"  # for good, by the broker; it stays in the file until room is needed
DROP_EVENT = "events"  # events and replies, not samples: these are in batches as well
DROP_REASONS = (DROP_FULL, DROP_OLD, DROP_DAMAGED, DROP_REFUSED, DROP_EVENT)


class StoreError(Exception):
    """The file cannot be written now (disk full, I/O error); what was committed before is untouched."""


class StoreDamagedError(Exception):
    """The file is no whole spool, or not the one that was opened: `rebuild` is needed."""


class Limits(NamedTuple):
    """max_bytes: of all batches' payloads. max_age_s: of a batch. when_full: which goes, "oldest" or "newest"."""

    max_bytes: int
    max_age_s: float
    when_full: str


class Commit(NamedTuple):
    """What happens in one transaction.

    samples: accepted since the last commit; live_from: how many live ones were accepted before the first of them.
    batches: closed since then. live_batched: how many live samples were ever put into batches. acknowledged, refused:
    batches by number. held: batches that must not be dropped, because they are in flight. now_s: Unix seconds, None
    where the hub does not know the time. last: counters up to which nothing is ever taken again, beside `samples`.
    epoch: of private ids, the last that was certain. fetched: (tag id, counter) of the samples in batches of the
    backlog. notes: of the courier. lost: (tag id, counter) that were dropped before they ever were on the disk, and may
    be fetched again.
    """

    samples: Rows
    live_from: int
    batches: list[ClosedBatch]
    live_batched: int
    acknowledged: Collection[int] = ()
    refused: Collection[int] = ()
    held: Collection[int] = ()
    now_s: int | None = None
    last: Mapping[int, int] = {}
    epoch: int = 0
    checkpoint: bool = False
    fetched: Collection[tuple[int, int]] = ()
    notes: Notes = Notes()
    lost: Collection[tuple[int, int]] = ()


class Totals(NamedTuple):
    """What the file holds (batches still to be sent and set aside alike), and the samples ever dropped, by reason."""

    batches: int
    samples: int
    bytes: int
    poison: int
    dropped: dict[str, int]


class Dropped(NamedTuple):
    """A batch that was given up, and why (a DROP_* word)."""

    sequence: int
    samples: int
    reason: str


class Loaded(NamedTuple):
    """What a hub starts from. last: the highest counter of each tag. open: live samples that are in no batch yet, in
    order. note: what had to be repaired, for the log; empty where nothing. errands: of the courier. certain: whether
    the hub knew the time at the last commit."""

    last: dict[int, int]
    open: Rows
    live_batched: int
    next_sequence: int
    epoch: int
    note: str = ""
    errands: Sequence[Row] = ()
    certain: bool = True
