"""Trucks on closed tours of real cities: where each one is, and how fast, at any time. Pure.

A leg is the great circle between two cities. Drivers keep the hours of Regulation (EC) 561/2006, articles 6 to 8:
45 minutes of break after 4.5 hours at the wheel, 11 hours of rest after 9 hours. Every city takes one to three hours.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tagfleet.world.cities import CITIES, City
from tagfleet.world.noise import Floats, Ints

EARTH_RADIUS_M = 6_371_008.8  # mean radius of the WGS 84 ellipsoid
CRUISE_MPS = (72 / 3.6, 88 / 3.6)  # heavy trucks are limited to 90 km/h (Directive 92/6/EEC)
DRIVE_S = 4.5 * 3600
BREAK_S = 45 * 60.0
REST_S = 11 * 3600.0
STOP_S = (1 * 3600.0, 3 * 3600.0)
REACH_M = 900e3  # a leg is at most a day and a half
_TOUR_CITIES = (3, 6)


class Place(NamedTuple):
    """Degrees WGS 84 and metres per second, one entry a row."""

    latitude_deg: Floats
    longitude_deg: Floats
    speed_mps: Floats


@dataclass(frozen=True)
class Tours:
    """One closed tour a truck, as padded tables. A depot is a tour of one city that takes a day and goes nowhere.

    times_s, distances_m [trucks, points]: a tour's distance over its time, straight between points, padded with
    infinite times.
    cities [trucks, stops, 3]: unit vectors, the first one again at the end. leg_ends_m [trucks, stops - 1].
    """

    times_s: Floats
    distances_m: Floats
    period_s: Floats
    offset_s: Floats
    cities: Floats
    leg_ends_m: Floats

    def place(self, trucks: Ints, t_s: Floats) -> Place:
        """Where each of `trucks` (indices, in any order, repeats allowed) is at its time in Unix seconds."""
        phase_s = (t_s + self.offset_s[trucks]) % self.period_s[trucks]
        times_s, distances_m = self.times_s[trucks], self.distances_m[trucks]
        row = np.arange(len(trucks))
        point = np.maximum((times_s <= phase_s[:, None]).sum(axis=1) - 1, 0)
        start_s = times_s[row, point]
        span_s = times_s[row, point + 1] - start_s
        span_m = distances_m[row, point + 1] - distances_m[row, point]
        speed_mps = span_m / span_s
        distance_m = distances_m[row, point] + speed_mps * (phase_s - start_s)

        ends_m = self.leg_ends_m[trucks]
        leg = np.minimum((ends_m <= distance_m[:, None]).sum(axis=1), ends_m.shape[1] - 1)
        leg_start_m = np.where(leg > 0, ends_m[row, leg - 1], 0.0)
        leg_m = ends_m[row, leg] - leg_start_m
        fraction = np.divide(distance_m - leg_start_m, leg_m, out=np.zeros_like(leg_m), where=leg_m > 0)
        vectors = _along(self.cities[trucks, leg], self.cities[trucks, leg + 1], np.clip(fraction, 0.0, 1.0))
        return Place(
            np.degrees(np.arcsin(np.clip(vectors[:, 2], -1.0, 1.0))),
            np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])),
            speed_mps,
        )


def plan_tours(rng: np.random.Generator, trucks: int, depots: int) -> Tours:
    """Tours of `trucks` trucks, then `depots` depots, in random cities."""
    plans = [_tour(rng, _cities_of_tour(rng)) for _ in range(trucks)]
    plans += [_tour(rng, [CITIES[rng.integers(len(CITIES))]]) for _ in range(depots)]
    points = max(len(times_s) for times_s, _, _, _ in plans)
    stops = max(len(cities) for _, _, cities, _ in plans)
    return Tours(
        times_s=np.stack([_padded(times_s, points, np.inf) for times_s, _, _, _ in plans]),
        distances_m=np.stack([_padded(distances_m, points, distances_m[-1]) for _, distances_m, _, _ in plans]),
        period_s=np.array([times_s[-1] for times_s, _, _, _ in plans]),
        offset_s=np.array([rng.uniform(0.0, times_s[-1]) for times_s, _, _, _ in plans]),
        cities=np.stack([np.concatenate([c, np.repeat(c[-1:], stops - len(c), axis=0)]) for _, _, c, _ in plans]),
        leg_ends_m=np.stack([_padded(ends_m, stops - 1, ends_m[-1]) for _, _, _, ends_m in plans]),
    )


def _cities_of_tour(rng: np.random.Generator) -> list[City]:
    """A start and some of its neighbours on the same landmass, as far as `REACH_M` tells."""
    start = CITIES[rng.integers(len(CITIES))]
    tour = [start]
    wanted = int(rng.integers(_TOUR_CITIES[0], _TOUR_CITIES[1] + 1))
    while len(tour) < wanted:
        near = [c for c in CITIES if c not in tour and _distance_m(tour[-1], c) < REACH_M]
        near = [c for c in near if _distance_m(c, start) < REACH_M]
        if not near:
            break
        tour.append(near[rng.integers(len(near))])
    return tour


def _tour(rng: np.random.Generator, cities: list[City]) -> tuple[Floats, Floats, Floats, Floats]:
    """times_s, distances_m, cities' unit vectors (closed), ends of legs: one truck's row of `Tours`."""
    closed = [*cities, cities[0]]
    ends_m = np.cumsum([_distance_m(a, b) for a, b in pairwise(closed)])
    cruise_mps = rng.uniform(*CRUISE_MPS)
    points = [(0.0, 0.0)]
    wheel_s = 0.0
    shifts = 0
    for end_m in ends_m:
        while points[-1][1] < end_m - 1.0:
            time_s, distance_m = points[-1]
            drive_s = min((end_m - distance_m) / cruise_mps, DRIVE_S - wheel_s)
            points.append((time_s + drive_s, min(distance_m + drive_s * cruise_mps, end_m)))
            wheel_s += drive_s
            if wheel_s >= DRIVE_S - 1.0:
                wheel_s = 0.0
                shifts += 1
                points.append((points[-1][0] + (BREAK_S if shifts % 2 else REST_S), points[-1][1]))
        stop_s = rng.uniform(*STOP_S) if len(cities) > 1 else 86_400.0
        points.append((points[-1][0] + stop_s, points[-1][1]))
    table = np.array(points)
    return table[:, 0], table[:, 1], np.stack([_unit_vector(c) for c in closed]), ends_m


def _padded(row: Floats, length: int, value: float) -> Floats:
    return np.concatenate([row, np.full(length - len(row), value)])


def _unit_vector(city: City) -> Floats:
    latitude, longitude = np.radians(city.latitude_deg), np.radians(city.longitude_deg)
    return np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])


def _distance_m(a: City, b: City) -> float:
    return EARTH_RADIUS_M * float(np.arccos(np.clip(_unit_vector(a) @ _unit_vector(b), -1.0, 1.0)))


def _along(a: Floats, b: Floats, fraction: Floats) -> Floats:
    """Points on the great circles from a to b [rows, 3] (spherical linear interpolation); a where both are equal."""
    angle = np.arccos(np.clip((a * b).sum(axis=1), -1.0, 1.0))[:, None]
    part = fraction[:, None]
    sine = np.where(angle > 1e-9, np.sin(angle), 1.0)
    return np.asarray(np.where(angle > 1e-9, (np.sin((1 - part) * angle) * a + np.sin(part * angle) * b) / sine, a))
