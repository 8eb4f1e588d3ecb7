"""What commands say: text for people, one JSON object for programs, progress only where a person watches."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tagsmith.errors import BenchError

JSON_OPTION = "--json"
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the end of a line


class ShowProgress(Protocol):
    """Called with what is being done and how much of it is done, 0 to 1."""

    def __call__(self, stage: str, share: float, /) -> None: ...


def silent(stage: str, share: float, /) -> None:
    """Progress that nobody watches."""


def shown(text: str) -> str:
    """Text that cannot play with a terminal: what a board says of itself may hold any control character."""
    return _CONTROL.sub("·", text)


def result(values: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """A command's answer on standard output. `values` must be what json can carry, and hold no key."""
    print(json.dumps(values, ensure_ascii=False) if as_json else shown(text))


def note(text: str) -> None:
    """A remark on standard error, so that standard output stays one answer."""
    print(shown(text), file=sys.stderr)


def failure(error: BenchError, *, as_json: bool) -> None:
    """One clear sentence and what to try next."""
    if as_json:
        values = {"error": error.sentence, "try": error.try_next, "exit_code": error.exit_code}
        print(json.dumps(values, ensure_ascii=False))
    else:
        note(f"tagsmith: {error.sentence}\n     try: {error.try_next}")


def wrong_usage(error: Any, exit_code: int) -> None:
    """A command line that cannot be understood, for a program. error: typer's."""
    command = error.ctx.command_path if error.ctx is not None else "tagsmith"
    sentence = error.format_message().rstrip(".") + "."
    print(json.dumps({"error": sentence, "try": f"`{command} --help`", "exit_code": exit_code}, ensure_ascii=False))


@contextmanager
def progress(*, as_json: bool = False) -> Iterator[ShowProgress]:
    """A bar per stage on a terminal; nothing in a pipe, a log or JSON."""
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, share: float, /) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=share)

        yield show
