"""Where the ledger's rows are: one for each (tag, sequence), in a file that the kernel keeps in memory as far as there
is room, or in memory.

Row `sequence * tags + tag`: what is made at the same time lies together, so that only the newest part is in use, and a
sample is found by arithmetic, without an index.
"""

import json
import mmap
import os
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Ints

ROW = np.dtype(
    [
        ("state", "<u2"),
        ("arrivals", "u1"),  # 255: so many or more
        ("hubs", "u1"),  # how many hubs' radios reported it
        ("hub", "<u2"),  # whose radio was first
        ("from_hub", "<u2"),  # whose batch was first
        ("hub2", "<u2"),  # another one that reported it, plus 1; 0: none. Further ones stand elsewhere
        ("from_hub2", "<u2"),  # another one whose batch held it, likewise
        ("made_ms", "<u4"),  # of the run's own time
        ("reported", "<u4"),  # real time since the run's start in units of 0.1 ms, plus 1; 0: never
        ("accepted", "<u4"),
        ("acknowledged", "<u4"),
        ("arrived", "<u4"),
        ("latitude_e7", "<i4"),
        ("longitude_e7", "<i4"),
        ("temperature_mc", "<i4"),
        ("humidity_mpct", "<i4"),
        ("battery_mv", "<i4"),
        ("time_s", "<i4"),  # from the run's start
        ("fix", "i1"),
        ("motion", "i1"),
        ("time_quality", "i1"),
        ("refusal", "u1"),
    ]
)
ROWS_MAX = 1 << 31
_ROWS_FILE, _HEAD_FILE, _TAGS_FILE = "ledger.rows", "ledger.json", "ledger.tags.npy"
_FORMAT = 2


class LedgerFull(Exception):
    """More samples than a ledger, or the disk that it is on, has room for."""


class LedgerUnreadable(Exception):
    """No ledger was kept there; the text says what to do."""


class Tags(NamedTuple):
    """Who is in the ledger: ids, ascending, and the counter of each one's first sample."""

    ids: Ints
    first_counters: Ints

    def places(self, tag_ids: Ints, counters: Ints) -> tuple[Ints, Ints]:
        """Index and sequence of each sample; index -1 where it is of no tag in here."""
        if not len(self.ids):
            return np.full(len(tag_ids), -1), np.zeros(len(tag_ids), np.int64)
        index = tag_ids - self.ids[0]  # ids are mostly without gaps
        guess = np.clip(index, 0, len(self.ids) - 1)
        if not (self.ids[guess] == tag_ids).all():
            guess = np.minimum(np.searchsorted(self.ids, tag_ids), len(self.ids) - 1)
        sequences = counters - self.first_counters[guess]
        known = (self.ids[guess] == tag_ids) & (sequences >= 0)
        return np.where(known, guess, -1), sequences


class Rows:
    """`array` holds all rows; `grow` gives it more, and it is another one then."""

    def __init__(self, tags: Tags, depth: int, folder: Path | None) -> None:
        """depth: samples of each tag to have room for at first. folder: keep the rows there. Raises LedgerFull."""
        self.tags = tags
        self.depth = max(1, depth)
        self._path = None if folder is None else folder / _ROWS_FILE
        if folder is not None:
            (folder / _HEAD_FILE).unlink(missing_ok=True)  # of an earlier run: its rows are gone
            np.save(folder / _TAGS_FILE, np.stack([tags.ids, tags.first_counters]))
            (folder / _ROWS_FILE).unlink(missing_ok=True)
        self.array = self._mapped(self.depth)

    def grow(self, depth: int) -> None:
        """Room for so many samples of each tag. Raises LedgerFull."""
        depth = max(depth, 2 * self.depth)
        if depth * max(1, len(self.tags.ids)) > ROWS_MAX:
            raise LedgerFull(f"a ledger holds {ROWS_MAX // max(1, len(self.tags.ids)):,} samples of each tag")
        old, self.array = self.array, self._mapped(depth)
        if self._path is None:
            self.array[: len(old)] = old
        self.depth = depth

    def end(self, rows: int) -> None:
        """Nothing follows: rows from this one on give their room on the disk back. The array is not to be touched any
        more."""
        if self._path is not None:
            os.truncate(self._path, rows * ROW.itemsize)

    def forget(self, rows: int) -> None:
        """Rows before this one are hardly needed any more: the kernel may have their memory."""
        memory = self.array.base
        if isinstance(memory, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            length = rows * ROW.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
            if length:
                memory.madvise(mmap.MADV_DONTNEED, 0, length)

    def _mapped(self, depth: int) -> Any:
        count = depth * max(1, len(self.tags.ids))
        if self._path is None:
            return np.zeros(count, ROW)
        size = count * ROW.itemsize
        try:
            with self._path.open("ab") as file:
                file.truncate(size)
                if hasattr(os, "posix_fallocate"):  # a page of a map that finds no room on the disk kills the process
                    os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise LedgerFull(
                f"{self._path.parent} has no room for a ledger of {size / 1e6:,.0f} MB: {error.strerror}; "
                "--folder names another place"
            ) from None
        with self._path.open("r+b") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), count * ROW.itemsize), ROW)


def write_head(folder: Path, head: dict[str, Any]) -> None:
    """What a reader has to know beside the rows."""
    (folder / _HEAD_FILE).write_text(json.dumps({"format": _FORMAT, "row_bytes": ROW.itemsize, **head}), "utf-8")


def read_rows(folder: Path) -> tuple[dict[str, Any], Tags, npt.NDArray[np.void]]:
    """A ledger that was kept: head, with the run's `name`, its `hubs` and what was `wrong`; tags; rows (read only).
    Raises LedgerUnreadable."""
    try:
        head = json.loads((folder / _HEAD_FILE).read_text("utf-8"))
    except OSError as error:
        if (folder / _ROWS_FILE).exists():
            raise LedgerUnreadable(f"{folder}: the run there has not ended, or was killed") from None
        raise LedgerUnreadable(
            f"{folder}: no ledger of a run is there ({error.strerror}); `tagfleet run NAME --folder {folder}` keeps one"
        ) from None
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or "format" not in head:
        raise LedgerUnreadable(f"{folder / _HEAD_FILE} is damaged")
    if head["format"] != _FORMAT or head.get("row_bytes") != ROW.itemsize:
        raise LedgerUnreadable(f"{folder}: the ledger is of another edition of tagfleet")
    if [type(head.get(key)) for key in ("name", "hubs", "wrong")] != [str, list, list]:
        raise LedgerUnreadable(f"{folder / _HEAD_FILE} is damaged")
    tags = read_numbers(folder / _TAGS_FILE, 2)
    try:
        rows = np.memmap(folder / _ROWS_FILE, ROW, "r")
    except (OSError, ValueError) as error:
        raise LedgerUnreadable(f"{folder / _ROWS_FILE} cannot be read: {error}") from None
    if len(tags) != 2:
        raise LedgerUnreadable(f"{folder / _TAGS_FILE} is damaged")
    return head, Tags(tags[0], tags[1]), rows


def read_numbers(path: Path, dimensions: int = 1) -> Ints:
    """An array of integers beside the rows. Raises LedgerUnreadable."""
    try:
        found: Ints = np.load(path, mmap_mode="r")
    except OSError as error:
        raise LedgerUnreadable(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError):  # whatever numpy says to a broken head
        raise LedgerUnreadable(f"{path} is damaged") from None
    if found.dtype != np.int64 or found.ndim != dimensions:
        raise LedgerUnreadable(f"{path} is damaged")
    return found
