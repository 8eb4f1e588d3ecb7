"""What surrounds one tag at one moment: the seam between the world and a twin's virtual sensors. Pure."""

from typing import NamedTuple


class Environment(NamedTuple):
    """The true values at a tag, before any sensor looked at them.

    Degrees Celsius, percent relative humidity, millivolt, degrees WGS 84, metres per second. `has_sky` says whether a
    GNSS receiver there gets a fix now.
    """

    temperature_c: float
    humidity_pct: float
    battery_mv: float
    latitude_deg: float
    longitude_deg: float
    speed_mps: float
    has_sky: bool
