"""How loud: path loss, shadowing and fading. Pure.

RSSI = rssi_at_1m - 10 n log10(d) + shadow(tag, place) + offset(tag, place, channel) + fading(event)
"""

import numpy as np
import numpy.typing as npt

from tagfleet.air.settings import CHANNELS, AirSettings
from tagfleet.world.noise import Ints, bits, logistic_of, normal_of

Floats32 = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]

_STREAM_PLACE, _STREAM_CHANNEL = 60, 61


def place_dbm(settings: AirSettings, seed: int, tag_ids: Ints, places: Ints, radius_m: npt.ArrayLike) -> Floats32:
    """RSSI without fading on each channel, float32[n, 3], of tags somewhere within `radius_m` of a place's hub."""
    word = bits(seed, _STREAM_PLACE, tag_ids, places)
    share = (word >> np.uint64(40)).astype(np.float64) / (1 << 24)
    distance_m = np.maximum(np.asarray(radius_m) * np.sqrt(share), 1.0)
    return at_distance_dbm(settings, seed, tag_ids, places, distance_m)


def at_distance_dbm(
    settings: AirSettings, seed: int, tag_ids: Ints, places: Ints, distance_m: npt.ArrayLike
) -> Floats32:
    """The same at a known distance."""
    mean_dbm = settings.rssi_at_1m_dbm - 10 * settings.path_loss_exponent * np.log10(np.asarray(distance_m))
    mean_dbm = mean_dbm + settings.shadowing_db * normal_of(bits(seed, _STREAM_PLACE, tag_ids, places), 0)
    word = bits(seed, _STREAM_CHANNEL, tag_ids, places)
    offsets_db = np.stack([settings.channel_db * normal_of(word, 12 * channel) for channel in range(CHANNELS)], axis=-1)
    return np.asarray(mean_dbm[..., None] + offsets_db, np.float32)


def faded_dbm(settings: AirSettings, mean_dbm: Floats32, words: Words) -> Floats32:
    """One event's RSSI: `mean_dbm` and the event's fading, drawn from bits 16 to 27 of its word."""
    return mean_dbm + np.float32(settings.fading_db) * normal_of(words, 16)


def too_quiet(settings: AirSettings, rssi_dbm: Floats32, words: Words) -> npt.NDArray[np.bool_]:
    """Whether a receiver fails on noise alone: half of the PDUs at the sensitivity, by a logistic edge around it, drawn
    from bits 28 to 39 of the event's word."""
    edge_db = np.float32(settings.sensitivity_slope_db) * logistic_of(words, 28)
    return rssi_dbm + edge_db < np.float32(settings.sensitivity_dbm)
