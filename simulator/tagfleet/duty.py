"""When a tag looks for a fix and takes its next sample: the rules of firmware/tag/decide.py for many tags. Pure.

State: of each tag its last fix, its last search, searches in a row without a fix, whether it rests, and how much time
has passed by its own clock: the oscillator that wakes it a little early or late also says when a search is due.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.world.noise import Floats, Ints

GNSS_RETRY_S = 60  # after a first search without sky; doubles with each one
GNSS_INTERVAL_MAX_S = 1800  # however still or dark it is, a search is made that often
EPHEMERIS_S = 4 * 3600.0  # a receiver that slept for longer starts cold
EARLY_S = 2.0  # a search that would be due within this time is made now
URGENT_S = 1.0  # to the next sample while there is another reason for an alarm to tell

Bools = npt.NDArray[np.bool_]


class DutySettings(NamedTuple):
    """As the firmware's settings of these names, and their defaults."""

    interval_s: float = 300.0
    still_interval_s: float = 0.0
    alarm_interval_s: float = 60.0
    gnss_interval_s: float = 0.0
    gnss_still_s: float = 900.0
    gnss_cold_timeout_s: float = 90.0
    gnss_hot_timeout_s: float = 15.0
    clock_hold_h: float = 12.0

    @property
    def longest_interval_s(self) -> float:
        """From a sample to the next."""
        return max(self.interval_s, self.still_interval_s)


DUTY_SETTINGS = DutySettings._fields[1:]
"""Those that a provisioning file's settings may set for a flock, whose interval is a run's own."""


def duty_of(settings: Mapping[str, int | bool | str], interval_s: float) -> DutySettings:
    """What a provisioning file's settings say of it."""
    return DutySettings(interval_s, **{name: float(settings[name]) for name in DUTY_SETTINGS if name in settings})


class Duty:
    """Ask for `timeouts_s`, tell what was `searched`, ask for the `intervals_s`, and tell that they are `slept`. Tags
    are known by their index; in one call each is there at most once."""

    def __init__(self, settings: DutySettings, tags: int) -> None:
        self.settings = settings
        self.fix_s = np.full(tags, np.nan)
        """When each tag had its last fix: minus infinity where never, not a number where nobody has said so yet."""
        self.latitude_deg = np.zeros(tags)
        self.longitude_deg = np.zeros(tags)
        self._uptime_s = np.zeros(tags)
        self._search_s = np.full(tags, -np.inf)  # of its own time
        self._failures = np.zeros(tags, np.uint8)
        self._still = np.zeros(tags, np.bool_)

    def remember(self, tags: Ints, fix_s: Floats, latitude_deg: Floats, longitude_deg: Floats) -> None:
        """The last fixes of some tags, which a search has found, or from before the run."""
        self.fix_s[tags], self.latitude_deg[tags], self.longitude_deg[tags] = fix_s, latitude_deg, longitude_deg

    def timeouts_s(self, tags: Ints, t_s: Floats) -> Floats:
        """How long a search may take now; 0: none is due."""
        settings = self.settings
        timeout_s = np.where(self.is_cold(tags, t_s), settings.gnss_cold_timeout_s, settings.gnss_hot_timeout_s)
        failures = self._failures[tags].astype(np.int64)
        retry_s = GNSS_RETRY_S << np.clip(failures - 1, 0, 6)
        regular_s = np.where(self._still[tags], settings.gnss_still_s, settings.gnss_interval_s)
        wait_s = np.minimum(np.where(failures > 0, retry_s, regular_s), GNSS_INTERVAL_MAX_S)
        return np.where(self._uptime_s[tags] - self._search_s[tags] + EARLY_S >= wait_s, timeout_s, 0.0)

    def is_cold(self, tags: Ints, t_s: Floats) -> Bools:
        """Whether a receiver has no orbits left from its last fix."""
        return np.asarray(~(t_s - self.fix_s[tags] < EPHEMERIS_S))

    def searched(self, tags: Ints, fixed: Bools, moving: Bools) -> None:
        """These have searched; who has a fix knows whether it is moving."""
        self._search_s[tags] = self._uptime_s[tags]
        self._failures[tags] = np.where(fixed, 0, np.minimum(self._failures[tags].astype(np.int64) + 1, 255))
        self._still[tags[fixed]] = ~moving[fixed]

    def intervals_s(self, tags: Ints, alarmed: Bools, urgent: Bools) -> Floats:
        """From this sample to the next. alarmed: temperature or humidity is out of its limits; urgent: there is more
        to tell at once."""
        settings = self.settings
        still_s = settings.still_interval_s or settings.interval_s
        interval_s = np.where(self._still[tags], still_s, settings.interval_s)
        interval_s = np.where(alarmed, np.minimum(interval_s, settings.alarm_interval_s), interval_s)
        return np.where(urgent, URGENT_S, interval_s)

    def slept(self, tags: Ints, seconds: Floats) -> None:
        """So much has passed by their own clocks."""
        self._uptime_s[tags] += seconds
