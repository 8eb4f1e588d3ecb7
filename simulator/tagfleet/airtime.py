"""Reports that are still to come: what the radio will hear of bursts that have begun. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.flock import Samples
from tagfleet.radio import Reports, addresses
from tagfleet.world.noise import Ints
from tagwire.air import encode_advertisements
from tagwire.bulk import Bytes2D


class DueReports(NamedTuple):
    """Reports, one a row: the sample's identity, RSSI, and what was advertised from which address."""

    tag_ids: Ints
    counters: Ints
    due_us: Ints
    rssi_dbm: Ints
    addresses: Bytes2D
    adv_data: Bytes2D

    def select(self, rows: npt.NDArray[np.intp]) -> "DueReports":
        """Some of them."""
        return DueReports(
            self.tag_ids[rows],
            self.counters[rows],
            self.due_us[rows],
            self.rssi_dbm[rows],
            self.addresses[rows],
            self.adv_data[rows],
        )

    def records(self, t_us: int) -> bytes:
        """As air records, all stamped with the time of sending."""
        return encode_advertisements(np.full(len(self.due_us), t_us), self.rssi_dbm, self.addresses, self.adv_data)


class Airtime:
    """Holds the reports of bursts until their time. It never holds more than the bursts of one burst's length."""

    def __init__(self) -> None:
        self._waiting: DueReports | None = None

    def add(self, samples: Samples, reports: Reports) -> None:
        """The reports of new samples."""
        rows = reports.rows
        new = DueReports(
            samples.tag_ids[rows],
            samples.counters[rows],
            reports.t_us,
            reports.rssi_dbm,
            addresses(samples.tag_ids)[rows],
            samples.adv_data[rows],
        )
        if self._waiting is not None:
            old = self._waiting
            new = DueReports(
                np.concatenate([old.tag_ids, new.tag_ids]),
                np.concatenate([old.counters, new.counters]),
                np.concatenate([old.due_us, new.due_us]),
                np.concatenate([old.rssi_dbm, new.rssi_dbm]),
                np.concatenate([old.addresses, new.addresses]),
                np.concatenate([old.adv_data, new.adv_data]),
            )
        self._waiting = new

    def take_due(self, now_us: int) -> DueReports | None:
        """The reports up to now, in order; None when there are none."""
        if self._waiting is None:
            return None
        due = self._waiting.due_us <= now_us
        if not due.any():
            return None
        ready = np.flatnonzero(due)
        result = self._waiting.select(ready[np.argsort(self._waiting.due_us[ready], kind="stable")])
        self._waiting = self._waiting.select(np.flatnonzero(~due))
        return result

    def __len__(self) -> int:
        return 0 if self._waiting is None else len(self._waiting.due_us)
