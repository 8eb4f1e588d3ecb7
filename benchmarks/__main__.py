"""Measures, prints a table, and writes build/bench.json.

python -m benchmarks                 everything: some 3 minutes
python -m benchmarks beacons batch   only these groups
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    batches,
    beacons,
    courier,
    demo,
    firmware,
    flashing,
    gateway,
    history,
    kills,
    provisioning,
    radio,
    runs,
    simulation,
    twins,
    wire_bytes,
)
from benchmarks.figure import Figure

GROUPS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "beacons": beacons.figures,
    "micropython": beacons.micropython_figures,
    "private": beacons.private_id_figures,
    "batch": batches.figures,
    "history": history.figures,
    "firmware": firmware.figures,
    "twins": twins.figures,
    "demo": demo.figures,
    "gateway": gateway.figures,
    "radio": radio.figures,
    "courier": courier.figures,
    "wire": wire_bytes.figures,
    "kill9": kills.figures,
    "simulation": simulation.figures,
    "runs": runs.figures,
    "flash": flashing.figures,
    "provision": provisioning.figures,
}
OUTPUT = Path(__file__).resolve().parents[1] / "build" / "bench.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("--runs", type=int, default=7, help="default: 7; the value is their median")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: build/bench.json")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    figures: list[Figure] = []
    for name in options.groups or GROUPS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += GROUPS[name](options.runs)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps([figure.as_dict() for figure in figures], indent=1) + "\n")
    Console(width=None if sys.stdout.isatty() else 120).print(_table(figures))
    print(f"CPython {platform.python_version()}, {platform.machine()}; written: {options.output}")
    return 0


def _table(figures: list[Figure]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    table.add_column("peers")
    for figure in figures:
        peers = ", ".join(f"{figure.ratio(peer):.1f} x {peer}" for peer in figure.peers)
        goal = "" if figure.goal is None else f"{'>=' if figure.better == 'higher' else '<='} {figure.goal:,.10g}"
        mark = "" if figure.goal is None else "reached" if figure.reached else "missed"
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        table.add_row(figure.name, value, figure.unit, goal, mark, f"{figure.spread:.0%}", peers)
    return table


if __name__ == "__main__":
    sys.exit(main())
