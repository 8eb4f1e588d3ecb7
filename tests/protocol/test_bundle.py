"""Update bundles: what a tag takes, in any chunks, and everything that it must not take."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagwire.bundle import FILE_BYTES_MAX, HEADER_BYTES, BundleReader, Manifest, parse_manifest, signed_by
from tagwire.bundle_sign import build_bundle, sign_manifest
from tagwire.errors import DecodeError, EncodeError
from vector_cases.signing import signing_key

FILES = {"tag/app.mpy": b"application" * 50, "tag/empty.mpy": b"", "main.py": b"import tag.app\n"}
KEY = signing_key()
MODULUS = KEY.public_key().public_numbers().n
BUNDLE = build_bundle(KEY, "1.2.0", ["esp32-devkit", "c3-mini"], (1, 27), FILES)


def read(bundle: bytes, chunk: int = 100, **changes: Any) -> dict[str, bytes]:
    """What a tag gets out of a bundle that arrives in chunks."""
    tag = {"moduli": [MODULUS], "board": "esp32-devkit", "micropython": (1, 28), **changes}
    reader = BundleReader(tag["moduli"], tag["board"], tag["micropython"])
    content: dict[str, bytes] = {}
    complete = set()
    for at in range(0, len(bundle), chunk):
        for file, piece, ends in reader.feed(bundle[at : at + chunk]):
            content[file.path] = content.get(file.path, b"") + piece
            if ends:
                complete.add(file.path)
    reader.finish()
    assert complete == set(content)
    return content


def reason(bundle: bytes, **changes: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        read(bundle, **changes)
    return caught.value.reason


@pytest.mark.parametrize("chunk", [1, 7, 233, 10_000])
def test_bundle_in_any_chunks_gives_its_files(chunk: int) -> None:
    assert read(BUNDLE, chunk) == FILES


def test_bundle_of_the_same_files_has_the_same_bytes() -> None:
    reordered = dict(reversed(FILES.items()))
    assert build_bundle(KEY, "1.2.0", ["c3-mini", "esp32-devkit"], (1, 27), reordered) == BUNDLE


def test_bundle_manifest_is_known_once_the_signature_is_good() -> None:
    reader = BundleReader([1 << 2047, MODULUS], "c3-mini", (1, 27))
    head = len(BUNDLE) - sum(len(content) for content in FILES.values())
    assert reader.feed(BUNDLE[: head - 1]) == []
    assert reader.manifest is None
    reader.feed(BUNDLE[head - 1 : head])
    assert isinstance(reader.manifest, Manifest)
    assert [file.path for file in reader.manifest.files] == sorted(FILES)
    with pytest.raises(DecodeError, match="length"):
        reader.finish()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
def test_bundle_with_any_changed_byte_is_refused(at: int, flip: int) -> None:
    changed = bytearray(BUNDLE)
    changed[at] ^= flip
    assert reason(bytes(changed)) in ("format", "version", "length", "signature", "hash")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(BUNDLE) - 1))
def test_bundle_cut_anywhere_is_refused(length: int) -> None:
    assert reason(BUNDLE[:length]) == "length"


def test_bundle_that_goes_on_is_refused() -> None:
    assert reason(BUNDLE + b"x") == "length"


def test_bundle_of_another_signer_board_or_micropython_is_refused() -> None:
    assert reason(build_bundle(signing_key("a stranger"), "1.2.0", ["esp32-devkit"], (1, 27), FILES)) == "signature"
    assert reason(BUNDLE, moduli=[]) == "signature"
    assert reason(BUNDLE, board="other") == "board"
    assert reason(BUNDLE, micropython=(1, 26)) == "board"


def test_bundle_that_is_none_is_refused_at_its_first_bytes() -> None:
    assert reason(b"PK\x03\x04") == "format"
    assert reason(b"tagstack\x02" + bytes(2)) == "version"
    assert reason(b"tagstack\x01\xff\xff") == "format"


def test_signature_is_compared_as_a_whole() -> None:
    """Bleichenbacher's forgery of 2006 has garbage behind a short padding: a parser takes it, a comparison does not."""
    message = b"message"
    assert not signed_by(MODULUS, message, bytes(256))
    assert not signed_by(MODULUS, message, b"\xff" * 256)
    assert not signed_by(MODULUS, message, bytes(255))
    digest = sha256(message).digest()
    prefix = b"\x00\x01" + b"\xff" * 8 + b"\x00" + bytes.fromhex("3031300d060960864801650304020105000420") + digest
    shortened = int.from_bytes(prefix.ljust(256, b"\x00"), "big")
    private = KEY.private_numbers()
    forged = pow(shortened, private.d, MODULUS).to_bytes(256, "big")
    assert not signed_by(MODULUS, message, forged)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../boot.py",
        "tag/../../boot.py",
        "tag//app.py",
        "tag/",
        "",
        ".",
        "a/b/c/d/e",
        "x" * 65,
        "tag\\app.py",
        "tag/\u00e4.py",
        "tag/.hidden",
        "provision.json",
        "Counter",
    ],
)
def test_bundle_with_a_path_that_leads_elsewhere_is_never_made_nor_taken(path: str) -> None:
    with pytest.raises(EncodeError):
        build_bundle(KEY, "1", ["esp32-devkit"], (1, 27), {path: b""})
    manifest = {"version": "1", "boards": ["b"], "micropython": [1, 27], "files": [[path, 0, sha256().hexdigest()]]}
    assert reason(sign_manifest(KEY, json.dumps(manifest).encode())) == "format"


DIGEST = sha256().hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"version": ""},
        {"version": 3},
        {"boards": []},
        {"boards": "esp32"},
        {"boards": [1]},
        {"micropython": [1]},
        {"micropython": ["1", "27"]},
        {"micropython": [True, 27]},
        {"files": []},
        {"files": [["a", 0]]},
        {"files": [["a", -1, DIGEST]]},
        {"files": [["a", FILE_BYTES_MAX + 1, DIGEST]]},
        {"files": [[f"f{i}", FILE_BYTES_MAX, DIGEST] for i in range(5)]},
        {"files": [[f"f{i}", 0, DIGEST] for i in range(97)]},
        {"files": [["a", 0, DIGEST.upper()]]},
        {"files": [["a", 0, 5]]},
        {"files": [["a", 0, DIGEST], ["A", 0, DIGEST]]},
        {"more": 1},
    ],
)
def test_bundle_manifest_out_of_its_limits_is_refused(change: dict[str, Any]) -> None:
    good = {"version": "1", "boards": ["b"], "micropython": [1, 27], "files": [["a", 0, DIGEST]]}
    parse_manifest(json.dumps(good).encode())
    with pytest.raises(DecodeError, match="format"):
        parse_manifest(json.dumps({**good, **change}).encode())


@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr)))
def test_bundle_manifest_of_garbage_raises_only_its_error(data: bytes | str) -> None:
    with pytest.raises(DecodeError, match="format"):
        parse_manifest(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))


def test_bundle_manifest_nested_beyond_reason_is_refused() -> None:
    with pytest.raises(DecodeError, match="format"):
        parse_manifest(b"[" * 8000)


def test_bundle_header_is_where_the_specification_says() -> None:
    manifest_bytes = int.from_bytes(BUNDLE[9:11], "little")
    assert json.loads(BUNDLE[HEADER_BYTES : HEADER_BYTES + manifest_bytes])["version"] == "1.2.0"
    assert BUNDLE.endswith(b"".join(FILES[path] for path in sorted(FILES)))
