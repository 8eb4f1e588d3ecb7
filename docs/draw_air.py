"""Draws air.svg beside this file: the virtual air against the closed form and what others have measured.

Every point is computed by the air itself (tagfleet.air.experiments); tests/simulator/test_air_physics.py holds the same
numbers to stated tolerances.
"""

from collections.abc import Iterable
from math import log10
from pathlib import Path
from xml.sax.saxutils import escape

from tagfleet.air import AirSettings
from tagfleet.air import experiments as e

WIDTH, HEIGHT = 980, 380
FONT = "font-family='Helvetica, Arial, sans-serif'"
MODEL, MEASURED, AXIS = "#1e66b8", "#b06d00", "#777"


class Plot:
    """Axes at a place of the page. x, y: (from, to) in the plot's units; log_x: decades on the x axis."""

    def __init__(
        self, left: float, title: str, x: tuple[float, float], y: tuple[float, float], label: str, log_x: bool = False
    ) -> None:
        self.left, self.top, self.width, self.height = left, 56.0, 250.0, 240.0
        self.x, self.y, self.log_x = x, y, log_x
        self.parts = [
            f"<rect x='{left}' y='{self.top}' width='{self.width}' height='{self.height}' fill='none'"
            f" stroke='{AXIS}'/>",
            text(left + self.width / 2, 40, title, 14, bold=True),
            text(left + self.width / 2, self.top + self.height + 38, label, 11),
        ]

    def at(self, x: float, y: float) -> tuple[float, float]:
        low, high, value = (log10(v) for v in (*self.x, x)) if self.log_x else (*self.x, x)
        return (
            self.left + self.width * (value - low) / (high - low),
            self.top + self.height * (1 - (y - self.y[0]) / (self.y[1] - self.y[0])),
        )

    def ticks(self, xs: Iterable[float], ys: Iterable[float], unit: str = "") -> None:
        for value in xs:
            x, _ = self.at(value, self.y[0])
            self.parts.append(text(x, self.top + self.height + 18, f"{value:g}", 11))
        for value in ys:
            _, y = self.at(self.x[0], value)
            self.parts.append(text(self.left - 6, y + 4, f"{value:g}{unit}", 11, "end"))
            self.parts.append(f"<line x1='{self.left}' x2='{self.left + self.width}' y1='{y}' y2='{y}' stroke='#eee'/>")

    def curve(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        path = " ".join("{:.1f},{:.1f}".format(*self.at(*point)) for point in points)
        self.parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.6'/>")

    def dot(self, x: float, y: float, colour: str, spread: float = 0.0, shift: float = 0.0) -> None:
        px, py = self.at(x, y)
        if spread:
            _, top = self.at(x, y + spread)
            _, bottom = self.at(x, y - spread)
            self.parts.append(
                f"<line x1='{px + shift}' x2='{px + shift}' y1='{top:.1f}' y2='{bottom:.1f}' stroke='{colour}'/>"
            )
        self.parts.append(f"<circle cx='{px + shift:.1f}' cy='{py:.1f}' r='3.6' fill='{colour}'/>")

    def band(self, low: float, high: float, x: tuple[float, float], colour: str) -> None:
        (left, top), (right, bottom) = self.at(x[0], high), self.at(x[1], low)
        self.parts.append(
            f"<rect x='{left:.1f}' y='{top:.1f}' width='{right - left:.1f}' height='{bottom - top:.1f}' fill='{colour}'"
            " fill-opacity='0.18'/>"
        )

    def note(self, x: float, y: float, words: str, colour: str, anchor: str = "start") -> None:
        px, py = self.at(x, y)
        self.parts.append(text(px, py, words, 11, anchor, colour))


def text(
    x: float, y: float, words: str, size: int, anchor: str = "middle", colour: str = "#333", bold: bool = False
) -> str:
    weight = " font-weight='bold'" if bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{colour}'{weight} {FONT}>"
        f"{escape(words)}</text>"
    )


def reception() -> Plot:
    plot = Plot(60, "received, of single events", (1, 1000), (0, 1), "tags around one hub", log_x=True)
    plot.ticks((1, 10, 100, 1000), (0, 0.25, 0.5, 0.75, 1))
    for interval_s, label_at in ((0.1, (25, 0.55)), (1.0, (190, 0.62)), (10.0, (130, 0.93))):
        counts = [10 ** (n / 20) for n in range(61)]
        plot.curve([(n, e.closed_form(round(n), interval_s)) for n in counts], MEASURED)
        for tags in (1, 3, 10, 30, 100, 200, 300, 500, 700, 1000):
            # Tags keep their phase, so what few of them do to each other differs from group to group: ask several.
            groups = range(1, 2 + min(100 // tags, 9))
            shares = [
                e.received_share(e.IDEAL, tags, interval_s, max(min(20_000 // tags, 1_000), 20), seed)
                for seed in groups
            ]
            plot.dot(tags, sum(shares) / len(shares), MODEL)
        plot.note(*label_at, f"{interval_s:g} s", "#333")
    return plot


def loudness() -> Plot:
    plot = Plot(385, "loudness of what is received", (0, 18), (-100, -55), "distance in m")
    plot.ticks((0, 5, 10, 15), (-100, -90, -80, -70, -60), " dBm")
    for distance_m, mean_dbm, sd_db in e.STRZODA_DBM:
        plot.dot(distance_m, mean_dbm, MEASURED, sd_db, shift=-3)
        mean_dbm, sd_db = e.received_dbm(AirSettings(), distance_m)
        plot.dot(distance_m, mean_dbm, MODEL, sd_db, shift=3)
    plot.note(6, -60, "Strzoda: mean and SD", MEASURED)
    plot.note(6, -64, "this air, default settings", MODEL)
    return plot


def shares() -> Plot:
    plot = Plot(700, "measured ranges", (0, 4), (0, 1), "")
    plot.ticks((), (0, 0.25, 0.5, 0.75, 1))
    plot.band(*e.NIKODEM_COLLISIONS, (0.1, 1.2), MEASURED)
    for interval_s, x in ((0.38, 0.4), (0.6, 0.9)):
        plot.dot(x, 1 - e.received_share(e.IDEAL, e.NIKODEM_TAGS, interval_s, 100), MODEL)
    plot.band(*e.STRZODA_CUT, (1.45, 2.55), MEASURED)
    clear = AirSettings(burst_events=1, burst_repeats=0, interference_share=0.0)
    disturbed = AirSettings(burst_events=1, burst_repeats=0)
    cut = 1 - e.received_share(disturbed, 20, 1.0, 500) / e.received_share(clear, 20, 1.0, 500)
    plot.dot(2.0, cut, MODEL)
    plot.band(*e.RUUVI_RECEIVED, (2.8, 3.9), MEASURED)
    for n, (interval_ms, window_ms) in enumerate(((11.25, 11.25), (60.0, 30.0), (7000.0, 7000.0))):
        settings = AirSettings(burst_events=1, burst_repeats=0, scan_interval_ms=interval_ms, scan_window_ms=window_ms)
        plot.dot(3.05 + 0.3 * n, e.received_share(settings, 20, 1.285, 200), MODEL)
    for x, words in (
        (0.65, ("collisions,", "200 tags")),
        (2.0, ("cut by", "interference")),
        (3.35, ("received,", "good place")),
    ):
        for row, word in enumerate(words):
            px, _ = plot.at(x, 0)
            plot.parts.append(text(px, plot.top + plot.height + 18 + 14 * row, word, 11))
    return plot


def main() -> None:
    plots = [reception(), loudness(), shares()]
    body = "".join(part for plot in plots for part in plot.parts)
    legend = text(
        60,
        HEIGHT - 12,
        "blue: this air. Brown: closed form exp(-2 (N - 1) T / I), and what others measured.",
        11,
        "start",
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}'>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>{body}{legend}</svg>\n"
    )
    Path(__file__).with_name("air.svg").write_text(svg)


if __name__ == "__main__":
    main()
