"""Draws fleets.svg beside this file: the live screen of a real run of a built-in scenario, taken after its outage."""

import asyncio
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from tagfleet.figures import RUNNING, RunFigures
from tagfleet.run_screen import screen
from tagfleet.runner import Run
from tagfleet.scenario import find, read

SCENARIO = "broker-failover"
COLUMNS, ROWS = 100, 18
TAKEN_AT_S = 45.0


class Picture:
    """A view that keeps one screen."""

    def __init__(self) -> None:
        self.svg = ""

    def say(self, text: str) -> None:
        print(text)

    def show(self, figures: RunFigures) -> None:
        if figures.phase == RUNNING and figures.moment_s >= TAKEN_AT_S and not self.svg:
            console = Console(width=COLUMNS, height=ROWS, record=True, file=io.StringIO(), force_terminal=True)
            console.print(screen(figures, console.options))
            self.svg = console.export_svg(title=f"tagfleet run {SCENARIO}", unique_id="fleets")


if __name__ == "__main__":
    picture = Picture()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(read(find(SCENARIO), {("run", "duration"): "70 s"}), SCENARIO, Path(folder))
        asyncio.run(run.run(picture))
    # The picture must not fetch fonts from elsewhere: any monospace one will do.
    svg = re.sub(r"@font-face \{.*?\}\n", "", picture.svg, flags=re.DOTALL).replace("Fira Code, ", "")
    Path(__file__).with_name("fleets.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
