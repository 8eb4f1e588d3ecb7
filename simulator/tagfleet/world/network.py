"""A road network: cities, and what joins them. The format stands at the top of `roads.csv`. Pure.

Without a file, `great_circles` joins each city with those near it.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import NamedTuple

EARTH_RADIUS_M = 6_371_008.8  # mean radius of the WGS 84 ellipsoid
MOTORWAY, ROAD, TUNNEL, FERRY = "motorway", "road", "tunnel", "ferry"
SPEED_KMH = {MOTORWAY: 82.0, ROAD: 60.0, TUNNEL: 70.0}  # free flow; heavy trucks are limited to 90 (Directive 92/6/EEC)
DETOUR = 1.25  # a road's length over the great circle's
NEAR_M = 900e3  # great circles join cities up to so far apart


class NetworkError(Exception):
    """A network file that cannot be used; the text names the line."""


class City(NamedTuple):
    """A name, its country (ISO 3166-1), and the centre in degrees WGS 84. stops: trucks load and unload here."""

    name: str
    country: str
    latitude_deg: float
    longitude_deg: float
    stops: bool = True


class Link(NamedTuple):
    """One way from a city to another (indices): KIND, its length, and for a ferry how long it sails and when (local
    hours of the day)."""

    start: int
    end: int
    kind: str
    length_m: float
    sails_s: float = 0.0
    departs_h: tuple[float, ...] = ()

    @property
    def takes_s(self) -> float:
        """About how long, on average and without drivers' hours."""
        if self.kind == FERRY:
            return self.sails_s + 12 * 3600.0 / len(self.departs_h)
        return self.length_m / SPEED_KMH[self.kind] * 3.6


@dataclass(frozen=True)
class Network:
    """Cities and, for each, the links that leave it."""

    cities: tuple[City, ...]
    links: tuple[tuple[Link, ...], ...]
    _routes: dict[int, list[Link | None]] = field(default_factory=dict, repr=False)

    def route(self, start: int, end: int) -> list[Link] | None:
        """The fastest way, link by link; None where there is none."""
        arriving = self._routes.get(end)
        if arriving is None:
            arriving = self._routes[end] = self._towards(end)
        route = []
        at = start
        while at != end:
            link = arriving[at]
            if link is None:
                return None
            route.append(link)
            at = link.end
        return route

    def _towards(self, end: int) -> list[Link | None]:
        """The first link of each city's fastest way to `end` (Dijkstra; links go both ways and take equally long)."""
        first: list[Link | None] = [None] * len(self.cities)
        best = [math.inf] * len(self.cities)
        best[end] = 0.0
        queue = [(0.0, end)]
        while queue:
            taken_s, at = heapq.heappop(queue)
            if taken_s > best[at]:
                continue
            for link in self.links[at]:
                total_s = taken_s + link.takes_s
                if total_s < best[link.end]:
                    best[link.end] = total_s
                    first[link.end] = link._replace(start=link.end, end=at)
                    heapq.heappush(queue, (total_s, link.end))
        return first


def distance_m(a: City, b: City) -> float:
    """Along the great circle (haversine form)."""
    north = math.radians(b.latitude_deg - a.latitude_deg) / 2
    east = math.radians(b.longitude_deg - a.longitude_deg) / 2
    cosines = math.cos(math.radians(a.latitude_deg)) * math.cos(math.radians(b.latitude_deg))
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(math.sin(north) ** 2 + cosines * math.sin(east) ** 2))


@cache
def shipped_network() -> Network:
    """The network that comes with this package."""
    return read_network(resources.files("tagfleet.world").joinpath("roads.csv").read_text(encoding="utf-8"))


def great_circles(cities: Iterable[City]) -> Network:
    """Straight ways between all cities that are near each other, driven like a motorway."""
    stops = tuple(city for city in cities if city.stops)
    links: list[list[Link]] = [[] for _ in stops]
    for a, one in enumerate(stops):
        for b, other in enumerate(stops):
            if a != b and (length_m := distance_m(one, other)) < NEAR_M:
                links[a].append(Link(a, b, MOTORWAY, length_m))
    return Network(stops, tuple(map(tuple, links)))


def read_network(text: str) -> Network:
    """A network from a file's text. Raises NetworkError."""
    cities: list[City] = []
    index: dict[str, int] = {}
    links: list[list[Link]] = []
    for number, line in enumerate(text.splitlines(), 1):
        row = [part.strip() for part in line.split(",")]
        try:
            match row:
                case [""] | ["", *_]:
                    continue
                case [first, *_] if first.startswith("#"):
                    continue
                case [("city" | "point") as word, name, country, latitude, longitude]:
                    _new_city(cities, index, City(name, country, float(latitude), float(longitude), word == "city"))
                    links.append([])
                case ["road", kind, a, b, *length] if len(length) <= 1 and kind in SPEED_KMH:
                    start, end = index[a], index[b]
                    straight_m = distance_m(cities[start], cities[end])
                    length_m = _positive(1000 * float(length[0])) if length else DETOUR * straight_m
                    _join(links, Link(start, end, kind, length_m))
                case ["ferry", a, b, length_km, hours, departures]:
                    departs_h = tuple(sorted(float(hour) for hour in departures.split()))
                    if not departs_h or not 0 <= departs_h[0] <= departs_h[-1] < 24:
                        raise ValueError("departures are hours from 0 to below 24")
                    length_m, sails_s = _positive(1000 * float(length_km)), _positive(3600 * float(hours))
                    _join(links, Link(index[a], index[b], FERRY, length_m, sails_s, departs_h))
                case _:
                    raise ValueError("not a city, point, road or ferry with its columns")
        except KeyError as error:
            raise NetworkError(f"line {number}: no city or point {error} above it") from None
        except ValueError as error:
            raise NetworkError(f"line {number}: {error}") from None
    if not any(city.stops for city in cities):
        raise NetworkError("no city at all")
    return Network(tuple(cities), tuple(map(tuple, links)))


def _new_city(cities: list[City], index: dict[str, int], city: City) -> None:
    if not -90 <= city.latitude_deg <= 90 or not -180 <= city.longitude_deg <= 180:
        raise ValueError("a latitude is not within 90 degrees or a longitude not within 180")
    if city.name in index:
        raise ValueError(f"a second {city.name}")
    index[city.name] = len(cities)
    cities.append(city)


def _join(links: list[list[Link]], link: Link) -> None:
    if link.start == link.end:
        raise ValueError("it ends where it begins")
    links[link.start].append(link)
    links[link.end].append(link._replace(start=link.end, end=link.start))


def _positive(value: float) -> float:
    if not value > 0:
        raise ValueError("a length or a duration is not above 0")
    return value
