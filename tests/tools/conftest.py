"""A bench: boards behind serial ports, and an inventory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bench_board import BenchBoard

from tagfleet.twin.interpreter import interpreter_available
from tagsmith import store


@pytest.fixture
def inventory_path(tmp_path: Path) -> Path:
    """An inventory for the ids 1000 to 1999, empty."""
    path = tmp_path / "inventory.db"
    store.create(path, 1000, 1999)
    return path


@pytest.fixture
def new_board(tmp_path: Path) -> Iterator[Callable[..., BenchBoard]]:
    """A function that plugs in a board with a number; further arguments as for `BenchBoard`."""
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter for this machine")
    with ExitStack() as stack:
        yield lambda number=1, **options: stack.enter_context(BenchBoard(tmp_path, number, **options))
