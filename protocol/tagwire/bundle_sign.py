"""Makes update bundles (see tagwire.bundle). Host only. The same files and key make the same bytes."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tagwire.bundle import EXPONENT, FORMAT, MAGIC, parse_manifest
from tagwire.errors import DecodeError, EncodeError


def build_bundle(
    key: RSAPrivateKey,
    version: str,
    boards: Sequence[str],
    micropython: tuple[int, int],
    files: Mapping[str, bytes],
) -> bytes:
    """A signed bundle of `files` (path to bytes), for `boards` with at least that MicroPython (major, minor).

    Raises EncodeError where a tag would refuse it: see tagwire.bundle for the limits.
    """
    numbers = key.public_key().public_numbers()
    if key.key_size != 2048 or numbers.e != EXPONENT:
        raise EncodeError(f"an RSA key of {key.key_size} bits with exponent {numbers.e}, not 2048 with {EXPONENT}")
    paths = sorted(files)
    manifest = json.dumps(
        {
            "version": version,
            "boards": sorted(boards),
            "micropython": list(micropython),
            "files": [[path, len(files[path]), sha256(files[path]).hexdigest()] for path in paths],
        },
        separators=(",", ":"),
    ).encode()
    try:
        parse_manifest(manifest)
    except DecodeError as error:
        raise EncodeError(str(error)) from None
    return sign_manifest(key, manifest) + b"".join(files[path] for path in paths)


def sign_manifest(key: RSAPrivateKey, manifest: bytes) -> bytes:
    """The head of a bundle, signature included, around any manifest bytes. Raises EncodeError beyond 64 KB."""
    if len(manifest) > 0xFFFF:
        raise EncodeError(f"a manifest of {len(manifest)} bytes")
    signed = MAGIC + bytes([FORMAT]) + len(manifest).to_bytes(2, "little") + manifest
    return signed + key.sign(signed, PKCS1v15(), hashes.SHA256())
