"""The world is believable, and the same for the same seed whatever way it is asked."""

import numpy as np
import pytest

from tagfleet.world import climate
from tagfleet.world.cities import CITIES
from tagfleet.world.roads import EARTH_RADIUS_M
from tagfleet.world.world import build_world

SPRING_S = 1_774_000_000.0  # March 2026


def test_world_same_seed_gives_same_bytes() -> None:
    tags = np.arange(60)
    t_s = SPRING_S + np.linspace(0, 86_400, 60)
    first = build_world(7, 60).environments(tags, t_s)
    again = build_world(7, 60).environments(tags, t_s)
    other = build_world(8, 60).environments(tags, t_s)
    assert [column.tobytes() for column in first] == [column.tobytes() for column in again]
    assert first.latitude_deg.tobytes() != other.latitude_deg.tobytes()


def test_environments_do_not_depend_on_how_they_are_asked() -> None:
    world = build_world(3, 40)
    tags = np.arange(40)
    t_s = SPRING_S + 100.0 * tags
    together = world.environments(tags, t_s)
    backwards = world.environments(tags[::-1], t_s[::-1])
    for column, reversed_column in zip(together, backwards, strict=True):
        assert np.array_equal(column, reversed_column[::-1])
    assert world.view(5)(float(t_s[5])).temperature_c == pytest.approx(together.temperature_c[5])


def test_trucks_keep_to_speeds_and_hours_of_drivers() -> None:
    world = build_world(1, 80)
    t_s = SPRING_S + np.arange(0.0, 14 * 86_400, 60.0)
    moved = 0
    for truck in range(len(world.tours.period_s)):
        place = world.tours.place(np.full(len(t_s), truck), t_s)
        north_m = np.diff(np.radians(place.latitude_deg)) * EARTH_RADIUS_M
        east_m = np.diff(np.unwrap(np.radians(place.longitude_deg))) * EARTH_RADIUS_M
        east_m *= np.cos(np.radians(place.latitude_deg[:-1]))
        speed_kmh = np.hypot(north_m, east_m) / 60.0 * 3.6
        assert speed_kmh.max() < 92.0  # no jump anywhere, at no border of legs or tours
        driving = float((place.speed_mps > 0).mean())
        assert driving < 0.55
        moved += driving > 0.05
    assert moved >= 5


def test_depots_stay_where_they_are() -> None:
    world = build_world(1, 80)
    depot = len(world.tours.period_s) - 1
    place = world.tours.place(np.full(50, depot), SPRING_S + np.arange(50) * 9999.0)
    assert np.ptp(place.latitude_deg) < 1e-9
    assert not place.speed_mps.any()
    assert any(abs(city.latitude_deg - place.latitude_deg[0]) < 1e-9 for city in CITIES)


@pytest.mark.parametrize(
    ("city", "january_c", "july_c"),
    [("Berlin", 1, 20), ("Lisbon", 12, 24), ("Oslo", -4, 17), ("Singapore", 27, 28), ("Sydney", 23, 12)],
)
def test_climate_is_near_the_normals(city: str, january_c: float, july_c: float) -> None:
    """Monthly means, 1991-2020, rounded."""
    place = next(c for c in CITIES if c.name == city)
    for start_s, expected_c in ((1_767_225_600.0, january_c), (1_782_864_000.0, july_c)):  # 1 January, 1 July 2026
        t_s = start_s + np.arange(0.0, 31 * 86_400, 3600.0)
        mean_c = climate.air_temperature_c(t_s, np.full(len(t_s), place.latitude_deg), place.longitude_deg, 5).mean()
        assert mean_c == pytest.approx(expected_c, abs=6.0)


def test_day_is_warmer_than_night_and_a_box_lags_behind() -> None:
    t_s = SPRING_S + np.arange(0.0, 86_400, 300.0)
    zero = np.zeros(len(t_s))
    air_c = climate.air_temperature_c(t_s, zero + 48.0, zero, 5)
    box_c = climate.air_temperature_c(t_s, zero + 48.0, zero, 5, lag_s=3 * 3600.0)
    assert 12 <= (t_s[air_c.argmax()] % 86_400) / 3600 <= 18
    assert 1.0 < (t_s[box_c.argmax()] - t_s[air_c.argmax()]) / 3600 < 5.0
    assert np.ptp(box_c) < np.ptp(air_c)


def test_environments_are_plausible_over_a_year() -> None:
    world = build_world(2, 400)
    rng = np.random.default_rng(0)
    tags = rng.integers(400, size=20_000)
    row = world.environments(tags, SPRING_S + rng.uniform(0, 365 * 86_400, 20_000))
    assert row.temperature_c.min() > -40
    assert row.temperature_c.max() < 45
    assert row.humidity_pct.min() >= 3
    assert row.humidity_pct.max() <= 100
    assert row.battery_mv.min() > 3000
    assert row.battery_mv.max() < 4200
    assert 0.9 < row.has_sky.mean() < 0.99
    cold = world.cargo.set_c[tags] == 5.0
    assert row.temperature_c[cold].min() > 1.0
    assert row.temperature_c[cold].max() < 8.0


def test_humidity_at_the_dew_point_is_saturated() -> None:
    assert climate.relative_humidity_pct(np.array([12.0]), np.array([12.0]))[0] == pytest.approx(100.0)
    # Psychrometric tables: 20 C with a dew point of 9.3 C is 50 %.
    assert climate.relative_humidity_pct(np.array([20.0]), np.array([9.3]))[0] == pytest.approx(50.0, abs=0.5)
