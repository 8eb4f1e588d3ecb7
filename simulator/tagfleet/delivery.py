"""A batch as the ledger takes it: identities and readings as columns. Pure."""

from typing import NamedTuple

import numpy as np

from tagfleet.world.noise import Ints
from tagwire import fields
from tagwire.batch import FLAG_ALARM, Batch
from tagwire.bulk import NOT_AVAILABLE, CodeColumns, ReadingColumns, from_codes


class Delivery(NamedTuple):
    """Samples as a consumer reads them, one a row; `readings.time_s` is full Unix time."""

    tag_ids: Ints
    counters: Ints
    readings: ReadingColumns
    rssi_dbm: Ints


def delivery_of(batch: Batch) -> Delivery:
    """The samples of a batch."""
    columns = batch.columns
    time_s, quality = columns["time"], columns["quality"]
    codes = CodeColumns(
        columns["latitude"],
        columns["longitude"],
        columns["temperature"],
        columns["humidity"],
        columns["battery"],
        columns["fix"],
        columns["motion"],
        np.zeros_like(time_s),
        quality,
    )
    full_time_s = np.where(quality == fields.TIME_UNKNOWN, NOT_AVAILABLE, time_s)
    readings = from_codes(codes, columns["flags"] & FLAG_ALARM != 0)
    return Delivery(columns["tag"], columns["counter"], readings._replace(time_s=full_time_s), 4 * columns["rssi"] + 2)
