"""Latencies as a histogram: any number of them in a few kilobytes, mergeable across machines. Pure."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Floats

LOWEST_MS = 0.1
_STEP = math.log(1.01)  # a bucket is 1 % wide, so a percentile is right within 1 %
BUCKETS = 2_300  # up to 0.1 ms * 1.01^2300: 10 days


class Histogram:
    """Counts by the logarithm of the latency."""

    def __init__(self, counts: Iterable[int] | None = None) -> None:
        self.counts = np.zeros(BUCKETS, np.int64) if counts is None else np.array(list(counts), np.int64)

    def add(self, latency_ms: Floats | npt.NDArray[np.integer]) -> None:
        """Count some latencies; what is not above 0.1 ms counts as that."""
        values = np.maximum(np.asarray(latency_ms, np.float64), LOWEST_MS)
        buckets = np.minimum((np.log(values / LOWEST_MS) / _STEP).astype(np.int64), BUCKETS - 1)
        self.counts += np.bincount(buckets, minlength=BUCKETS)

    def merge(self, other: "Histogram") -> None:
        """Add what another one has counted."""
        self.counts += other.counts

    @property
    def total(self) -> int:
        """How many were counted."""
        return int(self.counts.sum())

    def percentile_ms(self, share: float) -> float | None:
        """What `share` (0 to 1) of the latencies stay within (nearest rank); None where there are none."""
        total = self.total
        if not total:
            return None
        rank = max(math.ceil(share * total), 1)
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return bucket_ms(bucket)


def bucket_ms(bucket: int) -> float:
    """The middle of a bucket."""
    return LOWEST_MS * math.exp((bucket + 0.5) * _STEP)
