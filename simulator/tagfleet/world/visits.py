"""Which tags come by which places in some span of time: whose keys a hub needs. Pure."""

import numpy as np

from tagfleet.world.consignments import Consignments
from tagfleet.world.line import WEEK_S
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.places import DOCK_MINUTE_S, MONDAY_S, Places


def visits(places: Places, consignments: Consignments, start_s: float, end_s: float) -> tuple[Ints, Ints]:
    """Pairs of a tag and a place, each once, ordered by place and tag: where tags are from `start_s` to `end_s`, and
    whom they meet through open doors."""
    pairs = [np.empty(0, np.int64)]
    for week in range(int((start_s - MONDAY_S) // WEEK_S), int((end_s - MONDAY_S) // WEEK_S) + 1):
        monday_s = MONDAY_S + week * WEEK_S
        low_s, high_s = max(start_s - monday_s, 0.0), min(end_s - monday_s, WEEK_S)
        stays = consignments.stays(week)
        ends = np.concatenate([stays.begins_s[:, 1:], np.full((len(stays.begins_s), 1), np.inf, np.float32)], axis=1)
        tag, column = np.nonzero((stays.begins_s <= high_s) & (ends > low_s) & (stays.places >= 0))
        place = stays.places[tag, column].astype(np.int64)
        begins_s = np.maximum(stays.begins_s[tag, column].astype(np.float64), low_s)
        ends_s = np.minimum(ends[tag, column].astype(np.float64), high_s)
        pairs += [place << 32 | tag, *_met(places, tag, place, begins_s, ends_s)]
    both = np.unique(np.concatenate(pairs))
    return both & 0xFFFFFFFF, both >> 32


def _met(places: Places, tags: Ints, at: Ints, begins_s: Floats, ends_s: Floats) -> list[Ints]:
    """Trucks that load at a tag's depot during its stay, and depots at which its truck loads."""
    longest_s = (places.stop_departs_s - places.stop_arrives_s).max(initial=0.0) + DOCK_MINUTE_S
    found = []
    for mine, theirs in ((places.stop_depot, places.stop_truck), (places.stop_truck, places.stop_depot)):
        keys = mine * (2 * WEEK_S) + places.stop_arrives_s
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        low = np.searchsorted(keys, at * (2 * WEEK_S) + np.maximum(begins_s - longest_s, 0.0))
        count = np.maximum(np.searchsorted(keys, at * (2 * WEEK_S) + ends_s, "right") - low, 0)
        which = np.repeat(np.arange(len(at)), count)
        stop = order[np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + low[which]]
        overlaps = places.stop_departs_s[stop] + DOCK_MINUTE_S >= begins_s[which]
        found.append(theirs[stop[overlaps]] << 32 | tags[which[overlaps]])
    return found
