"""From the flock to air records, with what else is in the air."""

from typing import NamedTuple

import numpy as np

from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.intruder import Intruder
from tagfleet.ledger import Ledger
from tagfleet.plain_air import PlainAir
from tagfleet.radio import RadioSettings
from tagfleet.scenario.faults import Intruders
from tagfleet.tag_faults import TagFaults
from tagfleet.traffic import Attack, Traffic
from tagfleet.world.world import build_world
from tagwire.air import RECORD_ADVERTISEMENT, Decoder, Record
from tagwire.beacon import manufacturer_data, open_beacon, parse_header
from tagwire.errors import DecodeError
from tagwire.keys import beacon_key
from tagwire.seal import aes128

START_US = 1_774_000_000_000_000
TAGS = 20


class Transmission(NamedTuple):
    """What went on the air, and who knows of it."""

    records: list[Record]
    ledger: Ledger
    traffic: Traffic
    intruder: Intruder


def transmit(seconds: float, intruders_per_s: float = 0.0, seed: int = 3) -> Transmission:
    provisions = make_provisions(seed, 500, TAGS)
    world = build_world(seed, TAGS)
    one_hub = np.zeros(world.places, np.int64)
    flock = Flock(provisions, world, 5.0, START_US / 1e6)
    ledger = Ledger.for_tags(flock.tag_ids, START_US)
    air = PlainAir(RadioSettings(), world, one_hub, first_only=False)
    intruder = Intruder(seed, 0xFFFF)
    fault = Intruders(kind="intruders", lasts=f"{seconds} s", per_s=intruders_per_s or 1.0)  # type: ignore[arg-type]
    attacks = [Attack(fault, [0], intruder)] if intruders_per_s else []
    faults = TagFaults([], TAGS, seed, START_US / 1e6)
    traffic = Traffic(flock, air, world, one_hub, ledger, faults, attacks, seed, START_US, traced=True)
    decoder = Decoder()
    records = []
    for tick in range(int((seconds + 0.5) * 40)):
        now_us = START_US + tick * 25_000
        for piece in traffic.step(now_us, now_us, making=tick < seconds * 40).pieces:
            records += decoder.feed(piece)
    assert decoder.pending_bytes == 0
    return Transmission(records, ledger, traffic, intruder)


def test_traffic_sends_what_the_ledger_says_it_sent() -> None:
    records, ledger, traffic, _ = transmit(20.0)
    account = ledger.account()
    assert traffic.waiting == 0
    assert traffic.reports == len(records)
    assert account.made == TAGS * 4
    frames = {manufacturer_data(record.data, 0xFFFF) for record in records}
    assert len(frames) == account.lost == account.made - account.unheard  # nobody listens: all that was heard is lost
    assert len(records) > 3 * len(frames)  # bursts are heard more than once
    assert all(record.type == RECORD_ADVERTISEMENT and len(record.data) == 31 for record in records)
    assert [r.t_us for r in records] == sorted(r.t_us for r in records)
    names = {(r.address, frame[1:5]) for r in records if (frame := manufacturer_data(r.data, 0xFFFF)) is not None}
    assert len(names) == len({address for address, _ in names}) == len({name for _, name in names}) > TAGS / 2


def test_traffic_is_silent_after_the_last_burst() -> None:
    records, _, traffic, _ = transmit(4.0)
    assert records[-1].t_us < START_US + 4_400_000
    later_us = START_US + 60_000_000
    assert traffic.step(later_us, later_us, making=False).pieces == []


def test_intruders_are_mixed_in_and_none_is_authentic_and_new() -> None:
    records, ledger, traffic, intruder = transmit(30.0, intruders_per_s=20.0)
    assert 590 <= intruder.sent <= 600
    assert len(records) == traffic.reports + intruder.sent
    provisions = {p.tag_id: p for p in make_provisions(3, 500, TAGS)}
    genuine: set[bytes] = set()
    refused = 0
    for record in records:
        frame = manufacturer_data(record.data, 0xFFFF)
        if record.rssi_dbm != -82 or record.address[0] != 0xEF:
            assert frame is not None
            genuine.add(frame)
        elif frame is None:
            refused += 1  # another maker's, or cut off
        else:
            try:
                header = parse_header(frame)
                provision = provisions[header.tag_id]
                open_beacon(aes128(beacon_key(provision.root_key, 0)), frame, header.counter_low)
                assert frame in genuine  # a replay
            except (DecodeError, KeyError):
                refused += 1
    assert refused > 300
    assert ledger.account().wrong == 0


def test_intruder_without_anything_overheard_makes_no_genuine_frame() -> None:
    intruder = Intruder(1, 0xFFFF)
    assert all(4 <= len(adv_data) <= 31 for adv_data in intruder.advertisements(0, 200))


def test_traffic_same_seed_gives_same_bytes() -> None:
    first = transmit(10.0, intruders_per_s=5.0).records
    again = transmit(10.0, intruders_per_s=5.0).records
    other = transmit(10.0, intruders_per_s=5.0, seed=4).records
    assert first == again
    assert [r.data for r in first] != [r.data for r in other]
    assert np.unique([r.rssi_dbm for r in first]).size > 10
