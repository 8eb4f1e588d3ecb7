"""What a screen shows of single tags: the last sample of each that the subscriber got. Pure."""

from typing import Any, NamedTuple

from tagfleet.delivery import Delivery
from tagwire.bulk import NOT_AVAILABLE
from tagwire.fields import Reading


class Latest(NamedTuple):
    """The last live sample of a tag. t_us: Unix microseconds of its arrival."""

    reading: Reading
    counter: int
    rssi_dbm: int
    t_us: int


def latest_of(delivery: Delivery, t_us: int) -> dict[int, Latest]:
    """By tag id, of one batch that arrived at `t_us`."""
    found = {}
    rows = zip(*(column.tolist() for column in delivery.readings), strict=True)
    identities = zip(delivery.tag_ids.tolist(), delivery.counters.tolist(), delivery.rssi_dbm.tolist(), strict=True)
    for (tag_id, counter, rssi_dbm), row in zip(identities, rows, strict=True):
        values: list[Any] = [None if value == NOT_AVAILABLE else value for value in row]
        found[tag_id] = Latest(Reading(*values), counter, rssi_dbm, t_us)
    return found
