"""Which advertisements of the flock reach a scanner, when, and how loud. Pure.

A first, simple air: every event of a burst is received or not by itself, with a probability that falls with distance.
The path loss is Strzoda's fit (MSWIM 2022: -65 dBm at 1 m, exponent 2.03, SD about 5 dB), indoors; no published
values for trucks were found, hence settings.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tagfleet.flock import Samples
from tagfleet.world.noise import Ints, bits, normal, normal_of, uniform

_STREAM_DISTANCE, _STREAM_SHADOW, _STREAM_EVENT = 40, 41, 43
_EVENTS_MAX = 64
_DELAY_MS = 10.0  # advDelay (Core Specification, Vol 6, Part B, 4.4.2.2.1)


@dataclass(frozen=True)
class RadioSettings:
    """The air between a truck's tags and its hub.

    burst_events: advertising events a sample (1 to 64). burst_interval_ms: from event to event; each adds up to 10 ms
    of random delay, as the Core Specification asks. distance_m: tags stand up to so far away. received_share:
    probability that an event of a loud tag is received (scan windows and collisions). sensitivity_dbm: where half of
    that remains.
    """

    burst_events: int = 12
    burst_interval_ms: float = 25.0
    distance_m: float = 13.0
    rssi_at_1m_dbm: float = -65.0
    path_loss_exponent: float = 2.03
    shadowing_db: float = 5.0
    fading_db: float = 2.5
    received_share: float = 0.55
    sensitivity_dbm: float = -95.0
    sensitivity_slope_db: float = 1.5


class Reports(NamedTuple):
    """What a scanner reports, ordered by time: the sample's row, Unix microseconds, RSSI."""

    rows: Ints
    t_us: Ints
    rssi_dbm: Ints


def hear(
    settings: RadioSettings, seed: int, tags: Ints, counters: Ints, t_us: Ints, first_only: bool = False
) -> Reports:
    """The reports of the bursts of some samples. A sample without a report is one that no radio heard. first_only: of
    each burst, only the first event that is received."""
    distance_m = 1.0 + (settings.distance_m - 1.0) * np.sqrt(uniform(seed, _STREAM_DISTANCE, tags))
    mean_dbm = settings.rssi_at_1m_dbm - 10 * settings.path_loss_exponent * np.log10(distance_m)
    mean_dbm = mean_dbm + settings.shadowing_db * normal(seed, _STREAM_SHADOW, tags)

    # One word for an event: 12 bits say how loud it is, 24 whether it is received, 24 how late.
    events = np.arange(settings.burst_events, dtype=np.int64)
    word = bits(seed, _STREAM_EVENT, tags[:, None], counters[:, None] * _EVENTS_MAX + events)
    rssi_dbm = mean_dbm[:, None] + settings.fading_db * normal_of(word, 0)
    margin_db = (rssi_dbm - settings.sensitivity_dbm) * (1 / settings.sensitivity_slope_db)
    # received_share / (1 + exp(-margin)) is the probability
    luck = (word >> np.uint64(12) & np.uint64(0xFFFFFF)).astype(np.float64) * 2.0**-24
    heard = luck * (1.0 + np.exp(-np.clip(margin_db, -50.0, 50.0))) < settings.received_share

    if first_only:
        rows = np.flatnonzero(heard.any(axis=1))
        event = heard[rows].argmax(axis=1)
    else:
        rows, event = np.nonzero(heard)
    delay_ms = (word[rows, event] >> np.uint64(40)).astype(np.float64) * (_DELAY_MS * 2.0**-24)
    times_us = t_us[rows] + np.rint(1000 * (settings.burst_interval_ms * event + delay_ms)).astype(np.int64)
    order = np.argsort(times_us, kind="stable")
    loud_dbm = np.clip(np.rint(rssi_dbm[rows, event]), -127, 20).astype(np.int64)
    return Reports(rows[order], times_us[order], loud_dbm[order])


def addresses(tag_ids: Ints) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """A static random address for each tag, uint8[n, 6], least significant byte first (Core Specification, Vol 6,
    Part B, 1.3.2.1: the two most significant bits are 1)."""
    result = np.empty((len(tag_ids), 6), np.uint8)
    result[:, :4] = tag_ids.astype("<u4").view(np.uint8).reshape(-1, 4)
    result[:, 4] = 0x54
    result[:, 5] = 0xC0 | 0x14
    return result


def advertised_ids(samples: Samples) -> Ints:
    """What each sample's tag calls itself in its beacon: its id, or another name that changes with the epoch."""
    return np.ascontiguousarray(samples.beacons[:, 1:5]).view("<u4").ravel().astype(np.int64)
