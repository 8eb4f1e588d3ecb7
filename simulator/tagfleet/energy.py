"""What a tag's phases cost: charge per day, and how long a battery lasts. Pure.

Each constant is (typical, low, high), with where it comes from. No tag was measured for it: where it says *estimate*,
it is one, and the range is wide. The result's range adds all lows, and all highs: wider than chance would make it.
"""

from typing import NamedTuple

MC_PER_MAH = 3600.0


class Range(NamedTuple):
    """A quantity and how far off it may be."""

    typical: float
    low: float
    high: float

    def times(self, factor: float) -> "Range":
        return Range(self.typical * factor, self.low * factor, self.high * factor)

    def plus(self, other: "Range") -> "Range":
        return Range(self.typical + other.typical, self.low + other.low, self.high + other.high)


# From reset to main.py, as published for MicroPython on ESP32: 418 ms and 26.5 mC stock, 49 to 70 ms and 3.3 mC with
# the application frozen.
BOOT_MC = Range(26.5, 21.0, 32.0)
BOOT_FROZEN_MC = Range(3.3, 2.8, 4.5)
AWAKE_MA = Range(40.0, 27.0, 50.0)  # ESP32 datasheet, table "modem sleep": 27 to 44 mA at 160 MHz, and the board's rest
SEARCHING_MA = Range(29.0, 20.0, 37.0)  # the same at 80 MHz, while a receiver searches: 20 to 31 mA
RADIO_MA = Range(20.0, 10.0, 80.0)  # controller on, beside the processor: together some 60 mA. Estimate
RADIO_START_S = Range(0.2, 0.15, 0.3)  # Bluetooth's start after a wake: about 200 ms, as published
EVENT_MC = Range(0.15, 0.1, 0.2)  # an advertising event: about 150 uC on an ESP32. Estimate (nRF52832: 10.6 uC)
GNSS_MA = Range(30.0, 25.0, 40.0)  # makers' figures for acquisition and tracking of single-band receivers
ERASE_MC = Range(0.7, 0.3, 2.0)  # a 4 KB sector: 45 ms typical at 15 mA (W25Q32 datasheet)
# In deep sleep: the chip or its board, a divider of 2 MOhm at 3.7 V, and what backs up the receiver (15 uA, makers').
SLEEP_UA = {
    "bare-module": Range(6.5 + 2 + 15, 5.0 + 2 + 7, 7.0 + 2 + 25),  # 5 to 7 uA for the chip, as published
    # USB bridge, regulator and LEDs of development boards: 1.7 to 15 mA, as published.
    "esp32-devkit": Range(5000.0, 1700.0, 15_000.0),
    "esp32c3-devkit": Range(2500.0, 1700.0, 8000.0),
    "esp32s3-devkit": Range(2500.0, 1700.0, 8000.0),
    "esp32c6-devkit": Range(2500.0, 1700.0, 8000.0),
}
# LIS2DH12, low power (datasheet): at 10 Hz for motion, at 400 Hz for shocks.
ACCELEROMETER_UA = {"motion": Range(3.0, 2.0, 4.0), "shock": Range(36.0, 30.0, 45.0)}
USABLE = Range(0.85, 0.7, 0.95)  # share of a lithium cell's capacity above the brown-out, in the cold less. Estimate
SELF_DISCHARGE_A_YEAR = Range(0.02, 0.01, 0.05)  # of its capacity


class Phases(NamedTuple):
    """What a tag did in `span_s`: counts, and seconds in which a part was on; awake_s: behind the boot, of it slow_s at
    80 MHz. erases: of flash sectors."""

    span_s: float
    wakes: int
    samples: int
    awake_s: float
    radio_starts: int
    radio_s: float
    events: float
    gnss_s: float
    erases: int
    slow_s: float


class Bill(NamedTuple):
    """mAh a day by phase, in all, and the battery's life in days."""

    phases: dict[str, Range]
    total: Range
    life_days: Range


def bill(phases: Phases, board: str, battery_mah: float, frozen: bool, accelerometer: str | None = None) -> Bill:
    """The charge of a day like this one. accelerometer: what it looks for, a key of ACCELEROMETER_UA. Raises KeyError
    for a board that is not known."""
    a_day = 86_400 / phases.span_s
    sleep_ua = SLEEP_UA[board]
    if accelerometer:
        sleep_ua = sleep_ua.plus(ACCELEROMETER_UA[accelerometer])
    asleep_s = phases.span_s - phases.awake_s
    both_ma = RADIO_MA.plus(AWAKE_MA)  # while it starts; virtual time does not know that it takes long
    radio_start_mc = Range(*(s * ma for s, ma in zip(RADIO_START_S, both_ma, strict=True)))
    charges_mc = {
        "sleep": sleep_ua.times(asleep_s / 1000),
        "boot": (BOOT_FROZEN_MC if frozen else BOOT_MC).times(phases.wakes),
        "processor": AWAKE_MA.times(phases.awake_s - phases.slow_s).plus(SEARCHING_MA.times(phases.slow_s)),
        "GNSS": GNSS_MA.times(phases.gnss_s),
        "radio": radio_start_mc.times(phases.radio_starts)
        .plus(RADIO_MA.times(phases.radio_s))
        .plus(EVENT_MC.times(phases.events)),
        "flash": ERASE_MC.times(phases.erases),
    }
    by_phase = {name: charge.times(a_day / MC_PER_MAH) for name, charge in charges_mc.items()}
    total = Range(0, 0, 0)
    for charge in by_phase.values():
        total = total.plus(charge)
    return Bill(by_phase, total, _life_days(total, battery_mah))


def _life_days(total_mah: Range, battery_mah: float) -> Range:
    def days(usable: float, a_day: float, lost_a_year: float) -> float:
        return usable * battery_mah / (a_day + lost_a_year * battery_mah / 365)

    return Range(
        days(USABLE.typical, total_mah.typical, SELF_DISCHARGE_A_YEAR.typical),
        days(USABLE.low, total_mah.high, SELF_DISCHARGE_A_YEAR.high),
        days(USABLE.high, total_mah.low, SELF_DISCHARGE_A_YEAR.low),
    )
