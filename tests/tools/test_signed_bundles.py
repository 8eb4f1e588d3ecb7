"""Bundles: reproducible, refused when anybody else signed them, and keys that stay secret."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagsmith import signing
from tagsmith.bundle import boards_of, make_bundle, read_bundle
from tagsmith.commands.sources import write
from tagsmith.errors import FileError, TrustError

FILES = {"main.py": b"import tag\n", "tag/boards/__init__.mpy": b"M", "tag/boards/esp32_devkit.mpy": b"\x06" * 300}


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing.pem"
    signing.make_key(path)
    return path


@pytest.fixture(scope="module")
def bundle(key_path: Path) -> bytes:
    return make_bundle(FILES, signing.load_private_key(key_path), "1.2.3")


def trusted(key_path: Path) -> list[signing.PublicKey]:
    return [signing.load_public_key(key_path.with_name(key_path.name + ".pub"))]


def test_bundle_reads_back_and_is_reproducible(key_path: Path, bundle: bytes) -> None:
    found = read_bundle(bundle, trusted(key_path))

    assert found.files == FILES
    assert (found.manifest.version, found.manifest.boards) == ("1.2.3", ["esp32-devkit"])
    again = make_bundle(dict(reversed(FILES.items())), signing.load_private_key(key_path), "1.2.3")
    assert again == bundle


def test_boards_are_named_as_provisioning_names_them() -> None:
    assert boards_of(FILES) == ["esp32-devkit"]


def test_bundle_of_somebody_else_is_refused(bundle: bytes, tmp_path: Path) -> None:
    signing.make_key(tmp_path / "other.pem")

    with pytest.raises(TrustError, match="somebody whose key you do not trust"):
        read_bundle(bundle, trusted(tmp_path / "other.pem"))


def test_bundle_with_any_bit_wrong_is_refused(key_path: Path, bundle: bytes) -> None:
    keys = trusted(key_path)
    for position in range(0, len(bundle), 7):
        data = bytearray(bundle)
        data[position] ^= 1
        with pytest.raises((FileError, TrustError)):
            read_bundle(bytes(data), keys)


def test_flipped_bit_of_the_manifest_is_not_called_somebody_else_only(key_path: Path, bundle: bytes) -> None:
    data = bytearray(bundle)
    data[bundle.index(b"1.2.3")] ^= 1
    with pytest.raises(TrustError, match="damaged, or signed by somebody"):
        read_bundle(bytes(data), trusted(key_path))


@given(st.data())
def test_bundle_cut_short_is_refused(key_path: Path, bundle: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(bundle) - 1))
    with pytest.raises((FileError, TrustError)):
        read_bundle(bundle[:length], trusted(key_path))


def test_bundle_that_a_tag_would_refuse_is_not_made(key_path: Path) -> None:
    with pytest.raises(FileError, match="A tag would refuse"):
        make_bundle(FILES | {"../main.py": b""}, signing.load_private_key(key_path), "1")


def test_private_key_is_readable_by_its_owner_only(key_path: Path) -> None:
    assert key_path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_private_key_that_others_can_open_is_refused(key_path: Path, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "copied.pem"
    path.write_bytes(key_path.read_bytes())
    path.chmod(mode)

    with pytest.raises(TrustError, match="can be read by others"):
        signing.load_private_key(path)


def test_private_key_is_never_overwritten(key_path: Path) -> None:
    before = key_path.read_bytes()

    with pytest.raises(FileError, match="exists already"):
        signing.make_key(key_path)
    assert key_path.read_bytes() == before


def test_private_key_with_a_passphrase_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "protected.pem"
    signing.make_key(path, "correct horse")

    assert signing.needs_passphrase(path)
    signing.load_private_key(path, "correct horse")
    for wrong in (None, "battery"):
        with pytest.raises(TrustError, match="passphrase"):
            signing.load_private_key(path, wrong)


def test_passphrase_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("secret\n")
    os.chmod(path, 0o644)

    with pytest.raises(TrustError):
        signing.read_passphrase(path)
    os.chmod(path, 0o600)
    assert signing.read_passphrase(path) == "secret"


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_key_files_of_something_else_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(TrustError):
        signing.load_private_key(path)
    with pytest.raises(TrustError):
        signing.load_public_key(path)


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 600, 1_710])
def test_key_that_finds_no_room_leaves_nothing_in_the_way(tmp_path: Path, size: int) -> None:
    path = tmp_path / "key.pem"
    with room_for(size), pytest.raises(FileError, match="cannot be written"):
        signing.make_key(path, "x" if size > 1_700 else None)
    assert list(tmp_path.iterdir()) == []
    assert signing.make_key(path).exists()


def test_file_that_finds_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "app.bundle"
    write(path, b"the last release")
    with room_for(1_000), pytest.raises(FileError, match="cannot be written"):
        write(path, bytes(2_000))
    assert (path.read_bytes(), len(list(tmp_path.iterdir()))) == (b"the last release", 1)
    write(path, bytes(2_000))
    assert path.read_bytes() == bytes(2_000)
