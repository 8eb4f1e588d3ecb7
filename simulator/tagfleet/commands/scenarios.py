"""`tagfleet list`, `new`, `explain`: everything about scenarios but running them."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tagfleet.capture import CaptureUnreadable, scenario_of_capture
from tagfleet.identity import make_provisions
from tagfleet.ledger.rows import LedgerUnreadable
from tagfleet.ledger.story import NoSuchSample, lines, tell
from tagfleet.output import tell as say
from tagfleet.run_folder import last_folder
from tagfleet.scenario import ScenarioError, builtin_names, find, read
from tagfleet.scenario.library import scenarios_folder
from tagfleet.scenario.quantities import duration_text
from tagwire.keyring import entry_from_provision, write_keyring

USAGE = 2

JsonOnly = Annotated[bool, typer.Option("--json", help="JSON for a script.")]


def list_scenarios(json_only: JsonOnly = False) -> None:
    """Show the scenarios that come with tagfleet. `tagfleet run NAME` runs one, `new MINE --from NAME` copies one."""
    rows = []
    for name in builtin_names():
        scenario = read(find(name))
        rows.append(
            {
                "name": name,
                "title": scenario.title,
                "tags": scenario.tags.count,
                "hubs": scenario.hubs.count,
                "duration_s": scenario.run.duration,
                "time": scenario.run.time if scenario.run.time != float("inf") else "fast",
                "target": scenario.hubs.target,
            }
        )
    if json_only:
        say(json.dumps(rows), sys.stdout)
        return
    width = max(len(str(row["name"])) for row in rows)
    shown = []
    for row in rows:
        speed = row["time"]
        fast = "as fast as it can" if speed == "fast" else "real time" if speed == 1 else f"{speed:g} times real time"
        span = duration_text(float(str(row["duration_s"])))
        hubs = f"{row['hubs']:,} hub{'s' * (row['hubs'] != 1)}"
        shown.append(f"{row['name']!s:<{width}}  {row['title']}")
        shown.append(f"{'':<{width}}  {row['tags']:,} tags, {hubs}, {span}, {fast}")
    say("\n".join(shown), sys.stdout)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new scenario: NAME.toml is written.")],
    start_from: Annotated[
        str | None, typer.Option("--from", help="A built-in scenario to start from. Default: a commented first one.")
    ] = None,
    capture: Annotated[
        Path | None, typer.Option(help="A btsnoop capture to make a scenario of: its tags, intervals, loudness.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write a scenario to start from. Then: `tagfleet run NAME.toml --estimate`, and `tagfleet run NAME.toml`.

    Exit code 2: the file exists, or what it should be made of does not.
    """
    if start_from is not None and capture is not None:
        fail("--from and --capture: a new scenario starts from one of them")
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    if path.name == ".toml":
        fail(f"{path}: the new scenario needs a name")
    if path.exists() and not force:
        fail(f"{path} exists; choose another name, or --force")
    try:
        if capture is not None:
            text = scenario_of_capture(capture)
        else:
            source = find(start_from) if start_from else scenarios_folder() / "first.toml"
            read(source)  # or it says what is wrong with it
            text = source.read_text("utf-8-sig")
    except (ScenarioError, CaptureUnreadable) as error:
        fail(str(error))
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    say(f"{path} is written; next: tagfleet run {path}", sys.stdout)


def explain(
    tag: Annotated[int, typer.Argument(min=0, max=0xFFFF_FFFF, help="The tag's id.")],
    counter: Annotated[int, typer.Argument(min=0, max=0xFFFF_FFFF, help="The sample's counter.")],
    folder: Annotated[
        Path | None, typer.Option(help="The run's --folder. Default: the last run that was given none.")
    ] = None,
    json_only: JsonOnly = False,
) -> None:
    """Tell one sample's story in the last run: who heard it, when each stage had it, and what became of it.

    Exit code 2: there is no such run, tag or sample; the message says what there is.
    """
    try:
        story = tell(folder or last_folder(), tag, counter)
    except (LedgerUnreadable, NoSuchSample) as error:
        fail(str(error))
    say(json.dumps(story) if json_only else "\n".join(lines(story)), sys.stdout)


def keyring(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A built-in scenario, or a file.")],
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    tags: Annotated[int | None, typer.Option(help="As for `tagfleet run`.")] = None,
    seed: Annotated[int | None, typer.Option(help="As for `tagfleet run`.")] = None,
    hub: Annotated[int, typer.Option(min=1, help="The number of the hub that may open sessions by it.")] = 1,
) -> None:
    """Write the keyring of a scenario's tags, for a taghub of yours: it then hears `tagfleet run NAME --air ADDRESS`.

    Its settings need a radio of kind "air", and [keyring] path = FILE. Keys come from the seed: for simulations only.
    """
    changes: dict[tuple[str, ...], object] = {}
    if tags is not None:
        changes["tags", "count"] = tags
    if seed is not None:
        changes["run", "seed"] = seed
    try:
        scenario = read(find(name), changes)
    except ScenarioError as error:
        fail(str(error))
    entries = [
        entry_from_provision(provision, hub)
        for provision in make_provisions(scenario.run.seed, scenario.tags.first_id, scenario.tags.count)
    ]
    try:
        write_keyring(output, entries)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
    say(f"{output}: {len(entries):,} tags, from {entries[0].tag_id} to {entries[-1].tag_id}", sys.stdout)


def locustfile() -> None:
    """Print the path of the locustfile that runs a fleet in shards, for `locust -f`. See docs/fleets.md."""
    say(str(Path(__file__).resolve().parents[1] / "locustfile.py"), sys.stdout)


def fail(text: str) -> NoReturn:
    """Wrong usage: say so, and end."""
    typer.echo(f"tagfleet: {text}", err=True)
    raise typer.Exit(USAGE)
