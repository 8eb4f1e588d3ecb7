"""The uplink against brokers that refuse, limit, and vanish at the worst moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from scripted_broker import Publish, ScriptedBroker
from waiting import until

from taghub.closed_batch import LANE_BACKLOG, LANE_EVENT, LANE_LIVE, ClosedBatch
from taghub.errors import SettingsError
from taghub.settings import MqttSettings
from taghub.topics import topics
from taghub.uplink import Uplink
from tagwire.batch import CONTENT_TYPE

TOPICS = topics("test", "hub-1")
MAXIMUM_PACKET_1000 = b"\x00\x00\x05\x27\x00\x00\x03\xe8"
TOPIC_ALIAS_MAXIMUM_2 = b"\x00\x00\x03\x22\x00\x02"
RECEIVE_MAXIMUM_1 = b"\x00\x00\x03\x21\x00\x01"


class News:
    """What the uplink has told, in order."""

    def __init__(self) -> None:
        self.news: list[tuple[str, int | str]] = []

    def uplink_connected(self) -> None:
        self.news.append(("connected", ""))

    def uplink_refused(self, reason: str) -> None:
        self.news.append(("refused", reason))

    def uplink_lost(self, reason: str) -> None:
        self.news.append(("lost", reason))

    def batches_returned(self, sequences: list[int], blamed: bool) -> None:
        self.news.append(("blamed" if blamed else "returned", str(sequences)))

    def retained_given_up(self, topic: str) -> None:
        self.news.append(("given up", topic))

    def order_arrived(self, payload: bytes) -> None:
        self.news.append(("order", payload.decode()))

    def status_acknowledged(self) -> None:
        self.news.append(("status", ""))

    def batch_acknowledged(self, sequence: int) -> None:
        self.news.append(("acknowledged", sequence))

    def batch_refused(self, sequence: int, code: int, reason: str) -> None:
        self.news.append(("batch refused", f"{sequence} {code:#x} {reason}"))


def batch(sequence: int) -> ClosedBatch:
    return ClosedBatch(sequence, LANE_LIVE, 0, 1, b"batch %d" % sequence)


def samples_of(broker: ScriptedBroker) -> list[Publish]:
    return [publish for publish in broker.publishes if publish.topic == TOPICS.samples]


@contextlib.asynccontextmanager
async def connected(broker: ScriptedBroker, news: News, **options: object) -> AsyncIterator[Uplink]:
    settings = MqttSettings.model_validate({"host": "127.0.0.1", "port": broker.port, **options})
    uplink = Uplink(settings, "hub-1", TOPICS, b"will", news)
    uplink.start()
    try:
        await until(lambda: uplink.connected)
        yield uplink
    finally:
        await uplink.stop()


def run(
    scenario: Callable[[ScriptedBroker, News], object],
    answer: Callable[[Publish], int | bytes | None] = lambda publish: 0,
    connack: bytes = b"\x00\x00\x00",
) -> None:
    async def main() -> None:
        async with ScriptedBroker(answer, connack) as broker:
            await scenario(broker, News())  # type: ignore[misc]

    asyncio.run(main())


def test_refused_batch_is_told_with_its_reason_and_others_pass() -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            uplink.publish(batch(2))
            await until(lambda: len(news.news) == 3)
            assert news.news[1:] == [("batch refused", "1 0x97 Quota exceeded"), ("acknowledged", 2)]
            assert uplink.has_room

    run(scenario, lambda publish: 0x97 if publish.payload == b"batch 1" else 0)


def test_no_subscribers_is_no_refusal() -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            await until(lambda: ("acknowledged", 1) in news.news)

    run(scenario, lambda publish: 0x10)


def test_window_is_the_settings_and_leaves_room_for_a_status() -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news, inflight=2) as uplink:
            uplink.publish(batch(1))
            assert uplink.has_room
            uplink.publish(batch(2))
            assert not uplink.has_room
            uplink.publish_status(b"{}")
            await until(lambda: len(broker.publishes) == 3)

    run(scenario, lambda publish: None)


def test_window_is_never_above_the_brokers_receive_maximum() -> None:
    deaf = True

    async def scenario(broker: ScriptedBroker, news: News) -> None:
        nonlocal deaf
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            assert not uplink.has_room
            uplink.publish_status(b"{}")
            await until(lambda: len(broker.publishes) == 1)
            deaf = False
            broker.drop()
            await uplink.wait_idle()
        assert [publish.topic for publish in broker.publishes] == [TOPICS.samples, TOPICS.samples, TOPICS.status]

    run(scenario, lambda publish: None if deaf else 0, RECEIVE_MAXIMUM_1)


def test_of_statuses_that_wait_the_last_one_goes() -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            for status in (b"1", b"2", b"3"):
                uplink.publish_status(status)
            await uplink.wait_idle()
        assert [publish.payload for publish in broker.publishes] == [b"1", b"3"]

    run(scenario)


def test_what_is_not_acknowledged_is_sent_again_once_with_its_packet_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)
    deaf = True

    async def scenario(broker: ScriptedBroker, news: News) -> None:
        nonlocal deaf
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            uplink.publish(batch(2))
            await until(lambda: len(broker.publishes) == 2)
            broker.drop()
            await until(lambda: any(word == "lost" for word, _ in news.news))
            assert not uplink.has_room
            deaf = False
            await until(lambda: ("acknowledged", 1) in news.news and ("acknowledged", 2) in news.news)
        first, again = samples_of(broker)[:2], samples_of(broker)[2:]
        assert again == [publish._replace(dup=True) for publish in first]
        assert [word for word, _ in news.news].count("acknowledged") == 2

    run(scenario, lambda publish: None if deaf else 0)


def test_client_id_that_another_client_takes_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)
    answers: list[int | bytes] = [b"\xe0\x02\x8e\x00"]  # DISCONNECT, session taken over

    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            await until(lambda: ("acknowledged", 1) in news.news)
        lost = [str(reason) for word, reason in news.news if word == "lost"]
        assert [reason.partition(";")[2] for reason in lost] == [" give each hub its own hub.id or mqtt.client_id"]

    run(scenario, lambda publish: answers.pop() if answers else 0)


def test_broker_that_refuses_the_connection_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)

    async def scenario(broker: ScriptedBroker, news: News) -> None:
        settings = MqttSettings.model_validate({"host": "127.0.0.1", "port": broker.port})
        uplink = Uplink(settings, "hub-1", TOPICS, b"will", news)
        uplink.start()
        await until(lambda: len(news.news) >= 2)
        assert set(news.news) == {("refused", "the broker refuses this hub: Not authorized")}
        await uplink.stop()

    run(scenario, connack=b"\x00\x87\x00")


def test_files_that_cannot_be_used_are_settings_errors(tmp_path: Path) -> None:
    async def make(**settings: object) -> None:
        mqtt = MqttSettings.model_validate({"host": "127.0.0.1", **settings})
        Uplink(mqtt, "hub-1", TOPICS, b"will", News())

    (tmp_path / "nonsense.pem").write_text("nonsense")
    with pytest.raises(SettingsError, match=r"mqtt\.password_file: cannot be read"):
        asyncio.run(make(username="u", password_file=tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"mqtt\.tls: a certificate or key cannot be used"):
        asyncio.run(make(tls={"ca_file": tmp_path / "nonsense.pem"}))
    with pytest.raises(SettingsError, match=r"mqtt\.tls: a certificate or key cannot be used"):
        asyncio.run(make(tls={"ca_file": tmp_path / "nowhere.pem"}))


def test_connection_that_ends_again_and_again_gets_one_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)
    broker: ScriptedBroker

    def answer(publish: Publish) -> int | None:
        if publish.payload == b"batch 2":
            broker.drop()
            return None
        return None if publish.payload == b"batch 1" and not broker.calm else 0

    async def scenario(made: ScriptedBroker, news: News) -> None:
        nonlocal broker
        broker = made
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            uplink.publish(batch(2))
            await until(lambda: ("returned", "[1, 2]") in news.news)
            assert not uplink.has_room
            broker.calm = True
            await until(lambda: uplink.has_room)
            uplink.publish(batch(2))
            assert not uplink.has_room
            await until(lambda: ("blamed", "[2]") in news.news)
            await until(lambda: uplink.has_room)
            uplink.publish(batch(1))
            await until(lambda: ("acknowledged", 1) in news.news)
            uplink.publish(batch(3))
            assert uplink.has_room

    run(scenario, answer)


def test_topics_go_once_a_connection_and_then_as_numbers() -> None:
    def answer(publish: Publish) -> int | None:
        return None if publish.payload == b"batch 3" else 0

    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            uplink.publish(batch(1))
            uplink.publish(batch(2))
            uplink.publish(batch(3)._replace(lane=LANE_BACKLOG))
            uplink.publish(batch(4)._replace(lane=LANE_EVENT))  # a third topic, and the broker takes two numbers
            await until(lambda: len(broker.publishes) == 4)
            topics_sent = [publish.topic for publish in broker.publishes]
            assert topics_sent == [TOPICS.samples, "", TOPICS.backlog, TOPICS.events]
            broker.drop()
            await until(lambda: len(broker.publishes) == 5)  # again, where no number means anything
            assert (broker.publishes[4].topic, broker.publishes[4].dup) == (TOPICS.backlog, True)
            uplink.publish(batch(5)._replace(lane=LANE_BACKLOG))
            await until(lambda: len(broker.publishes) == 6)
            assert broker.publishes[5].topic == ""

    run(scenario, answer, TOPIC_ALIAS_MAXIMUM_2)


@pytest.mark.parametrize("describe", [True, False])
def test_batches_are_described_unless_every_byte_counts(describe: bool) -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news, describe=describe, expiry_s=0) as uplink:
            uplink.publish(batch(77))
            await until(lambda: len(broker.publishes) == 1)
        properties = broker.publishes[0].properties
        assert (properties == b"") == (not describe)
        assert (CONTENT_TYPE.encode() in properties) == (b"sequence\x00\x0277" in properties) == describe

    run(scenario)


def test_version_3_1_1_publishes_without_properties() -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news, protocol="3.1.1") as uplink:
            uplink.publish(batch(1))
            await until(lambda: ("acknowledged", 1) in news.news)
            uplink.publish_status(b"{}")
            await uplink.wait_idle()
        assert [publish.payload for publish in broker.publishes] == [b"batch 1", b"{}"]

    run(scenario, connack=b"\x00\x00")


def test_client_thread_that_dies_is_replaced_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)

    async def scenario() -> None:
        news = News()
        settings = MqttSettings.model_validate({"host": "127.0.0.1"}).model_copy(update={"host": "a..b"})
        uplink = Uplink(settings, "hub-1", TOPICS, b"will", news)
        uplink.start()
        await until(lambda: len(news.news) >= 4)
        await uplink.stop()
        assert all("UnicodeError" in str(detail) for word, detail in news.news if word == "refused")
        assert {word for word, _ in news.news} == {"refused", "returned"}

    asyncio.run(scenario())


def test_status_that_the_broker_would_not_take_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(broker: ScriptedBroker, news: News) -> None:
        async with connected(broker, news) as uplink:
            for _ in range(2):
                uplink.publish_status(bytes(600))
                await uplink.wait_idle()
            uplink.publish_status(bytes(400))
            await uplink.wait_idle()
        assert [len(publish.payload) for publish in broker.publishes] == [400]
        assert caplog.text.count("too few for the status of 600") == 1

    run(scenario, connack=MAXIMUM_PACKET_1000)
