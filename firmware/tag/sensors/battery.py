"""Battery voltage behind a divider."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import ADC

READS = 8  # averaged: the ESP32's converter is noisy
PLAUSIBLE_MV = (1000, 6000)  # outside, no battery or no divider is fitted


def read_mv(adc: "ADC", divider: "tuple[int, int]") -> "int | None":
    """The battery's millivolts; `divider` is (battery volts, pin volts), so (2, 1) for two equal resistors.

    None when the value is not one that a battery of this tag can have.
    """
    total_uv = 0
    for _ in range(READS):
        total_uv += adc.read_uv()
    battery_mv = total_uv * divider[0] // (divider[1] * READS * 1000)
    return battery_mv if PLAUSIBLE_MV[0] <= battery_mv <= PLAUSIBLE_MV[1] else None
