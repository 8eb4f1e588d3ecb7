"""Update bundles: a small one, and everything that a tag must refuse."""

import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from tagwire import reference_session as reference
from vector_cases.signing import signing_key
from vector_cases.subject import Case

FILES = {"main.py": b"import tag.app\n", "tag/app.mpy": bytes(range(256)), "tag/empty.mpy": b""}
MANIFEST = {
    "version": "1.2.0",
    "boards": ["c3-mini", "esp32-devkit"],
    "micropython": [1, 27],
    "files": [[path, len(content), sha256(content).hexdigest()] for path, content in FILES.items()],
}


def _bundle(manifest: bytes, name: str = "tagstack test key", files: bytes = b"".join(FILES.values())) -> bytes:
    signed = b"tagstack\x01" + len(manifest).to_bytes(2, "little") + manifest
    signature = signing_key(name).sign(signed, PKCS1v15(), hashes.SHA256())
    return bytes(reference.Bundle.build({"manifest": manifest, "signature": signature, "files": files}))


def _manifest(**changes: Any) -> bytes:
    return json.dumps({**MANIFEST, **changes}, separators=(",", ":")).encode()


def bundles() -> Case:
    """Update bundles, good and bad."""
    good = _bundle(_manifest())
    head = len(good) - sum(map(len, FILES.values()))
    digest = sha256(b"").hexdigest()
    refuse = {
        "not a bundle": (b"PK\x03\x04", "format"),
        "not a bundle, and cut short": (b"tagstuck", "format"),
        "cut short in its magic": (good[:5], "length"),
        "a future format": (good[:8] + b"\x02" + good[9:], "version"),
        "a manifest beyond 12 KiB, before its length is looked at": (good[:9] + b"\x01\x30", "format"),
        "manifest changed": (good.replace(b"1.2.0", b"1.2.1"), "signature"),
        "signature changed": (good[: head - 1] + bytes([good[head - 1] ^ 1]) + good[head:], "signature"),
        "another signer": (_bundle(_manifest(), "a stranger"), "signature"),
        "other boards": (_bundle(_manifest(boards=["other"])), "board"),
        "a newer MicroPython": (_bundle(_manifest(micropython=[1, 29])), "board"),
        "a file changed": (good[:-1] + bytes([good[-1] ^ 1]), "hash"),
        "truncated": (good[:-1], "length"),
        "truncated in its signature": (good[: head - 1], "length"),
        "a file changed and a byte too many": (good[:-1] + bytes([good[-1] ^ 1]) + b"\x00", "hash"),
        "the first file changed, the second truncated": (
            good[:head] + bytes([good[head] ^ 1]) + good[head + 1 : -1],
            "hash",
        ),
        "a byte too many": (good + b"\x00", "length"),
        "not JSON": (_bundle(b"{"), "format"),
        "a foreign key": (_bundle(_manifest(more=1)), "format"),
        "no files": (_bundle(_manifest(files=[]), files=b""), "format"),
        "the same path twice": (_bundle(_manifest(files=[["a", 0, digest], ["A", 0, digest]]), files=b""), "format"),
        **{
            f"path {path!r}": (_bundle(_manifest(files=[[path, 0, digest]]), files=b""), "format")
            for path in ("/main.py", "../main.py", "tag/../main.py", "tag//main.py", ".", "provision.json", "a/b/c/d/e")
        },
    }
    return {
        "about": "Update bundles for a tag of board esp32-devkit with MicroPython 1.28 that trusts the RSA key below.",
        "modulus": f"{signing_key().public_key().public_numbers().n:x}",
        "valid": [
            {
                "name": "three files, one of them empty",
                "bundle": good.hex(),
                "files": [[path, content.hex()] for path, content in FILES.items()],
            },
            {
                "name": "a manifest of 12,288 bytes",
                "bundle": _bundle(_manifest().ljust(12288)).hex(),
                "files": [[path, content.hex()] for path, content in FILES.items()],
            },
            {
                "name": "of a key that comes twice the last one counts",
                "bundle": _bundle(b'{"boards":["other"],' + _manifest()[1:]).hex(),
                "files": [[path, content.hex()] for path, content in FILES.items()],
            },
        ],
        "refuse": [{"name": name, "bundle": data.hex(), "reason": reason} for name, (data, reason) in refuse.items()],
    }
