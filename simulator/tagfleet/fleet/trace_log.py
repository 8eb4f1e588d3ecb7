"""The trace of many hubs in one process: what a TraceFile writes to a file, kept as arrays until it is fetched."""

import time

import numpy as np
from numpy.typing import ArrayLike

from tagfleet.fleet.frames import TRACE_ROW


class TraceLog:
    """Stamps with this machine's clock: hubs here may live in another time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def of_hub(self, hub: int) -> "HubTrace":
        """The part of one hub; a TraceFile for a taghub.hub.Hub."""
        return HubTrace(self, hub)

    def add(self, hub: int, event: int, tag_ids: ArrayLike, counters: ArrayLike) -> None:
        """Some samples of a hub."""
        ids = np.asarray(tag_ids)
        if not len(ids):
            return
        rows = np.empty(len(ids), TRACE_ROW)
        rows["hub"], rows["event"], rows["t_us"] = hub, event, time.time_ns() // 1000
        rows["tag"] = ids
        rows["counter"] = counters
        self._pieces.append(rows.tobytes())

    def take(self) -> bytes:
        """All rows since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class HubTrace:
    """What a hub calls. After `close` it is deaf: a hub that died says nothing more."""

    def __init__(self, log: TraceLog, hub: int) -> None:
        self._log = log
        self._hub = hub
        self._open = True

    def samples(self, event: int, tag_ids: ArrayLike, counters: ArrayLike, t_us: ArrayLike) -> None:
        """See TraceFile; the time is not the hub's but ours."""
        if self._open:
            self._log.add(self._hub, event, tag_ids, counters)

    def close(self) -> None:
        self._open = False
