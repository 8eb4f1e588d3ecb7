"""The keys that sign bundles: RSA-2048, made once, kept where nobody else can read them."""

import os
import stat
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tagsmith.errors import FileError, TrustError

PublicKey = rsa.RSAPublicKey
KEY_BITS = 2048
PUBLIC_EXPONENT = 65537
PUBLIC_SUFFIX = ".pub"
MAKE_ONE = "`tagsmith bundle key` makes a pair"


def make_key(path: Path, passphrase: str | None = None) -> Path:
    """Writes a new private key (PEM, mode 0600) and, beside it, the public one; returns the public key's path.

    Never overwrites. Raises FileError.
    """
    key = rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS)
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", "another folder") from None
    if public_path.exists():  # before a private key is written that has no public one
        raise FileError(f"{public_path} exists already.", "another name; tags trust the key they were made with")
    made: list[Path] = []
    for file, content, mode in ((path, private, 0o600), (public_path, public, 0o644)):
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(file)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            for half in made:  # it would stand in the way of the next try
                half.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                advice = "another name; tags trust the key they were made with"
                raise FileError(f"{file} exists already.", advice) from None
            raise FileError(f"{file} cannot be written: {error.strerror}.", "another folder, with room") from None
    return public_path


def load_private_key(path: Path, passphrase: str | None = None) -> rsa.RSAPrivateKey:
    """The key to sign with. Raises FileError; TrustError if others may read it or the passphrase does not fit."""
    _refuse_readable_by_others(path)
    try:
        key = serialization.load_pem_private_key(_read(path), passphrase.encode() if passphrase else None)
    except TypeError:
        if passphrase:
            return load_private_key(path)  # one was given for a key that has none
        raise TrustError(f"{path} is protected by a passphrase.", "--passphrase-file, or type it when asked") from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = "or the passphrase is wrong " if passphrase else ""
        raise TrustError(f"{path} is not a private key {wrong}.".replace(" .", "."), MAKE_ONE) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != KEY_BITS:
        raise TrustError(f"{path} is not an RSA key of {KEY_BITS} bits.", MAKE_ONE)
    return key


def needs_passphrase(path: Path) -> bool:
    """Whether this private key is encrypted. Raises FileError."""
    return b"ENCRYPTED" in _read(path).partition(b"\n")[0]


def read_passphrase(path: Path) -> str:
    """The first line of a file. Raises FileError; TrustError if others may read it."""
    _refuse_readable_by_others(path)
    return _read(path).decode(errors="replace").partition("\n")[0].rstrip("\r")


def load_public_key(path: Path) -> rsa.RSAPublicKey:
    """The key to check with. Raises FileError, TrustError."""
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError(f"{path} is not a public key.", f"the file that ends in {PUBLIC_SUFFIX}; {MAKE_ONE}") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != KEY_BITS:
        raise TrustError(f"{path} is not an RSA key of {KEY_BITS} bits.", MAKE_ONE)
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.", MAKE_ONE) from None


def _refuse_readable_by_others(path: Path) -> None:
    if sys.platform == "win32" or not path.exists():  # Windows keeps permissions elsewhere
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise TrustError(
            f"{path} can be read by others (mode {mode:04o}).",
            f"chmod 600 {path}; if somebody may have read it, a new key",
        )
