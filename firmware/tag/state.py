"""What a tag remembers through deep sleep, as bytes for RTC memory. Pure.

magic 4 | length u16 | config's length u16 | fields | config | pending | CRC-32 of all before. Power-on leaves RTC
memory random: what has no such frame around it is no state.
"""

import struct
from binascii import crc32

from tag.config import Config
from tag.pending import Pending, decode_pending, encode_pending

MAGIC = b"TAG5"  # changes with the layout
_HEADER = "<4sHH"
_HEADER_BYTES = 8
NEVER = 0xFFFFFFFF
THRESHOLDS = 5  # see `alarms`
_FIELDS = (
    "next_counter limit counter repeats kind body fix_time_s latitude_e7 longitude_e7 clock_s time_quality mode "
    "mode_uptime_s interval_s uptime_s sample_uptime_s seen_s planned_s fix_uptime_s gnss_uptime_s gnss_failures "
    "motion crashes phase reload wakes sensors faults alarms_raised alarms_unsent window_ms"
).split()
_FORMAT = "<IIIBB11sIiiIBBIIIIIIIIBBBBBHBBBHI"
_BYTES = struct.calcsize(_FORMAT)


class State:
    """What has to survive deep sleep, and may be lost with power.

    next_counter, limit: see `counter`. repeats: bursts of the last sample that are still to come before the next one.
    counter, kind, body: of the last sample, as it is sealed. fix_time_s, latitude_e7, longitude_e7: the last fix,
    fix_time_s is 0 when there was none. clock_s, time_quality: Unix time to which the clock was last set, and by what
    (TIME_UNKNOWN: never, or it can no longer be trusted).

    uptime_s: seconds since power came, by a count that nobody sets. seen_s, planned_s: the clock when this was stored,
    and how long was to be slept then. sample_uptime_s: when the last sample was made; interval_s: from it to the next.
    fix_uptime_s, gnss_uptime_s: when the last fix was had, and looked for; None: never. mode, mode_uptime_s: the mode
    that was set last, and since when. gnss_failures: searches without a fix in a row. wakes: since power came, modulo
    65,536. motion: the last known MOTION_* code. crashes: wakes that did not end well, in a row. phase: of `cycle`,
    what was being done. sensors: those that have answered since power came; faults: those that do not now.

    alarms_raised, alarms_unsent: bits, see `alarms`. alarm_seconds: how long each threshold has been passed, plus 1.
    reload: settings have changed in flash. window_ms: a connectable window is due, and so much sleep from its beginning
    on; 0: none is. pending: the journal's part.
    """

    def __init__(self, config: Config, next_counter: int, limit: int) -> None:
        self.config = config
        self.next_counter = next_counter
        self.limit = limit
        self.repeats = 0
        self.window_ms = 0
        self.kind = 0
        self.time_quality = 0
        self.body = bytes(11)
        self.counter = 0
        self.fix_time_s = 0
        self.latitude_e7 = 0
        self.longitude_e7 = 0
        self.clock_s = 0
        self.mode = 0
        self.uptime_s = 0
        self.seen_s = 0
        self.planned_s = 0
        self.fix_uptime_s: "int | None" = None
        self.gnss_uptime_s: "int | None" = None
        self.mode_uptime_s = 0
        self.interval_s = 0
        self.sample_uptime_s = 0
        self.gnss_failures = 0
        self.motion = 0
        self.crashes = 0
        self.phase = 0
        self.reload = 0
        self.wakes = 0
        self.sensors = 0
        self.faults = 0
        self.alarms_raised = 0
        self.alarms_unsent = 0
        self.alarm_seconds = [0] * THRESHOLDS
        self.pending = Pending()

    def alarms_held(self) -> bool:
        """Whether a threshold is passed that has not yet been for long enough."""
        return any(self.alarm_seconds)


def encode_state(state: State) -> bytes:
    """A state to bytes."""
    values = [getattr(state, name) for name in _FIELDS]
    config = state.config.data
    data = (
        struct.pack(_FORMAT, *[NEVER if value is None else value for value in values])
        + struct.pack("<5H", *state.alarm_seconds)
        + config
        + encode_pending(state.pending)
    )
    data = struct.pack(_HEADER, MAGIC, len(data), len(config)) + data
    return data + struct.pack("<I", crc32(data))


def decode_state(data: bytes) -> "State | None":
    """The state in these bytes; None when they hold none, or a damaged one."""
    if len(data) < _HEADER_BYTES or data[:4] != MAGIC:
        return None
    _, length, config_bytes = struct.unpack(_HEADER, data[:_HEADER_BYTES])
    end = _HEADER_BYTES + length
    if len(data) < end + 4 or struct.unpack("<I", data[end : end + 4])[0] != crc32(data[:end]):
        return None
    at = _HEADER_BYTES + _BYTES + 2 * THRESHOLDS
    state = State(Config(data[at : at + config_bytes]), 0, 0)
    values = struct.unpack(_FORMAT, data[_HEADER_BYTES : _HEADER_BYTES + _BYTES])
    for index, name in enumerate(_FIELDS):
        setattr(state, name, values[index])
    if state.fix_uptime_s == NEVER:
        state.fix_uptime_s = None
    if state.gnss_uptime_s == NEVER:
        state.gnss_uptime_s = None
    state.alarm_seconds = list(struct.unpack("<5H", data[at - 2 * THRESHOLDS : at]))
    state.pending = decode_pending(data[at + config_bytes : end])
    return state
