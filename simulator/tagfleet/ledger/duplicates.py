"""Why a sample arrived more than once. Pure."""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

PAIRS_MAX = 5_000_000
_BATCHES_MAX = 200_000


class Duplicates(NamedTuple):
    """Arrivals of a sample beyond its first. other_hub: another hub heard it too. redelivered: the same batch came
    twice, as MQTT's QoS 1 may. resent: a hub put it into two batches, which it never should."""

    other_hub: int = 0
    redelivered: int = 0
    resent: int = 0


class Senders:
    """Which hubs have sent which samples, beyond each one's first; and which batches have come."""

    def __init__(self) -> None:
        self.duplicates = Duplicates()
        self._pairs: set[int] = set()  # row << 16 | hub
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
        others = 0
        arrivals, senders = rows["arrivals"][index].tolist(), rows["from_hub"][index].tolist()
        for row, before, sender in zip(index.tolist(), arrivals, senders, strict=True):
            pair = row << 16 | hub
            if before and sender != hub and pair not in self._pairs:
                others += 1
                if len(self._pairs) < PAIRS_MAX:
                    self._pairs.add(pair)
        self.duplicates = Duplicates(other_hub + others, redelivered, resent + len(index) - others)

    def pairs(self) -> npt.NDArray[np.int64]:
        """All of row << 16 | hub, ascending."""
        return np.sort(np.fromiter(self._pairs, np.int64, len(self._pairs)))
