"""Opening, sealing and taking in beacons, on one core."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import peers
from benchmarks.figure import Figure, interleaved, per_second
from benchmarks.fleet import Fleet, make_fleet
from tagfleet.twin.interpreter import interpreter_available
from taghub.heard import Heard, HeardRun, from_run
from taghub.intake import Intake
from taghub.registry import Registry
from taghub.run_intake import take_run
from taghub.sample_columns import live_columns
from taghub.sample_rows import joined
from tagwire import bulk
from tagwire.air import Decoder
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.idtable import IdTable
from tagwire.seal import aes128

CHUNK = 1_000
AIR_CHUNK_BYTES = 65_536


def figures(runs: int) -> Iterator[Figure]:
    fleet = make_fleet()
    count = len(fleet.keys)
    reports = [Heard(1_790_000_000_000_000 + i, -70, row) for i, row in enumerate(_rows(fleet.beacons))]
    chunks = [reports[start : start + CHUNK] for start in range(0, count, CHUNK)]
    stream = fleet.air_bytes()

    def prepare() -> Intake:
        return Intake(Registry(fleet.keyring))

    def open_in_chunks(intake: Intake) -> None:
        opened = 0
        for chunk in chunks:
            accepted = intake.take(chunk)
            bodies = np.frombuffer(b"".join([sample.body for sample in accepted]), np.uint8).reshape(-1, 11)
            opened += len(bulk.from_codes(bulk.unpack_bodies(bodies)).time_s)
        _check(opened, count)

    def open_singly(intake: Intake) -> None:
        _check(sum(sample.reading.fix > 0 for chunk in chunks for sample in intake.take(chunk)), count)

    def take_in(intake: Intake) -> None:
        decoder = Decoder()
        taken = []
        for start in range(0, len(stream), AIR_CHUNK_BYTES):
            run = decoder.feed_run(stream[start : start + AIR_CHUNK_BYTES])
            while run:
                reports = from_run(run, COMPANY_ID_TEST)
                assert isinstance(reports, HeardRun)
                taken.append(take_run(intake, reports))
                run = decoder.feed_run(b"")
        _check(len(live_columns(joined(taken))["tag"]), count)

    measures: dict[str, Callable[[], float]] = {
        "chunks": lambda: per_second(count, prepare, open_in_chunks),
        "singly": lambda: per_second(count, prepare, open_singly),
        "intake": lambda: per_second(count, prepare, take_in),
        "bulk": lambda: per_second(count, lambda: None, lambda _: _open(fleet)),
        "seal": lambda: per_second(count, lambda: None, lambda _: _seal(fleet)),
    }
    found = {name: peer() for name, peer in (("bthome-ble", peers.bthome), ("theengsdecoder", peers.theengs))}
    for name, peer in found.items():
        if peer is None:
            print(f"{name} is not installed: no ratio to it", file=sys.stderr)
        else:
            share = {"bthome-ble": 1, "theengsdecoder": 4}[name]
            measures[name] = _peer_measure(peer, peers.FRAMES // share)
    values = interleaved(runs, measures)
    beside = {name: values[name] for name, peer in found.items() if peer is not None}
    goals = {"bthome-ble": 10.0, "theengsdecoder": 100.0}
    yield Figure(
        "beacon_open_scalar",
        "1/s",
        "higher",
        350_000,
        values["chunks"],
        "beacons opened and replay-checked one by one, values decoded per 1,000 as a hub does; 1,000 keys, one core",
        beside,
        goals,
    )
    yield Figure(
        "beacon_open_reading",
        "1/s",
        "higher",
        None,
        values["singly"],
        "the same, with a Reading object made of each beacon",
        beside,
    )
    yield Figure(
        "intake_frames_per_s",
        "1/s",
        "higher",
        250_000,
        values["intake"],
        "air bytes to batch columns in memory, one core",
    )
    yield Figure(
        "beacon_open_bulk",
        "1/s",
        "higher",
        600_000,
        values["bulk"],
        "columns of beacons with known counters to columns of readings, 1,000 keys, one core",
    )
    yield Figure(
        "beacon_seal_bulk", "1/s", "higher", 400_000, values["seal"], "columns of readings to sealed beacons, one core"
    )


def _rows(frames: bulk.Bytes2D) -> list[bytes]:
    return [row.tobytes() for row in frames]


def _seal(fleet: Fleet) -> None:
    bodies = bulk.pack_bodies(bulk.to_codes(bulk.from_codes(bulk.unpack_bodies(fleet.bodies))))
    _check(len(bulk.seal_beacons(fleet.keys, fleet.tag_ids, fleet.counters, bodies)), len(fleet.keys))


def _open(fleet: Fleet) -> None:
    bodies, authentic = bulk.open_beacons(fleet.keys, fleet.tag_ids, fleet.counters, fleet.beacons)
    _check(int((bulk.from_codes(bulk.unpack_bodies(bodies)).fix[authentic] > 0).sum()), len(fleet.keys))


def private_id_figures(runs: int) -> Iterator[Figure]:
    """The table of private ids that a hub fills in slices."""
    keys = [index.to_bytes(16, "little") for index in range(20_000)]
    epoch = 1_790_000_000 // 1024

    def fill(table: IdTable) -> None:
        while not table.work(epoch, 4_096):
            pass
        _check(len(table.find(aes128(keys[7])(epoch.to_bytes(16, "little"))[:4])), 1)

    table_ids = len(keys) * 4  # the epochs before, now, after, and the one that comes next
    values = interleaved(runs, {"fill": lambda: per_second(table_ids, lambda: IdTable(keys, 1), fill)})
    yield Figure(
        "private_id_table", "ids/s", "higher", 300_000, values["fill"], "20,000 tags, 4 epochs, 4,096 ids a slice"
    )


def _peer_measure(peer: Callable[[], Callable[[], int]], count: int) -> Callable[[], float]:
    return lambda: per_second(count, peer, lambda work: _check(work(), count))


def _check(got: int, wanted: int) -> None:
    if got != wanted:
        raise RuntimeError(f"{got} of {wanted} came through")


_ON_A_TAG = """
import time
from tagwire.beacon import advertisement, seal_beacon
from tagwire.fields import Reading, encode_body
from tagwire.seal import aes128
encrypt = aes128(bytes(range(16)))
reading = Reading(525200066, 134049540, 4270, 61300, 3712, 1, 2, 1790000123, 3)
started = time.ticks_us()
for counter in range(COUNT):
    advertisement(65535, seal_beacon(encrypt, 1, counter, encode_body(reading)))
print(time.ticks_diff(time.ticks_us(), started))
"""


def micropython_figures(runs: int) -> Iterator[Figure]:
    """The portable code under the interpreter that the twins use. An ESP32 is some hundred times slower."""
    interpreter = interpreter_available()
    if interpreter is None:
        print("no MicroPython for this platform: no figure for it", file=sys.stderr)
        return
    count = 5_000
    folder = Path(bulk.__file__).parents[1]

    def once() -> float:
        done = subprocess.run(
            [interpreter, "-X", "heapsize=160k", "-c", _ON_A_TAG.replace("COUNT", str(count))],
            env={"MICROPYPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        return count / int(done.stdout) * 1e6

    yield Figure(
        "beacon_seal_micropython",
        "1/s",
        "higher",
        None,
        interleaved(runs, {"seal": once})["seal"],
        "reading to AdvData by the tag's own code, MicroPython's unix port, heap of 160 KB",
    )
