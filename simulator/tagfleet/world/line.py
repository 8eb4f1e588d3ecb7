"""One truck's week: where it is, minute by minute, on a tour of some cities. Pure.

Drivers keep the hours of Regulation (EC) 561/2006, articles 6 to 8: 45 minutes of break after 4.5 hours at the wheel,
11 hours of rest after 9 hours, and the weekend at home. A ferry's hours count as rest. Near cities the mornings and the
afternoons are slow.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tagfleet.world.network import FERRY, SPEED_KMH, TUNNEL, Link, Network
from tagfleet.world.noise import Floats, Ints

WEEK_S = 7 * 86_400.0
WORK_S = 5 * 86_400.0 + 12 * 3600.0  # from Monday to Saturday noon
DRIVE_S = 4.5 * 3600
BREAK_S = 45 * 60.0
DAY_DRIVE_S = 9 * 3600.0
REST_S = 11 * 3600.0
STOP_S = (1 * 3600.0, 3 * 3600.0)
DOORS_AFTER_S = 300.0  # from arrival to open doors
DOORS_S = (600.0, 2_400.0)
CHUNK_M = 10e3  # a great circle over so much is straight in degrees within 3 m, and rush hours find their place
CITY_M = 30e3
RUSH_H = ((6.5, 9.5), (15.5, 18.5))  # local solar time
RUSH_IN_CITY, RUSH_OUTSIDE, NIGHT = 0.55, 0.9, 1.06  # of the free speed; trucks may go 90
_EPSILON_S = 1e-6


class On(IntEnum):
    """What a truck stands or drives on."""

    ROAD = 0
    TUNNEL = 1
    FERRY = 2
    STOP = 3


class Point(NamedTuple):
    """From here on: seconds of the week, degrees, what it is on, and of a stop its number, else -1."""

    t_s: float
    latitude_deg: float
    longitude_deg: float
    on: On
    stop: int


class Stop(NamedTuple):
    """A city (its index), arrival and departure, and when the doors are open."""

    city: int
    arrives_s: float
    departs_s: float
    opens_s: float
    closes_s: float


class Line(NamedTuple):
    """A week that begins and ends at its first city. points: float64[n, 5], in order, as `Point`; stops in order."""

    points: Floats
    stops: list[Stop]


def drive(network: Network, tour: list[int], rng: np.random.Generator) -> Line | None:
    """The week of a truck that goes round `tour` (cities' indices) as often as it fits; None when it does not even
    once, or some city cannot be reached."""
    legs = []
    for start, end in zip(tour, [*tour[1:], tour[0]], strict=True):
        route = network.route(start, end)
        if route is None:
            return None
        legs.append(route)
    shift = _Shift(network, tour[0], rng)
    rounds = 0
    while True:
        mark = shift.mark()
        for leg in legs:
            for link in leg:
                shift.go(link)
            shift.halt(leg[-1].end)
        if shift.now_s > WORK_S or len(tour) == 1:
            shift.rewind(mark)
            break
        rounds += 1
    return shift.finished() if rounds else None


class _Shift:
    """A truck and its driver on the way: `now_s` of the week."""

    def __init__(self, network: Network, home: int, rng: np.random.Generator) -> None:
        self._network = network
        self._rng = rng
        self._cruise = rng.uniform(0.93, 1.05)
        self._points: list[Point] = []
        self._stops: list[Stop] = []
        self._home = home
        self._wheel_s = self._day_s = 0.0  # driven since the last break, since the last rest
        self.now_s = 0.0
        self._put(home, On.STOP, stop=-1)
        self.now_s = rng.uniform(3.0, 9.0) * 3600.0 - network.cities[home].longitude_deg / 15.0 * 3600.0
        if self.now_s < 0:
            self.now_s += 86_400.0

    def mark(self) -> tuple[int, int, float]:
        return len(self._points), len(self._stops), self.now_s

    def rewind(self, mark: tuple[int, int, float]) -> None:
        del self._points[mark[0] :], self._stops[mark[1] :]
        self.now_s = mark[2]

    def go(self, link: Link) -> None:
        """Drive or sail a link."""
        if link.kind == FERRY:
            self._sail(link)
            return
        a, b = self._network.cities[link.start], self._network.cities[link.end]
        on = On.TUNNEL if link.kind == TUNNEL else On.ROAD
        chunks = max(1, round(link.length_m / CHUNK_M))
        chunk_m = link.length_m / chunks
        ways = _along(a, b, np.arange(chunks + 1) / chunks)
        for i in range(chunks):
            latitude_deg, longitude_deg = ways[i]
            middle_m = (i + 0.5) * chunk_m
            near = min(middle_m if a.stops else CITY_M, link.length_m - middle_m if b.stops else CITY_M) < CITY_M
            drive_s = chunk_m / (self._speed_kmh(link.kind, near, longitude_deg) / 3.6)
            self._rest_before(drive_s, latitude_deg, longitude_deg)
            self._points.append(Point(self.now_s, latitude_deg, longitude_deg, on, -1))
            self.now_s += drive_s
            self._wheel_s += drive_s
            self._day_s += drive_s
        self._put(link.end, On.ROAD, stop=-1)

    def halt(self, city: int) -> None:
        """Load and unload."""
        stays_s = self._rng.uniform(*STOP_S)
        opens_s = self.now_s + DOORS_AFTER_S
        closes_s = opens_s + self._rng.uniform(*DOORS_S)
        self._put(city, On.STOP, len(self._stops))
        self._stops.append(Stop(city, self.now_s, self.now_s + stays_s, opens_s, closes_s))
        self.now_s += stays_s
        if stays_s >= BREAK_S:
            self._wheel_s = 0.0

    def finished(self) -> Line:
        """The week; behind the last stop the truck stands at home until Monday."""
        if self._stops:
            self._put(self._home, On.STOP, -1)
        self.now_s = WEEK_S
        self._put(self._home, On.STOP, -1)
        points = np.array(self._points, np.float64)
        keep = np.append(np.diff(points[:, 0]) > _EPSILON_S, True)  # of two points at one time the later one counts
        return Line(points[keep], self._stops)

    def _put(self, city: int, on: On, stop: int) -> None:
        place = self._network.cities[city]
        self._points.append(Point(self.now_s, place.latitude_deg, place.longitude_deg, on, stop))

    def _rest_before(self, drive_s: float, latitude_deg: float, longitude_deg: float) -> None:
        if self._day_s + drive_s > DAY_DRIVE_S:
            pause_s = REST_S
        elif self._wheel_s + drive_s > DRIVE_S:
            pause_s = BREAK_S
        else:
            return
        self._points.append(Point(self.now_s, latitude_deg, longitude_deg, On.ROAD, -1))
        self._rested(pause_s)

    def _rested(self, pause_s: float) -> None:
        self.now_s += pause_s
        if pause_s >= BREAK_S:
            self._wheel_s = 0.0
        if pause_s >= REST_S:
            self._day_s = 0.0

    def _sail(self, link: Link) -> None:
        a, b = self._network.cities[link.start], self._network.cities[link.end]
        self._put(link.start, On.ROAD, -1)
        began_s = self.now_s
        hour = self._local_h(a.longitude_deg)
        waits_h = min((departs_h - hour) % 24 for departs_h in link.departs_h)
        self.now_s += 3600 * waits_h
        for part, (latitude_deg, longitude_deg) in enumerate(_along(a, b, np.arange(8) / 8)):
            at_s = self.now_s + link.sails_s * part / 8
            self._points.append(Point(at_s, latitude_deg, longitude_deg, On.FERRY, -1))
        self.now_s = began_s
        self._rested(3600 * waits_h + link.sails_s)
        self._put(link.end, On.ROAD, -1)

    def _speed_kmh(self, kind: str, near_city: bool, longitude_deg: float) -> float:
        hour = self._local_h(longitude_deg)
        if any(begins <= hour < ends for begins, ends in RUSH_H):
            factor = RUSH_IN_CITY if near_city else RUSH_OUTSIDE
        else:
            factor = NIGHT if hour >= 21 or hour < 5 else 1.0
        return min(SPEED_KMH[kind] * self._cruise * factor, 89.0)

    def _local_h(self, longitude_deg: float) -> float:
        return (self.now_s / 3600.0 + longitude_deg / 15.0) % 24


def _along(a: "tuple[str, str, float, float, bool]", b: "tuple[str, str, float, float, bool]", part: Floats) -> Floats:
    """Points on the great circle from a to b, degrees [n, 2] (spherical linear interpolation)."""
    start, end = _unit_vector(a[2], a[3]), _unit_vector(b[2], b[3])
    angle = float(np.arccos(np.clip(start @ end, -1.0, 1.0)))
    if angle < 1e-9:
        return np.tile([a[2], a[3]], (len(part), 1))
    vectors = (np.sin((1 - part) * angle)[:, None] * start + np.sin(part * angle)[:, None] * end) / np.sin(angle)
    latitude_deg = np.degrees(np.arcsin(np.clip(vectors[:, 2], -1.0, 1.0)))
    return np.stack([latitude_deg, np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))], axis=1)


def _unit_vector(latitude_deg: float, longitude_deg: float) -> Floats:
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    return np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])


def stop_columns(line: Line) -> tuple[Ints, Floats]:
    """Cities [stops], and arrival, departure, opening and closing [stops, 4]."""
    cities = np.array([stop.city for stop in line.stops], np.int64)
    return cities, np.array([stop[1:] for stop in line.stops], np.float64).reshape(-1, 4)
