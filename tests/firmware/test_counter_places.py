"""The counter's two places: whichever fails, and for however long, no old limit is left for a later start."""

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tag.counter import cold_start, raised_limit
from tag.faults import CounterLost


class Nvs:
    """`esp32.NVS` as the chip has it: one blob a key, OSError for a key that is not there, or while it is broken."""

    store: dict[str, bytes] = {}  # noqa: RUF012
    works = True

    def __init__(self, namespace: str) -> None:
        pass

    def set_blob(self, key: str, value: bytes) -> None:
        self._must_work()
        self.store[key] = bytes(value)

    def get_blob(self, key: str, buffer: bytearray) -> int:
        if key not in self.store:
            raise OSError(-0x1102)
        buffer[: len(self.store[key])] = self.store[key]
        return len(self.store[key])

    def erase_key(self, key: str) -> None:
        self._must_work()
        if self.store.pop(key, None) is None:
            raise OSError(-0x1102)

    def commit(self) -> None:
        self._must_work()

    def _must_work(self) -> None:
        if not self.works:
            raise OSError(28)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setitem(sys.modules, "esp32", types.SimpleNamespace(NVS=Nvs))
    monkeypatch.setattr(Nvs, "store", {})
    monkeypatch.setattr(Nvs, "works", True)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("tag.places", None)
    yield importlib.import_module("tag.places")
    sys.modules.pop("tag.places", None)


def block_the_file(folder: Path) -> None:
    """From now on the counter's file cannot be written: a folder is in the way of its next version."""
    (folder / "counter.new").mkdir()


def test_place_that_fails_for_long_leaves_no_old_limit(places: Any, tmp_path: Path) -> None:
    assert places.write_limit(16) == []
    block_the_file(tmp_path)
    assert len(places.write_limit(32)) == 1
    assert places.read_limits() == [None, 32]

    Nvs.store.clear()
    with pytest.raises(CounterLost, match="missing"):
        cold_start(0, places.read_limits())


def test_place_that_works_again_is_repaired(places: Any, tmp_path: Path) -> None:
    places.write_limit(16)
    block_the_file(tmp_path)
    places.write_limit(32)
    (tmp_path / "counter.new").rmdir()
    assert places.write_limit(raised_limit(32)) == []
    assert places.read_limits() == [48, 48]


def test_nvs_that_can_be_neither_written_nor_cleared_stops_the_tag(places: Any) -> None:
    places.write_limit(16)
    Nvs.works = False
    with pytest.raises(CounterLost, match="NVS can be neither written nor cleared"):
        places.write_limit(32)


def test_two_places_that_fail_keep_the_old_limit_for_the_next_try(places: Any, tmp_path: Path) -> None:
    places.write_limit(16)
    block_the_file(tmp_path)
    Nvs.works = False
    with pytest.raises(CounterLost, match="any place"):
        places.write_limit(32)
    assert places.read_limits() == [16, 16]


def test_place_that_never_held_a_limit_may_fail(places: Any, tmp_path: Path) -> None:
    block_the_file(tmp_path)
    assert len(places.write_limit(16)) == 1
    assert places.read_limits() == [None, 16]
