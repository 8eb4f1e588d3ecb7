"""Accepted samples as the rows of one array: what a hub works on from intake to batch. Pure.

A row's bytes are also what the spool's journal keeps of a sample.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from taghub.intake import Accepted
from tagwire.beacon import KIND_ALARM
from tagwire.fields import BODY_BYTES

ROW = np.dtype(
    [
        ("tag_id", "<u4"),
        ("counter", "<u4"),
        ("body", f"V{BODY_BYTES}"),
        ("t_us", "<i8"),
        ("rssi_dbm", "<i2"),
        ("unconfirmed", "?"),
        ("byte0", "u1"),
    ]
)
"""The fields of an Accepted, without gaps: 31 bytes."""

Rows = NDArray[np.void]

NO_ROWS: Rows = np.empty(0, ROW)


def rows_of(samples: Iterable[Accepted]) -> Rows:
    """Samples one by one as rows."""
    return np.fromiter(((*sample[:2], np.void(sample.body), *sample[3:]) for sample in samples), ROW)


def from_bytes(records: bytes) -> Rows:
    """What `Rows.tobytes` has written. Raises ValueError when the bytes are no whole rows."""
    if len(records) % ROW.itemsize:
        raise ValueError(f"{len(records)} bytes are no whole records")
    return np.frombuffer(records, ROW)


def joined(parts: list[Rows]) -> Rows:
    """Some rows behind one another: as bytes, as numpy copies rows field by field, a hundred times slower."""
    return parts[0] if len(parts) == 1 else np.frombuffer(bytearray().join(part.tobytes() for part in parts), ROW)


def are_alarms(samples: Rows) -> NDArray[np.bool_]:
    """Of each row, whether it is an alarm."""
    alarms: NDArray[np.bool_] = samples["byte0"] & 0x0C == KIND_ALARM << 2
    return alarms


def count_live(samples: Rows) -> int:
    """How many of them are no alarms."""
    return len(samples) - int(np.count_nonzero(are_alarms(samples)))
