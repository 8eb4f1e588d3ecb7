"""Draws world.svg beside this file: five days of one chilled box in the simulated world, as its tag would tell them."""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.world import gnss
from tagfleet.world.noise import Ints
from tagfleet.world.world import WorldSettings, make_world
from tagwire.bulk import NOT_AVAILABLE

WIDTH, HEIGHT = 980, 372
LEFT, RIGHT = 64.0, 964.0
FONT = "font-family='Helvetica, Arial, sans-serif'"
MONDAY_S = 1_783_900_800.0  # 13 July 2026
STEP_S, DAYS = 300.0, 5
TAG = 255
TRUCK, DEPOT = "#dbe8f8", "#f4ead9"
SKY = {gnss.NO_SKY: "#bbb", gnss.POOR_SKY: "#e0a030", gnss.OPEN_SKY: "#3c9a4e"}


def text(x: float, y: float, words: str, size: int = 11, anchor: str = "middle", colour: str = "#333") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{colour}' {FONT}>"
        f"{escape(words)}</text>"
    )


def main() -> None:
    world = make_world(WorldSettings(seed=4, tags=400, cargo_shares=(0, 1, 0), cooler_failures_per_week=0.3))
    samples = Flock(make_provisions(4, 1, 1), world, STEP_S, MONDAY_S, TAG).step(MONDAY_S + DAYS * 86_400)
    t_s, reading = samples.t_us / 1e6, samples.readings
    row = world.environments(samples.world_tags, t_s)
    x = LEFT + (RIGHT - LEFT) * (t_s - MONDAY_S) / (DAYS * 86_400)
    parts = [text(LEFT, 24, "Five days of a chilled box, told every five minutes", 14, "start")]

    changes = np.flatnonzero(np.diff(row.places, prepend=-2))
    for start, end in zip(changes, np.append(changes[1:], len(t_s)), strict=True):
        place = int(row.places[start])
        colour, name = (TRUCK, f"truck {place}") if place < world.trucks else (DEPOT, f"depot {place - world.trucks}")
        wide = x[end - 1] - x[start]
        parts.append(f"<rect x='{x[start]:.1f}' y='36' width='{wide:.1f}' height='272' fill='{colour}'/>")
        if wide > 48:
            parts.append(text((x[start] + x[end - 1]) / 2, 50, name))

    def curve(
        values: "np.ndarray[tuple[int], np.dtype[np.float64]]", top: float, low: float, high: float, colour: str
    ) -> str:
        y = top + 70 * (1 - (np.clip(values, low, high) - low) / (high - low))
        runs = np.split(np.arange(len(y)), np.flatnonzero(np.isnan(y)))
        return "".join(
            "<polyline fill='none' stroke-width='1.3' stroke='{}' points='{}'/>".format(
                colour, " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in run if not np.isnan(y[i]))
            )
            for run in runs
            if len(run) > 1
        )

    panels = (
        ("°C", reading.temperature_mc / 1000, 0, 16, (0, 4, 8, 12, 16), "#1e66b8", 62),
        ("% RH", reading.humidity_mpct / 1000, 30, 100, (40, 60, 80, 100), "#0b7d77", 146),
        ("km/h", row.speed_mps * 3.6, 0, 90, (0, 30, 60, 90), "#7a4fa0", 230),
    )
    for unit, values, low, high, marks, colour, top in panels:
        shown = np.where(np.abs(values) > 1e9, np.nan, values)
        parts.append(curve(shown, top, low, high, colour))
        parts.append(text(LEFT - 30, top - 3, unit, 11, "end", colour))
        parts += [
            text(LEFT - 6, top + 70 * (1 - (mark - low) / (high - low)) + 4, str(mark), 10, "end") for mark in marks
        ]

    def band(values: Ints, top: float, height: float, colours: dict[int, str]) -> None:
        begins = np.flatnonzero(np.diff(values, prepend=-9))
        for start, end in zip(begins, np.append(begins[1:], len(values)), strict=True):
            if (colour := colours.get(int(values[start]))) is not None:
                wide = (end - start) * (RIGHT - LEFT) / len(values)
                parts.append(
                    f"<rect x='{x[start]:.1f}' y='{top}' width='{wide:.1f}' height='{height}' fill='{colour}'/>"
                )

    band(row.sky, 312, 9, SKY)
    band((reading.time_s != NOT_AVAILABLE).astype(np.int64), 324, 4, {1: "#333"})
    parts.append(text(LEFT - 6, 321, "sky", 11, "end"))
    parts.append(text(LEFT - 6, 331, "time", 11, "end"))
    for day, name in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")):
        parts.append(text(LEFT + (RIGHT - LEFT) * (day + 0.5) / DAYS, 346, name))
    parts.append(
        text(
            LEFT,
            364,
            "Sky: green open, amber in part (gates, doors, high houses), grey none. Black: the tag knows the time.",
            11,
            "start",
        )
    )
    Path(__file__).with_name("world.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}'>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    main()
