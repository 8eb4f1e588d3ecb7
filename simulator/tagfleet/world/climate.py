"""Air temperature and moisture by place and time. Pure.

Four parts, all sinusoids of the time so that cargo can lag behind them in closed form (`lag_s`): a yearly mean by
latitude, the seasons, the day, and weather of some days' length. The constants are fitted by eye to 1991-2020 normals
(Lisbon, Berlin, Oslo, Singapore, Sydney within some 5 C, by test): believable, not a forecast.
"""

import numpy as np

from tagfleet.world.noise import Floats

YEAR_S = 365.2425 * 86_400
DAY_S = 86_400.0
_WARMEST_DAY = 202  # 21 July in the north, half a year later in the south
_WARMEST_HOUR = 15  # local solar time
_DAILY_SWING_C = 4.5
_WEATHER = ((3.1 * DAY_S, 1.2), (5.3 * DAY_S, 1.5), (11.7 * DAY_S, 1.6))  # period, amplitude in C
_DEW_DEPRESSION_C = 5.0  # how far the dew point is below the day's mean: about 70 % relative humidity outside


def air_temperature_c(
    t_s: Floats, latitude_deg: Floats, longitude_deg: Floats, seed: int, lag_s: float = 0.0
) -> Floats:
    """The temperature of something that follows the air as a first-order system with time constant `lag_s`."""
    return lagged_c(t_s, latitude_deg, longitude_deg, seed, (lag_s,))[..., 0]


def lagged_c(
    t_s: Floats | float, latitude_deg: Floats, longitude_deg: Floats, seed: int, lags_s: tuple[float, ...]
) -> Floats:
    """The same for several time constants at once: float64[n, lags]."""
    total_c = _constant_c(latitude_deg)[..., None] + np.zeros(len(lags_s))
    solar_s = t_s + longitude_deg / 360.0 * DAY_S - _WARMEST_HOUR * 3600.0
    day = (solar_s, DAY_S, np.full(np.shape(latitude_deg), _DAILY_SWING_C))
    for wave_s, period_s, amplitude_c in (*_slow_waves(t_s, latitude_deg, longitude_deg, seed), day):
        omega = 2.0 * np.pi / period_s
        # A first-order lag of a cosine: gain 1/sqrt(1 + (wT)^2), phase -atan(wT); cos(a - b) without a cosine per lag.
        delay = np.arctan(omega * np.array(lags_s))
        gain = np.cos(delay)  # cos(atan(x)) = 1/sqrt(1 + x^2)
        angle = omega * wave_s
        total_c += (amplitude_c * np.cos(angle))[..., None] * (gain * np.cos(delay))
        total_c += (amplitude_c * np.sin(angle))[..., None] * (gain * np.sin(delay))
    return np.asarray(total_c)


def mean_temperature_c(t_s: Floats | float, latitude_deg: Floats, longitude_deg: Floats, seed: int) -> Floats:
    """The air without the swing of the day."""
    total_c = _constant_c(latitude_deg)
    for wave_s, period_s, amplitude_c in _slow_waves(t_s, latitude_deg, longitude_deg, seed):
        total_c = total_c + amplitude_c * np.cos(2.0 * np.pi / period_s * wave_s)
    return np.asarray(total_c)


def _constant_c(latitude_deg: Floats) -> Floats:
    return np.asarray(27.0 - 0.0068 * latitude_deg**2)


def _slow_waves(
    t_s: Floats | float, latitude_deg: Floats, longitude_deg: Floats, seed: int
) -> list[tuple[Floats, float, Floats]]:
    """Seasons and weather: the time since each wave's crest, its period, its amplitude."""
    warmest_s = np.where(latitude_deg >= 0, _WARMEST_DAY * DAY_S, _WARMEST_DAY * DAY_S + YEAR_S / 2)
    waves = [(np.asarray(t_s - warmest_s), YEAR_S, np.asarray(0.19 * np.abs(latitude_deg)))]
    for i, (period_s, amplitude_c) in enumerate(_WEATHER):
        # The weather's phase drifts with the place: neighbours feel the same, another country something else.
        phase_s = (seed % 997 * 0.37 + longitude_deg / 40.0 + latitude_deg / 25.0 + i) * period_s
        waves.append((np.asarray(t_s - phase_s), period_s, np.full(np.shape(latitude_deg), amplitude_c)))
    return waves


def dew_point_c(t_s: Floats | float, latitude_deg: Floats, longitude_deg: Floats, seed: int) -> Floats:
    """The dew point of the air outside."""
    return mean_temperature_c(t_s, latitude_deg, longitude_deg, seed) - _DEW_DEPRESSION_C


def relative_humidity_pct(temperature_c: Floats, dew_c: Floats) -> Floats:
    """From temperature and dew point (Magnus form, Alduchov and Eskridge 1996, over water); 3 to 100."""
    ratio = np.exp(17.625 * dew_c / (243.04 + dew_c) - 17.625 * temperature_c / (243.04 + temperature_c))
    return np.asarray(np.clip(100.0 * ratio, 3.0, 100.0))
