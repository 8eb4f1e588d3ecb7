"""Which PDUs overlap at a hub, and which of them survive. Pure.

A PDU of an event overlaps those of others on the same channel exactly when the events start within one PDU's length of
each other, since all tags step through the channels alike. Closed form for N tags with one event each I seconds at
random: a share exp(-2 (N - 1) T / I) overlaps with none.
"""

import math

import numpy as np
import numpy.typing as npt

from tagfleet.air.settings import PDU_US
from tagfleet.world.noise import Ints

Floats32 = npt.NDArray[np.float32]


def collided(hubs: Ints, start_us: Ints, rssi_dbm: Floats32, capture_db: float) -> npt.NDArray[np.bool_]:
    """Which of these events, in any order, are drowned by others at their hub (all that are near must be among them).

    An event survives the others when it is at least `capture_db` louder than their sum.
    """
    result = np.zeros(len(hubs), np.bool_)
    if not len(hubs):
        return result
    first_us = start_us.min()
    span_us = int(start_us.max() - first_us) + 2 * PDU_US
    keys = hubs * span_us + (start_us - first_us)
    order = np.argsort(keys)
    keys = keys[order]
    others_mw: npt.NDArray[np.float64] | None = None
    reach = 1
    while True:
        left = np.flatnonzero(keys[reach:] - keys[:-reach] < PDU_US)
        if not len(left):
            break
        a, b = order[left], order[left + reach]
        if math.isinf(capture_db):
            result[a] = result[b] = True
        else:
            if others_mw is None:
                others_mw = np.zeros(len(hubs))
            np.add.at(others_mw, a, 10.0 ** (rssi_dbm[b] / 10.0))
            np.add.at(others_mw, b, 10.0 ** (rssi_dbm[a] / 10.0))
        reach += 1
    if others_mw is not None:
        disturbed = np.flatnonzero(others_mw)
        ratio_db = rssi_dbm[disturbed] - 10 * np.log10(others_mw[disturbed])
        result[disturbed] = ratio_db < capture_db
    return result
