"""Draws demo.svg beside this file: the live screen of a real run of the demo, taken near its end."""

import asyncio
import io
import re
import tempfile
from pathlib import Path
from typing import Self

from rich.console import Console

from tagfleet.demo_screen import screen
from tagfleet.figures import RUNNING, RunFigures
from tagfleet.runner import Run
from tagfleet.scenario import find, read

COLUMNS, ROWS = 100, 26
DURATION = "40 s"
TAKEN_AT_S = 33.0


class Picture:
    """A view that keeps one screen."""

    def __init__(self) -> None:
        self.svg = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        print(text)

    def show(self, figures: RunFigures) -> None:
        if figures.phase == RUNNING and figures.elapsed_s >= TAKEN_AT_S and not self.svg:
            console = Console(width=COLUMNS, height=ROWS, record=True, file=io.StringIO(), force_terminal=True)
            console.print(screen(figures, console.options))
            self.svg = console.export_svg(title="make demo", unique_id="demo")


if __name__ == "__main__":
    picture = Picture()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(read(find("demo"), {("run", "duration"): DURATION}), "demo", Path(folder))
        run.figures.latest = {}
        asyncio.run(run.run(picture))
    # The picture must not fetch fonts from elsewhere: any monospace one will do.
    svg = re.sub(r"@font-face \{.*?\}\n", "", picture.svg, flags=re.DOTALL).replace("Fira Code, ", "")
    Path(__file__).with_name("demo.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
