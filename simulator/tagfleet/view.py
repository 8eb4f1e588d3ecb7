"""Where a run or the demo is shown: on a terminal as a live screen, elsewhere as a line now and then."""

import sys
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live

from tagfleet.output import tell, writing

FIRST_LINE_S = 2.0  # somebody may be waiting to see that it runs
LINE_INTERVAL_S = 5.0
_UNSAID = ("running", "ended")  # phases that lines and the summary show by themselves


class Figures(Protocol):
    """What both kinds of figures have."""

    phase: str
    elapsed_s: float


F = TypeVar("F", bound=Figures)
F_contra = TypeVar("F_contra", bound=Figures, contravariant=True)


class View(Protocol[F_contra]):
    """Every method raises OutputLost where the output cannot be written."""

    def say(self, text: str) -> None:
        """One line for the person who waits: something has happened."""

    def show(self, figures: F_contra) -> None:
        """The figures of now; called several times a second."""


class LiveView(Generic[F]):
    """A screen that is drawn anew, with its last state left standing; a context manager. draw: figures to a screen, for
    a console with these options; it shows what has happened, too."""

    def __init__(self, draw: Callable[[F, ConsoleOptions], RenderableType]) -> None:
        self._draw = draw
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
        """Nothing: see `draw`."""

    def show(self, figures: F) -> None:
        with writing():
            self._live.update(self._draw(figures, self._console.options), refresh=True)


class LineView(Generic[F]):
    """A line after two seconds, then every five, and one for whatever happens; a context manager. line: figures in one
    line. To stderr when stdout is a script's."""

    def __init__(self, line: Callable[[F], str], to_stderr: bool = False) -> None:
        self._line = line
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._next_s = FIRST_LINE_S
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        tell(text, self._stream)

    def show(self, figures: F) -> None:
        if figures.phase != self._phase and figures.phase not in _UNSAID:
            self.say(f"{figures.phase} ...")
        self._phase = figures.phase
        if figures.elapsed_s >= self._next_s:
            self._next_s = figures.elapsed_s + LINE_INTERVAL_S
            self.say(self._line(figures))


def view_for(
    draw: Callable[[F, ConsoleOptions], RenderableType], line: Callable[[F], str], live: bool, json_only: bool
) -> LiveView[F] | LineView[F]:
    """The screen on a terminal, if `live`; else lines."""
    if live and not json_only and sys.stdout.isatty():
        return LiveView(draw)
    return LineView(line, to_stderr=json_only)
