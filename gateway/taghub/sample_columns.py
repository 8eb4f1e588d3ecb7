"""Samples as the columns of a batch. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from taghub.sample_rows import Rows, are_alarms
from tagwire import fields
from tagwire.batch import COLUMNS, FLAG_ALARM, FLAG_UNCONFIRMED, RSSI_STEP_DB
from tagwire.bulk import Int64s, unpack_bodies
from tagwire.fields import BODY_BYTES
from tagwire.history import Record

RSSI_UNKNOWN_DBM = 127  # as in air records and HCI

_LATEST_S = COLUMNS["time"].maximum - fields.TIME_WINDOW_S


class Fetched(NamedTuple):
    """A sample out of a tag's history, when a courier has fetched it (Unix microseconds), and how loud the tag was then
    (RSSI_UNKNOWN_DBM where nobody knows)."""

    tag_id: int
    record: Record
    t_us: int
    rssi_dbm: int = RSSI_UNKNOWN_DBM


def live_columns(samples: Rows, clock_known: bool = True) -> dict[str, Int64s]:
    """Samples as the columns of a batch.

    A sample whose tag does not know the time is stamped with its first hearing, and says so by TIME_ESTIMATED.
    So does every sample where the hub's clock is not `clock_known`: a beacon's own time is only the end of one.
    """
    codes = unpack_bodies(np.ascontiguousarray(samples["body"]).view(np.uint8).reshape(-1, BODY_BYTES))
    heard_s = _heard_s(samples["t_us"])
    half_s = fields.TIME_WINDOW_S // 2
    nearest_s = heard_s - half_s + (codes.time * fields.TIME_STEP_S - heard_s + half_s) % fields.TIME_WINDOW_S
    untimed = codes.time_quality == fields.TIME_UNKNOWN
    time_s = np.where(untimed, heard_s, nearest_s)
    return {
        "tag": samples["tag_id"].astype(np.int64),
        "counter": samples["counter"].astype(np.int64),
        "time": time_s,
        "latitude": codes.latitude,
        "longitude": codes.longitude,
        "temperature": codes.temperature,
        "humidity": codes.humidity,
        "battery": codes.battery,
        "fix": codes.fix,
        "motion": codes.motion,
        "quality": np.where(untimed | (not clock_known), fields.TIME_ESTIMATED, codes.time_quality),
        "heard": heard_s - time_s,
        "rssi": samples["rssi_dbm"].astype(np.int64) // RSSI_STEP_DB,
        "flags": samples["unconfirmed"] * FLAG_UNCONFIRMED | are_alarms(samples) * FLAG_ALARM,
    }


def history_columns(samples: Sequence[Fetched]) -> dict[str, Int64s]:
    """History as the columns of a batch: the tag's own times. `heard` says when it was fetched; where the tag did not
    know the time, that is all there is, and the time's quality stays 'unknown'."""
    tag_ids, records, t_us, rssi_dbm = zip(*samples, strict=True)
    values = np.array(records, np.int64).T
    counters, time_4s, latitude, longitude, temperature, humidity, battery, fix, motion, quality, alarm = values
    heard_s = _heard_s(t_us)
    time_s = np.where(quality == fields.TIME_UNKNOWN, heard_s, time_4s * fields.TIME_STEP_S)
    return {
        "tag": np.array(tag_ids, np.int64),
        "counter": counters,
        "time": time_s,
        "latitude": latitude,
        "longitude": longitude,
        "temperature": temperature,
        "humidity": humidity,
        "battery": battery,
        "fix": fix,
        "motion": motion,
        "quality": quality,
        "heard": heard_s - time_s,
        "rssi": np.array(rssi_dbm, np.int64) // RSSI_STEP_DB,
        "flags": alarm * FLAG_ALARM,
    }


def _heard_s(t_us: ArrayLike) -> Int64s:
    """A hub whose clock is absurdly wrong still delivers: the ends leave room for a sample's age."""
    return np.clip(np.asarray(t_us, np.int64) // 1_000_000, fields.TIME_WINDOW_S, _LATEST_S)
