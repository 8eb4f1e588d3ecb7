"""The executable specification of history blocks, written for reading; no code shared with `tagwire.history`. Host."""

from itertools import pairwise
from typing import NamedTuple

# A record is these eleven numbers, in this order. time: Unix time / 4 s, 0 when the time quality is 0. alarm: 0 or 1.
RECORD = (
    "counter",
    "time",
    "latitude",
    "longitude",
    "temperature",
    "humidity",
    "battery",
    "fix",
    "motion",
    "time_quality",
    "alarm",
)
Record = dict[str, int]

COLUMNS = {"latitude": 23, "longitude": 24, "temperature": 11, "humidity": 8}  # name: bits
NOT_AVAILABLE = {name: (1 << bits) - 1 for name, bits in COLUMNS.items()}


class Guess(NamedTuple):
    """What both ends expect of a column's next value, and the Rice parameter for the difference."""

    value: int
    rice: int


def guess(values: list[int]) -> Guess:
    """The guess from all values of a column so far, at least one."""
    mean_16 = values[0] * 16
    expected = [values[0]] * 4
    misses_64 = [64] * 4
    for index, (last, value) in enumerate(pairwise(values)):
        weight = 2 ** min(index, 3)
        misses_64 = [
            miss + (64 * abs(value - each) - miss) // weight for miss, each in zip(misses_64, expected, strict=True)
        ]
        mean_16 += (value * 16 - mean_16) // 4
        change = value - last
        expected = [(mean_16 + 8) // 16, value, value + change // 2, value + change]
    least = min(misses_64)
    rice = next(rice for rice in range(64) if least <= 64 * 1 << rice)
    return Guess(expected[misses_64.index(least)], rice)


def rice_code(difference: int, rice: int) -> str:
    """Folded (0, -1, 1, -2 become 0, 1, 2, 3), then quotient in ones, a zero, the remainder; ten ones escape it."""
    folded = 2 * difference if difference >= 0 else -2 * difference - 1
    quotient, remainder = divmod(folded, 1 << rice)
    if quotient < 10:
        return "1" * quotient + "0" + (f"{remainder:0{rice}b}" if rice else "")
    return "1" * 10 + sized(folded)


def sized(value: int) -> str:
    """Five bits of length - 1, then the value in so many bits."""
    bits = f"{value:b}"
    return f"{len(bits) - 1:05b}" + bits


def shape_of(record: Record) -> str:
    """The 16 bits of a sample's shape."""
    has_position = any(record[name] != NOT_AVAILABLE[name] for name in ("latitude", "longitude"))
    has = [int(record[name] != NOT_AVAILABLE[name]) for name in ("temperature", "humidity")]
    return (
        f"{record['alarm']:b}{has_position:b}{has[0]:b}{has[1]:b}"
        f"{record['time_quality']:02b}{record['fix']:03b}{record['motion']:02b}{record['battery']:05b}"
    )


def coded(records: list[Record]) -> list[tuple[str, str]]:
    """The block's bits in order, each piece with what it says. The records' counters must rise."""
    pieces: list[tuple[str, str]] = []
    shapes: list[str] = []  # the latest first
    times: list[int] = []  # of the samples that know theirs
    steps: list[int] = []
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    before = records[0]["counter"] - 1
    for record in records:
        gap = record["counter"] - before
        before = record["counter"]
        if gap > 1:
            pieces.append((f"gap of {gap}", "1111" + sized(gap)))
        shape = shape_of(record)
        if shape in shapes:
            pieces.append((f"shape {shapes.index(shape)}", "1" * shapes.index(shape) + "0"))
            shapes.remove(shape)
        else:
            pieces.append(("new shape", "1110" + shape))
        shapes = [shape, *shapes[:2]]
        if record["time_quality"]:
            pieces.append(("time", _time(record["time"], gap, times, steps)))
        for name, width in COLUMNS.items():
            if shape[{"temperature": 2, "humidity": 3}.get(name, 1)] == "1":
                value, values = record[name], columns[name]
                if values:
                    expected = guess(values)
                    pieces.append((name, rice_code(value - expected.value, expected.rice)))
                else:
                    pieces.append((name, f"{value:0{width}b}"))
                values.append(value)
    return pieces


def build_block(records: list[Record]) -> bytes:
    """The block of these records."""
    bits = "".join(piece for _, piece in coded(records))
    bits += "0" * (-len(bits) % 8)
    header = records[0]["counter"].to_bytes(4, "little") + len(records).to_bytes(2, "little")
    return header + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _time(time: int, gap: int, times: list[int], steps: list[int]) -> str:
    if not times:
        times.append(time)
        return f"{time:030b}"
    expected = guess(steps) if steps else Guess(0, 6)
    step = expected.value * (gap if gap <= 255 else 1)
    bits = rice_code(time - times[-1] - (step if abs(step) < 2**30 else 0), expected.rice)
    if gap <= 255:
        steps.append((time - times[-1]) // gap)
    times.append(time)
    return bits
