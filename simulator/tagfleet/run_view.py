"""Where a run is shown: on a terminal as a live screen, elsewhere as a line now and then."""

import sys
from typing import Self

from rich.console import Console
from rich.live import Live

from tagfleet.figures import RUNNING, RunFigures
from tagfleet.output import tell, writing
from tagfleet.run_screen import line, screen

LINE_INTERVAL_S = 5.0
FIRST_LINE_S = 1.0  # somebody may be waiting to see that it runs


class ScreenView:
    """A screen that is drawn anew, with its last state left standing. Raises OutputLost where that fails."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        with writing():
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with writing():
            self._live.stop()

    def say(self, text: str) -> None:
        """The screen shows it among its figures."""

    def show(self, figures: RunFigures) -> None:
        with writing():
            self._live.update(screen(figures, self._console.options), refresh=True)


class LinesView:
    """A line after a second, then every five, and one for each event; to stderr when stdout is a script's."""

    def __init__(self, to_stderr: bool = False) -> None:
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._next_s = FIRST_LINE_S
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        tell(text, self._stream)

    def show(self, figures: RunFigures) -> None:
        if figures.phase != self._phase and figures.phase != RUNNING:
            self.say(f"{figures.phase} ...")
        self._phase = figures.phase
        if figures.elapsed_s >= self._next_s:
            self._next_s = figures.elapsed_s + LINE_INTERVAL_S
            self.say(line(figures))
