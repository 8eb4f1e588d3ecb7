"""How a hub listens: one channel a scan interval, within the window; deaf for a while after each decode. Pure."""

import numpy as np
import numpy.typing as npt

from tagfleet.air.settings import CHANNELS, PDU_US, AirSettings
from tagfleet.world.noise import Ints, bits, uniform

_STREAM_PHASE, _STREAM_INTERFERENCE = 62, 63

Bools = npt.NDArray[np.bool_]


def phases_us(settings: AirSettings, seed: int, hubs: int) -> Ints:
    """When in its cycle of three intervals each hub's radio is at Unix time 0."""
    cycle_us = CHANNELS * settings.scan_interval_ms * 1000
    return (uniform(seed, _STREAM_PHASE, np.arange(hubs)) * cycle_us).astype(np.int64)


def listening(settings: AirSettings, phase_us: Ints, start_us: Ints) -> tuple[Bools, Ints]:
    """For events that start at `start_us`: whether one of the three PDUs falls whole into a window on its own channel,
    and the channel (0 to 2) to which the radio listens then."""
    interval_us = round(settings.scan_interval_ms * 1000)
    window_us = round(settings.scan_window_ms * 1000)
    at_us = start_us + phase_us
    turn = at_us // interval_us
    channel = turn % CHANNELS
    at_us = at_us + channel * settings.channel_step_us
    later = at_us // interval_us
    # The radio may go on to the next channel within an event: it then meets that channel's PDU, if it is still to come.
    moved = later != turn
    heard = ~moved
    if moved.any():
        rows = np.nonzero(moved)
        next_channel = channel[rows] + 1
        next_us = at_us[rows] + settings.channel_step_us
        heard[rows] = (next_channel < CHANNELS) & (next_us // interval_us == turn[rows] + 1)
        channel[rows] = next_channel % CHANNELS
        at_us[rows] = next_us
        later[rows] = turn[rows] + 1
    heard &= at_us - later * interval_us + PDU_US <= window_us
    return heard, channel


def interfered(settings: AirSettings, seed: int, hubs: Ints, start_us: Ints) -> Bools:
    """Whether another radio drowns the event at the hub; slots of some milliseconds, so that losses come in groups."""
    slots = start_us // round(settings.interference_slot_ms * 1000)
    threshold = np.uint64(settings.interference_share * (1 << 32))
    return bits(seed, _STREAM_INTERFERENCE, hubs, slots) >> np.uint64(32) < threshold


def deaf(busy_until_us: Ints, hubs: Ints, start_us: Ints, dead_us: int) -> Bools:
    """Which of these decodable PDUs begin while their hub is still busy with one before.

    Rows are in order of hub and time. `busy_until_us` [hubs] is brought up to date.
    """
    result = np.zeros(len(hubs), np.bool_)
    if not len(hubs):
        return result
    first = np.empty(len(hubs), np.bool_)
    first[0] = True
    first[1:] = hubs[1:] != hubs[:-1]
    until_us = start_us + (PDU_US + dead_us)  # what a hub is busy until after each row, if it takes it
    near = np.empty(len(hubs), np.bool_)
    near[1:] = start_us[1:] < until_us[:-1]
    near[first] = start_us[first] < busy_until_us[hubs[first]]
    # Who does not begin right after its predecessor is free, whatever became of that one: only runs of close neighbours
    # are followed one by one, and they are short.
    for row in np.flatnonzero(near).tolist():
        busy_us = busy_until_us[hubs[row]] if first[row] else until_us[row - 1]
        if start_us[row] < busy_us:
            result[row] = True
            until_us[row] = busy_us
    last = np.append(np.flatnonzero(first)[1:], len(hubs)) - 1
    busy_until_us[hubs[last]] = until_us[last]
    return result
