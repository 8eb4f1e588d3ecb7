"""Update bundles, made from the firmware and read back. The format is tagwire.bundle's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from tagsmith.errors import FileError, TrustError
from tagwire.bundle import HEADER_BYTES, BundleReader, Manifest, parse_manifest
from tagwire.bundle_sign import build_bundle
from tagwire.errors import REASON_SIGNATURE, DecodeError, EncodeError

BOARD_FILES = "tag/boards/"
MINIMUM_MICROPYTHON = (1, 27)  # what the firmware is checked against
# Newer than any: a bench reads bundles for all boards.
ANY_MICROPYTHON = (999, 0)


class Bundle(NamedTuple):
    """A bundle whose signature and hashes fit. files: path on the tag to content."""

    manifest: Manifest
    files: dict[str, bytes]


def boards_of(files: Mapping[str, bytes]) -> list[str]:
    """The boards that a firmware knows, by the names that provisioning uses ("esp32-devkit")."""
    names = {path.removeprefix(BOARD_FILES).partition(".")[0] for path in files if path.startswith(BOARD_FILES)}
    return sorted(name.replace("_", "-") for name in names - {"__init__"})


def make_bundle(
    files: Mapping[str, bytes],
    key: rsa.RSAPrivateKey,
    version: str,
    micropython: tuple[int, int] = MINIMUM_MICROPYTHON,
) -> bytes:
    """A signed bundle; the same files, version and key give the same bytes. Raises FileError."""
    try:
        return build_bundle(key, version, boards_of(files), micropython, files)
    except EncodeError as error:
        raise FileError(f"A tag would refuse this bundle: {error}.", "a shorter version, or fewer files") from None


def read_bundle(data: bytes, trusted: Sequence[rsa.RSAPublicKey]) -> Bundle:
    """A bundle that one of the trusted keys signed. Raises TrustError, FileError."""
    try:
        # Unchecked so far, and used for nothing but to ask the reader for a board that it will accept.
        claimed = parse_manifest(data[HEADER_BYTES:][: int.from_bytes(data[HEADER_BYTES - 2 : HEADER_BYTES], "little")])
        moduli = [key.public_numbers().n for key in trusted]
        reader = BundleReader(moduli, claimed.boards[0], ANY_MICROPYTHON)
        files: dict[str, bytes] = {}
        for file, piece, _ in reader.feed(data):
            files[file.path] = files.get(file.path, b"") + piece
        reader.finish()
    except DecodeError as error:
        if error.reason == REASON_SIGNATURE:
            raise TrustError(
                "The bundle is damaged, or signed by somebody whose key you do not trust.",
                "copy it again; the --trust key of who made it; your own bundle with `tagsmith bundle make`",
            ) from None
        raise FileError(f"The bundle is damaged ({error}).", "copy or download it again") from None
    return Bundle(claimed, files)
