"""From what the sensors gave to one reading: which position, how old, what time. Pure."""

from tagwire.fields import (
    FIX_1D,
    FIX_1H,
    FIX_5M,
    FIX_10MIN,
    FIX_15M,
    FIX_50M,
    FIX_NONE,
    FIX_POOR,
    TIME_ESTIMATED,
    TIME_GNSS,
    TIME_HUB,
    TIME_UNKNOWN,
    Reading,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.sensors.nmea import Fix
    from tag.state import State

HUB_TIME_S = 600  # for so long a clock that a hub has set counts as the hub's own


def fix_class(accuracy_cm: "int | None") -> int:
    """The FIX_* class of a fix of this cycle, by its one-sigma horizontal accuracy (None: not known)."""
    if accuracy_cm is None or accuracy_cm > 5000:
        return FIX_POOR
    if accuracy_cm > 1500:
        return FIX_50M
    return FIX_15M if accuracy_cm > 500 else FIX_5M


def age_class(age_s: int) -> int:
    """The FIX_* class of an earlier fix; FIX_NONE beyond a day, or when the clock went backwards."""
    if not 0 <= age_s <= 86400:
        return FIX_NONE
    if age_s > 3600:
        return FIX_1D
    return FIX_1H if age_s > 600 else FIX_10MIN


def known_time(state: "State", now_s: int, hold_s: int) -> "tuple[int | None, int]":
    """(Unix seconds or None, TIME_* code) by the tag's own clock, which counts for `hold_s` after it was set."""
    if state.time_quality == TIME_UNKNOWN or not 0 <= now_s - state.clock_s <= hold_s:
        return None, TIME_UNKNOWN
    if state.time_quality == TIME_HUB and now_s - state.clock_s <= HUB_TIME_S:
        return now_s, TIME_HUB
    return now_s, TIME_ESTIMATED


def make_reading(
    fix: "Fix | None",
    climate: "tuple[int | None, int | None]",
    battery_mv: "int | None",
    motion: int,
    state: "State",
    now_s: int,
    hold_s: int,
) -> "Reading":
    """One reading from this cycle's measurements (None: the sensor failed) and what the state remembers.

    `now_s` is the clock's Unix time, which is trusted for `hold_s` after it was set. Without the time, the age of the
    last position is not known either.
    """
    latitude_e7 = longitude_e7 = None
    position = FIX_NONE
    if fix is not None:
        latitude_e7, longitude_e7 = fix.latitude_e7, fix.longitude_e7
        position = fix_class(fix.accuracy_cm)
        time_s: "int | None" = fix.time_s
        quality = TIME_GNSS
    else:
        time_s, quality = known_time(state, now_s, hold_s)
        if time_s is not None and state.fix_time_s:
            position = age_class(time_s - state.fix_time_s)
            if position != FIX_NONE:
                latitude_e7, longitude_e7 = state.latitude_e7, state.longitude_e7
    return Reading(latitude_e7, longitude_e7, climate[0], climate[1], battery_mv, position, motion, time_s, quality)
