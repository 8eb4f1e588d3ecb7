"""The command `taghub`."""

import asyncio
import contextlib
import errno
import json as json_text
import logging
import os
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from taghub import looking
from taghub.doctor import doctor_lines, exit_code
from taghub.errors import EXIT_CODES, EXIT_OUTPUT, TaghubError
from taghub.run import read_keyring, run
from taghub.settings import Settings, load_settings

_EXIT_CODES_HELP = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # else a line break of the source is one on the screen, and [[radio]] is markup
    pretty_exceptions_enable=False,
    help="The gateway: hears tags over Bluetooth, delivers their samples over MQTT.",
    epilog=_EXIT_CODES_HELP,
)

SettingsFile = Annotated[Path, typer.Argument(metavar="SETTINGS.toml", help="Settings file; see `taghub init`.")]


@app.command("run", epilog=_EXIT_CODES_HELP)
def run_command(
    settings_file: SettingsFile,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what each part does.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log errors only.")] = False,
) -> None:
    """Run a hub until it gets SIGTERM or Ctrl-C. It then delivers what is left. Logs go to stderr, a line each."""
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # A malformed HCI event is some 34 lines of bumble's, at level ERROR; what ends a radio we log ourselves.
    for noisy, level in (("bleak", logging.ERROR), ("bumble", logging.CRITICAL)):
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else level)
    if verbose:
        logging.getLogger("taghub").setLevel(logging.DEBUG)
    asyncio.run(run(load_settings(settings_file)))


@app.command()
def check(settings_file: SettingsFile) -> None:
    """Check a settings file and its keyring, start nothing, and say what the hub would do."""
    settings = load_settings(settings_file)
    tags = len(read_keyring(settings))
    typer.echo(f"{settings_file}: good")
    for line in _summary(settings, tags):
        typer.echo(f"  {line}")


@app.command(epilog=_EXIT_CODES_HELP)
def doctor(
    settings_file: SettingsFile,
    listen: Annotated[
        float, typer.Option("--listen", min=0, help="Seconds for which each radio is listened to; 0 for not at all.")
    ] = 3.0,
    json: Annotated[bool, typer.Option("--json", help="A list of findings as JSON.")] = False,
) -> None:
    """Look at everything that a hub with these settings needs, and say for each fault what to do.

    Keyring, clock, adapters, BlueZ, permissions, disk, broker. It changes nothing. Exits as `taghub run` would with the
    first failure; warnings are no failure.
    """
    from taghub.doctor_probe import examine  # asks many parts, which load

    findings = asyncio.run(examine(load_settings(settings_file), listen))
    if json:
        typer.echo(json_text.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for line in doctor_lines(findings):
            typer.echo(line)
    raise typer.Exit(exit_code(findings))


@app.command()
def init() -> None:
    """Print a commented settings file to start from: `taghub init > settings.toml`."""
    typer.echo(files("taghub").joinpath("example.toml").read_text("utf-8"), nl=False)


def _summary(settings: Settings, tags: int) -> list[str]:
    if settings.mqtt is not None:
        broker = f"{settings.mqtt.host}:{settings.mqtt.port}{' with TLS' if settings.mqtt.tls else ''}"
    else:
        broker = f"embedded, 127.0.0.1:{settings.broker.port}"
    return [
        f"hub       {settings.hub.id} at site {settings.hub.site}, company id 0x{settings.hub.company_id:04X}",
        f"keyring   {settings.keyring.path}: {tags} tags",
        f"radios    {', '.join(radio.kind for radio in settings.radio)}",
        f"broker    {broker}",
        f"batches   after {settings.batch.max_age_s:g} s or {settings.batch.max_samples} samples",
        f"spool     {_spool(settings)}",
    ]


def _spool(settings: Settings) -> str:
    if settings.spool is None:
        return "none: what the broker has not acknowledged is lost when the hub is killed, or power goes"
    return f"{settings.spool.path}, up to {settings.spool.max_mb} MB"


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"taghub {version('tagstack')}")
        raise typer.Exit


looking.register(app)


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; each expected failure is one line on stderr and its exit code."""
    try:
        app()
    except TaghubError as error:
        print(f"taghub: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO):
            raise
        print(f"taghub: the output cannot be written: {error.strerror}", file=sys.stderr)
        with contextlib.suppress(OSError):  # Python would try once more when it ends, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_OUTPUT)
