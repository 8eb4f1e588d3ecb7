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
        self.fix: Epoch | None = None
        self.finished_s: int | None = None
        self._climate: bytes | None = None
        self._pin_uv: list[int] = []

    def climate(self, answer: bytes) -> None:
        """The sensor's answer to a measurement as it went over the bus, damaged or not."""
        self._climate = answer

    def battery(self, pin_uv: int) -> None:
        """One conversion of the battery's pin."""
        self._pin_uv.append(pin_uv)

    def finish(self, fix: Epoch | None, tag_clock_s: int) -> None:
        """The receiver was switched off: the fix that it had delivered, and the tag's own clock in Unix seconds."""
        self.fix = fix
        self.finished_s = tag_clock_s

    def reading(self) -> Reading | None:
        """The reading of this wake; None when it read no sensors."""
        if self.finished_s is None:
            return None
        time_s, time_quality = self._time(self.finished_s)
        position = self.fix or (self.last_fix if time_s is not None else None)
        fix = FIX_NONE if position is None else self._fix_class(position, self.finished_s)
        if self.fix is not None:
            self.last_fix = self.fix
        motion = MOTION_UNKNOWN
        if self.fix is not None:
            speed_mps = self.fix.speed_mknots * 1852 / 3600 / 1000
            motion = MOTION_MOVING if round(speed_mps, 3) >= MOVING_MPS else MOTION_STILL
        return Reading(
            position.latitude_e7 if position and fix != FIX_NONE else None,
            position.longitude_e7 if position and fix != FIX_NONE else None,
            self._word(0, -45_000, 175_000),
            self._humidity_mpct(),
            self._battery_mv(),
            fix,
            motion,
            time_s,
            time_quality,
        )

    def _time(self, tag_clock_s: int) -> tuple[int | None, int]:
        if self.fix is not None:
            return self.fix.time_s, TIME_GNSS
        if self.last_fix is not None and 0 <= tag_clock_s - self.last_fix.time_s <= self._clock_hold_s:
            return tag_clock_s, TIME_ESTIMATED
        return None, TIME_UNKNOWN

    def _fix_class(self, position: Epoch, tag_clock_s: int) -> int:
        if position is self.fix:
            accuracy_m = position.hdop_e2 / 100 * HDOP_SIGMA_M
            limits = ((5, FIX_5M), (15, FIX_15M), (50, FIX_50M))
            return next((fix for limit_m, fix in limits if accuracy_m <= limit_m), FIX_POOR)
        age_s = tag_clock_s - position.time_s
        ages = ((600, FIX_10MIN), (3600, FIX_1H), (86_400, FIX_1D))
        return next((fix for limit_s, fix in ages if age_s <= limit_s), FIX_NONE)

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
