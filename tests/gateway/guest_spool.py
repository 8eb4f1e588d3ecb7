"""What runs in the virtual machine of test_power_cut: a spool on a disk of its own, and a look at what is left of it.

write PATH DURABILITY     accept samples until the power goes; says which are committed
read PATH                 say what a hub would start with
"""

import asyncio
from pathlib import Path

from taghub.closed_batch import LANE_LIVE, ClosedBatch
from taghub.intake import Accepted
from taghub.sample_rows import Rows, rows_of
from taghub.spool import Dropped, Known, Limits, Spool, Store

TAG_ID = 7
LIMITS = Limits(1 << 30, 1e9, "oldest")


class Teller:
    """A SpoolEvents that says on stdout what is promised from now on."""

    def samples_committed(self, samples: Rows) -> None:
        if len(samples):
            print("committed", int(samples["counter"].max()), flush=True)

    def history_committed(self, batches: list[ClosedBatch]) -> None: ...
    def batches_ready(self) -> None: ...
    def batches_dropped(self, dropped: list[Dropped]) -> None: ...

    def known(self) -> Known:
        return Known(None, 0, dict)


async def write(path: Path, durability: str) -> None:
    store = Store(path, durability, LIMITS)
    spool = Spool(store, store.open(), Teller(), 1_000_000)
    writer = asyncio.create_task(spool.run())
    for counter in range(1, 1_000_000):
        spool.accept(rows_of([Accepted(TAG_ID, counter, bytes(11), counter, -60, False, 0)]))
        if counter % 50 == 0:  # as the batcher would, but readable; the file grows
            spool.add([ClosedBatch(counter, LANE_LIVE, 0, 50, counter.to_bytes(4, "little") * 500)])
        await asyncio.sleep(0.005)
    await writer


def read(path: Path) -> None:
    store = Store(path, "full", LIMITS)
    loaded = store.open()
    batches, dropped = store.next([], 1_000_000)
    whole = all(batch.payload == batch.sequence.to_bytes(4, "little") * 500 for batch in batches)
    kept = [*loaded.open["counter"].tolist(), *(n for b in batches for n in range(b.sequence - 49, b.sequence + 1))]
    gaps = len(set(range(1, loaded.last.get(TAG_ID, 0) + 1)) - set(kept))
    print("found", loaded.last.get(TAG_ID, 0), len(kept), len(set(kept)), gaps, flush=True)
    print("sound", whole and not dropped and not loaded.note and not store.check(), flush=True)


def main(word: str, path: str, *durability: str) -> None:
    if word == "write":
        asyncio.run(write(Path(path), *durability))
    else:
        read(Path(path))
