"""`tagfleet demo`: the built-in scenario of this name, with a screen and a summary of its own."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tagfleet.commands.running import lead
from tagfleet.commands.scenarios import fail
from tagfleet.demo_screen import line, screen
from tagfleet.demo_summary import json_line, text
from tagfleet.output import tell
from tagfleet.result import INTERRUPTED, OK
from tagfleet.run_folder import FolderUnusable, run_folder
from tagfleet.runner import Run
from tagfleet.scenario import ScenarioError, find, read
from tagfleet.view import view_for

NAME = "demo"
SECONDS_MAX = 7 * 86_400


def demo(
    seconds: Annotated[
        float,
        typer.Option(min=1, max=SECONDS_MAX, help="How long samples are made, after set-up."),
    ] = 45,
    twins: Annotated[int, typer.Option(min=0, max=20, help="Tags that run the real firmware, under MicroPython.")] = 3,
    tags: Annotated[int, typer.Option(min=1, max=10_000, help="Tags of the flock, on simulated radio.")] = 200,
    interval: Annotated[int, typer.Option(min=2, max=3600, help="Seconds between two samples of a tag.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed makes the same tags, trucks and weather.")] = 1,
    intruders: Annotated[bool, typer.Option(help="Mix forged, replayed and foreign advertisements into the air.")] = (
        True
    ),
    live: Annotated[bool, typer.Option(help="Show a live screen, if stdout is a terminal.")] = True,
    json_only: Annotated[bool, typer.Option("--json", help="Only the JSON on stdout, the rest on stderr.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep the run's files here: settings, keyring, trace, log. Default: a temporary folder."),
    ] = None,
    interpreter: Annotated[
        str | None, typer.Option(help="A MicroPython interpreter for the twins. Default: the installed one.")
    ] = None,
) -> None:
    """Run the whole path on this machine: tags, radio, gateway, MQTT broker, subscriber.

    It starts an embedded MQTT broker, and `taghub run` as a child process; boots twins, which run the firmware's own
    files on a virtual board; puts a flock on simulated radio; and subscribes to what the gateway publishes. A ledger
    knows every sample that was made. At the end comes a summary, and as the last line the account as JSON. It is
    `tagfleet run demo`, with a screen for people.

    Exit code 0: nothing was lost, duplicated or wrong, and every twin delivered. 1: otherwise. 2: wrong usage. 130:
    interrupted before it had started. Ctrl-C ends the run early, with its summary; a second one does not wait for what
    is on its way.
    """
    changes: dict[tuple[str, ...], Any] = {
        ("run", "duration"): f"{seconds} s",
        ("run", "seed"): seed,
        ("tags", "count"): tags,
        ("tags", "interval"): f"{interval} s",
        ("tags", "twins"): twins,
    }
    if not intruders:
        changes[("fault",)] = []
    try:
        scenario = read(find(NAME), changes)
    except ScenarioError as error:
        fail(str(error))
    view = view_for(screen, line, live, json_only)
    try:
        with run_folder(None if folder is None else folder.resolve()) as home:
            run = Run(scenario, NAME, home, interpreter)
            run.figures.latest = {}  # the screen shows single tags
            result = asyncio.run(lead(run, view))
        tell(f"\n{text(result)}\n", sys.stderr if json_only else sys.stdout)
        if result.failure:
            tell(f"tagfleet: {result.failure}", sys.stderr)
        tell(json_line(result), sys.stdout)
    except FolderUnusable as error:
        fail(str(error))
    raise typer.Exit(result.exit_code if result.exit_code in (OK, INTERRUPTED) else 1)
