"""Measures what docs/wire.md compares, writes its tables into it, and draws wire-mqtt.svg beside it.

pip install -e '.[bench]' && python docs/draw_wire.py
"""

import math
import re
import sys
from pathlib import Path
from statistics import mean

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from benchmarks.batches import APART, SIZES, entropy_bytes, make_batch, sizes_without  # noqa: E402
from benchmarks.formats import FORMATS  # noqa: E402
from benchmarks.history import RUUVI_BYTES, SEEDS, bytes_per_sample  # noqa: E402
from benchmarks.testdata import KINDS  # noqa: E402

from tagwire.batch import encode_batches  # noqa: E402

OURS = "tagstack batch"
COLOURS = ("#1a7f37", "#888888", "#b06d00", "#8250df", "#bf3989", "#0969da", "#57606a", "#cf222e", "#1b7c83", "#6639ba")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 430, 60, 24, 600, 380
FONT = "font-family='Helvetica, Arial, sans-serif'"
AXIS_BYTES = (1, 3, 10, 30, 100, 300)


def mqtt_sizes() -> dict[str, list[float]]:
    """What each format takes for a sample, in the order of SIZES."""
    sizes: dict[str, list[float]] = {name: [] for name in (OURS, *(what for what, _, _ in FORMATS))}
    for count, tags, samples_a_tag, _ in SIZES:
        batch = make_batch(tags, samples_a_tag)
        sizes[OURS].append(sizes_without(encode_batches(batch), APART) / count)
        for what, _, encode in FORMATS:
            sizes[what].append(len(encode(batch)) / count)
    return sizes


def apart_bytes() -> list[float]:
    """What RSSI and hearing time add."""
    added = []
    for count, tags, samples_a_tag, _ in SIZES:
        payloads = encode_batches(make_batch(tags, samples_a_tag))
        added.append((sum(map(len, payloads)) - sizes_without(payloads, APART)) / count)
    return added


def mqtt_table(sizes: dict[str, list[float]]) -> str:
    libraries = {what: library for what, library, _ in FORMATS} | {OURS: "tagwire"}
    rows = [
        "| samples a batch | made by | " + " | ".join(f"{size[0]:,}" for size in SIZES) + " |",
        "|---|---|" + "---|" * len(SIZES),
    ]
    for name, values in sizes.items():
        bold = "**" if name == OURS else ""
        cells = " | ".join(f"{bold}{value:.3g}{bold}" for value in values)
        rows.append(f"| {bold}{name}{bold} | `{libraries[name]}` | {cells} |")
    rows.append("| what RSSI and hearing time add to ours | | " + " | ".join(f"{b:.2f}" for b in apart_bytes()) + " |")
    entropy = entropy_bytes(make_batch(200, 100))
    rows += ["", f"An estimate of the samples' entropy, from 20,000 of them: {entropy:.2f} bytes a sample."]
    return "\n".join(rows)


def gatt_table() -> str:
    rows = ["| a day of 288 samples | bytes a sample |", "|---|---|"]
    for kind in KINDS:
        rows.append(f"| {kind} | {mean(bytes_per_sample(kind, seed) for seed in SEEDS):.2f} |")
    return "\n".join([*rows, f"| Ruuvi's log, published: three values, no position, unsealed | {RUUVI_BYTES} |"])


def plot(sizes: dict[str, list[float]]) -> str:
    """Bytes a sample over samples a batch, both axes logarithmic."""
    log_counts = [math.log(size[0]) for size in SIZES]

    def x(log_count: float) -> float:
        return LEFT + (RIGHT - LEFT) * (log_count - log_counts[0]) / (log_counts[-1] - log_counts[0])

    def y(size: float) -> float:
        span = math.log(AXIS_BYTES[-1] * 1.6) - math.log(AXIS_BYTES[0])
        return BOTTOM - (BOTTOM - TOP) * (math.log(size) - math.log(AXIS_BYTES[0])) / span

    def text(at_x: float, at_y: float, words: str, anchor: str = "middle", fill: str = "#333") -> str:
        place = f"x='{at_x:.1f}' y='{at_y:.1f}' text-anchor='{anchor}'"
        return f"<text {place} font-size='12' fill='{fill}' {FONT}>{words}</text>"

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
    ]
    for size in AXIS_BYTES:
        parts.append(f"<line x1='{LEFT}' x2='{RIGHT}' y1='{y(size):.1f}' y2='{y(size):.1f}' stroke='#ddd'/>")
        parts.append(text(LEFT - 8, y(size) + 4, f"{size} B", "end"))
    for (count, *_), log_count in zip(SIZES, log_counts, strict=True):
        parts.append(text(x(log_count), BOTTOM + 20, f"{count:,}"))
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 40, "samples a batch; bytes a sample, both scales logarithmic"))
    label_y = math.inf
    for name, colour in sorted(zip(sizes, COLOURS, strict=False), key=lambda pair: sizes[pair[0]][-1]):
        values = sizes[name]
        points = " ".join(f"{x(c):.1f},{y(v):.1f}" for c, v in zip(log_counts, values, strict=True))
        thick = 3.5 if name == OURS else 1.5
        parts.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='{thick}'/>")
        label_y = min(y(values[-1]), label_y - 15)  # labels of close lines do not cover each other
        parts.append(text(RIGHT + 10, label_y + 4, f"{name}: {values[-1]:.3g}", "start", colour))
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    page = FOLDER / "wire.md"
    sizes = mqtt_sizes()
    tables = {"mqtt": mqtt_table(sizes), "gatt": gatt_table()}
    page.write_text(
        re.sub(
            r"<!-- generated: (\w+) -->\n.*?<!-- end -->",
            lambda match: f"<!-- generated: {match[1]} -->\n{tables[match[1]]}\n<!-- end -->",
            page.read_text("utf-8"),
            flags=re.S,
        ),
        "utf-8",
    )
    (FOLDER / "wire-mqtt.svg").write_text(plot(sizes), "utf-8")


if __name__ == "__main__":
    main()
