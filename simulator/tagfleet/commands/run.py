"""`tagfleet run`."""

import asyncio
import contextlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tagfleet.commands.running import lead
from tagfleet.commands.scenarios import fail
from tagfleet.machine import free_memory_bytes
from tagfleet.output import tell
from tagfleet.report import json_line, junit, text
from tagfleet.run_folder import FolderUnusable, last_folder, run_folder
from tagfleet.run_screen import line, screen
from tagfleet.runner import Run
from tagfleet.scenario import Scenario, ScenarioError, find, read
from tagfleet.scenario.errors import Problem
from tagfleet.scenario.estimate import estimate, lines, too_fast, too_much
from tagfleet.scenario.library import line_of_key
from tagfleet.scenario.shards import shard
from tagfleet.view import view_for


def run(
    scenario: Annotated[str, typer.Argument(metavar="NAME", help="A built-in scenario, or a file: my.toml.")],
    duration: Annotated[str | None, typer.Option(help='In place of the scenario\'s, such as "5 min".')] = None,
    time: Annotated[str | None, typer.Option(help='"real", "60x", or "fast".')] = None,
    tags: Annotated[int | None, typer.Option(help="How many tags.")] = None,
    hubs: Annotated[int | None, typer.Option(help="How many hubs.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same tags, weather and faults.")] = None,
    target: Annotated[str | None, typer.Option(help="inside, taghub, air, hci or batches.")] = None,
    air: Annotated[list[str] | None, typer.Option(help="Air address of a running taghub; repeat for more.")] = None,
    broker: Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="A broker that runs already.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any key, as in TOML: --set slo.radio='\"5 %\"'"),
    ] = None,
    shard_of: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Only this part of the fleet: 1/4 of four machines.")
    ] = None,
    estimate_only: Annotated[bool, typer.Option("--estimate", help="Say what it needs, and do not run it.")] = False,
    junit_path: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML for CI here.")] = None,
    live: Annotated[bool, typer.Option(help="Show a live screen, if stdout is a terminal.")] = True,
    json_only: Annotated[bool, typer.Option("--json", help="Only JSON on stdout, the rest on stderr.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the run's files here. Default: the last run's are kept for `explain`.")
    ] = None,
    interpreter: Annotated[str | None, typer.Option(help="A MicroPython interpreter for twins.")] = None,
) -> None:
    """Run a scenario: a simulated fleet against real gateways and a real broker, with an account of every sample.

    Exit code 0: every objective was met. 1: one was missed. 2: the scenario or an option is wrong. 3: void, because
    this machine could not make the samples in time. 4: a hub, worker or broker could not start, or ended for good. 130:
    interrupted before it had started. Ctrl-C ends a run early, with the report of what ran; a second one does not wait
    for what is on its way.
    """
    changes = _changes(
        duration=("run.duration", duration),
        time=("run.time", time),
        seed=("run.seed", seed),
        tags=("tags.count", tags),
        hubs=("hubs.count", hubs),
        target=("hubs.target", target),
    )
    if air:
        changes |= {("hubs", "target"): "air", ("hubs", "addresses"): air, ("hubs", "count"): len(air)}
    if broker:
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]]+))(?::([0-9]{1,5}))?", broker)
        if match is None:
            fail(f"--broker {broker}: write HOST, HOST:PORT or [IPV6-ADDRESS]:PORT")
        host, port = match[1] or match[2], match[3]
        changes |= {("broker", "start"): "none", ("broker", "host"): host}
        changes[("broker", "port")] = int(port or 1883)
    for setting in settings or []:
        changes |= _setting(setting)
    try:
        path = find(scenario)
        chosen = read(path, changes)
        if shard_of is not None:
            number, _, parts = shard_of.partition("/")
            if not (number.isdigit() and parts.isdigit()):
                fail(f"--shard {shard_of}: write I/N, such as 1/4")
            chosen = shard(chosen, int(number), int(parts))
        _check_memory(chosen, path, changes, estimate_only)
    except ScenarioError as error:
        typer.echo(f"tagfleet: {error}" if len(error.problems) == 1 else str(error), err=True)
        raise typer.Exit(2) from None
    if estimate_only:
        _tell_estimate(chosen, json_only)
        return
    if junit_path is not None and (junit_path.is_dir() or not os.access(junit_path.parent, os.W_OK)):
        fail(f"{junit_path} cannot be written; --junit names a file in a folder that exists")
    if warning := too_fast(estimate(chosen, 0)):
        typer.echo(f"tagfleet: {warning}", err=True)
    view = view_for(screen, line, live, json_only)
    try:
        with _folder(folder) as home:
            result = asyncio.run(lead(Run(chosen, path.stem, home, interpreter), view))
        tell(f"\n{text(result)}\n", sys.stderr if json_only else sys.stdout)
        if json_only:
            tell(json_line(result), sys.stdout)
    except FolderUnusable as error:
        fail(str(error))
    if junit_path is not None:
        try:
            junit_path.write_text(junit(result), "utf-8")
        except OSError as error:
            fail(f"{junit_path} cannot be written: {error.strerror}")
    raise typer.Exit(result.exit_code)


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """The one that was asked for, else that of the last run, else, where another run is using that, a temporary one."""
    with contextlib.ExitStack() as stack:
        try:
            home = stack.enter_context(run_folder(chosen or last_folder()))
        except FolderUnusable:
            if chosen is not None:
                raise
            home = stack.enter_context(run_folder(None))
        yield home


def _changes(**options: tuple[str, Any]) -> dict[tuple[str, ...], Any]:
    return {tuple(key.split(".")): value for key, value in options.values() if value is not None}


def _setting(text: str) -> dict[tuple[str, ...], Any]:
    """KEY=VALUE; a value that is no TOML is taken as text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        fail(f"--set {text}: write KEY=VALUE, such as tags.count=500")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {tuple(part.strip() for part in key.split(".")): parsed}


def _check_memory(scenario: Scenario, path: Path, changes: dict[tuple[str, ...], Any], estimate_only: bool) -> None:
    free = free_memory_bytes()
    if text := too_much(scenario, estimate(scenario, free), free):
        key = ("tags" if estimate(scenario, free).tags_max else "hubs", "count")
        line = 0 if key in changes else line_of_key(path, key)
        if not estimate_only:
            raise ScenarioError(str(path), [Problem(line, ".".join(key), text)])


def _tell_estimate(scenario: Scenario, json_only: bool) -> None:
    free = free_memory_bytes()
    found = estimate(scenario, free)
    if json_only:
        finite = {name: value if value != float("inf") else None for name, value in found._asdict().items()}
        tell(json.dumps(finite), sys.stdout)
    else:
        tell("\n".join([scenario.title, *(f"  {line}" for line in lines(scenario, found, free))]), sys.stdout)
