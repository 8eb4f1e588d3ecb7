"""What one cycle's buses delivered, as the reading that an honest tag makes of it. Pure.

Worked out beside the firmware from the same documents, never by calling it: the ledger compares the two.
"""

from tagfleet.twin.chips.bus import Told
from tagfleet.twin.receiver import Epoch
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
    TIME_HUB,
    TIME_UNKNOWN,
    Reading,
)

BATTERY_PLAUSIBLE_MV = range(1000, 6001)
HDOP_SIGMA_M = 3.0  # one sigma per unit of HDOP
MOVING_MPS = 1.0
HUB_TIME_S = 600  # for so long a clock that a hub has set is as good as the hub's


class Delivered:
    """What a tag was told since its last sample. `last_fix` and who set the clock outlive that, until power is lost.

    divider: battery volts per pin volt. clock_hold_s: how long the tag trusts its clock after it was set.
    """

    def __init__(self, divider: int, clock_hold_s: int) -> None:
        self._divider = divider
        self._clock_hold_s = clock_hold_s
        self.power_lost()

    def power_lost(self) -> None:
        """RTC memory and clock are gone."""
        self.last_fix: Epoch | None = None
        self._clock_set: tuple[int, bool] | None = None  # Unix seconds, whether by a hub
        self.clear()

    def clear(self) -> None:
        """Nothing delivered yet: a wake begins."""
        self._measured = False
        self._fix: Epoch | None = None
        self._clock_s: int | None = None
        self._climate: Told | None = None
        self._probe: Told | None = None
        self._stirred: bool | None = None
        self._pin_uv: list[int] = []

    def climate(self, told: Told) -> None:
        """A climate sensor's answer."""
        self._climate = told

    def probe(self, told: Told) -> None:
        """A temperature probe's answer."""
        self._probe = told

    def motion(self, stirred: bool) -> None:
        """The accelerometer said whether it had felt anything."""
        self._stirred = stirred

    def battery(self, pin_uv: int) -> None:
        """One conversion of the battery's pin, which no sample goes without."""
        self._measured = True
        self._clock_s = None
        self._pin_uv.append(pin_uv)

    def clock(self, unix_s: int) -> None:
        """The tag read its own clock: what counts is what it read first when it had measured all."""
        if self._clock_s is None:
            self._clock_s = unix_s

    def clock_set(self, unix_s: int) -> None:
        """The tag set its clock: by the fix that it has just been told, or else by a hub."""
        by_hub = self._fix is None or self._fix.time_s != unix_s
        self._clock_set = unix_s, by_hub

    def clock_jumped(self) -> None:
        """The clock has done what no clock does, and the tag noticed."""
        self._clock_set = None

    def finish(self, fix: Epoch | None) -> None:
        """The receiver was switched off; the fix that it had delivered."""
        self._clock_s = None
        self._fix = fix
        if fix is not None:
            self.last_fix = fix

    def reading(self) -> Reading | None:
        """The reading of this wake; None when it did not read its sensors."""
        if not self._measured:
            return None
        time_s, time_quality = self._time()
        position, fix = self._position(time_s)
        moving = self._stirred
        if self._fix is not None:
            moving = bool(moving) or round(self._fix.speed_mknots * 1852 / 3600 / 1000, 3) >= MOVING_MPS
        motion = MOTION_UNKNOWN if moving is None else MOTION_MOVING if moving else MOTION_STILL
        humidity_mpct = self._climate.humidity_mpct if self._climate else None
        temperature = self._probe or self._climate
        return Reading(
            position.latitude_e7 if position else None,
            position.longitude_e7 if position else None,
            temperature.temperature_mc if temperature else None,
            humidity_mpct,
            self._battery_mv(),
            fix,
            motion,
            time_s,
            time_quality,
        )

    def _time(self) -> tuple[int | None, int]:
        if self._fix is not None:
            return self._fix.time_s, TIME_GNSS
        if self._clock_set is None or self._clock_s is None:
            return None, TIME_UNKNOWN
        set_s, by_hub = self._clock_set
        age_s = self._clock_s - set_s
        if not 0 <= age_s <= self._clock_hold_s:
            return None, TIME_UNKNOWN
        return self._clock_s, TIME_HUB if by_hub and age_s <= HUB_TIME_S else TIME_ESTIMATED

    def _position(self, time_s: int | None) -> tuple[Epoch | None, int]:
        """The position to tell and its FIX_* class; without the time, an earlier one's age is not known."""
        if self._fix is not None:
            accuracy_m = self._fix.hdop_e2 / 100 * HDOP_SIGMA_M
            limits = ((5, FIX_5M), (15, FIX_15M), (50, FIX_50M))
            return self._fix, next((fix for limit_m, fix in limits if accuracy_m <= limit_m), FIX_POOR)
        if self.last_fix is not None and time_s is not None:
            for limit_s, fix in ((600, FIX_10MIN), (3600, FIX_1H), (86_400, FIX_1D)):
                if time_s - self.last_fix.time_s <= limit_s:
                    return self.last_fix, fix
        return None, FIX_NONE

    def _battery_mv(self) -> int | None:
        if not self._pin_uv:
            return None
        battery_mv = int(sum(self._pin_uv) / len(self._pin_uv) * self._divider / 1000)
        return battery_mv if battery_mv in BATTERY_PLAUSIBLE_MV else None
