"""A hub with a spool, a real mosquitto behind it, and everything that happens to both: nothing accepted is lost."""

import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_process import HubProcess, Subscriber
from load import Load, account, days_of_air
from mosquitto import Mosquitto
from tags import NOW_S, Tag
from waiting import wait_until

from tagwire import trace
from tagwire.alarm import REASON_SHOCK
from tagwire.beacon import COMPANY_ID_TEST, advertisement
from tagwire.keyring import write_keyring

pytestmark = pytest.mark.system

TAGS = [Tag(tag_id) for tag_id in range(1, 11)]
SPOOL = '[spool]\npath = "spool.db"\n'


class Bench:
    """One broker, one subscriber that is always there, and a hub that is started again and again."""

    def __init__(self, folder: Path, port: int, broker: Mosquitto, subscriber: Subscriber) -> None:
        self.folder = folder
        self.port = port
        self.broker = broker
        self.subscriber = subscriber
        self.load = Load(TAGS)

    def hub(self, extra: str = "", spool: str = SPOOL, mqtt: str = "") -> HubProcess:
        address = f'[mqtt]\nhost = "127.0.0.1"\nport = {self.port}\nwait_for_broker = true\nkeepalive_s = 2\n{mqtt}'
        return HubProcess(self.folder, [tag.entry() for tag in TAGS], address + spool + extra)

    def accepted(self, hub: HubProcess) -> set[tuple[int, int]]:
        return set(hub.traced(trace.ACCEPTED))

    def finish(self, hub: HubProcess) -> None:
        """Let a running hub deliver everything and end; then the account."""
        hub.wait_listening()
        wait_until(lambda: self.accepted(hub) <= set(self.subscriber.keys), "everything accepted is delivered")
        assert hub.end() == 0
        account(hub, self.subscriber, self.load)


@pytest.fixture
def bench(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str]) -> Iterator[Bench]:
    port = free_port()
    broker = Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port)
    with broker, Subscriber(port, "consumer") as subscriber:
        yield Bench(tmp_path, port, broker, subscriber)


def kill_again_and_again(bench: Bench, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    hub = bench.hub()
    for _ in range(rounds):
        with hub.start(), bench.load.on(hub):
            hub.wait_listening()
            time.sleep(dice.uniform(0.0, 0.6))
            hub.end(signal.SIGKILL)
        (bench.folder / "air").unlink(missing_ok=True)
    with hub.start():
        bench.finish(hub)
    assert len(bench.subscriber.keys) > 10 * rounds


def test_kill_9_at_random_moments_under_load_loses_nothing(bench: Bench) -> None:
    kill_again_and_again(bench, 10, 1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_kill_9_a_hundred_times(bench: Bench, seed: int) -> None:
    kill_again_and_again(bench, 10, 1000 + seed)


def test_what_was_not_delivered_before_a_kill_is_delivered_after_it(bench: Bench) -> None:
    bench.broker.end()
    hub = bench.hub()
    with hub.start(), bench.load.on(hub):
        wait_until(lambda: len(bench.accepted(hub)) > 500, "accepted without a broker")
        hub.end(signal.SIGKILL)
    (bench.folder / "air").unlink()
    assert bench.subscriber.keys == []
    bench.broker.start()
    with hub.start():
        bench.finish(hub)


def test_event_of_a_killed_hub_comes_after_it_under_the_same_id(bench: Bench) -> None:
    bench.broker.end()
    hub = bench.hub()
    alarm = advertisement(COMPANY_ID_TEST, TAGS[0].beacon(5, reason=REASON_SHOCK))
    with hub.start():
        hub.advertise(alarm)
        wait_until(lambda: bench.accepted(hub) == {(1, 5)}, "accepted without a broker")
        hub.end(signal.SIGKILL)
    (bench.folder / "air").unlink()
    bench.broker.start()
    with hub.start():
        hub.advertise(alarm)  # still on the air; a replay by now
        wait_until(lambda: len(bench.subscriber.events) > 0 and bench.subscriber.keys == [(1, 5)], "both have come")
        assert {event["id"] for event in bench.subscriber.events} == {"1-5-shock"}
        assert hub.end() == 0


def test_replays_after_a_restart_are_still_replays(bench: Bench) -> None:
    hub = bench.hub()
    advertisements = [TAGS[0].advertisement(counter) for counter in range(1, 6)]
    with hub.start():
        hub.advertise(*advertisements)
        wait_until(lambda: len(bench.accepted(hub)) == 5, "accepted")
        hub.end(signal.SIGKILL)
    (bench.folder / "air").unlink()
    with hub.start():
        hub.advertise(*advertisements, TAGS[0].advertisement(6))
        wait_until(lambda: len(bench.accepted(hub)) == 6, "the next one")
        wait_until(lambda: bench.subscriber.keys[-1:] == [(1, 6)], "delivered")
        assert hub.end() == 0
    assert sorted(hub.traced(trace.ACCEPTED)) == [(1, counter) for counter in range(1, 7)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_broker_that_is_stopped_or_killed_and_comes_back_costs_nothing(bench: Bench, number: signal.Signals) -> None:
    hub = bench.hub()
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: len(bench.subscriber.keys) > 100, "it flows")
            bench.broker.end(number)
            before = len(bench.accepted(hub))
            wait_until(lambda: len(bench.accepted(hub)) > before + 500, "the hub goes on without it")
            bench.broker.start()
            delivered = len(bench.subscriber.keys)
            wait_until(lambda: len(bench.subscriber.keys) > delivered, "it flows again")
        bench.finish(hub)


def test_broker_that_hangs_costs_nothing(bench: Bench) -> None:
    hub = bench.hub()
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: len(bench.subscriber.keys) > 100, "it flows")
            bench.broker.stop_answering()
            wait_until(lambda: "connection to the broker lost" in hub.log, "the hub notices")
            bench.broker.answer_again()
            delivered = len(bench.subscriber.keys)
            wait_until(lambda: len(bench.subscriber.keys) > delivered, "it flows again")
        bench.finish(hub)


def test_hub_without_room_on_its_disk_goes_on_and_promises_nothing(bench: Bench) -> None:
    hub = bench.hub()
    hub.file_bytes_max = 400_000  # no file of the hub may be larger: a disk that is full for it
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: "the spool cannot be written" in hub.log, "the disk is full")
            accepted, delivered = len(bench.accepted(hub)), len(bench.subscriber.keys)
            wait_until(lambda: len(bench.subscriber.keys) > delivered + 500, "samples are delivered from memory")
        wait_until(lambda: bench.subscriber.statuses[-1]["spool"]["failures"] > 0, "the status tells it")
        assert accepted < len(bench.subscriber.keys)
        hub.end(signal.SIGKILL)
    (bench.folder / "air").unlink()
    hub.file_bytes_max = resource.RLIM_INFINITY
    with hub.start():
        bench.finish(hub)


@pytest.mark.parametrize("damage", ["deleted", "truncated", "flipped", "nonsense"])
def test_damaged_spool_is_replaced_at_the_start_and_the_hub_goes_on(bench: Bench, damage: str) -> None:
    bench.broker.end()
    hub = bench.hub()
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: len(bench.accepted(hub)) > 300, "accepted")
        assert hub.end() == 0
    spool = bench.folder / "spool.db"
    data = bytearray(spool.read_bytes())
    dice = random.Random(5)
    if damage == "deleted":
        spool.unlink()
    elif damage == "truncated":
        spool.write_bytes(data[: len(data) // 2])
    elif damage == "nonsense":
        spool.write_bytes(dice.randbytes(len(data)))
    else:
        for _ in range(200):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        spool.write_bytes(data)
    bench.broker.start()
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: len(bench.subscriber.keys) > 300, "it flows")
        assert hub.end() == 0
    if damage in ("nonsense", "truncated"):
        assert "the spool file was damaged" in hub.log
        assert list(bench.folder.glob("spool.db.damaged-*"))
    assert "Traceback" not in hub.log
    assert set(bench.subscriber.keys) <= bench.load.sent


def test_spool_that_is_deleted_while_in_use_loses_nothing(bench: Bench) -> None:
    hub = bench.hub()
    with hub.start():
        with bench.load.on(hub):
            wait_until(lambda: len(bench.subscriber.keys) > 100, "it flows")
            for part in bench.folder.glob("spool.db*"):
                part.unlink()
            wait_until(lambda: "the spool file was damaged" in hub.log, "noticed")
            delivered = len(bench.subscriber.keys)
            wait_until(lambda: len(bench.subscriber.keys) > delivered + 100, "it flows on")
        bench.finish(hub)


def test_72_hours_without_a_broker_and_then_everything_with_its_time(bench: Bench) -> None:
    bench.broker.end()
    tags, hours = 20, 72
    hub = bench.hub('[clock]\nsource = "air"\n')
    hub.settings.write_text(hub.settings.read_text("utf-8").replace("max_age_s = 0.2", "max_age_s = 300"), "utf-8")
    write_keyring(bench.folder / "keyring.jsonl", [Tag(tag_id).entry() for tag_id in range(1, tags + 1)])
    everything = {(tag_id, counter) for tag_id in range(1, tags + 1) for counter in range(hours * 12)}
    with hub.start():
        with hub.air() as air:
            for piece in days_of_air(hours, tags):
                air.sendall(piece)
            wait_until(lambda: len(bench.accepted(hub)) == len(everything), "accepted")
        bench.broker.start()
        # In air time nothing comes of age after the last record: one read of the hub (64 KiB) may wait for its end.
        wait_until(lambda: len(bench.subscriber.keys) > len(everything) - 64 * 1024 // 48 - 5 * tags, "delivered")
        assert hub.end() == 0  # with the batch that was open
    wait_until(lambda: len(bench.subscriber.keys) >= len(everything), "what the hub has published at its end")
    assert set(bench.subscriber.keys) == everything
    for sample in bench.subscriber.samples:
        assert sample.reading.time_s == (NOW_S + 300 * sample.counter) // 4 * 4
        assert sample.heard_s == NOW_S + 300 * sample.counter


@pytest.mark.soak
def test_a_week_with_an_outage_every_day_takes_no_memory(bench: Bench) -> None:
    """100 tags, a sample every five minutes, in air time; the broker is away for six hours a day."""
    tags, days = 100, 7
    hub = bench.hub('[clock]\nsource = "air"\n')
    hub.settings.write_text(hub.settings.read_text("utf-8").replace("max_age_s = 0.2", "max_age_s = 60"), "utf-8")
    write_keyring(bench.folder / "keyring.jsonl", [Tag(tag_id).entry() for tag_id in range(1, tags + 1)])
    sizes = []
    with hub.start():
        with hub.air() as air:
            for day in range(days):
                for first, hours, with_broker in ((0, 18, True), (18, 6, False)):
                    if not with_broker:
                        bench.broker.end()
                    for piece in days_of_air(hours, tags, first_hour=24 * day + first):
                        air.sendall(piece)
                    accepted = tags * 12 * (24 * day + first + hours)
                    wait_until(lambda: hub.count(trace.ACCEPTED) >= accepted, "accepted")  # noqa: B023
                bench.broker.start()
                # In air time nothing comes of age after the last record: eight chunks of it may wait for the next day.
                wait_until(lambda: bench.subscriber.distinct >= accepted - 9_000, "delivered")  # noqa: B023
                sizes.append(hub.rss_mb())
        assert hub.end() == 0
    with hub.start():  # with what the end had no time for, where the machine is busy
        wait_until(lambda: bench.subscriber.distinct == tags * days * 288, "delivered")
    print("resident after each day, MB:", [round(size, 1) for size in sizes])
    assert sizes[-1] - sizes[0] < 10
