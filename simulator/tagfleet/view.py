"""Where a run is shown: on a terminal as a live screen, elsewhere as a line now and then."""

import sys
import time
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from tagfleet.live import line, screen
from tagfleet.output import tell, writing
from tagfleet.progress import Progress

LINE_INTERVAL_S = 5.0


class View(Protocol):
    """Shows a run from entering to leaving its context. Every method raises OutputLost where that fails."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        """One line for the person who waits."""

    def show(self, progress: Progress) -> None:
        """The figures of now; called several times a second."""


class LiveView:
    """A screen that is drawn anew, with its last state left standing."""

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
        with writing():
            self._console.print(text, highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        with writing():
            self._live.update(screen(progress, time.time_ns() // 1000, self._console.options), refresh=True)


class LineView:
    """A line every five seconds; to stderr when stdout is a script's."""

    def __init__(self, to_stderr: bool = False) -> None:
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._next_s = LINE_INTERVAL_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        tell(text, self._stream)

    def show(self, progress: Progress) -> None:
        if progress.elapsed_s >= self._next_s:
            self._next_s += LINE_INTERVAL_S
            self.say(line(progress))
