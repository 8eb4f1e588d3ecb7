"""What others have computed or measured, done again in this air: for its tests and for docs/air.svg. Pure.

The closed form: of N tags that advertise every I seconds, one scanner receives a share exp(-2 (N - 1) T / I) of the
events, where T is a PDU's air time. Published measurements, as docs/air.md cites them: Strzoda (MSWIM 2022), Nikodem
and Bawiec (Sensors 20:107), Ruuvi.
"""

import math
from dataclasses import replace

import numpy as np

from tagfleet.air.air import Air
from tagfleet.air.propagation import at_distance_dbm, faded_dbm, too_quiet
from tagfleet.air.settings import PDU_US, AirSettings
from tagfleet.flock import Samples
from tagfleet.world.noise import Floats, Ints, bits, uniform
from tagwire.bulk import ReadingColumns

STRZODA_DBM = ((1.0, -65.5, 5.7), (5.0, -78.4, 5.9), (10.0, -84.1, 4.5), (16.0, -90.8, 3.5))  # distance m, mean, SD
STRZODA_CUT = (0.13, 0.40)  # share of the deliveries that interference costs
NIKODEM_TAGS, NIKODEM_COLLISIONS = 200, (0.22, 0.33)
RUUVI_RECEIVED = (0.25, 0.90)

# Nothing but collisions: one channel for long, all tags loud and alike.
IDEAL = AirSettings(
    burst_events=1,
    burst_repeats=0,
    sensitivity_dbm=-200.0,
    scan_interval_ms=30_000.0,
    scan_window_ms=30_000.0,
    dead_time_us=0,
    capture_db=math.inf,
    interference_share=0.0,
)
_START_US = 1_774_000_000_000_000
_STREAM_WHEN, _STREAM_DELAY = 70, 71


class OneRoom:
    """All tags around one hub."""

    trucks = 1
    places = 1

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def places_of(self, tags: Ints, t_s: Floats) -> Ints:
        """The room."""
        return np.zeros(len(tags), np.int64)

    def docked(self, t_s: float) -> Ints:
        """Nobody comes."""
        return np.full(1, -1)


def closed_form(tags: int, interval_s: float) -> float:
    """The share of events that overlaps with none."""
    return math.exp(-2 * (tags - 1) * PDU_US / 1e6 / interval_s)


def received_share(settings: AirSettings, tags: int, interval_s: float, events_a_tag: int, seed: int = 1) -> float:
    """The share of single advertising events, one each `interval_s` and tag, that one hub reports."""
    air = Air(replace(settings, burst_events=1, burst_repeats=0, interval_s=interval_s), OneRoom(seed))
    heard = air.hear(
        steady(tags, interval_s, events_a_tag, seed), _START_US + round((events_a_tag + 2) * interval_s * 1e6)
    )
    return len(heard.hubs) / air.events


def steady(tags: int, interval_s: float, events_a_tag: int, seed: int) -> Samples:
    """Tags that advertise at their own phase, with the random delay of each event."""
    tag = np.repeat(np.arange(tags), events_a_tag)
    event = np.tile(np.arange(events_a_tag), tags)
    at_s = (event + uniform(seed, _STREAM_WHEN, tag)) * interval_s + 0.01 * uniform(seed, _STREAM_DELAY, tag, event)
    order = np.argsort(at_s, kind="stable")
    tag, event = tag[order], event[order]
    none = np.zeros(len(tag), np.int64)
    t_us = _START_US + np.rint(at_s[order] * 1e6).astype(np.int64)
    frames = np.zeros((len(tag), 24), np.uint8), np.zeros((len(tag), 31), np.uint8)
    intervals_us = np.full(len(tag), round(interval_s * 1e6))
    return Samples(tag, tag + 1, event, t_us, ReadingColumns(*(none,) * 9), *frames, tag, intervals_us)


def received_dbm(settings: AirSettings, distance_m: float, tags: int = 200, events: int = 200) -> tuple[float, float]:
    """Mean and SD of the RSSI of what is received from tags at a distance, by an otherwise idle hub."""
    tag = np.repeat(np.arange(tags), events)
    word = bits(1, _STREAM_DELAY, tag, np.tile(np.arange(events), tags))
    channel = np.tile(np.arange(events) % 3, tags)
    mean_dbm = at_distance_dbm(settings, 1, tag, np.zeros(len(tag), np.int64), distance_m)
    rssi_dbm = faded_dbm(settings, mean_dbm[np.arange(len(tag)), channel], word)
    received = rssi_dbm[~too_quiet(settings, rssi_dbm, word)]
    return float(received.mean()), float(received.std())
