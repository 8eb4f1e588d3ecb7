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
    MOTION_MOVING,
    MOTION_STILL,
    MOTION_UNKNOWN,
    TIME_ESTIMATED,
    TIME_GNSS,
    TIME_UNKNOWN,
    Reading,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.sensors.nmea import Fix
    from tag.state import State

MOVING_MMPS = 1000  # GNSS speed noise of a resting tag stays below; a walking person is above


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


def motion_of(speed_mmps: "int | None") -> int:
    """The MOTION_* code of a speed over ground."""
    if speed_mmps is None:
        return MOTION_UNKNOWN
    return MOTION_MOVING if speed_mmps >= MOVING_MMPS else MOTION_STILL


def make_reading(
    fix: "Fix | None",
    climate: "tuple[int | None, int | None]",
    battery_mv: "int | None",
    state: "State",
    now_s: int,
    clock_hold_s: int,
) -> "Reading":
    """One reading from this cycle's measurements (None: the sensor failed) and what the state remembers.

    `now_s` is the clock's Unix time, which counts for `clock_hold_s` after the last fix has set it.
    """
    temperature_mc, humidity_mpct = climate
    if fix is not None:
        return Reading(
            fix.latitude_e7,
            fix.longitude_e7,
            temperature_mc,
            humidity_mpct,
            battery_mv,
            fix_class(fix.accuracy_cm),
            motion_of(fix.speed_mmps),
            fix.time_s,
            TIME_GNSS,
        )
    if not state.fix_time_s or not 0 <= now_s - state.fix_time_s <= clock_hold_s:
        # Without the time, the age of the last position is not known either.
        return Reading(
            None, None, temperature_mc, humidity_mpct, battery_mv, FIX_NONE, MOTION_UNKNOWN, None, TIME_UNKNOWN
        )
    latitude_e7 = longitude_e7 = None
    position = age_class(now_s - state.fix_time_s)
    if position != FIX_NONE:
        latitude_e7, longitude_e7 = state.latitude_e7, state.longitude_e7
    return Reading(
        latitude_e7,
        longitude_e7,
        temperature_mc,
        humidity_mpct,
        battery_mv,
        position,
        MOTION_UNKNOWN,
        now_s,
        TIME_ESTIMATED,
    )
