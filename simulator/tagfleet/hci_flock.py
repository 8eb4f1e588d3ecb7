"""Flock tags on real HCI: each is an advertiser on bumble's virtual link, heard by a hub's own Bluetooth stack.

There is no simulated radio between them: the link loses nothing.
"""

import asyncio
import time
from typing import Any, Self

import numpy as np
from bumble.link import LocalLink

from tagfleet.flock import Flock
from tagfleet.ledger import Ledger
from tagfleet.tag_faults import TagFaults
from tagfleet.traffic import Step
from tagfleet.twin.radio import Advertiser, HciServer

BURST_S = 0.3
INTERVAL_MS = 40.0


class HciFlock:
    """The face of a Traffic: `step` makes samples and starts their bursts. Enter it with `async with`."""

    def __init__(self, flock: Flock, ledger: Ledger, faults: TagFaults) -> None:
        self.reports = 0
        self.unmade = self.hostile = 0
        self.off: set[int] = set()
        self._flock = flock
        self._ledger = ledger
        self._faults = faults
        self._link = LocalLink()
        self._server = HciServer(self._link, self._on_report)
        self._advertisers = {tag_id: Advertiser(self._link, tag_id) for tag_id in flock.tag_ids.tolist()}
        self._counters: dict[int, int] = {}
        self._quiet_s: dict[int, float] = {}

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        for advertiser in self._advertisers.values():
            advertiser.stop()
        await self._server.__aexit__(*error)

    @property
    def hci_transport(self) -> str:
        """What a bumble radio opens to hear them."""
        return f"tcp-client:127.0.0.1:{self._server.port}"

    @property
    def waiting(self) -> int:
        """Bursts that go on."""
        return len(self._quiet_s)

    def step(self, until_us: int, now_us: int, making: bool = True) -> Step:
        """See Traffic.step."""
        now_s = asyncio.get_running_loop().time()
        for tag_id in [tag_id for tag_id, quiet_s in self._quiet_s.items() if now_s >= quiet_s]:
            del self._quiet_s[tag_id]
            self._advertisers[tag_id].stop()
        if not making:
            return Step([], [], 0)
        samples, advertised, unmade = self._faults.survivors(self._flock.step(until_us / 1e6))
        self.unmade += unmade
        if len(samples.tags):
            self._ledger.made(samples.tag_ids, samples.counters, samples.readings, samples.t_us, advertised)
        rows = zip(samples.tag_ids.tolist(), samples.counters.tolist(), samples.adv_data, advertised, strict=True)
        for tag_id, counter, adv_data, on_air in rows:
            if on_air:
                self._counters[tag_id] = counter
                self._advertisers[tag_id].start(adv_data.tobytes(), INTERVAL_MS)
                self._quiet_s[tag_id] = now_s + BURST_S
        return Step([], [], len(samples.tags))

    def _on_report(self, address: bytes, adv_data: bytes) -> None:
        tag_id = int.from_bytes(address[-4:], "big")  # see Advertiser
        counter = self._counters.get(tag_id)
        if counter is None or int.from_bytes(adv_data[-19:-17], "little") != counter & 0xFFFF:
            return
        self.reports += 1
        self._ledger.reported(np.array([tag_id]), np.array([counter]), 0, time.time_ns() // 1000)
