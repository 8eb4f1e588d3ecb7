"""What hubs' radios report, as columns. Pure."""

from typing import NamedTuple

import numpy as np

from tagfleet.world.noise import Ints
from tagwire.air import encode_advertisements
from tagwire.bulk import Bytes2D


class Heard(NamedTuple):
    """Reports ordered by time, one a row: the hub's index, the tag's index in the flock, the sample's identity, the
    time (Unix microseconds), RSSI in dBm, and what was advertised from which address: uint8[n, 6], uint8[n, 31]."""

    hubs: Ints
    tags: Ints
    tag_ids: Ints
    counters: Ints
    t_us: Ints
    rssi_dbm: Ints
    addresses: Bytes2D
    adv_data: Bytes2D

    @staticmethod
    def empty() -> "Heard":
        """No report."""
        none = np.empty(0, np.int64)
        return Heard(none, none, none, none, none, none, np.empty((0, 6), np.uint8), np.empty((0, 31), np.uint8))

    @staticmethod
    def joined(parts: "list[Heard]") -> "Heard":
        """All of some parts, in order."""
        parts = [part for part in parts if len(part.hubs)]
        if len(parts) < 2:
            return parts[0] if parts else Heard.empty()
        return Heard(
            np.concatenate([part.hubs for part in parts]),
            np.concatenate([part.tags for part in parts]),
            np.concatenate([part.tag_ids for part in parts]),
            np.concatenate([part.counters for part in parts]),
            np.concatenate([part.t_us for part in parts]),
            np.concatenate([part.rssi_dbm for part in parts]),
            np.concatenate([part.addresses for part in parts]),
            np.concatenate([part.adv_data for part in parts]),
        )

    def of_hubs(self) -> dict[int, "Heard"]:
        """The reports of each hub that has any, each in order."""
        order = np.argsort(self.hubs, kind="stable")
        hubs, starts = np.unique(self.hubs[order], return_index=True)
        pieces = np.split(order, starts[1:])
        return {int(hub): self.select(rows) for hub, rows in zip(hubs, pieces, strict=True) if len(rows)}

    def select(self, rows: Ints) -> "Heard":
        """Some of them."""
        return Heard(
            self.hubs[rows],
            self.tags[rows],
            self.tag_ids[rows],
            self.counters[rows],
            self.t_us[rows],
            self.rssi_dbm[rows],
            self.addresses[rows],
            self.adv_data[rows],
        )

    def records(self) -> bytes:
        """As air records, for one hub."""
        return encode_advertisements(self.t_us, self.rssi_dbm, self.addresses, self.adv_data)
