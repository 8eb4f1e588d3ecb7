"""All places that tags can be at: trucks on their lines, then depots. Where each is at any time, and its doors. Pure.

A line is a week that repeats; several trucks may drive one, days or minutes apart. Everything is a table that is looked
up by the time of the week, so that any moment costs the same.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagfleet.world.line import WEEK_S, Line, On, drive, stop_columns
from tagfleet.world.network import City, Network, distance_m
from tagfleet.world.noise import Floats, Ints

MONDAY_S = 345_600.0  # 5 January 1970
LINES_MAX = 128
REACH_M = (
    (0.6, 350e3),
    (0.4, 900e3),
)  # share of the lines, and how far a tour's cities may be from home and each other
TOUR_CITIES = (2, 5)
STEEL_SHARE = 0.3  # of the trucks; the others have curtains, through which GNSS sees the sky (uncalibrated)
DEPOT_SPREAD_M = 4_000.0
NO_DEPOT = -1
DOCK_MINUTE_S = 60.0  # who is docked is looked up once a minute, and holds for it
_BUCKET_S = 1800.0
_BUCKETS = int(WEEK_S / _BUCKET_S)
_NEVER_S = -1e9
_STILL = 1e-11  # degrees a second: what rounding leaves of a stop
_METRES_PER_DEGREE = 111_195.0


class Place(NamedTuple):
    """Degrees WGS 84 and metres per second, one entry a row."""

    latitude_deg: Floats
    longitude_deg: Floats
    speed_mps: Floats


class Surroundings(NamedTuple):
    """`Place`, and of those rows that are trucks (`rows`), each: what it drives or stands on (`On`), whether it is of
    steel, and how long ago its doors opened and closed the last two times (seconds; negative: they are still to close,
    or to open; very long: never)."""

    place: Place
    rows: Ints
    on: Floats
    steel: npt.NDArray[np.bool_]
    opened_s: tuple[Floats, Floats]
    closed_s: tuple[Floats, Floats]


@dataclass(frozen=True)
class Places:
    """Trucks come first. depot_cities: the city (index in the network) of each depot.

    points [n, 6]: time of the week, latitude, longitude, their change per second, and metres per second. details
    [n, 6]: `On`, the number of a stop or -1, and the last two openings and closings of doors in seconds of the week.
    first [lines x buckets]: the row that holds when a bucket begins. sites [2, places]: latitudes and longitudes of
    depots.
    stop_*: for each truck's stop at a depot, in order of truck and time.
    """

    trucks: int
    depot_cities: Ints
    line_of_truck: Ints
    shift_s: Floats
    steel: npt.NDArray[np.bool_]
    times_s: Floats
    points: Floats
    details: Floats
    first: Ints
    sites: Floats
    stop_truck: Ints
    stop_depot: Ints
    stop_arrives_s: Floats
    stop_departs_s: Floats
    depot_of_stop: npt.NDArray[np.int32]
    """[trucks, stops of a line]: the depot (place) at which a truck's stop is, or NO_DEPOT."""

    @property
    def count(self) -> int:
        """Trucks and depots."""
        return self.trucks + len(self.depot_cities)

    def rows(self, trucks: Ints, t_s: Floats) -> tuple[Ints, Floats]:
        """Each truck's row in the tables at its time, and the time of its line's week."""
        phase_s = week_seconds(t_s) + self.shift_s.take(trucks)
        phase_s -= WEEK_S * (phase_s >= WEEK_S)
        row = self.first.take(self.line_of_truck.take(trucks) * _BUCKETS + (phase_s * (1 / _BUCKET_S)).astype(np.int64))
        late = np.flatnonzero(self.times_s.take(row + 1) <= phase_s)
        while len(late):
            row[late] += 1
            late = late[self.times_s.take(row[late] + 1) <= phase_s[late]]
        return row, phase_s

    def position(self, places: Ints, t_s: Floats) -> Place:
        """Where each of `places` is (indices, in any order, repeats allowed) at its time in Unix seconds."""
        return self.surroundings(places, t_s).place

    def surroundings(self, places: Ints, t_s: Floats) -> Surroundings:
        """The same and what is around it."""
        latitude_deg, longitude_deg = self.sites[0].take(places), self.sites[1].take(places)
        speed_mps = np.zeros(len(places))
        rows = np.flatnonzero(places < self.trucks)
        trucks = places.take(rows)
        row, phase_s = self.rows(trucks, t_s.take(rows))
        start_s, latitude, longitude, north, east, speed = self.points.take(row, axis=0).T
        since_s = phase_s - start_s
        latitude_deg[rows] = latitude + north * since_s
        longitude_deg[rows] = longitude + east * since_s
        speed_mps[rows] = speed
        on, _, opened, closed, opened_before, closed_before = self.details.take(row, axis=0).T
        return Surroundings(
            Place(latitude_deg, longitude_deg, speed_mps),
            rows,
            on,
            self.steel.take(trucks),
            (phase_s - opened, phase_s - opened_before),
            (phase_s - closed, phase_s - closed_before),
        )

    def docked(self, t_s: float) -> Ints:
        """For each truck the depot (a place) at which it stands to load, NO_DEPOT for one that does not."""
        trucks = np.arange(self.trucks)
        row, _ = self.rows(trucks, np.full(self.trucks, t_s))
        stop = self.details[row, 1].astype(np.int64)
        return np.where(stop >= 0, self.depot_of_stop[trucks, stop], NO_DEPOT).astype(np.int64)


def week_seconds(t_s: Floats) -> Floats:
    """Seconds since the last Monday 00:00 UTC."""
    since_s = t_s - MONDAY_S
    return np.asarray(since_s - np.floor(since_s * (1 / WEEK_S)) * WEEK_S)


def week_number(t_s: Floats) -> Ints:
    """Weeks since 5 January 1970."""
    return np.floor((t_s - MONDAY_S) * (1 / WEEK_S)).astype(np.int64)


def plan_places(network: Network, rng: np.random.Generator, trucks: int, depots: int) -> Places:
    """Depots in cities that are near each other, and trucks on lines between them."""
    depot_cities = _depot_cities(network, rng, depots)
    lines = [_line(network, rng, sorted(set(depot_cities.tolist()))) for _ in range(min(trucks, LINES_MAX))]
    line_of_truck = np.arange(trucks) % max(len(lines), 1)
    shift_s = rng.integers(0, 5, trucks) * 86_400.0 + rng.uniform(0, 5_400.0, trucks)
    shift_s[: len(lines)] = 0.0
    points, details, first = _tables(lines)
    sites = _sites(network, rng, depot_cities)
    stops = _depot_stops(rng, lines, line_of_truck, shift_s, depot_cities, trucks)
    return Places(
        trucks,
        depot_cities,
        line_of_truck,
        shift_s,
        rng.random(trucks) < STEEL_SHARE,
        np.append(points[:, 0], np.inf),
        points,
        details,
        first.ravel(),
        np.concatenate([np.zeros((2, trucks)), sites], axis=1),
        *stops,
    )


def _depot_cities(network: Network, rng: np.random.Generator, depots: int) -> Ints:
    """The cities nearest to a random one, as many as there are depots; again from the start when there are more."""
    stops = [city for city, place in enumerate(network.cities) if place.stops]
    start = network.cities[stops[rng.integers(len(stops))]]
    stops.sort(key=lambda city: (distance_m(start, network.cities[city]), city))
    return np.array([stops[depot % len(stops)] for depot in range(depots)], np.int64)


def _line(network: Network, rng: np.random.Generator, cities: list[int]) -> Line:
    """A random tour of some cities that fits into a week; without one, a week at home."""
    home = cities[rng.integers(len(cities))]
    wanted = int(rng.integers(TOUR_CITIES[0], TOUR_CITIES[1] + 1))
    candidates = cities if len(cities) > 1 else [c for c, place in enumerate(network.cities) if place.stops]
    reach_m = REACH_M[int(rng.random() >= REACH_M[0][0])][1]
    tour = [home]
    while len(tour) < wanted:
        near = [c for c in candidates if c not in tour and all(_near(network, d, c, reach_m) for d in (tour[-1], home))]
        if not near:
            break
        tour.append(near[rng.integers(len(near))])
    while len(tour) > 1:
        line = drive(network, tour, rng)
        if line is not None:
            return line
        tour.pop()
    city = network.cities[home]
    return Line(np.array([[t_s, city.latitude_deg, city.longitude_deg, On.STOP, -1] for t_s in (0.0, WEEK_S)]), [])


def _near(network: Network, a: int, b: int, reach_m: float) -> bool:
    return distance_m(network.cities[a], network.cities[b]) < reach_m


def _sites(network: Network, rng: np.random.Generator, depot_cities: Ints) -> Floats:
    """Depots' columns of `sites`: somewhere around their city's centre."""
    sites = np.zeros((2, len(depot_cities)))
    for depot, city in enumerate(depot_cities.tolist()):
        place: City = network.cities[city]
        north_m, east_m = rng.normal(0.0, DEPOT_SPREAD_M / 2, 2)
        sites[0, depot] = place.latitude_deg + north_m / _METRES_PER_DEGREE
        sites[1, depot] = place.longitude_deg + east_m / _METRES_PER_DEGREE / np.cos(np.radians(place.latitude_deg))
    return sites


def _tables(lines: list[Line]) -> tuple[Floats, Floats, Ints]:
    """points, details and first of all lines."""
    points, details = [np.empty((0, 6))], [np.empty((0, 6))]
    first = np.empty((len(lines), _BUCKETS), np.int64)
    begins = 0
    for number, line in enumerate(lines):
        rows = line.points
        slopes = np.zeros((len(rows), 2))
        slopes[:-1] = np.diff(rows[:, 1:3], axis=0) / np.diff(rows[:, :1], axis=0)
        slopes[np.abs(slopes) < _STILL] = 0.0
        east = slopes[:, 1] * np.cos(np.radians(rows[:, 1]))
        speed_mps = np.hypot(slopes[:, 0], east) * _METRES_PER_DEGREE
        points.append(np.concatenate([rows[:, :3], slopes, speed_mps[:, None]], axis=1))
        _, times_s = stop_columns(line)
        before = np.searchsorted(times_s[:, 0], rows[:, 0], "right")  # stops that have begun
        doors = np.concatenate([np.full((2, 2), _NEVER_S), times_s[:, 2:]])
        details.append(np.concatenate([rows[:, 3:5], doors[before + 1], doors[before]], axis=1))
        buckets_s = np.arange(_BUCKETS) * _BUCKET_S
        first[number] = begins + np.searchsorted(rows[:, 0], buckets_s, "right") - 1
        begins += len(rows)
    return np.concatenate(points), np.concatenate(details), first


def _depot_stops(
    rng: np.random.Generator, lines: list[Line], line_of_truck: Ints, shift_s: Floats, depot_cities: Ints, trucks: int
) -> tuple[Ints, Ints, Floats, Floats, npt.NDArray[np.int32]]:
    """The last fields of `Places`: where a city has several depots, each truck keeps to one of them."""
    by_city = np.argsort(depot_cities, kind="stable")
    cities = depot_cities[by_city]
    luck = rng.random(trucks)
    most = max([len(line.stops) for line in lines], default=0)
    depot_of_stop = np.full((trucks, max(most, 1)), NO_DEPOT, np.int32)
    columns: list[tuple[Ints, Ints, Floats, Floats]] = []
    for number, line in enumerate(lines):
        if not line.stops:
            continue
        stop_cities, times_s = stop_columns(line)
        truck = np.flatnonzero(line_of_truck == number)
        low, high = (np.searchsorted(cities, stop_cities, side) for side in ("left", "right"))
        pick = low + (luck[truck, None] * (high - low)).astype(np.int64)
        depot = np.where(high > low, trucks + by_city[np.minimum(pick, len(by_city) - 1)], NO_DEPOT)
        depot_of_stop[truck, : len(stop_cities)] = depot
        arrives_s = (times_s[:, 0] - shift_s[truck, None]) % WEEK_S
        departs_s = arrives_s + (times_s[:, 1] - times_s[:, 0])
        good = (depot != NO_DEPOT) & (departs_s < WEEK_S)
        columns.append(
            (np.broadcast_to(truck[:, None], depot.shape)[good], depot[good], arrives_s[good], departs_s[good])
        )
    if not columns:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0), depot_of_stop
    truck, depot, arrives_s, departs_s = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.lexsort((arrives_s, truck))
    return truck[order], depot[order], arrives_s[order], departs_s[order], depot_of_stop
