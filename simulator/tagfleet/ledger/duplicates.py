"""Why a sample arrived more than once. Pure."""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_PAIRS_MAX = 1_000_000  # of third and further hubs: some 80 MB
_BATCHES_MAX = 200_000


class Duplicates(NamedTuple):
    """Arrivals of a sample beyond its first. other_hub: another hub heard it too. redelivered: the same batch came
    twice, as MQTT's QoS 1 may. resent: a hub put it into two batches, which it never should."""

    other_hub: int = 0
    redelivered: int = 0
    resent: int = 0


class FurtherHubs:
    """Which hubs have had which samples beyond each one's first: the second in the sample's row, the rest in here."""

    def __init__(self) -> None:
        self._pairs: set[int] = set()  # row << 16 | hub

    def add(
        self, seconds: npt.NDArray[Any], index: npt.NDArray[np.intp], hubs: npt.NDArray[Any]
    ) -> npt.NDArray[np.bool_]:
        """Pairs of a row and a hub that is not its first; which of them are new. seconds: the rows' column of second
        hubs, plus 1."""
        added = np.zeros(len(index), bool)
        added[np.unique(index, return_index=True)[1]] = True
        added &= seconds[index] == 0
        seconds[index[added]] = hubs[added] + 1
        for i in np.flatnonzero(~added & (seconds[index] != hubs + 1)).tolist():
            pair = int(index[i]) << 16 | int(hubs[i])
            if pair not in self._pairs:
                added[i] = True
                if len(self._pairs) < _PAIRS_MAX:
                    self._pairs.add(pair)
        return added

    def pairs(self) -> npt.NDArray[np.int64]:
        """All that do not stand in rows, as row << 16 | hub, ascending."""
        return np.sort(np.fromiter(self._pairs, np.int64, len(self._pairs)))


class Senders:
    """What kind of duplicate each further arrival is. It remembers which batches have come."""

    def __init__(self) -> None:
        self.duplicates = Duplicates()
        self.hubs = FurtherHubs()
        self._batches: OrderedDict[tuple[int, int], None] = OrderedDict()

    def seen_batch(self, hub: int, sequence: int) -> bool:
        """Whether a batch has come before; it has, from now on."""
        seen = (hub, sequence) in self._batches
        self._batches[hub, sequence] = None
        if len(self._batches) > _BATCHES_MAX:
            self._batches.popitem(last=False)
        return seen

    def count(self, rows: npt.NDArray[Any], index: npt.NDArray[np.intp], hub: int, repeated: bool) -> None:
        """Samples of a batch of `hub` have arrived once more. repeated: the batch has."""
        if not len(index):
            return
        other_hub, redelivered, resent = self.duplicates
        if repeated:
            self.duplicates = Duplicates(other_hub, redelivered + len(index), resent)
            return
        foreign = index[(rows["arrivals"][index] > 0) & (rows["from_hub"][index] != hub)]
        others = int(self.hubs.add(rows["from_hub2"], foreign, np.full(len(foreign), hub)).sum())
        self.duplicates = Duplicates(other_hub + others, redelivered, resent + len(index) - others)
