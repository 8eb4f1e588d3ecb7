"""A reading as a ledger's row holds it: 32 bits a value, times from the run's start. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Ints
from tagwire.bulk import NOT_AVAILABLE, ReadingColumns

NOT_KNOWN = int(np.iinfo(np.int32).min)
"""Stands for NOT_AVAILABLE in a row."""

_WIDE = ("latitude_e7", "longitude_e7", "temperature_mc", "humidity_mpct", "battery_mv")


def narrowed(readings: ReadingColumns, start_s: int) -> dict[str, Ints]:
    """Readings as the columns of rows."""
    values: dict[str, Ints] = {}
    for name, column in zip(ReadingColumns._fields, readings, strict=True):
        column = np.asarray(column, np.int64)
        if name == "time_s":
            column = np.where(column == NOT_AVAILABLE, NOT_KNOWN, np.maximum(column - start_s, NOT_KNOWN + 1))
        elif name in _WIDE:
            column = np.where(column == NOT_AVAILABLE, NOT_KNOWN, column)
        values[name] = column
    return values


def truth_of(rows: npt.NDArray[Any], start_s: int) -> ReadingColumns:
    """The readings of rows."""
    columns = []
    for name in ReadingColumns._fields:
        column = rows[name].astype(np.int64)
        if name == "time_s":
            column = np.where(column == NOT_KNOWN, NOT_AVAILABLE, column + start_s)
        elif name in _WIDE:
            column = np.where(column == NOT_KNOWN, NOT_AVAILABLE, column)
        columns.append(column)
    return ReadingColumns(*columns)
