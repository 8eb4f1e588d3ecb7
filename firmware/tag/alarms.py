"""When a sample is an alarm. Pure; loaded where a limit is set, a box can be opened, or a sensor has failed.

Limits are compared as codes of the wire, so that tag and hub agree to the last bit. A limit is passed when a code is
beyond it for `alarm_hold_s`; it is over when a code is back by the hysteresis, at once. A value that is not available
changes nothing. What is raised is told once, in a sample of its own; and so is that all is over.
"""

from tagwire.alarm import (
    REASON_BATTERY_LOW,
    REASON_CLEARED,
    REASON_HUMIDITY_HIGH,
    REASON_HUMIDITY_LOW,
    REASON_OPENED,
    REASON_SENSOR_FAULT,
    REASON_SHOCK,
    REASON_TEMPERATURE_HIGH,
    REASON_TEMPERATURE_LOW,
)
from tagwire.fields import BATTERY_NA, HUMIDITY_NA, TEMPERATURE_NA, Reading, to_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.config import Settings
    from tag.state import State
    from tagwire.fields import Codes

# Bits of State.alarms_raised (the first eight) and alarms_unsent, the most urgent first. The first five are thresholds;
# a shock is over when it is told.
REASONS = (
    REASON_TEMPERATURE_HIGH,
    REASON_TEMPERATURE_LOW,
    REASON_HUMIDITY_HIGH,
    REASON_HUMIDITY_LOW,
    REASON_BATTERY_LOW,
    REASON_OPENED,
    REASON_SHOCK,
    REASON_SENSOR_FAULT,
    REASON_CLEARED,
)
OPENED = 1 << 5
SHOCK = 1 << 6
SENSOR_FAULT = 1 << 7
CLEARED = 1 << 8
_NOT_AVAILABLE = (TEMPERATURE_NA, TEMPERATURE_NA, HUMIDITY_NA, HUMIDITY_NA, BATTERY_NA)
_COLUMN = (2, 2, 3, 3, 4)  # of Codes
_LOW = (1, 3, 4)
BATTERY_HYSTERESIS_MV = 160  # two codes: a battery recovers a little when it is warmer, or at rest


def limits_of(settings: "Settings", trip: bool) -> "tuple[tuple[int, int], ...]":
    """For each threshold, as codes with those that are low limits negated: (passed above this, over from this on)."""
    if trip:
        high_mc, low_mc = settings.trip_temperature_high_mc, settings.trip_temperature_low_mc
        high_mpct, low_mpct = settings.trip_humidity_high_mpct, settings.trip_humidity_low_mpct
    else:
        high_mc, low_mc = settings.temperature_high_mc, settings.temperature_low_mc
        high_mpct, low_mpct = settings.humidity_high_mpct, settings.humidity_low_mpct
    high = _codes(high_mc, high_mpct, 0)
    low = _codes(low_mc, low_mpct, settings.battery_low_mv)
    back_high = _codes(high_mc - settings.temperature_hysteresis_mc, high_mpct - settings.humidity_hysteresis_mpct, 0)
    back_low = _codes(
        low_mc + settings.temperature_hysteresis_mc,
        low_mpct + settings.humidity_hysteresis_mpct,
        settings.battery_low_mv + BATTERY_HYSTERESIS_MV,
    )
    return (
        (high[0], back_high[0]),
        (-low[0], -back_low[0]),
        (high[1], back_high[1]),
        (-low[1], -back_low[1]),
        (-low[2], -back_low[2]),
    )


def judge(
    settings: "Settings", state: "State", codes: "Codes", elapsed_s: int, opened: bool, shocked: bool, trip: bool
) -> None:
    """Bring the alarms in the state up to this sample. `elapsed_s`: since the one before; opened: the tamper input;
    shocked: the accelerometer felt one."""
    raised = state.alarms_raised
    limits = limits_of(settings, trip)
    for index in range(5):
        code = codes[_COLUMN[index]]
        if code == _NOT_AVAILABLE[index]:
            continue
        if index in _LOW:
            code = -code
        limit, back = limits[index]
        bit = 1 << index
        if raised & bit:
            if code <= min(back, limit):
                raised &= ~bit
        elif code > limit:
            seconds = state.alarm_seconds[index]
            seconds = min(seconds + elapsed_s, 0xFFFF) if seconds else 1
            if seconds > settings.alarm_hold_s:
                raised |= bit
                seconds = 0
            state.alarm_seconds[index] = seconds
        else:
            state.alarm_seconds[index] = 0
    raised = raised | OPENED if opened else raised & ~OPENED
    raised = raised | SENSOR_FAULT if state.faults & state.sensors else raised & ~SENSOR_FAULT
    unsent = (state.alarms_unsent & (raised | OPENED | SHOCK | CLEARED)) | (raised & ~state.alarms_raised)
    if shocked:
        unsent |= SHOCK
    if state.alarms_raised and not raised:
        unsent |= CLEARED
    elif raised:
        unsent &= ~CLEARED
    state.alarms_raised = raised
    state.alarms_unsent = unsent


def take_reason(state: "State") -> "int | None":
    """The most urgent reason that was not told yet, which now is; None when there is none."""
    for index, reason in enumerate(REASONS):
        bit = 1 << index
        if state.alarms_unsent & bit:
            state.alarms_unsent &= ~bit
            return reason
    return None


def _codes(temperature_mc: int, humidity_mpct: int, battery_mv: int) -> "tuple[int, int, int]":
    codes = to_codes(Reading(None, None, temperature_mc, humidity_mpct, battery_mv, 0, 0, None, 0))
    return codes.temperature, codes.humidity, codes.battery
