"""Who is here: learned from samples alone, told within 30 s."""

import json
from typing import Any

import numpy as np
import pytest
from hub_process import HubProcess, Subscriber
from hypothesis import given
from hypothesis import strategies as st
from tags import NOW_S, NOW_US, Tag
from waiting import wait_until

from taghub.intake import Accepted
from taghub.inventory import MOVES_SPACING_S, Inventory
from taghub.presence import (
    LOST_INTERVALS,
    LOST_MAX_S,
    LOST_MIN_S,
    LOST_SHOWN_S,
    LOST_UNKNOWN_S,
    PAGE_TAGS,
    Move,
    Presence,
)
from taghub.sample_rows import Rows, rows_of

BODY = bytes(11)
TOPIC = "tags/v1/site/hub/presence"


def heard(tag_id: int, counter: int, after_s: float, rssi_dbm: int = -60) -> Accepted:
    return Accepted(tag_id, counter, BODY, NOW_US + round(after_s * 1e6), rssi_dbm, False)


def rows(*samples: Accepted) -> Rows:
    return rows_of(samples)


def look(presence: Presence, after_s: float) -> list[Move]:
    presence.look(NOW_US + round(after_s * 1e6))
    moves, presence.moves = presence.moves, []
    return moves


def shown(presence: Presence, after_s: float = 0) -> dict[int, dict[str, Any]]:
    pages = presence.pages("site", "hub", NOW_US + round(after_s * 1e6), "hub", True)
    documents = [json.loads(page) for page in pages]
    rows = [(row, lost) for page in documents for name, lost in (("tags", False), ("lost", True)) for row in page[name]]
    return {row[0]: dict(zip(documents[0]["columns"], row, strict=True)) | {"lost": lost} for row, lost in rows}


def test_tag_is_here_since_its_first_sample_and_as_loud_as_its_last_ones() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0, -80)))
    for number in range(1, 20):
        presence.take(rows(heard(7, 1 + number, 300 * number, -60)))
    assert shown(presence, 6000)[7] == {
        "tag": 7, "since": NOW_S, "last": NOW_S + 5700, "rssi_dbm": -60, "interval_s": 300.0, "counter": 20,
        "lost": False,
    }  # fmt: skip
    presence.take(rows(heard(7, 21, 6000, -90)))
    assert shown(presence, 6000)[7]["rssi_dbm"] == -68, "one loud or weak sample moves it by a quarter"


def test_interval_is_learned_where_samples_were_not_heard() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0)))
    presence.take(rows(heard(7, 5, 240)))
    assert shown(presence)[7]["interval_s"] == 60.0


def test_longer_interval_is_believed_at_once_and_a_shorter_one_slowly() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0), heard(8, 1, 0)))
    presence.take(rows(heard(7, 2, 60)))
    presence.take(rows(heard(7, 3, 60 + 3600)))
    assert shown(presence)[7]["interval_s"] == 3600.0
    presence.take(rows(heard(7, 4, 60 + 3601)))  # an alarm
    assert shown(presence)[7]["interval_s"] > 3000


@pytest.mark.parametrize(
    ("interval_s", "lost_s"),
    [(300, 900), (10, LOST_MIN_S), (7200, LOST_MAX_S)],
    ids=["three intervals", "not before a minute", "after an hour"],
)
def test_tag_is_lost_after_three_intervals(interval_s: float, lost_s: float) -> None:
    assert LOST_INTERVALS == 3
    presence = Presence()
    presence.take(rows(heard(7, 1, 0)))
    presence.take(rows(heard(7, 2, interval_s)))
    assert look(presence, interval_s + lost_s) == [Move(7, True)]
    assert look(presence, interval_s + lost_s + 1) == [Move(7, False)]
    assert shown(presence)[7]["lost"] is True
    presence.take(rows(heard(7, 9, 20_000)))
    assert look(presence, 20_000) == [Move(7, True)]
    assert shown(presence)[7]["since"] == NOW_S + 20_000


def test_tag_whose_interval_is_not_known_has_a_quarter_of_an_hour() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0)))
    assert look(presence, LOST_UNKNOWN_S) == [Move(7, True)]
    assert look(presence, LOST_UNKNOWN_S + 1) == [Move(7, False)]


def test_tag_that_is_lost_for_a_day_is_forgotten() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0), heard(8, 1, LOST_SHOWN_S)))
    look(presence, LOST_SHOWN_S + 1)
    assert list(shown(presence)) == [8]


def test_clock_that_was_set_moves_what_was_stamped_before() -> None:
    presence = Presence()
    presence.take(rows(heard(7, 1, 0)))
    presence.shift(3_600_000_000)
    assert shown(presence)[7]["since"] == NOW_S + 3600
    assert look(presence, 3601) == [Move(7, True)]


def test_many_tags_are_pages_and_pages_that_are_empty_go_away() -> None:
    inventory = Inventory(TOPIC, "site", "hub", 10, 0)
    tags = PAGE_TAGS * 2 + 1
    inventory.take(rows_of(heard(tag_id, 1, 0) for tag_id in range(tags)))
    messages = inventory.due(0, NOW_US, "hub")
    assert [topic for topic, _ in messages] == [TOPIC, f"{TOPIC}/2", f"{TOPIC}/3"]
    assert all(len(message) < 60_000 for _, message in messages)
    first = json.loads(messages[0][1])
    assert (first["here"], first["page"], first["pages"], len(first["tags"])) == (tags, 1, 3, PAGE_TAGS)
    later_us = NOW_US + LOST_SHOWN_S * 1_000_000 - 1  # all are lost, and none is forgotten
    _, (_, second), (_, third) = inventory.due(50, later_us, "hub")
    assert (len(json.loads(second)["lost"]), json.loads(second)["tags"]) == (PAGE_TAGS, [])
    assert [row[0] for row in json.loads(third)["lost"]] == [tags - 1]
    later_us = NOW_US + 2 * LOST_SHOWN_S * 1_000_000
    assert [message for _, message in inventory.due(100, later_us, "hub")][1:] == [b"", b""]


def test_pages_that_end_the_connection_become_smaller() -> None:
    inventory = Inventory(TOPIC, "site", "hub", 10, 0)
    inventory.take(rows_of(heard(tag_id, 1, 0) for tag_id in range(100)))
    for _ in range(4):
        inventory.given_up(f"{TOPIC}/2")
    inventory.given_up("tags/v1/site/hub/status")
    messages = inventory.due(0, NOW_US, "hub")
    assert [len(json.loads(message)["tags"]) for _, message in messages] == [31, 31, 31, 7]


def test_who_comes_or_is_lost_is_told_within_half_a_minute_and_the_rest_when_it_is_due() -> None:
    inventory = Inventory(TOPIC, "site", "hub", 3600, 0)
    assert len(inventory.due(0, NOW_US, "hub")) == 1
    inventory.take(rows(heard(7, 1, 0)))
    assert inventory.due(MOVES_SPACING_S - 1, NOW_US, "hub") == []
    assert len(inventory.due(MOVES_SPACING_S, NOW_US, "hub")) == 1
    assert inventory.due(3600, NOW_US + 600_000_000, "hub") == []
    assert len(inventory.due(3600 + MOVES_SPACING_S, NOW_US + 600_000_000, "hub")) == 1
    inventory.connected()
    assert len(inventory.due(3600 + MOVES_SPACING_S, NOW_US + 600_000_000, "hub")) == 1


def test_hub_that_has_just_started_says_that_it_may_miss_somebody() -> None:
    inventory = Inventory(TOPIC, "site", "hub", 10, 0)
    assert json.loads(inventory.due(10, NOW_US, "hub")[0][1])["complete"] is False
    assert json.loads(inventory.due(LOST_UNKNOWN_S, NOW_US, "hub")[0][1])["complete"] is True


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(-100, -20), st.floats(0, 400)), max_size=20), max_size=15
    )
)
def test_chunks_of_any_size_tell_the_same_as_one_sample_after_the_other(
    chunks: list[list[tuple[int, int, float]]],
) -> None:
    """Of who is here, since when and until when; loudness and interval differ by how samples were smoothed."""
    whole, single = Presence(), Presence()
    counters = dict.fromkeys(range(6), 0)
    now_s = 0.0
    for chunk in chunks:
        samples = []
        for tag_id, rssi_dbm, passed_s in chunk:
            now_s += passed_s
            counters[tag_id] += 1
            samples.append(heard(tag_id, counters[tag_id], now_s, rssi_dbm))
        whole.take(rows_of(samples))
        for sample in samples:
            single.take(rows(sample))
        assert sorted(shown(whole)) == sorted(shown(single))
        for tag_id, tag in shown(whole).items():
            for name in ("since", "last", "counter"):
                assert tag[name] == shown(single)[tag_id][name]
            assert -100 <= tag["rssi_dbm"] <= -20
            assert (tag["interval_s"] or 0) >= 0


def test_empty_chunk_changes_nothing() -> None:
    presence = Presence()
    presence.take(rows_of([]))
    presence.look(NOW_US)
    assert presence.here == 0
    assert np.array_equal(presence.moves, [])


def test_hub_publishes_its_inventory_and_keeps_it(tmp_path: Any, free_port: Any) -> None:
    port = free_port()
    tags = [Tag(1), Tag(2)]
    hub = HubProcess(tmp_path, [tag.entry() for tag in tags], f"[broker]\nport = {port}\n")
    interval = "status_interval_s = 1\npresence_interval_s = 1"
    hub.settings.write_text(hub.settings.read_text("utf-8").replace("status_interval_s = 1", interval), "utf-8")
    topic = "tags/v1/test/hub-1/presence"
    with hub, Subscriber(port) as subscriber:
        hub.advertise(tags[0].advertisement(5), tags[0].advertisement(5), tags[1].advertisement(9))
        wait_until(lambda: subscriber.presence.get(topic, {}).get("here") == 2, "both are here")
        with Subscriber(port) as later:
            wait_until(lambda: topic in later.presence, "it is retained")
        document = subscriber.presence[topic]
        shown = [dict(zip(document["columns"], row, strict=True)) for row in document["tags"]]
        assert [(tag["tag"], tag["counter"], tag["rssi_dbm"]) for tag in shown] == [(1, 5, -60), (2, 9, -60)]
        assert (document["site"], document["hub"], document["complete"]) == ("test", "hub-1", False)
