"""Somebody beside a hub who records beacons and sends them again. Pure."""

import numpy as np

from tagfleet.air.heard import Heard
from tagwire.air import encode_advertisements
from tagwire.bulk import Bytes2D

_RECORDINGS_MAX = 1_000  # of each hub
_RSSI_DBM = -60


class Replayer:
    """One attacker with ears and mouths at some hubs."""

    def __init__(self, seed: int) -> None:
        self.sent = 0
        self._random = np.random.default_rng([seed, 667])
        self._heard: dict[int, Bytes2D] = {}
        self._owed: dict[int, float] = {}

    def overhear(self, hub: int, heard: Heard) -> None:
        """What a hub's radio has reported."""
        before = self._heard.get(hub)
        after = heard.adv_data if before is None else np.concatenate([before, heard.adv_data])
        self._heard[hub] = after[-_RECORDINGS_MAX:]

    def records(self, hub: int, t_us: int, count: float) -> bytes:
        """About `count` recordings as air records for a hub, at `t_us`. What has just been sent is no replay, so a
        recording is at least as old as the last call."""
        recordings = self._heard.get(hub)
        owed = self._owed.get(hub, 0.0) + count
        whole = int(owed)
        self._owed[hub] = owed - whole
        if recordings is None or not whole:
            return b""
        chosen = recordings[self._random.integers(len(recordings), size=whole)]
        self.sent += whole
        addresses = np.broadcast_to(np.frombuffer(b"\xee\xff\xc0\xde\xde\xc0", np.uint8), (whole, 6))
        return encode_advertisements(np.full(whole, t_us), np.full(whole, _RSSI_DBM), addresses, chosen)
