"""What a scenario's keys make of its cast."""

from tagfleet.scenario import find, read
from tagfleet.stage import build

START_US = 1_774_000_000_000_000


def test_the_demos_one_hub_hears_all_places_and_its_tags_open_windows_often() -> None:
    cast = build(read(find("demo")), START_US, START_US, [], None)
    assert cast.world.places > 20  # eight tags on each truck and in each depot
    assert set(cast.hub_of_place.tolist()) == {0}
    assert cast.keyrings[0].tolist() == list(range(200))
    journals = cast.flock.journals
    assert journals is not None
    assert (journals.settings.window_unsettled, journals.settings.window_every) == (4, 1)


def test_places_have_a_hub_each_where_nothing_else_is_said() -> None:
    scenario = read(find("demo"), {("world",): {}, ("hubs", "count"): 10, ("tags", "twins"): 0})
    cast = build(scenario, START_US, START_US, [], None)
    assert cast.world.places == 10
    assert sorted(cast.hub_of_place.tolist()) == list(range(10))
