"""`tagsmith bundle`: keys, and signed update bundles."""

import getpass
import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Annotated

import typer

from tagsmith import signing
from tagsmith.bundle import make_bundle, read_bundle
from tagsmith.commands.sources import (
    DEFAULT_KEY,
    Firmware,
    Json,
    Source,
    Trust,
    content,
    firmware_files,
    trusted_keys,
    write,
)
from tagsmith.output import note, result

Key = Annotated[Path, typer.Option("--key", help="The private key that signs.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Its first line is the key's passphrase; else you are asked."),
]

bundles = typer.Typer(no_args_is_help=True, help="Make and check signed update bundles, and the keys that sign them.")


def register(app: typer.Typer) -> None:
    """Adds this group's commands."""
    app.add_typer(bundles, name="bundle")


@bundles.command()
def key(
    path: Annotated[Path, typer.Argument(help="The private key to write, with FILE.pub beside it.")] = DEFAULT_KEY,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Make a pair of signing keys, once. Tags trust the public one; keep the private one safe and backed up.

    On a terminal you are asked for a passphrase; leave it empty for none.
    """
    passphrase = signing.read_passphrase(passphrase_file) if passphrase_file else _new_passphrase()
    public_path = signing.make_key(path, passphrase)
    if not passphrase:
        note(f"{path} has no passphrase: whoever can read this file can sign for all your tags.")
    print_ = _fingerprint(public_path)
    result(
        {"private_key": str(path), "public_key": str(public_path), "fingerprint": print_},
        f"{path} (keep it secret) and {public_path} (give it to benches), fingerprint {print_}",
        as_json=json,
    )


@bundles.command()
def make(
    output: Annotated[Path, typer.Argument(help="The bundle to write.")],
    key: Key = DEFAULT_KEY,
    version: Annotated[str, typer.Option(help="The application's version.")] = importlib.metadata.version("tagstack"),
    firmware: Firmware = None,
    source: Source = False,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Compile the firmware and sign it as one bundle. The same files, version and key give the same bytes."""
    private = signing.load_private_key(key, _passphrase(key, passphrase_file))
    files = firmware_files(firmware, source)
    made = make_bundle(files, private, version)
    write(output, made)
    sizes = {path: len(data) for path, data in sorted(files.items())}
    lines = [f"{size:>7}  {path}" for path, size in sizes.items()]
    lines.append(f"{len(made):>7}  bytes: {output}, version {version}, sha256 {hashlib.sha256(made).hexdigest()}")
    values = {"bundle": str(output), "version": version, "bytes": len(made), "files": sizes}
    result(values, "\n".join(lines), as_json=json)


@bundles.command()
def show(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Check a bundle's signature and hashes, and list what is in it."""
    found = read_bundle(content(file), trusted_keys(trust))
    sizes = {path: len(data) for path, data in found.files.items()}
    manifest = found.manifest
    lines = [f"{size:>7}  {path}" for path, size in sizes.items()]
    lines.append(f"version {manifest.version} for {', '.join(manifest.boards)}, signature and hashes fit")
    values = {"version": manifest.version, "boards": manifest.boards, "files": sizes}
    result(values, "\n".join(lines), as_json=json)


def _fingerprint(public_path: Path) -> str:
    modulus = signing.load_public_key(public_path).public_numbers().n
    return hashlib.sha256(modulus.to_bytes(signing.KEY_BITS // 8, "big")).hexdigest()[:16]


def _passphrase(key: Path, file: Path | None) -> str | None:
    if file:
        return signing.read_passphrase(file)
    if key.exists() and signing.needs_passphrase(key) and sys.stdin.isatty():
        return getpass.getpass(f"Passphrase of {key}: ")
    return None


def _new_passphrase() -> str | None:
    if not sys.stdin.isatty():
        return None
    first = getpass.getpass("Passphrase for the new key (empty for none): ")
    if first and getpass.getpass("Once more: ") != first:
        raise typer.BadParameter("the two passphrases differ")
    return first or None
