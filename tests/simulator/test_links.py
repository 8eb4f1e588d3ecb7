"""Flock tags answer a hub over the air's connection records as the firmware does."""

from collections.abc import Callable

import numpy as np
import pytest

from tagfleet.flock import Flock, Samples
from tagfleet.identity import make_provisions
from tagfleet.journals import Journals, JournalSettings
from tagfleet.links import FlockLinks, LinkSettings
from tagfleet.radio import addresses
from tagfleet.world.world import World, WorldSettings, make_world
from tagwire import air, fields
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE, open_beacon
from tagwire.command import Command, open_reply, platform_key, seal_command
from tagwire.history import Record, codes_of
from tagwire.hubend import Absent, Established, Event, HubEnd, Received, Replied
from tagwire.keys import beacon_key
from tagwire.messages import STATUS_UNKNOWN
from tagwire.ranges import Ranges
from tagwire.seal import aes128
from tagwire.session import EPOCH_FOREVER, HubHandshake, hub_key

START_S = 1_774_000_000.0
INTERVAL_S = 300.0
TAGS = 20
HUB = 0
STEADY = LinkSettings(loss_per_s=0.0)


class Desk:
    """A flock of one room, what it has sent, and a hub's end of connections."""

    def __init__(
        self,
        samples: int,
        journal: JournalSettings | None = None,
        settings: LinkSettings = STEADY,
        alive: Callable[[int, float], bool] = lambda tag, t_s: True,
        seed: int = 5,
    ) -> None:
        self.provisions = make_provisions(seed, 1000, TAGS, generation=2)
        self.world: World = make_world(WorldSettings(seed, TAGS, lost_share=0.0))
        self.journals = Journals(TAGS, journal or JournalSettings())
        self.flock = Flock(self.provisions, self.world, INTERVAL_S, START_S, journals=self.journals)
        self.samples = self.flock.step(START_S + samples * INTERVAL_S)
        self.hub_of_place = np.zeros(self.world.places, np.int64)
        self.links = FlockLinks(self.flock, self.provisions, self.world, self.hub_of_place, settings, alive)
        self.now_us = int((START_S + samples * INTERVAL_S) * 1e6)
        self.decoder = air.Decoder()
        self.frames_out = 0

    def open_window(self, tag: int) -> None:
        """Go on in time until the tag listens."""
        for _ in range(100_000):
            if self.flock.window_is_open(tag, self.now_us / 1e6):
                return
            self.now_us += 2_500_000
            self.flock.step(self.now_us / 1e6)
        pytest.fail("no window")

    def address(self, tag: int) -> bytes:
        return bytes(addresses(self.flock.tag_ids[tag : tag + 1])[0])

    def send(self, kind: int, tag: int, data: bytes = b"", hub: int = HUB) -> None:
        self.links.receive(hub, air.Record(kind, self.now_us, 0, self.address(tag), data), self.now_us)

    def records(self, hub: int = HUB) -> list[air.Record]:
        return self.decoder.feed(self.links.due(self.now_us).get(hub, b""))

    def wait(self, seconds: float, hub: int = HUB) -> list[air.Record]:
        found = []
        for _ in range(int(seconds * 100)):
            self.now_us += 10_000
            found += self.records(hub)
        return found

    def hub_end(self, tag: int, wanted: Ranges, key: bytes | None = None, random: bytes = b"12345678") -> HubEnd:
        provision = self.provisions[tag]
        key = key or hub_key(provision.root_key, 7, EPOCH_FOREVER)
        return HubEnd(HubHandshake(provision.tag_id, key, 7, EPOCH_FOREVER, random), wanted)

    def visit(self, tag: int, end: HubEnd, stop_after: int = 1_000_000) -> list[Event]:
        """Connect and talk until nothing more comes."""
        self.send(air.RECORD_CONNECT, tag)
        events: list[Event] = []
        quiet = 0
        while quiet < 300:
            self.now_us += 10_000
            quiet += 1
            for record in self.records():
                quiet = 0
                if record.type == air.RECORD_DISCONNECTED:
                    return events
                if record.type == air.RECORD_NOTIFY:
                    events += end.receive(record.data)
                    self.frames_out += 1
                    if self.frames_out >= stop_after:
                        return events
                while (frame := end.next_frame()) is not None:
                    self.send(air.RECORD_WRITE, tag, frame)
        self.send(air.RECORD_DISCONNECT, tag)
        self.records()
        return events

    def made(self, tag: int, samples: Samples | None = None) -> dict[int, fields.Codes]:
        """What the tag's beacons said."""
        samples = samples or self.samples
        encrypt = aes128(beacon_key(self.provisions[tag].root_key, 2))
        return {
            int(counter): fields.unpack_body(open_beacon(encrypt, beacon.tobytes(), int(counter)))
            for who, counter, beacon in zip(samples.tags, samples.counters, samples.beacons, strict=True)
            if who == tag
        }


def got(events: list[Event]) -> list[Record]:
    return [record for event in events if isinstance(event, Received) for record in event.records]


def first_of(desk: Desk, tag: int) -> int:
    return int(desk.flock.first_counters[tag])


def test_history_is_bit_by_bit_what_the_beacons_said() -> None:
    desk = Desk(60)
    desk.open_window(3)
    first = first_of(desk, 3)
    end = desk.hub_end(3, [(first, max(desk.made(3)))])
    events = desk.visit(3, end)
    records = got(events)
    assert len(records) > 55
    assert {record.counter: codes_of(record) for record in records} == desk.made(3)
    assert end.missing == []
    assert isinstance(events[0], Established)
    assert events[0].newest == first + desk.flock.made(3) - 1
    times_s = [4 * record.time_4s for record in records if record.time_quality]
    assert times_s == sorted(times_s)
    assert abs(times_s[-1] - desk.now_us / 1e6) < 60 * INTERVAL_S


def test_history_holds_what_faults_made_of_the_readings() -> None:
    desk = Desk(1)

    def alter(tags: np.ndarray, sequences: np.ndarray, t_s: np.ndarray, readings):  # type: ignore[no-untyped-def]
        return readings._replace(battery_mv=np.full(len(tags), 3_000) + sequences % 500)

    flock = Flock(desk.provisions, desk.world, INTERVAL_S, START_S, alter=alter, journals=desk.journals)
    samples = flock.step(START_S + 30 * INTERVAL_S)
    assert {r.counter: codes_of(r) for r in flock.records(4, 0, flock.made(4) - 1)} == desk.made(4, samples)


def test_what_is_asked_for_and_nothing_else_comes() -> None:
    desk = Desk(40)
    desk.open_window(1)
    first = first_of(desk, 1)
    wanted = [(first + 3, first + 5), (first + 20, first + 20), (first + 30, first + 31)]
    records = got(desk.visit(1, desk.hub_end(1, wanted)))
    assert [r.counter - first for r in records] == [3, 4, 5, 20, 30, 31]


def test_journal_that_is_full_has_lost_its_oldest() -> None:
    desk = Desk(60, JournalSettings(samples=25))
    desk.open_window(2)
    first, made = first_of(desk, 2), desk.flock.made(2)
    end = desk.hub_end(2, [(first, first + 59)])
    events = desk.visit(2, end)
    gone = [event for event in events if isinstance(event, Absent)]
    assert [(event.ranges, event.gone) for event in gone] == [([(first, first + made - 26)], True)]
    assert [r.counter - first for r in got(events)] == list(range(made - 25, 60))
    established = events[0]
    assert isinstance(established, Established)
    assert established.unsettled == 25


def test_interrupted_transfer_resumes_where_it_ended() -> None:
    desk = Desk(2000)
    desk.open_window(6)
    first = first_of(desk, 6)
    end = desk.hub_end(6, [(first, first + 1999)])
    some = got(desk.visit(6, end, stop_after=6))
    assert 0 < len(some) < 2000
    desk.send(air.RECORD_DISCONNECT, 6)
    desk.wait(0.1)
    again = desk.hub_end(6, end.missing, random=b"87654321")
    rest = got(desk.visit(6, again))  # in the window that opens anew after a session
    assert sorted(r.counter - first for r in some + rest) == list(range(2000))


def test_settled_samples_are_hinted_at_no_more() -> None:
    desk = Desk(40)
    assert (desk.samples.beacons[desk.samples.counters % (1 << 24) >= 11][:, 0] & HINT_BACKLOG).all()
    assert not (desk.samples.beacons[desk.samples.counters % (1 << 24) < 11][:, 0] & HINT_BACKLOG).any()
    desk.open_window(8)
    first, made = first_of(desk, 8), desk.flock.made(8)
    end = desk.hub_end(8, [])
    end.settle([(first, first + made - 3)])
    events = desk.visit(8, end)
    assert any(isinstance(event, Replied) and event.status == 0 for event in events)
    more = desk.flock.step(desk.now_us / 1e6 + 6 * INTERVAL_S)
    mine, others = more.tags == 8, more.tags != 8
    assert not (more.beacons[mine][:, 0] & (HINT_BACKLOG | HINT_CONNECTABLE)).any()
    assert (more.beacons[others][:, 0] & HINT_BACKLOG).all()
    assert desk.journals.settled(8) == [(0, made - 3)]


def test_tag_listens_only_in_windows_that_its_beacon_shows() -> None:
    desk = Desk(40)
    desk.open_window(0)
    shown = desk.flock.step(desk.now_us / 1e6 + 24 * INTERVAL_S)
    assert 0.1 < (shown.beacons[:, 0] & HINT_CONNECTABLE > 0).mean() < 0.25
    desk = Desk(40)
    desk.open_window(0)
    desk.now_us += 10_000_000  # the window was 3 s
    desk.send(air.RECORD_CONNECT, 0)
    assert [(r.type, r.data) for r in desk.wait(3)] == [(air.RECORD_DISCONNECTED, bytes([air.DISCONNECTED_REFUSED]))]
    young = Desk(5)
    assert not any(young.flock.window_is_open(0, START_S + 5 * INTERVAL_S + s) for s in range(300))


@pytest.mark.parametrize("why", ["elsewhere", "dead", "unknown"])
def test_tag_that_cannot_be_reached_refuses(why: str) -> None:
    desk = Desk(40, alive=lambda tag, t_s: why != "dead")
    desk.open_window(4)
    if why == "elsewhere":
        desk.hub_of_place[:] = 1
    address = b"\xff\xff\xff\xff\x54\xd4" if why == "unknown" else desk.address(4)
    desk.links.receive(HUB, air.Record(air.RECORD_CONNECT, desk.now_us, 0, address, b""), desk.now_us)
    records = desk.wait(3)
    assert [(r.type, air.disconnect_reason(r)) for r in records] == [(air.RECORD_DISCONNECTED, 1)]
    assert desk.links.open == 0


def test_link_is_lost_when_the_tag_goes_out_of_reach() -> None:
    desk = Desk(40)
    desk.open_window(4)
    desk.send(air.RECORD_CONNECT, 4)
    assert [r.type for r in desk.wait(3)] == [air.RECORD_CONNECTED]
    desk.hub_of_place[:] = 1
    assert [(r.type, air.disconnect_reason(r)) for r in desk.wait(3)] == [(air.RECORD_DISCONNECTED, 2)]


def test_links_break_now_and_then() -> None:
    desk = Desk(40, settings=LinkSettings(loss_per_s=0.5))
    ends = []
    for tag in range(8):
        desk.open_window(tag)
        desk.send(air.RECORD_CONNECT, tag)
        ends += [air.disconnect_reason(r) for r in desk.wait(10) if r.type == air.RECORD_DISCONNECTED]
    assert len(ends) == 8
    assert ends.count(air.DISCONNECTED_LOST) > 4


def test_hub_that_stalls_is_sent_away_after_five_seconds() -> None:
    desk = Desk(40)
    desk.open_window(4)
    desk.send(air.RECORD_CONNECT, 4)
    connected, ended = desk.wait(9)
    assert (connected.type, air.frame_bytes(connected)) == (air.RECORD_CONNECTED, 244)
    assert (ended.type, air.disconnect_reason(ended)) == (air.RECORD_DISCONNECTED, air.DISCONNECTED_BY_TAG)
    assert 4.9e6 < ended.t_us - connected.t_us < 5.2e6


def test_hub_with_the_wrong_key_learns_nothing_and_is_sent_away() -> None:
    desk = Desk(40)
    desk.open_window(4)
    first = first_of(desk, 4)
    events = desk.visit(4, desk.hub_end(4, [(first, first + 39)], key=bytes(16)))
    assert events == []
    assert desk.links.frames_refused == {"forged": 1}


def test_garbage_is_refused_by_reason_until_it_is_too_much() -> None:
    desk = Desk(40)
    desk.open_window(4)
    desk.send(air.RECORD_CONNECT, 4)
    desk.wait(2.1)
    end = desk.hub_end(4, [])
    for frame in (b"", b"\xff" * 20, bytes(300)[:255], b"\x0d" + bytes(60)):
        desk.send(air.RECORD_WRITE, 4, frame)
    hello = end.next_frame()
    assert hello is not None
    for _ in range(5):
        desk.send(air.RECORD_WRITE, 4, hello)
    ended = desk.wait(1)[-1]
    assert (ended.type, air.disconnect_reason(ended)) == (air.RECORD_DISCONNECTED, air.DISCONNECTED_BY_TAG)
    assert set(desk.links.frames_refused) >= {"length", "flow"}


def test_one_connection_a_tag_and_strangers_records_are_stepped_over() -> None:
    desk = Desk(40)
    desk.open_window(4)
    desk.send(air.RECORD_WRITE, 4, b"nobody is connected")
    desk.send(air.RECORD_DISCONNECT, 4)
    desk.send(air.RECORD_CONNECT, 4)
    desk.send(air.RECORD_CONNECT, 4, hub=1)
    found = desk.links.due(desk.now_us)
    assert [air.disconnect_reason(r) for r in air.Decoder().feed(found[1])] == [air.DISCONNECTED_REFUSED]
    desk.send(air.RECORD_DISCONNECT, 4, hub=1)
    assert desk.links.open == 1
    desk.send(air.RECORD_DISCONNECT, 4)
    assert [air.disconnect_reason(r) for r in desk.records()] == [air.DISCONNECTED_AS_ASKED]
    assert desk.links.open == 0


def test_hub_that_dies_takes_its_links_along() -> None:
    desk = Desk(40)
    desk.open_window(4)
    desk.send(air.RECORD_CONNECT, 4)
    desk.links.drop_hub(HUB)
    assert desk.links.open == 0
    assert desk.wait(10) == []


def test_platforms_command_gets_one_sealed_reply_however_often_it_comes() -> None:
    desk = Desk(40)
    desk.open_window(4)
    provision = desk.provisions[4]
    encrypt = aes128(platform_key(provision.root_key))
    envelope = seal_command(encrypt, provision.tag_id, Command((2 << 24) + 1, 2, 0xFFFFFFFF, b""))
    replies = []
    for random in (b"first   ", b"second  "):
        end = desk.hub_end(4, [], random=random)
        end.command(envelope)
        replies += [event.sealed for event in desk.visit(4, end) if isinstance(event, Replied)]
    assert len(replies) == 2
    assert replies[0] == replies[1]
    assert open_reply(encrypt, provision.tag_id, replies[0])[1] == STATUS_UNKNOWN


def test_flock_without_journals_has_no_links() -> None:
    desk = Desk(1)
    flock = Flock(desk.provisions, desk.world, INTERVAL_S, START_S)
    with pytest.raises(ValueError, match="journals"):
        FlockLinks(flock, desk.provisions, desk.world, desk.hub_of_place)


def test_same_seed_gives_the_same_conversation() -> None:
    conversations = []
    for _ in range(2):
        desk = Desk(40)
        desk.open_window(3)
        first = first_of(desk, 3)
        conversations.append(repr(desk.visit(3, desk.hub_end(3, [(first, first + 39)]))))
    assert conversations[0] == conversations[1]
