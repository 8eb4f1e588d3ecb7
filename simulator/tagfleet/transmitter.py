"""The flock on the air: from the time to the bytes that a gateway's radio would report. Pure.

Everything that leaves here has passed the nonce oracle and stands in the ledger.
"""

import numpy as np

from tagfleet.airtime import Airtime
from tagfleet.flock import Flock
from tagfleet.intruder import Intruder
from tagfleet.ledger import Ledger
from tagfleet.oracle import NonceOracle
from tagfleet.radio import RadioSettings, addresses, hear
from tagwire.air import encode_advertisement

_INTRUDER_RSSI_DBM = -82


class Transmitter:
    """`tick` it often; `intruders_per_s` hostile or foreign advertisements are mixed in."""

    def __init__(
        self,
        flock: Flock,
        seed: int,
        radio: RadioSettings,
        ledger: Ledger,
        oracle: NonceOracle,
        intruder: Intruder,
        intruders_per_s: float,
    ) -> None:
        self.reports = 0  # genuine ones
        self.intrusions = 0
        self._flock = flock
        self._seed = seed
        self._radio = radio
        self._ledger = ledger
        self._oracle = oracle
        self._intruder = intruder
        self._intruders_per_s = intruders_per_s
        self._intrusions_due = 0.0
        self._last_us = 0
        self._airtime = Airtime()

    @property
    def waiting(self) -> int:
        """Reports of bursts that are still going on."""
        return len(self._airtime)

    def tick(self, now_us: int, making: bool) -> bytes:
        """The air records of what is heard up to `now_us`; without `making`, running bursts end and none begins."""
        if making:
            self._make(now_us)
        due = self._airtime.take_due(now_us)
        records = b""
        if due is not None:
            records = due.records(now_us)
            self.reports += len(due.due_us)
            self._ledger.reported(due.tag_ids, due.counters, 0, now_us)
            for adv_data in due.adv_data:
                self._intruder.overhear(adv_data[-24:].tobytes())
        if making:
            records += self._intrude(now_us)
        self._last_us = now_us
        return records

    def _make(self, now_us: int) -> None:
        samples = self._flock.step(now_us / 1e6)
        if not len(samples.tags):
            return
        self._ledger.made(samples.tag_ids, samples.counters, samples.readings, samples.t_us)
        rows = zip(samples.tags.tolist(), samples.tag_ids.tolist(), samples.counters.tolist(), strict=True)
        for (tag, tag_id, counter), beacon in zip(rows, samples.beacons, strict=True):
            self._oracle.check_beacon(self._flock.keys[tag], tag_id, counter, beacon.tobytes())
        reports = hear(self._radio, self._seed, samples.tag_ids, samples.counters, samples.t_us)
        self._airtime.add(samples, reports)

    def _intrude(self, now_us: int) -> bytes:
        if self._last_us:
            self._intrusions_due += self._intruders_per_s * min(now_us - self._last_us, 1_000_000) / 1e6
        count = int(self._intrusions_due)
        self._intrusions_due -= count
        self.intrusions += count
        address = addresses(np.array([0xDEADBEEF], np.int64))[0].tobytes()
        hostile = self._intruder.advertisements(count)
        return b"".join(encode_advertisement(now_us, _INTRUDER_RSSI_DBM, address, adv_data) for adv_data in hostile)
