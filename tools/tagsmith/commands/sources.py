"""Options that several commands share: where a tag's files come from, and whom to trust."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tagsmith import signing
from tagsmith.bundle import read_bundle
from tagsmith.compile import compile_files
from tagsmith.errors import FileError, TrustError
from tagsmith.manifest import tag_files

Json = Annotated[bool, typer.Option("--json", help="Answer as one JSON object on standard output.")]
PortArgument = Annotated[str, typer.Argument(metavar="PORT", help="Serial port; `tagsmith ports` lists them.")]
Firmware = Annotated[
    Path | None, typer.Option("--firmware", help="Firmware folder, when not the one that came with tagsmith.")
]
Source = Annotated[bool, typer.Option("--source", help="Put .py files on the tag, for debugging; slower to wake.")]
Trust = Annotated[list[Path] | None, typer.Option("--trust", help="Public keys that may sign; default: your own.")]

DEFAULT_KEY = Path(typer.get_app_dir("tagsmith")) / "signing-key.pem"


def firmware_files(folder: Path | None, source: bool) -> dict[str, bytes]:
    """Path on the tag to content: compiled unless `source`. Raises FileError, ToolError."""
    try:
        files = tag_files(folder)
    except OSError as error:
        raise FileError(f"The firmware cannot be read: {error}.", "--firmware FOLDER, one with a manifest.py") from None
    return files if source else compile_files(files)


def bundle_files(bundle: Path, trust: list[Path] | None) -> dict[str, bytes]:
    """The files of a bundle that a trusted key signed. Raises FileError, TrustError."""
    return read_bundle(content(bundle), trusted_keys(trust)).files


def trusted_keys(paths: list[Path] | None) -> list[signing.PublicKey]:
    """The public keys in these files, or the one of this bench. Raises FileError, TrustError."""
    own = DEFAULT_KEY.with_name(DEFAULT_KEY.name + signing.PUBLIC_SUFFIX)
    if not paths and not own.exists():
        raise TrustError("No key is trusted on this bench.", "--trust KEY.pub, from whoever makes the bundles")
    return [signing.load_public_key(path) for path in paths or [own]]


def content(path: Path) -> bytes:
    """A file's bytes. Raises FileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.", "the right name; is the disk connected?") from None


def write(path: Path, data: bytes) -> None:
    """Writes a file: the whole of it, or what was there before stays. Raises FileError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # /dev/stdout, a named pipe
            path.write_bytes(data)
            return
        whole = path.resolve()
        part = whole.with_name(f"{whole.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
            part.replace(whole)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", "another place for the file") from None
