"""The command line of the simulator."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from tagfleet.commands.demo import demo
from tagfleet.commands.energy import energy
from tagfleet.commands.run import run as run_scenario
from tagfleet.commands.scenarios import explain, keyring, list_scenarios, locustfile, new
from tagfleet.output import OutputLost, give_up, prepare

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
app.command("demo")(demo)


def main() -> None:
    """Run the command line."""
    prepare()
    try:
        app(prog_name="tagfleet")
    except OutputLost as error:
        give_up(f"tagfleet: {error}")
        sys.exit(1)
