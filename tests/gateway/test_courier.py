"""The courier with a real hub and spool: what was not heard comes once, survives restarts, and is settled."""

import base64
import json
from pathlib import Path
from typing import Any

from courier_desk import Desk, FastClock, at_desk
from tag_journal import JournalTag
from tags import NOW_S
from waiting import until

from tagwire.fields import TIME_GNSS, TIME_HUB, TIME_UNKNOWN
from tagwire.messages import STATUS_BUSY, STATUS_OK


def keys(tag: JournalTag, *spans: tuple[int, int]) -> list[tuple[int, int]]:
    return [(tag.tag_id, counter) for first, last in spans for counter in range(first, last + 1)]


def test_gaps_are_fetched_once_and_settled_at_the_next_visit() -> None:
    tag = JournalTag(7, newest=30)

    async def scenario(desk: Desk) -> None:
        desk.hear_only(tag, 10, 12, 20)
        desk.hear(tag)
        await until(lambda: len(desk.broker.history) == 17)
        assert desk.broker.history == keys(tag, (11, 11), (13, 19), (21, 29))
        assert sorted(desk.broker.published()) == keys(tag, (10, 30))
        await until(lambda: desk.courier.figures["owed"] == 21)
        tag.newest_counter = 31
        desk.clock.passed_s += 60
        desk.hear(tag)
        await until(lambda: tag.settled >= set(range(10, 31)))
        await until(lambda: desk.courier.counts["told"] >= 21)
        assert tag.asked == [11, *range(13, 20), *range(21, 30)]

    at_desk(scenario, [tag], adopt_hours=0)


def test_beacon_and_history_of_one_sample_are_one_sample() -> None:
    """What is fetched moves no replay state: beacons above the last one are still taken, what lies below is not."""
    tag = JournalTag(7, newest=30)

    async def scenario(desk: Desk) -> None:
        desk.hear_only(tag, 10)
        desk.hear(tag, 20)  # its newest sample is 30, and may still be heard
        await until(lambda: len(desk.broker.history) == 9)
        desk.hear_only(tag, 15, 19, 20, 21)
        await until(lambda: (7, 21) in desk.broker.published())
        assert sorted(desk.broker.published()) == keys(tag, (10, 21))

    at_desk(scenario, [tag], adopt_hours=0)


def test_history_of_a_day_before_the_first_sample_is_adopted_once(tmp_path: Path) -> None:
    tag = JournalTag(7, newest=1000)
    path = tmp_path / "spool.db"

    async def first(desk: Desk) -> None:
        desk.hear(tag)
        await until(lambda: len(desk.broker.history) == 288)
        assert sorted(desk.broker.published()) == keys(tag, (712, 1000))

    async def second(desk: Desk) -> None:
        tag.newest_counter = 1002
        desk.hear(tag)
        await until(lambda: len(desk.broker.history) == 1)
        assert desk.broker.history == keys(tag, (1001, 1001))

    at_desk(first, [tag], path=path)
    at_desk(second, [tag], path=path)
    assert len(tag.asked) == len(set(tag.asked)) == 289


def test_what_is_committed_is_not_fetched_again_after_a_restart_and_what_is_owed_is_told(tmp_path: Path) -> None:
    tag = JournalTag(7, newest=500)
    path = tmp_path / "spool.db"

    async def broken(desk: Desk) -> None:
        desk.hear_only(tag, 0)
        desk.hear(tag)
        await until(lambda: len(desk.broker.history) > 0)

    async def whole(desk: Desk) -> None:
        desk.hear(tag)
        await until(lambda: len(tag.settled) > 0)
        await until(lambda: not desk.missing(tag))

    at_desk(broken, [tag], path=path, adopt_hours=0)
    tag.newest_counter = 501
    at_desk(whole, [tag], path=path, adopt_hours=0)
    assert sorted(tag.asked) == list(range(1, 500))


def test_hub_that_misses_nothing_visits_to_settle_and_one_whose_broker_is_away_not_at_all() -> None:
    tag = JournalTag(7, newest=20)

    async def scenario(desk: Desk) -> None:
        desk.broker.away = True
        desk.hear_only(tag, *range(20))
        desk.hear(tag)
        await until(lambda: len(desk.broker.published()) == 21)
        assert desk.connects == []
        desk.broker.away = False
        for batch in desk.broker.batches:
            desk.hub.batch_acknowledged(batch.sequence)
        desk.hear(tag)
        await until(lambda: tag.settled == set(range(21)))
        assert (tag.asked, desk.courier.figures["owed"]) == ([], 0)

    at_desk(scenario, [tag], adopt_hours=0)


def test_tag_is_given_the_time_and_a_hub_without_one_takes_it_from_the_tag() -> None:
    tag = JournalTag(7, newest=20)

    async def with_time(desk: Desk) -> None:
        desk.hear_only(tag, 10)
        desk.hear(tag)
        await desk.visited(1)
        ((unix_s, quality),) = tag.times
        assert 0 <= unix_s - NOW_S < 60
        assert quality == TIME_HUB

    async def without(desk: Desk) -> None:
        desk.hear_only(tag, *range(20))
        desk.hear(tag)
        await until(lambda: len(desk.clock.offers) > 0)
        (unix_s, quality) = desk.clock.offers[0]
        assert 0 <= unix_s - NOW_S < 60
        assert quality == TIME_GNSS
        assert desk.broker.history == []  # the sample that told the time had been heard
        assert tag.times == []

    at_desk(with_time, [tag], adopt_hours=0)
    tag.times.clear()
    at_desk(without, [tag], adopt_hours=0, clock=FastClock(quality=TIME_UNKNOWN))


def replies(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(reply) for reply in desk.broker.replies]


def test_command_is_carried_and_its_answer_published() -> None:
    tag = JournalTag(7, newest=3)
    envelope = b"\x01" + (0x01000005).to_bytes(4, "little") + bytes(30)
    order = json.dumps({"tag": 7, "envelope": base64.b64encode(envelope).decode()}).encode()

    async def scenario(desk: Desk) -> None:
        desk.hear_only(tag, 0, 1, 2)
        desk.hub.order_arrived(order)
        desk.hub.order_arrived(order)  # MQTT delivers at least once
        tag.command_status = STATUS_BUSY
        desk.hear(tag)
        await desk.visited(1)
        assert replies(desk) == []
        tag.command_status = STATUS_OK
        desk.hear(tag)
        await until(lambda: len(replies(desk)) == 1)
        reply = base64.b64encode(b"sealed reply").decode()
        assert replies(desk) == [{"tag": 7, "number": 0x01000005, "status": "ok", "reply": reply}]
        assert tag.commands == [envelope] * 2

    at_desk(scenario, [tag], adopt_hours=0)


def test_orders_that_cannot_be_carried_are_answered() -> None:
    tag = JournalTag(7, newest=3)

    async def scenario(desk: Desk) -> None:
        for order in (
            b"\xff",
            b"[]",
            b"{}",
            json.dumps({"tag": 7, "envelope": "no base64!"}).encode(),
            json.dumps({"tag": 8, "envelope": base64.b64encode(bytes(30)).decode()}).encode(),
            json.dumps({"request": "history", "tag": 7, "first": 5, "last": 4}).encode(),
            json.dumps({"request": "history", "tag": 8, "first": 4, "last": 5}).encode(),
            b'{"request": "history", "tag": 8, "tag": 7, "first": 4, "last": 5}',
        ):
            desk.hub.order_arrived(order)
        for number in range(9):
            envelope = base64.b64encode(b"\x01" + number.to_bytes(4, "little") + bytes(20)).decode()
            desk.hub.order_arrived(json.dumps({"tag": 7, "envelope": envelope}).encode())
        await until(lambda: len(replies(desk)) == 9)
        assert [reply["status"] for reply in replies(desk)] == [
            *["malformed"] * 4,
            "no_tag",
            "malformed",
            "no_tag",
            "malformed",
            "full",
        ]

    at_desk(scenario, [tag], adopt_hours=0)


def test_older_history_is_fetched_on_request() -> None:
    tag = JournalTag(7, newest=100)
    tag.gone = set(range(10))

    async def scenario(desk: Desk) -> None:
        desk.hear_only(tag, 99)
        desk.hub.order_arrived(json.dumps({"request": "history", "tag": 7, "first": 5, "last": 20}).encode())
        desk.hear(tag)
        await until(lambda: len(replies(desk)) == 1)
        assert replies(desk) == [{"request": "history", "tag": 7, "first": 5, "last": 20, "status": "ok"}]
        await until(lambda: desk.broker.history == keys(tag, (10, 20)))
        assert desk.missing(tag) == []

    at_desk(scenario, [tag], adopt_hours=0)


def test_full_spool_pauses_fetching_and_settling_goes_on() -> None:
    tag = JournalTag(7, newest=40)

    async def scenario(desk: Desk) -> None:
        desk.courier._spool_bytes_max = -1
        desk.broker.away = True
        desk.hear_only(tag, 5, 10)
        await until(lambda: len(desk.broker.published()) == 2)
        desk.hub.batch_acknowledged(desk.broker.batches[0].sequence)
        desk.hear(tag)
        await until(lambda: tag.settled == {5, 10})
        assert desk.courier.figures["paused"] == "spool_full"
        assert tag.asked == []

    at_desk(scenario, [tag], adopt_hours=0)


def test_tag_without_a_key_for_sessions_is_not_called() -> None:
    tag, other = JournalTag(7, newest=40), JournalTag(8, newest=40)

    async def scenario(desk: Desk) -> None:
        desk.hub.replace_keyring({7: tag.entry(), 8: other.with_hub()})
        for each in (tag, other):
            desk.hear_only(each, 5)
            desk.hear(each)
        await until(lambda: len(desk.broker.history) == 34)
        assert {tag_id for tag_id, _ in desk.broker.history} == {8}
        expired = other.with_hub()
        assert expired.hub is not None
        expired = expired._replace(hub=expired.hub._replace(epoch=NOW_S // 86400 - 1))
        desk.hub.replace_keyring({8: expired})
        assert not desk.courier.may_visit(8)

    at_desk(scenario, [tag, other], adopt_hours=0)
