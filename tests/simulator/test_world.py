"""The world is believable, and the same for the same seed whatever way it is asked."""

import numpy as np
import pytest

from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.sensing import last_sky_s
from tagfleet.world import battery, cargo, climate, gnss
from tagfleet.world.consignments import LOST, SEASON_WEEKS
from tagfleet.world.line import WEEK_S, On
from tagfleet.world.network import EARTH_RADIUS_M, shipped_network
from tagfleet.world.noise import Floats, Ints
from tagfleet.world.places import MONDAY_S
from tagfleet.world.world import World, WorldSettings, build_world, make_world
from tagwire import fields
from tagwire.bulk import NOT_AVAILABLE

SPRING_S = 1_774_000_000.0  # Friday, 20 March 2026
SEASON_S = SEASON_WEEKS * WEEK_S
WEEK_START_S = MONDAY_S + (SPRING_S - MONDAY_S) // SEASON_S * SEASON_S  # a Monday on which a season begins


def metres_between(a_latitude: Floats, a_longitude: Floats, b_latitude: Floats, b_longitude: Floats) -> Floats:
    north_m = np.radians(b_latitude - a_latitude) * EARTH_RADIUS_M
    east = (b_longitude - a_longitude + 180) % 360 - 180
    return np.hypot(north_m, np.radians(east) * EARTH_RADIUS_M * np.cos(np.radians(a_latitude)))


def test_world_same_seed_gives_same_bytes() -> None:
    tags = np.arange(60)
    t_s = SPRING_S + np.linspace(0, 86_400, 60)
    first = build_world(7, 60).environments(tags, t_s)
    again = build_world(7, 60).environments(tags, t_s)
    other = build_world(8, 60).environments(tags, t_s)
    assert [column.tobytes() for column in first] == [column.tobytes() for column in again]
    assert first.latitude_deg.tobytes() != other.latitude_deg.tobytes()


def test_environments_do_not_depend_on_how_they_are_asked() -> None:
    """Backwards, one by one, in one world or another, over the borders of weeks and seasons."""
    tags = np.arange(400) % 40
    t_s = np.asarray(WEEK_START_S - WEEK_S + (np.arange(400) * 7919.0) % (3 * WEEK_S), np.float64)
    together = make_world(WorldSettings(3, 40, lost_share=0.05)).environments(tags, t_s)
    world = make_world(WorldSettings(3, 40, lost_share=0.05))
    backwards = world.environments(tags[::-1], t_s[::-1])
    for column, reversed_column in zip(together, backwards, strict=True):
        assert np.array_equal(column, reversed_column[::-1])
    for row in range(0, 400, 13):
        alone = world.environments(tags[row : row + 1], t_s[row : row + 1])
        assert [column[0] for column in alone] == [column[row] for column in together]
    assert world.view(5)(float(t_s[5])).temperature_c == pytest.approx(together.temperature_c[5])


def test_world_of_many_rows_is_that_of_few() -> None:
    world = build_world(4, 500)
    tags = np.arange(40_000) % 500
    t_s = np.asarray(SPRING_S + np.arange(40_000) * 0.5, np.float64)
    many = world.environments(tags, t_s)
    few = build_world(4, 500).environments(tags[17_000:17_100], t_s[17_000:17_100])
    for column, piece in zip(many, few, strict=True):
        assert np.array_equal(column[17_000:17_100], piece)


@pytest.mark.parametrize("straight", [False, True])
def test_trucks_keep_to_speeds_and_hours_of_drivers(straight: bool) -> None:
    world = make_world(WorldSettings(1, 400, straight=straight))
    t_s = WEEK_START_S + np.arange(0.0, 14 * 86_400, 60.0)
    moved = 0
    for truck in range(0, world.trucks, 4):
        around = world.map.surroundings(np.full(len(t_s), truck), t_s)
        place = around.place
        speed_kmh = (
            3.6
            / 60
            * metres_between(
                place.latitude_deg[:-1], place.longitude_deg[:-1], place.latitude_deg[1:], place.longitude_deg[1:]
            )
        )
        assert speed_kmh.max() < 90.0  # no jump anywhere, at no border of legs or weeks
        wheel = (place.speed_mps > 0) & (around.on < On.FERRY)
        assert wheel.mean() < 0.42  # 56 hours of driving in a week, and a day's slack
        longest = max(len(run) for run in "".join("x" if w else " " for w in wheel).split()) if wheel.any() else 0
        assert longest <= 4.5 * 60 + 1
        per_day = wheel[: 14 * 1440].reshape(-1, 1440).sum(axis=1)
        assert per_day.max() <= 14.5 * 60  # a rest of 11 hours in each stretch of 24
        moved += wheel.mean() > 0.05
    assert moved >= world.trucks // 4 * 0.6


def test_mornings_and_afternoons_are_slow_near_cities() -> None:
    world = build_world(1, 800)
    t_s = WEEK_START_S + np.arange(0.0, 5 * 86_400, 300.0)
    trucks = np.repeat(np.arange(80), len(t_s))
    times = np.tile(t_s, 80)
    place = world.position(trucks, times)
    hour = (times / 3600 + place.longitude_deg / 15) % 24
    driving = place.speed_mps > 0
    rush = driving & (((hour > 7) & (hour < 9)) | ((hour > 16) & (hour < 18)))
    noon = driving & (hour > 11) & (hour < 14)
    assert place.speed_mps[rush].mean() < 0.93 * place.speed_mps[noon].mean()


def test_some_trucks_sail_and_their_tags_see_no_sky() -> None:
    network = shipped_network()
    assert any(link.kind == "ferry" for links in network.links for link in links)
    for seed in range(40):
        world = build_world(seed, 800)
        trucks = np.arange(world.trucks)
        for hour in range(0, 120, 3):
            t_s = np.full(len(trucks), WEEK_START_S + hour * 3600.0)
            around = world.map.surroundings(trucks, t_s)
            sailing = np.flatnonzero((around.on == On.FERRY) & (around.place.speed_mps > 0))
            if len(sailing):
                tags = np.arange(len(sailing))
                zero = np.zeros(len(sailing))
                some = around._replace(
                    rows=tags,
                    on=around.on[sailing],
                    steel=np.zeros(len(sailing), bool),
                    opened_s=(zero, zero),
                    closed_s=(zero, zero),
                )
                seen = gnss.sky(seed, tags, trucks[sailing], world.trucks, t_s[sailing], zero, some)
                assert (seen == gnss.NO_SKY).all()
                assert around.place.speed_mps[sailing].max() < 15
                return
    pytest.fail("no truck ever sailed")


def test_depots_stay_where_they_are() -> None:
    world = build_world(1, 800)
    depots = np.arange(world.trucks, world.places)
    early, late = (world.position(depots, np.full(len(depots), t_s)) for t_s in (SPRING_S, SPRING_S + 9e6))
    assert np.array_equal(early.latitude_deg, late.latitude_deg)
    assert not late.speed_mps.any()
    cities = shipped_network().cities
    for latitude, longitude in zip(early.latitude_deg.tolist(), early.longitude_deg.tolist(), strict=True):
        assert any(abs(c.latitude_deg - latitude) < 0.1 and abs(c.longitude_deg - longitude) < 0.3 for c in cities)


def week_of_places(world: World, tags: Ints, step_s: float) -> tuple[Ints, Floats]:
    t_s = WEEK_START_S + np.arange(0.0, 6 * 86_400, step_s)
    places = world.places_of(np.repeat(tags, len(t_s)), np.tile(t_s, len(tags)))
    return places.reshape(len(tags), len(t_s)), t_s


def test_tags_are_handed_over_between_depots_and_trucks() -> None:
    world = build_world(2, 400)
    places, t_s = week_of_places(world, np.arange(400), 300.0)
    in_truck = places < world.trucks
    changes = places[:, 1:] != places[:, :-1]
    assert 3 < changes.sum(axis=1).mean() < 13
    assert (in_truck[:, 1:][changes] != in_truck[:, :-1][changes]).all()  # from depot to truck and back, nothing else
    tag, at = np.nonzero(changes)
    before, after = world.positions(tag, t_s[at]), world.positions(tag, t_s[at + 1])
    jump_m = metres_between(before.latitude_deg, before.longitude_deg, after.latitude_deg, after.longitude_deg)
    assert jump_m.max() < 15_000  # between a city's centre, where its trucks stop, and the depot
    truck, depot = (
        np.minimum(places[:, :-1], places[:, 1:])[changes],
        np.maximum(places[:, :-1], places[:, 1:])[changes],
    )
    for one in range(0, len(tag), 17):  # the truck loads at that very depot when the tag changes
        minute = t_s[at[one]] + np.arange(0, 301, 60)
        assert any(world.docked(float(t))[truck[one]] == depot[one] for t in minute)


def test_visits_are_the_places_where_a_tag_can_be_heard() -> None:
    world = build_world(2, 300)
    start_s = WEEK_START_S + 5 * 86_400
    ends_s = WEEK_START_S + 8.5 * 86_400  # over a Monday
    found = set(zip(*(column.tolist() for column in world.visits(start_s, ends_s)), strict=True))
    tags = np.arange(300)
    for t_s in np.linspace(start_s, ends_s, 300):
        places = world.places_of(tags, np.full(300, t_s))
        docked = world.docked(float(t_s))
        for tag, place in enumerate(places.tolist()):
            if place >= 0:
                assert (tag, place) in found
                met = [int(docked[place])] if place < world.trucks else np.flatnonzero(docked == place).tolist()
                minute_s = t_s // 60 * 60
                if start_s <= minute_s and (minute_s - WEEK_START_S) // WEEK_S == (t_s - WEEK_START_S) // WEEK_S:
                    assert all((tag, other) in found for other in met if other >= 0)
    assert len(found) < 300 * 40


def test_lost_tags_stay_where_they_fell_until_the_season_ends() -> None:
    world = make_world(WorldSettings(2, 500, lost_share=0.1))
    tags = np.arange(500)
    ends_s = WEEK_START_S + SEASON_S - 1.0
    lost = tags[world.places_of(tags, np.full(500, ends_s)) == LOST]
    assert 50 < len(lost) < 450
    weeks = [world.positions(lost, np.full(len(lost), t_s)) for t_s in (ends_s - 1000.0, ends_s)]
    assert np.array_equal(weeks[0].latitude_deg, weeks[1].latitude_deg)
    row = world.environments(lost, np.full(len(lost), ends_s))
    assert not row.speed_mps.any()
    assert row.has_sky.mean() > 0.9
    assert np.isfinite(row.temperature_c).all()
    assert not (world.places_of(tags, np.full(500, ends_s + 2.0)) == LOST).any()


@pytest.mark.parametrize(
    ("city", "january_c", "july_c"),
    [("Berlin", 1, 20), ("Lisbon", 12, 24), ("Oslo", -4, 17), ("Singapore", 27, 28), ("Sydney", 23, 12)],
)
def test_climate_is_near_the_normals(city: str, january_c: float, july_c: float) -> None:
    """Monthly means, 1991-2020, rounded."""
    place = next(c for c in shipped_network().cities if c.name == city)
    for start_s, expected_c in ((1_767_225_600.0, january_c), (1_782_864_000.0, july_c)):  # 1 January, 1 July 2026
        t_s = start_s + np.arange(0.0, 31 * 86_400, 3600.0)
        latitude, longitude = np.full(len(t_s), place.latitude_deg), np.full(len(t_s), place.longitude_deg)
        assert climate.air_temperature_c(t_s, latitude, longitude, 5).mean() == pytest.approx(expected_c, abs=6.0)


def test_day_is_warmer_than_night_and_a_box_lags_behind() -> None:
    t_s = SPRING_S + np.arange(0.0, 86_400, 300.0)
    zero = np.zeros(len(t_s))
    air_c = climate.air_temperature_c(t_s, zero + 48.0, zero, 5)
    box_c = climate.air_temperature_c(t_s, zero + 48.0, zero, 5, lag_s=3 * 3600.0)
    assert 12 <= (t_s[air_c.argmax()] % 86_400) / 3600 <= 18
    assert 1.0 < (t_s[box_c.argmax()] - t_s[air_c.argmax()]) / 3600 < 5.0
    assert np.ptp(box_c) < np.ptp(air_c)


def test_lag_is_the_solution_of_the_first_order_equation() -> None:
    """dT/dt = (air - T) / tau, integrated in small steps, against the closed form."""
    step_s, tau_s = 60.0, 8 * 3600.0
    t_s = SPRING_S + np.arange(0.0, 10 * 86_400, step_s)
    latitude, longitude = np.full(len(t_s), 48.0), np.full(len(t_s), 11.0)
    air_c = climate.air_temperature_c(t_s, latitude, longitude, 5)
    box_c = np.empty(len(t_s))
    box_c[0] = air_c[0]
    for i in range(1, len(t_s)):
        box_c[i] = box_c[i - 1] + step_s / tau_s * ((air_c[i - 1] + air_c[i]) / 2 - box_c[i - 1])
    closed_c = climate.lagged_c(t_s, latitude, longitude, 5, (tau_s,))[:, 0]
    settled = slice(5 * 1440, None)
    assert np.abs(box_c[settled] - closed_c[settled]).max() < 0.05


def test_open_doors_are_the_solution_of_the_first_order_equation() -> None:
    """Two openings of a box, integrated in seconds, against the sum of their closed forms: within 1 %."""
    t_s = np.arange(0.0, 6 * 3600.0)
    tau_s = 2400.0
    openings = [(600.0, 1800.0), (7200.0, 8400.0)]
    open_now = np.sum([(t_s >= begin) & (t_s < end) for begin, end in openings], axis=0, dtype=float)
    x = np.zeros(len(t_s))
    for i in range(1, len(t_s)):
        x[i] = x[i - 1] + (open_now[i - 1] - x[i - 1]) / tau_s
    closed_form = sum(cargo.opened(t_s - begin, t_s - end, np.full(len(t_s), tau_s)) for begin, end in openings)
    assert np.abs(x - closed_form).max() < 0.01
    assert x.max() > 0.35


def test_boxes_warm_up_while_their_truck_unloads_and_cool_down_again() -> None:
    world = make_world(WorldSettings(6, 3000, cargo_shares=(0, 1, 0), cooler_failures_per_week=0, lost_share=0))
    t_s = WEEK_START_S + np.arange(0.0, 5 * 86_400, 120.0)
    row = world.environments(np.tile(np.arange(0, 60, 3), len(t_s)), np.repeat(t_s, 20))
    warmer_c = row.temperature_c.reshape(len(t_s), 20) - 5.0
    assert np.abs(np.diff(warmer_c, axis=0)).max() < 2.0  # in two minutes: never a jump, whoever carries it where
    assert np.median(np.abs(warmer_c)) < 1.5
    assert np.abs(warmer_c).max() > 2.5


def test_dead_cooler_spoils_the_goods_until_it_is_seen_to() -> None:
    world = make_world(WorldSettings(6, 300, cargo_shares=(0, 1, 0), cooler_failures_per_week=0, lost_share=0))
    summer_s = 1_784_000_000.0
    tag = 7
    stay = world.stays(np.array([tag]), np.array([summer_s]))
    begin_s, end_s = summer_s, summer_s + 6 * 3600.0
    failing = make_world(
        WorldSettings(
            6,
            300,
            cargo_shares=(0, 1, 0),
            cooler_failures_per_week=0,
            lost_share=0,
            cooler_failures=((int(stay.places[0]), begin_s, end_s),),
        )
    )
    t_s = summer_s + np.arange(-7200.0, 5 * 3600.0, 600.0)
    here = world.places_of(np.full(len(t_s), tag), t_s) == stay.places[0]
    good, bad = (w.environments(np.full(len(t_s), tag), t_s).temperature_c for w in (world, failing))
    assert np.array_equal(good[t_s <= begin_s], bad[t_s <= begin_s])
    during = here & (t_s > begin_s + 3600)
    assert during.any()
    assert (bad[during] > good[during] + 1.0).all()


def test_coolers_fail_as_often_as_the_settings_say() -> None:
    places = np.arange(20_000)
    began_s, ended_s = cargo.failures(1, places, np.full(20_000, SPRING_S), per_week=0.7)
    lately = began_s < 86_400.0
    assert lately.mean() == pytest.approx(0.1, abs=0.01)
    lasts_h = (began_s - ended_s)[lately] / 3600
    assert lasts_h.min() >= 2.0
    assert lasts_h.max() <= 8.0


def test_environments_are_plausible_over_a_year() -> None:
    world = make_world(WorldSettings(2, 400, cooler_failures_per_week=0.0))
    rng = np.random.default_rng(0)
    tags = rng.integers(400, size=20_000)
    row = world.environments(tags, np.repeat(np.sort(SPRING_S + rng.uniform(0, 365 * 86_400, 200)), 100))
    assert row.temperature_c.min() > -40
    assert row.temperature_c.max() < 45
    assert row.humidity_pct.min() >= 3
    assert row.humidity_pct.max() <= 100
    assert row.battery_mv.min() > 3000
    assert row.battery_mv.max() < 4200
    assert 0.3 < row.has_sky.mean() < 0.7
    cold = world.cargo.kinds[tags] == 1
    inside = np.sort(row.temperature_c[cold])
    assert inside[len(inside) // 20] > 3.0
    assert inside[len(inside) * 19 // 20] < 8.0


def test_humidity_at_the_dew_point_is_saturated() -> None:
    assert climate.relative_humidity_pct(np.array([12.0]), np.array([12.0]))[0] == pytest.approx(100.0)
    # Psychrometric tables: 20 C with a dew point of 9.3 C is 50 %.
    assert climate.relative_humidity_pct(np.array([20.0]), np.array([9.3]))[0] == pytest.approx(50.0, abs=0.5)


def test_moist_air_that_comes_in_raises_the_humidity_of_a_cooled_box() -> None:
    kinds = np.array([1, 1])
    shut, ajar = cargo.humidity_pct(kinds, np.array([5.0, 5.0]), np.array([16.0, 16.0]), np.array([0.0, 0.3]))
    assert 70 < shut < 90
    assert ajar > shut + 5


def test_battery_is_weaker_in_the_cold_and_steep_at_its_end() -> None:
    zero = np.zeros(1)
    warm, cold = (battery.voltage_mv(zero, np.array([0.4]), np.array([c]))[0] for c in (20.0, -20.0))
    assert 30 < warm - cold < 120
    charge = [battery.voltage_mv(zero, np.array([age]), np.array([25.0]))[0] for age in np.linspace(0.0, 0.999, 30)]
    assert charge[0] > 4100
    assert charge[-1] < 3320
    assert (np.diff(charge) < 0).all()


def test_sky_is_seen_through_curtains_and_open_doors_only() -> None:
    world = build_world(3, 4000)
    tags = np.arange(4000)
    t_s = np.full(4000, WEEK_START_S + 2.6 * 86_400)
    row = world.environments(tags, t_s)
    in_truck = (row.places >= 0) & (row.places < world.trucks)
    steel = in_truck & world.map.steel[np.where(in_truck, row.places, 0)]
    assert row.has_sky[in_truck & ~steel].mean() > 0.9
    assert row.has_sky[steel].mean() < 0.2
    assert row.has_sky[~in_truck].mean() == pytest.approx(gnss.AT_GATE_SHARE, abs=0.05)
    assert not (row.sky[~in_truck & (row.places >= 0)] == gnss.OPEN_SKY).any()


def test_fix_noise_is_that_of_the_sky() -> None:
    n = 20_000
    tags, t_s, zero = np.arange(n), SPRING_S + np.arange(n, dtype=np.float64), np.zeros(n)
    for sky, sigma_m, classes in (
        (gnss.OPEN_SKY, 2.5, {fields.FIX_5M}),
        (gnss.POOR_SKY, float(np.hypot(4.0, 9.0)), {fields.FIX_15M, fields.FIX_50M}),
    ):
        latitude, longitude, fix = gnss.measured(1, tags, t_s, zero + 50.0, zero + 8.0, np.full(n, sky))
        assert set(fix.tolist()) == classes
        assert (latitude - 50.0).std() * gnss.METRES_PER_DEGREE == pytest.approx(sigma_m, rel=0.05)
        east_m = (longitude - 8.0).std() * gnss.METRES_PER_DEGREE * np.cos(np.radians(50.0))
        assert east_m == pytest.approx(sigma_m, rel=0.05)
    slot_s, zero = SPRING_S // 600 * 600 + np.arange(60, dtype=np.float64), np.zeros(60)
    same_slot = gnss.measured(1, np.zeros(60, np.int64), slot_s, zero, zero, np.full(60, gnss.POOR_SKY))
    assert same_slot[0].std() * gnss.METRES_PER_DEGREE < 6.0  # reflections stay the same for a while


def test_cold_starts_take_longer_than_hot_ones() -> None:
    n = 20_000
    tags, t_s = np.arange(n), np.full(n, SPRING_S)
    got = {
        (cold, sky): gnss.gets_fix(
            1, tags, t_s, np.full(n, sky), np.full(n, cold), np.full(n, 90.0 if cold else 15.0)
        ).mean()
        for cold in (False, True)
        for sky in (gnss.NO_SKY, gnss.POOR_SKY, gnss.OPEN_SKY)
    }
    assert got[False, gnss.NO_SKY] == got[True, gnss.NO_SKY] == 0
    assert got[False, gnss.OPEN_SKY] > 0.99
    assert got[True, gnss.OPEN_SKY] > 0.99
    assert 0.9 < got[False, gnss.POOR_SKY] < 0.99
    assert 0.8 < got[True, gnss.POOR_SKY] < 0.95


def test_tag_without_sky_remembers_where_it_last_was_for_as_long_as_its_clock_holds() -> None:
    world = build_world(9, 2000)
    start_s = WEEK_START_S + 2.7 * 86_400
    samples = Flock(make_provisions(9, 1, 2000), world, 300.0, start_s).step(start_s + 299.0)  # each tag's first
    tags, t_s, reading = samples.tags, samples.t_us / 1e6, samples.readings
    assert sorted(tags.tolist()) == list(range(2000))
    stay = world.stays(tags, t_s)
    without = reading.time_quality != fields.TIME_GNSS
    remembered = reading.time_quality == fields.TIME_ESTIMATED
    forgot = reading.time_quality == fields.TIME_UNKNOWN
    assert remembered.sum() > 200
    assert forgot.sum() > 100
    assert (reading.latitude_e7[forgot] == NOT_AVAILABLE).all()
    assert (reading.time_s[forgot] == NOT_AVAILABLE).all()
    assert (reading.fix[forgot] == fields.FIX_NONE).all()
    assert (reading.motion[without] == fields.MOTION_UNKNOWN).all()
    seen = world.sky(tags, t_s)
    last_s = last_sky_s(world, tags, t_s)
    hidden = remembered & (seen == gnss.NO_SKY)
    in_hall = hidden & (stay.places >= world.trucks)
    assert (last_s[in_hall] >= stay.since_s[in_hall]).all()
    assert (np.abs(last_s - stay.since_s)[in_hall] < 1).mean() > 0.9
    age_s = (t_s - last_s)[hidden]
    assert (age_s <= 12 * 3600.0).all()
    expected = np.select([age_s <= 600, age_s <= 3600], [fields.FIX_10MIN, fields.FIX_1H], fields.FIX_1D)
    assert np.array_equal(reading.fix[hidden], expected)
    place = world.positions(tags[hidden], last_s[hidden])
    away_m = metres_between(
        place.latitude_deg,
        place.longitude_deg,
        reading.latitude_e7[hidden] / 1e7,
        reading.longitude_e7[hidden] / 1e7,
    )
    assert away_m.max() < 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": -1},
        {"tags_per_place": 0},
        {"depot_share": 1.5},
        {"cargo_shares": (0, 0, 0)},
        {"lost_share": 2.0},
        {"cooler_failures_per_week": -1.0},
        {"cooler_failures": ((0, 5.0, 4.0),)},
        {"battery_life_days": 0},
    ],
)
def test_settings_of_no_world_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        WorldSettings(**{"seed": 1, "tags": 10, **wrong})  # type: ignore[arg-type]
