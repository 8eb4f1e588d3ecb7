"""Draws demo.svg beside this file: the live screen of a real run of the demo, taken near its end."""

import asyncio
import io
import re
from pathlib import Path
from typing import Self

from rich.console import Console

from tagfleet.demo import Demo, DemoSettings
from tagfleet.live import screen
from tagfleet.progress import RUNNING, Progress

COLUMNS, ROWS = 100, 26
SECONDS = 40.0
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

    def show(self, progress: Progress) -> None:
        if progress.phase == RUNNING and progress.elapsed_s >= TAKEN_AT_S and not self.svg:
            console = Console(width=COLUMNS, height=ROWS, record=True, file=io.StringIO(), force_terminal=True)
            console.print(screen(progress, console.options))
            self.svg = console.export_svg(title="make demo", unique_id="demo")


if __name__ == "__main__":
    picture = Picture()
    asyncio.run(Demo(DemoSettings(seconds=SECONDS)).run(picture))
    # The picture must not fetch fonts from elsewhere: any monospace one will do.
    svg = re.sub(r"@font-face \{.*?\}\n", "", picture.svg, flags=re.DOTALL).replace("Fira Code, ", "")
    Path(__file__).with_name("demo.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
