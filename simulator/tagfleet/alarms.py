"""When a flock tag's sample is an alarm: limits on the wire's codes with hysteresis, as the firmware judges. Pure.

A limit is passed when a code is beyond it, and over when a code is back by the hysteresis; a value that is not
available changes nothing. What is raised is told once, the most urgent first, one reason a sample; that all is over is
told, too. Unlike a tag, the flock does not wait (`alarm_hold_s` is 0), and does not tell when a sensor fails.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Ints
from tagwire import alarm, fields
from tagwire.bulk import CodeColumns

Bools = npt.NDArray[np.bool_]

NO_ALARM = -1
_REASONS = (
    alarm.REASON_TEMPERATURE_HIGH,
    alarm.REASON_TEMPERATURE_LOW,
    alarm.REASON_HUMIDITY_HIGH,
    alarm.REASON_HUMIDITY_LOW,
    alarm.REASON_BATTERY_LOW,
    alarm.REASON_CLEARED,
)
_FAST = 0x0F  # of _REASONS, as bits
_CLEARED = 1 << 5
_BATTERY_HYSTERESIS_MV = 160
_DEFAULTS = {
    "temperature_high_mc": 125_000,
    "temperature_low_mc": -80_000,
    "temperature_hysteresis_mc": 500,
    "humidity_high_mpct": 100_000,
    "humidity_low_mpct": 0,
    "humidity_hysteresis_mpct": 3_000,
    "battery_low_mv": 0,
}
LIMIT_SETTINGS = tuple(_DEFAULTS)
"""Names as the firmware's."""


class Limit(NamedTuple):
    """A column of codes, its 'not available' code, whether what is low is bad, the code beyond which it is passed and
    the one from which on it is over; low limits are negated, as codes are to be."""

    column: int
    not_available: int
    low: bool
    passed: int
    over: int


def limits_of(settings: Mapping[str, int | bool | str]) -> tuple[Limit, ...] | None:
    """The limits in a provisioning file's settings; None where it sets none."""
    values = {name: int(settings.get(name, default)) for name, default in _DEFAULTS.items()}
    if all(values[name] == default for name, default in _DEFAULTS.items() if "hysteresis" not in name):
        return None
    temperature, humidity = values["temperature_hysteresis_mc"], values["humidity_hysteresis_mpct"]
    rows = (
        (2, fields.TEMPERATURE_NA, False, values["temperature_high_mc"], -temperature),
        (2, fields.TEMPERATURE_NA, True, values["temperature_low_mc"], temperature),
        (3, fields.HUMIDITY_NA, False, values["humidity_high_mpct"], -humidity),
        (3, fields.HUMIDITY_NA, True, values["humidity_low_mpct"], humidity),
        (4, fields.BATTERY_NA, True, values["battery_low_mv"], _BATTERY_HYSTERESIS_MV),
    )
    limits = []
    for column, not_available, low, value, back in rows:
        sign = -1 if low else 1
        passed, over = sign * _code(column, value), sign * _code(column, value + back)
        limits.append(Limit(column, not_available, low, passed, min(over, passed)))
    return tuple(limits)


class Alarms:
    """What is raised, and what was not told yet, of each tag of a flock."""

    def __init__(self, limits: tuple[Limit, ...], tags: int) -> None:
        self._limits = limits
        self._raised = np.zeros(tags, np.int64)
        self._unsent = np.zeros(tags, np.int64)

    def judge(self, tags: Ints, codes: CodeColumns) -> Ints:
        """The reason of each row's sample, NO_ALARM for most. A tag's rows are in order of their making."""
        reasons = np.full(len(tags), NO_ALARM)
        order = np.argsort(tags, kind="stable")
        begins = np.flatnonzero(np.diff(tags[order], prepend=-1))
        nth = np.arange(len(tags)) - np.repeat(begins, np.diff(np.append(begins, len(tags))))
        for turn in range(int(nth.max(initial=-1)) + 1):
            rows = order[nth == turn]
            reasons[rows] = self._judge_one_each(tags[rows], [column[rows] for column in codes])
        return reasons

    def out_of_limits(self, tags: Ints) -> Bools:
        """Whose temperature or humidity is beyond a limit: more samples do not mend a battery."""
        return np.asarray(self._raised[tags] & _FAST != 0)

    def has_more(self, tags: Ints) -> Bools:
        """Who has another reason to tell."""
        return np.asarray(self._unsent[tags] != 0)

    def _judge_one_each(self, tags: Ints, codes: list[Ints]) -> Ints:
        before = self._raised[tags]
        raised = before.copy()
        for index, limit in enumerate(self._limits):
            code = codes[limit.column]
            value = -code if limit.low else code
            bit = 1 << index
            bad = np.where(before & bit != 0, value > limit.over, value > limit.passed)
            changed = np.where(bad, raised | bit, raised & ~bit)
            raised = np.where(code == limit.not_available, raised, changed)
        unsent = self._unsent[tags] & (raised | _CLEARED) | raised & ~before
        unsent = np.where(raised != 0, unsent & ~_CLEARED, unsent)
        unsent = np.where((before != 0) & (raised == 0), unsent | _CLEARED, unsent)
        first = unsent & -unsent  # the lowest bit is the most urgent reason
        self._raised[tags] = raised
        self._unsent[tags] = unsent & ~first
        reasons = np.full(len(tags), NO_ALARM)
        for index, reason in enumerate(_REASONS):
            reasons[first == 1 << index] = reason
        return reasons


def _code(column: int, value: int) -> int:
    """The code of a value in millicelsius, thousandths of a percent or millivolt (columns 2 to 4)."""
    temperature_mc, humidity_mpct, battery_mv = (value if column == one else 0 for one in (2, 3, 4))
    reading = fields.Reading(None, None, temperature_mc, humidity_mpct, battery_mv, fields.FIX_NONE, 0, None, 0)
    return fields.to_codes(reading)[column]
