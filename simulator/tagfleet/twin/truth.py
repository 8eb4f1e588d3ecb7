"""What one cycle's buses delivered, as the reading that an honest tag makes of it. Pure.

Worked out beside the firmware from the same documents, never by calling it: the ledger compares the two.
"""

from tagfleet.twin.receiver import Epoch
from tagfleet.twin.sht4x import crc8
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

BATTERY_PLAUSIBLE_MV = range(1000, 6001)
HDOP_SIGMA_M = 3.0  # one sigma per unit of HDOP
MOVING_MPS = 1.0


class Delivered:
    """What a tag was told since its last sample. `last_fix` outlives that, until power is lost.

    divider: battery volts per pin volt. clock_hold_s: how long the tag trusts its clock after a fix.
    """

    def __init__(self, divider: int, clock_hold_s: int) -> None:
        self.last_fix: Epoch | None = None
        self._divider = divider
        self._clock_hold_s = clock_hold_s
        self.clear()

    def clear(self) -> None:
        """Nothing delivered yet: a wake begins."""
        self._finished = False
        self._fix: Epoch | None = None
        self._clock_s: int | None = None
        self._climate: bytes | None = None
        self._pin_uv: list[int] = []

    def climate(self, answer: bytes) -> None:
        """The sensor's answer to a measurement as it went over the bus, damaged or not."""
        self._climate = answer

    def battery(self, pin_uv: int) -> None:
        """One conversion of the battery's pin."""
        self._pin_uv.append(pin_uv)

    def clock(self, unix_s: int) -> None:
        """The tag read its own clock."""
        self._clock_s = unix_s

    def finish(self, fix: Epoch | None) -> None:
        """The receiver was switched off; the fix that it had delivered."""
        self._finished = True
        self._fix = fix

    def reading(self) -> Reading | None:
        """The reading of this wake; None when it did not read its sensors to the end."""
        if not self._finished:
            return None
        time_s, time_quality = self._time()
        position, fix = self._position(time_s)
        motion = MOTION_UNKNOWN
        if self._fix is not None:
            self.last_fix = self._fix
            speed_mps = self._fix.speed_mknots * 1852 / 3600 / 1000
            motion = MOTION_MOVING if round(speed_mps, 3) >= MOVING_MPS else MOTION_STILL
        return Reading(
            position.latitude_e7 if position else None,
            position.longitude_e7 if position else None,
            self._word(0, -45_000, 175_000),
            self._humidity_mpct(),
            self._battery_mv(),
            fix,
            motion,
            time_s,
            time_quality,
        )

    def _time(self) -> tuple[int | None, int]:
        if self._fix is not None:
            return self._fix.time_s, TIME_GNSS
        if self.last_fix is None or self._clock_s is None:
            return None, TIME_UNKNOWN
        if not 0 <= self._clock_s - self.last_fix.time_s <= self._clock_hold_s:
            return None, TIME_UNKNOWN
        return self._clock_s, TIME_ESTIMATED

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

    def _word(self, start: int, offset: int, span: int) -> int | None:
        if self._climate is None or crc8(self._climate[start : start + 2]) != self._climate[start + 2]:
            return None
        return round(offset + span * int.from_bytes(self._climate[start : start + 2], "big") / 65_535)

    def _humidity_mpct(self) -> int | None:
        humidity_mpct = self._word(3, -6_000, 125_000)
        return None if humidity_mpct is None else min(max(humidity_mpct, 0), 100_000)

    def _battery_mv(self) -> int | None:
        if not self._pin_uv:
            return None
        battery_mv = int(sum(self._pin_uv) / len(self._pin_uv) * self._divider / 1000)
        return battery_mv if battery_mv in BATTERY_PLAUSIBLE_MV else None
