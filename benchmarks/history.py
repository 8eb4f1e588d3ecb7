"""History over GATT: bytes a sample on the published test data, everything included, and how fast blocks are made."""

import math
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.figure import Figure, interleaved, per_second
from benchmarks.testdata import KINDS, SAMPLES_A_DAY, Kind, counters, readings
from tagfleet.twin.interpreter import interpreter_available
from tagwire.fields import to_codes
from tagwire.history import BlockEncoder, Record, record_of
from tagwire.history_decode import decode_block
from tagwire.messages import BLOCK, encode_message
from tagwire.session import FRAME_BYTES_MAX, FRAME_OVERHEAD

GOALS = {"still": 2.0, "moving": 5.0, "journey": None}
SEEDS = range(1, 8)
RUUVI_BYTES = 33  # a log record of a RuuviTag over its UART service: temperature, humidity and pressure, 11 bytes each
ENTROPY_DAYS = 40

MICROPYTHON = """
import sys, time
from tagwire.history import BlockEncoder, Record
records = [Record(*[int(v) for v in line.split()[:10]], False) for line in open(sys.argv[1])]
start = time.ticks_us()
encoder = BlockEncoder(100000)
for record in records:
    encoder.add(record)
encoder.finish()
print(len(records) / time.ticks_diff(time.ticks_us(), start) * 1e6)
"""


def day(kind: Kind, seed: int) -> list[Record]:
    """One day of a tag as its journal holds it."""
    return [
        record_of(counter, to_codes(reading), reading.time_s)
        for counter, reading in zip(counters(), readings(kind, seed=seed), strict=True)
    ]


def frames(records: Sequence[Record]) -> list[bytes]:
    """The plaintexts of the frames that carry these records at an MTU of 247."""
    plaintexts = []
    at = 0
    while at < len(records):
        encoder = BlockEncoder(FRAME_BYTES_MAX - FRAME_OVERHEAD - 2)
        while at < len(records) and encoder.add(records[at]):
            at += 1
        plaintexts.append(encode_message(BLOCK, encoder.finish()))
    return plaintexts


def bytes_per_sample(kind: Kind, seed: int) -> float:
    """A day's bytes on the link, frame headers and MICs included, for one sample."""
    return sum(len(plaintext) + FRAME_OVERHEAD for plaintext in frames(day(kind, seed))) / SAMPLES_A_DAY


def entropy_bytes(kind: Kind) -> float:
    """An estimate of what a sample holds: for each column the entropy of its differences to the fixed predictor that is
    best in hindsight, over many days; the state as one symbol. Plug-in with the Miller-Madow correction, which is still
    too low for the moving positions, whose values hardly ever repeat."""
    days = [day(kind, seed) for seed in range(100, 100 + ENTROPY_DAYS)]
    bits = _entropy([(r.battery, r.fix, r.motion, r.time_quality) for records in days for r in records])
    for column in ("time_4s", "latitude", "longitude", "temperature", "humidity"):
        series = [[getattr(record, column) for record in records] for records in days]
        if column == "time_4s":
            series = [[b - a for a, b in pairwise(values)] for values in series]
        bits += min(_entropy([v for values in series for v in _misses(values, rule)]) for rule in range(4))
    return bits / 8


def _misses(values: list[int], rule: int) -> list[int]:
    """Differences to a running mean, the last value, and the last value with half or all of its last change."""
    misses = []
    mean = float(values[0])
    for before, last, value in zip(values, values[1:], values[2:], strict=False):
        mean += (last - mean) / 8
        misses.append(value - (round(mean), last, last + (last - before) // 2, 2 * last - before)[rule])
    return misses


def _entropy(symbols: Sequence[object]) -> float:
    counts = Counter(symbols)
    plug_in = -sum(n / len(symbols) * math.log2(n / len(symbols)) for n in counts.values())
    return plug_in + (len(counts) - 1) / (2 * len(symbols) * math.log(2))


def _micropython_per_second(interpreter: str, records: Sequence[Record]) -> float:
    protocol = Path(__file__).resolve().parents[1] / "protocol"
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder, "script.py"), Path(folder, "records")
        script.write_text(MICROPYTHON)
        data.write_text("".join(" ".join(map(str, record)) + "\n" for record in records))
        done = subprocess.run(
            [interpreter, script, data],
            env={"MICROPYPATH": str(protocol)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    return float(done.stdout)


def figures(runs: int) -> Iterator[Figure]:
    for kind in KINDS:
        yield Figure(
            f"history_bytes_per_sample_{kind}",
            "B",
            "lower",
            GOALS[kind],
            [bytes_per_sample(kind, seed) for seed in SEEDS],
            f"a day of {SAMPLES_A_DAY} samples, {len(SEEDS)} seeds; frames and MICs included, 244 bytes a frame; "
            f"entropy about {entropy_bytes(kind):.2f} B without them",
            {"Ruuvi log (published)": [RUUVI_BYTES] * len(SEEDS)},
        )
    records = day("journey", 1)
    blocks = [plaintext[2:] for plaintext in frames(records)]
    values = interleaved(
        runs,
        {
            "encode": lambda: per_second(len(records), lambda: None, lambda _: frames(records)),
            "decode": lambda: per_second(
                len(records), lambda: None, lambda _: [decode_block(block) for block in blocks]
            ),
        },
    )
    yield Figure("history_encode", "samples/s", "higher", None, values["encode"], "a day to blocks, CPython")
    yield Figure("history_decode", "samples/s", "higher", None, values["decode"], "the blocks to records, CPython")
    if interpreter := interpreter_available():
        yield Figure(
            "history_encode_micropython",
            "samples/s",
            "higher",
            None,
            [_micropython_per_second(interpreter, records) for _ in range(runs)],
            "a day to one block, MicroPython's unix port on this machine",
        )
