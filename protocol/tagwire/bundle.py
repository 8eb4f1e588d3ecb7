"""Update bundles: an application's files behind a signed manifest, checked as they stream in. Portable.

    magic "tagstack" | format u8 | manifest length u16 | manifest (JSON) | signature (256) | the files' bytes, in order

The signature is RSA-2048, PKCS#1 v1.5, SHA-256, over everything ahead of it. Manifest: "version" (text), "boards"
(names), "micropython" (major, minor: the least that will do), "files" (path, bytes, SHA-256 in hex). Nothing of it is
trusted before the signature has been checked, and no file before its hash has been.
"""

import json
from binascii import hexlify
from hashlib import sha256

from tagwire.errors import (
    REASON_BOARD,
    REASON_FORMAT,
    REASON_HASH,
    REASON_LENGTH,
    REASON_SIGNATURE,
    REASON_VERSION,
    DecodeError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class BundleFile(NamedTuple):
        """One file of a bundle. size: bytes; sha256: 64 hexadecimal digits."""

        path: str
        size: int
        sha256: str

    class Manifest(NamedTuple):
        """What a bundle is. micropython: the least (major, minor) it runs on."""

        version: str
        boards: "list[str]"
        micropython: "tuple[int, int]"
        files: "list[BundleFile]"

else:
    from collections import namedtuple

    BundleFile = namedtuple("BundleFile", ("path", "size", "sha256"))
    Manifest = namedtuple("Manifest", ("version", "boards", "micropython", "files"))

MAGIC = b"tagstack"
FORMAT = 1
HEADER_BYTES = 11
SIGNATURE_BYTES = 256
EXPONENT = 65537
# EMSA-PKCS1-v1_5 (RFC 8017, 9.2) of a SHA-256 digest, up to the digest itself
ENCODING_PREFIX = (
    b"\x00\x01" + b"\xff" * 202 + b"\x00" + b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
)
ENCODING_PREFIX += b"\x05\x00\x04\x20"

MANIFEST_BYTES_MAX = 12288
FILES_MAX = 96
FILE_BYTES_MAX = 131072
TOTAL_BYTES_MAX = 524288
PATH_BYTES_MAX = 64
PATH_PARTS_MAX = 4
BOARDS_MAX = 16
VERSION_BYTES_MAX = 32
RESERVED = ("provision.json", "counter")  # what makes a tag somebody's tag is not part of its application
_PATH_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./"


def signed_by(modulus: int, message: bytes, signature: bytes) -> bool:
    """Whether the owner of this RSA-2048 key signed the message: compares the whole encoding, parses none."""
    number = int.from_bytes(signature, "big")
    if len(signature) != SIGNATURE_BYTES or number >= modulus:
        return False
    encoding = pow(number, EXPONENT, modulus).to_bytes(SIGNATURE_BYTES, "big")
    return encoding == ENCODING_PREFIX + sha256(message).digest()


def parse_manifest(data: bytes) -> "Manifest":
    """A manifest from its bytes. Raises DecodeError("format") for a missing or foreign key, a path that leads
    elsewhere, or more than a tag can hold."""
    try:
        fields = json.loads(data.decode())
        version = fields.pop("version")
        boards = fields.pop("boards")
        major, minor = fields.pop("micropython")
        files = [BundleFile(path, size, digest) for path, size, digest in fields.pop("files")]
        fault = "keys that this format does not have" if fields else _fault(version, boards, major, minor, files)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # UnicodeError, RecursionError too
        fault = "not the declared structure"
    if fault:
        raise DecodeError(REASON_FORMAT, "manifest: " + fault)
    return Manifest(version, boards, (major, minor), files)


def _fault(version, boards, major, minor, files) -> "str | None":  # type: ignore[no-untyped-def]
    """What is wrong with a manifest's values, None when all is well."""
    if not isinstance(version, str) or not 1 <= len(version) <= VERSION_BYTES_MAX:
        return "version is not a text of 1 to 32 characters"
    if not isinstance(boards, list) or not 1 <= len(boards) <= BOARDS_MAX:
        return "boards is not a list of 1 to 16 names"
    for board in boards:
        if not isinstance(board, str):
            return "a board is not a name"
    if type(major) is not int or type(minor) is not int:
        return "micropython is not major and minor"
    if not 1 <= len(files) <= FILES_MAX:
        return "not 1 to 96 files"
    seen = set()
    total = 0
    for path, size, digest in files:
        if not isinstance(path, str) or not _is_plain(path) or path.lower() in seen:
            return "path %r" % (path,)
        seen.add(path.lower())
        if type(size) is not int or not 0 <= size <= FILE_BYTES_MAX:
            return "size of " + path
        if not isinstance(digest, str) or len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
            return "SHA-256 of " + path
        total += size
    return "more than 512 KiB" if total > TOTAL_BYTES_MAX else None


def _is_plain(path: str) -> bool:
    """A relative path of plain names: no root, no dots that lead elsewhere, no hidden file, nothing reserved."""
    if len(path) > PATH_BYTES_MAX or any(c not in _PATH_CHARACTERS for c in path):
        return False
    parts = path.split("/")
    if len(parts) > PATH_PARTS_MAX or path.lower() in RESERVED:
        return False
    return not any(not part or part[0] == "." for part in parts)


class BundleReader:
    """Takes a bundle in chunks of any size and gives back its files' bytes, in order.

    `moduli`: the RSA keys that the tag trusts, as numbers of 2,048 bits. `board`, `micropython`: what the tag is.
    `manifest` is None until the signature has been found good; then `manifest_sha256` is what an UPDATE command names.
    Which version may follow which is the platform's to say, with that command. Memory: the manifest and one chunk.
    """

    def __init__(self, moduli: "list[int]", board: str, micropython: "tuple[int, int]") -> None:
        self._moduli = moduli
        self._board = board
        self._micropython = micropython
        self._head = b""  # until the signature is complete
        self._file = 0
        self._left = 0  # bytes of the present file
        self._hash = sha256()
        self.manifest: "Manifest | None" = None
        self.manifest_sha256 = b""

    def feed(self, data: bytes) -> "list[tuple[BundleFile, bytes, bool]]":
        """The next bytes: pieces of files as (file, bytes, whether that ends it and its hash was right).

        Raises DecodeError: "format", "version", "length", "signature", "board", "hash". After that throw away what
        came of this bundle, and the reader too.
        """
        pieces: "list[tuple[BundleFile, bytes, bool]]" = []
        if self.manifest is None:
            data = self._take_head(data)
        while self.manifest is not None and (data or not self._left):
            if self._file == len(self.manifest.files):
                if data:
                    raise DecodeError(REASON_LENGTH, "%d bytes after the last file" % len(data))
                break
            file = self.manifest.files[self._file]
            piece = data[: self._left]
            data = data[len(piece) :]
            self._hash.update(piece)
            self._left -= len(piece)
            if not self._left:
                if hexlify(self._hash.digest()).decode() != file.sha256:
                    raise DecodeError(REASON_HASH, file.path)
                self._file += 1
                self._next_file()
                pieces.append((file, piece, True))
            else:
                pieces.append((file, piece, False))
        return pieces

    def finish(self) -> None:
        """The bundle has ended. Raises DecodeError("length") if it should go on."""
        if self.manifest is None or self._file < len(self.manifest.files):
            raise DecodeError(REASON_LENGTH, "the bundle ends too early")

    def _next_file(self) -> None:
        if self.manifest is not None and self._file < len(self.manifest.files):
            self._left = self.manifest.files[self._file].size
            self._hash = sha256()

    def _take_head(self, data: bytes) -> bytes:
        """Gather up to the signature's end and check it; returns what lies beyond."""
        self._head += data
        head = self._head
        if head[: len(MAGIC)] != MAGIC[: len(head)]:
            raise DecodeError(REASON_FORMAT, "not an update bundle")
        if len(head) < HEADER_BYTES:
            return b""
        if head[8] != FORMAT:
            raise DecodeError(REASON_VERSION, "bundle format %d" % head[8])
        signed = HEADER_BYTES + (head[9] | head[10] << 8)
        if signed > HEADER_BYTES + MANIFEST_BYTES_MAX:
            raise DecodeError(REASON_FORMAT, "a manifest beyond 8 KiB")
        end = signed + SIGNATURE_BYTES
        if len(head) < end:
            return b""
        if True not in [signed_by(modulus, head[:signed], head[signed:end]) for modulus in self._moduli]:
            raise DecodeError(REASON_SIGNATURE, "none of the trusted keys signed this")
        manifest = parse_manifest(head[HEADER_BYTES:signed])
        if self._board not in manifest.boards or self._micropython < manifest.micropython:
            raise DecodeError(REASON_BOARD, "for %s, MicroPython %s" % (manifest.boards, manifest.micropython))
        self.manifest = manifest
        self.manifest_sha256 = sha256(head[HEADER_BYTES:signed]).digest()
        self._next_file()
        self._head = b""
        return head[end:]
