"""A batch on its way to the broker. Pure."""

from typing import NamedTuple

from tagwire.batch import decode_keys
from tagwire.fields import TIME_HUB
from tagwire.packing import Int64s

LANE_REPLY = -2  # an answer to the platform, JSON
LANE_EVENT = -1  # one event, JSON; not even a commit is waited for
LANE_ALARM = 0
LANE_LIVE = 1
LANE_BACKLOG = 2
LANE_POISON = 9  # refused for good: kept for people to look at, never sent

UNDATED = 0  # its age counts from when the hub knows the time


class ClosedBatch(NamedTuple):
    """Its number, its urgency (a LANE_*), when it was closed (Unix seconds; UNDATED where the hub's clock was not
    synchronised), how many samples it has (an event none), and the publish."""

    sequence: int
    lane: int
    created_s: int
    samples: int
    payload: bytes


def dated(now_s: int, clock: int) -> int:
    """A batch's date from the hub's clock, by that clock's quality: what is not synchronised may be off by years."""
    return now_s if clock == TIME_HUB else UNDATED


def key_columns(batch: ClosedBatch) -> tuple[Int64s, Int64s]:
    """Tag ids and counters of a batch of samples. Raises tagwire.errors.DecodeError."""
    return decode_keys(batch.payload)


def sample_keys(batch: ClosedBatch) -> list[tuple[int, int]]:
    """(tag id, counter) of each sample; none of an event. Raises tagwire.errors.DecodeError."""
    if batch.lane < LANE_ALARM:
        return []
    tag_ids, counters = key_columns(batch)
    return list(zip(tag_ids.tolist(), counters.tolist(), strict=True))
