"""The home of what a hub knows about private ids: who bears them now, and which epoch `now` is in. Pure.

A hub that does not know the time (no network since it booted, no battery for its clock) searches for the epoch: forward
from the last that was certain, with the very ids that it hears, until one of them opens.
"""

from collections.abc import Sequence

from tagwire.beacon import epoch_of
from tagwire.idtable import Candidate, EpochSearch, IdTable

IDS_A_SLICE = 1_000  # some 5 ms on one core, ten on a small board
SEARCH_IDS_MAX = 64  # of the private ids that wait, the newest
SEARCH_EPOCHS_MAX = 61_594  # two years; with more than 1,000 tags less:
SEARCH_NAMES_MAX = 60_000_000  # some ten seconds of a core
SEARCH_PAUSE_US = 600_000_000  # between two searches that found nothing


class PrivateNames:
    """Call `work` now and then; `epoch` is then the present one as far as it is known."""

    def __init__(self, id_keys: Sequence[bytes] = (), last_epoch: int = 0) -> None:
        self.last_epoch = last_epoch
        """The last epoch that a synchronised clock or an authentic beacon vouched for; has to be durable."""
        self.complete = False
        """Whether every tag of the keyring is named for the present epoch."""
        self._ahead = 0
        self._search: EpochSearch | None = None
        self._search_from_us = 0
        self.replace(id_keys)

    def replace(self, id_keys: Sequence[bytes]) -> None:
        """Another keyring. Its tags are named by the next calls of `work`."""
        self._id_keys = id_keys
        self._table = IdTable(id_keys)
        self.find = self._table.find
        """From a private id's 4 bytes to its Candidates."""
        self._search = None
        self.complete = not id_keys

    def epoch(self, now_us: int, certain: bool) -> int:
        """The epoch of `now_us`, a clock that is `certain` or not: then never one before the last that was."""
        epoch = epoch_of(now_us // 1_000_000)
        return epoch if certain else max(epoch + self._ahead, self.last_epoch)

    def work(self, now_us: int, certain: bool, ids_max: int = IDS_A_SLICE) -> bool:
        """Name some tags. True when the table has become complete by this call: waiting frames may have a name now."""
        if not self._id_keys:
            return False
        if certain:
            self._ahead = 0
            self._search = None
            self.last_epoch = epoch_of(now_us // 1_000_000)
        before = self.complete
        epoch = self.epoch(now_us, certain)
        moved = epoch != self._table.epoch
        self.complete = self._table.work(epoch, ids_max)
        return self.complete and (moved or not before)

    def search(self, now_us: int, waiting_ids: Sequence[bytes]) -> list[Candidate]:
        """For a clock that is not certain: one slice of the search for an epoch in which these ids have a bearer.

        The candidates are to be confirmed by their MIC, and then to be told to `found`.
        """
        if self._search is None:
            if not waiting_ids or not self.complete or now_us < self._search_from_us:
                return []
            first = max(self.last_epoch, self.epoch(now_us, False))
            ids = waiting_ids[-SEARCH_IDS_MAX:]
            epochs = min(SEARCH_EPOCHS_MAX, SEARCH_NAMES_MAX // len(self._id_keys))
            self._search = EpochSearch(self._id_keys, ids, first, first + epochs)
        candidates = self._search.work()
        if candidates is None:
            self._search = None
            self._search_from_us = now_us + SEARCH_PAUSE_US
            return []
        return candidates

    @property
    def searching(self) -> bool:
        """Whether a search is under way."""
        return self._search is not None

    def found(self, now_us: int, epoch: int) -> None:
        """An authentic beacon says that now is this epoch."""
        self._ahead = epoch - epoch_of(now_us // 1_000_000)
        self.last_epoch = epoch
        self._search = None
        self.complete = False
