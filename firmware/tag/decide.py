"""What a tag does next, decided on numbers. Pure: times are seconds since power came, `State.uptime_s`."""

from tagwire.fields import MOTION_MOVING, MOTION_STILL, MOTION_UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.config import Settings
    from tag.state import State

MOVING_MMPS = 1000  # GNSS speed noise of a resting tag stays below; a walking person is above
GNSS_RETRY_S = 60  # after a first search without sky; doubles with each one
GNSS_INTERVAL_MAX_S = 1800  # however still or dark it is, a search is made that often
EPHEMERIS_S = 4 * 3600  # a receiver that slept for longer has to load the satellites' orbits anew: no hot start
FAST_ALARMS = 0x0F  # temperature and humidity, see `alarms`: more samples do not mend a battery or a sensor
JUMP_S = 3600  # more than a sleeping ESP32's clock can be off after a day
EARLY_S = 2  # a wake that comes so much too early is not sent back to sleep


def motion_of(speed_mmps: "int | None", stirred: "bool | None") -> int:
    """The MOTION_* code by the speed over ground (None: no fix in this cycle) and the accelerometer (None: there is
    none): whether it felt something since the sample before."""
    if stirred or (speed_mmps is not None and speed_mmps >= MOVING_MMPS):
        return MOTION_MOVING
    return MOTION_UNKNOWN if speed_mmps is None and stirred is None else MOTION_STILL


def on_trip(settings: "Settings", now_s: "int | None") -> bool:
    """Whether a trip is under way. `now_s`: Unix seconds, None while the tag does not know the time: then a trip
    without a start is under way, and one with a start has not begun."""
    if not settings.trip_number:
        return False
    if now_s is None:
        return not settings.trip_start_s
    return settings.trip_start_s <= now_s and not 0 < settings.trip_stop_s <= now_s


def interval_s(settings: "Settings", state: "State", trip: bool) -> int:
    """From this sample to the next."""
    if settings.mode == "shelf":
        return settings.shelf_interval_s
    interval = settings.interval_s
    if trip and settings.trip_interval_s:
        interval = settings.trip_interval_s
    elif state.motion == MOTION_STILL and settings.still_interval_s:
        interval = settings.still_interval_s
    if state.alarms_raised & FAST_ALARMS or state.alarms_held():
        interval = min(interval, settings.alarm_interval_s)
    return interval


def gnss_timeout_s(settings: "Settings", state: "State") -> int:
    """How long a search may take now; 0: none is due."""
    if settings.mode == "shelf":
        return 0
    hot = state.fix_uptime_s is not None and state.uptime_s - state.fix_uptime_s < EPHEMERIS_S
    timeout = settings.gnss_hot_timeout_s if hot else settings.gnss_cold_timeout_s
    if state.gnss_uptime_s is None or not timeout:
        return timeout
    if state.gnss_failures:
        wait = GNSS_RETRY_S << min(state.gnss_failures - 1, 6)
    else:
        wait = settings.gnss_still_s if state.motion == MOTION_STILL else settings.gnss_interval_s
    since = state.uptime_s - state.gnss_uptime_s
    return timeout if since + EARLY_S >= min(wait, GNSS_INTERVAL_MAX_S) else 0


def radio_is_off(settings: "Settings", state: "State") -> bool:
    """Flight mode: until `flight_h` after it was set."""
    return settings.mode == "flight" and state.uptime_s - state.mode_uptime_s < settings.flight_h * 3600


def repeats(settings: "Settings", state: "State") -> int:
    """How many more bursts a sample gets."""
    return 0 if settings.mode == "shelf" or radio_is_off(settings, state) else settings.burst_repeats


def has_backlog(settings: "Settings", unsettled: int) -> bool:
    """Whether so many samples wait for a hub that it should come."""
    return unsettled >= settings.window_unsettled


def window_is_due(settings: "Settings", unsettled: int, wakes: int) -> bool:
    """Whether this wake, the `wakes`-th since power came, opens a connectable window."""
    return settings.mode == "shelf" or (has_backlog(settings, unsettled) and wakes % settings.window_every == 0)


def is_watched(watches: int, state: "State") -> bool:
    """Whether this sample may be an alarm, or end one. `watches`: of the Config."""
    return bool(watches or state.alarms_raised or state.alarms_unsent or state.faults & state.sensors)


def elapsed_s(state: "State", now_s: int) -> "int | None":
    """How long ago the state was stored, by the clock; None when the clock has jumped in between."""
    elapsed = now_s - state.seen_s
    return elapsed if 0 <= elapsed <= state.planned_s + JUMP_S else None


def sleep_ms(interval: int, repeats: int, awake_ms: int, urgent: bool) -> int:
    """Until the next wake, which sends another burst or makes the next sample. urgent: an alarm waits for it."""
    if urgent:
        return 1000
    return max(interval * 1000 // (1 + repeats) - awake_ms, 10)
