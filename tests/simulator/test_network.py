"""A road network: what a file says, what is wrong with it, and which way is fastest."""

import pytest

from tagfleet.world.network import DETOUR, NetworkError, distance_m, great_circles, read_network, shipped_network

TRIANGLE = """
# three cities
city,A,XX,50,8
city,B,XX,50,9
point,P,XX,51,8.5
road,motorway,A,B,200
road,road,A,P,30
road,tunnel,P,B,20
ferry,A,B,60,2.5,6 18
"""


def test_route_is_the_fastest_by_time() -> None:
    network = read_network(TRIANGLE)
    route = network.route(0, 1)
    assert route is not None
    assert [(link.kind, link.end) for link in route] == [("road", 2), ("tunnel", 1)]
    assert [link.end for link in network.route(1, 0) or []] == [2, 0]
    assert network.route(0, 0) == []


def test_road_without_a_length_is_the_great_circle_and_a_quarter() -> None:
    network = read_network("city,A,XX,50,8\ncity,B,XX,50,9\nroad,road,A,B\n")
    assert network.links[0][0].length_m == pytest.approx(DETOUR * distance_m(*network.cities))
    assert distance_m(*network.cities) == pytest.approx(71_500, rel=0.005)


def test_cities_that_nothing_joins_have_no_route() -> None:
    network = read_network("city,A,XX,50,8\ncity,B,XX,50,9\n")
    assert network.route(0, 1) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("city,C,XX,91,0", "line 10: a latitude"),
        ("city,C,XX,here,0", "line 10: could not convert"),
        ("city,A,XX,1,1", "line 10: a second A"),
        ("road,motorway,A,Nowhere", "line 10: no city or point 'Nowhere'"),
        ("road,path,A,B", "line 10: not a city"),
        ("road,road,A,A", "line 10: it ends where it begins"),
        ("road,road,A,B,0", "line 10: a length"),
        ("ferry,A,B,60,2.5,", "line 10: departures"),
        ("ferry,A,B,60,2.5,25", "line 10: departures"),
        ("ferry,A,B,60", "line 10: not a city"),
        ("boat,A,B", "line 10: not a city"),
    ],
)
def test_bad_line_is_named(line: str, says: str) -> None:
    with pytest.raises(NetworkError, match=says):
        read_network(TRIANGLE + line)


def test_network_without_a_city_is_refused() -> None:
    with pytest.raises(NetworkError, match="no city"):
        read_network("# nothing\npoint,P,XX,1,1\n")


def test_shipped_network_joins_europe() -> None:
    network = shipped_network()
    names = [city.name for city in network.cities]
    route = network.route(names.index("Lisbon"), names.index("Helsinki"))
    assert route is not None
    assert "ferry" in {link.kind for link in route}
    assert 3_500e3 < sum(link.length_m for link in route) < 5_500e3
    assert network.route(names.index("Lisbon"), names.index("Chicago")) is None


def test_great_circles_are_as_long_as_the_distance() -> None:
    network = great_circles(shipped_network().cities)
    for links in network.links:
        for link in links:
            assert link.length_m == distance_m(network.cities[link.start], network.cities[link.end])
    assert all(city.stops for city in network.cities)
