"""The command line of the simulator."""

import asyncio
import logging
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tagfleet.commands.energy import energy
from tagfleet.commands.run import run as run_scenario
from tagfleet.commands.scenarios import explain, keyring, list_scenarios, locustfile, new
from tagfleet.demo import Demo, DemoFailed, DemoSettings
from tagfleet.live import line, screen
from tagfleet.output import OutputLost, give_up, prepare, tell
from tagfleet.progress import Progress
from tagfleet.run_folder import FolderUnusable
from tagfleet.summary import json_line, text
from tagfleet.view import LineView, LiveView, view_for

SECONDS_MAX = 7 * 86_400

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tagfleet {version('tagstack')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")] = (
        False
    ),
) -> None:
    """Virtual tags and trucks against real gateways and a real MQTT broker, with an account of every sample.

    Start with `tagfleet demo`: nothing has to be installed or configured for it, and it needs no hardware. Then
    `tagfleet list` shows scenarios, `tagfleet run NAME` runs one, `tagfleet new NAME` writes one of your own.
    """


app.command("list")(list_scenarios)
app.command("run")(run_scenario)
app.command("new")(new)
app.command("explain")(explain)
app.command("keyring")(keyring)
app.command("locustfile")(locustfile)
app.command("energy")(energy)


@app.command()
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

    It starts `taghub run` as a child process, with its embedded MQTT broker; boots twins, which run the firmware's own
    files on a virtual board; puts a flock on simulated radio; and subscribes to what the gateway publishes. A ledger
    knows every sample that was made. At the end comes a summary, and as the last line the account as JSON.

    Exit code 0: nothing was lost, duplicated or wrong, and every twin delivered. 1: otherwise. 2: wrong usage. 130:
    interrupted before it had started. Ctrl-C ends the run early, with its summary; a second one does not wait for what
    is on its way.
    """
    settings = DemoSettings(
        seconds=seconds,
        twins=twins,
        tags=tags,
        interval_s=interval,
        seed=seed,
        intruders_per_s=DemoSettings.intruders_per_s if intruders else 0.0,
        folder=None if folder is None else folder.resolve(),
        interpreter=interpreter,
    )
    view = view_for(screen, line, live, json_only)
    try:
        raise typer.Exit(asyncio.run(_run(Demo(settings), view, json_only)))
    except FolderUnusable as error:
        typer.echo(f"tagfleet: {error}", err=True)
        raise typer.Exit(2) from None
    except OutputLost as error:
        give_up(f"tagfleet: {error}")
        raise typer.Exit(1) from None


async def _run(run: Demo, view: LiveView[Progress] | LineView[Progress], json_only: bool) -> int:
    # Warnings of the parts would run through the live screen; what a person must know is in the summary's notes.
    logging.basicConfig(handlers=[logging.NullHandler()])
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, run.stop)
    failure = ""
    try:
        with view:
            await run.run(view)
    except DemoFailed as error:
        failure = str(error)
    tell(f"\n{text(run.progress)}\n", sys.stderr if json_only else sys.stdout)
    if failure:
        tell(f"tagfleet: {failure}", sys.stderr)
    tell(json_line(run.progress), sys.stdout)
    return 0 if run.progress.good and not failure else 1


def main() -> None:
    """Run the command line."""
    prepare()
    app(prog_name="tagfleet")
