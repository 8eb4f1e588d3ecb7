"""The session part of the wire reads its vectors under both interpreters; the reference parses what the code sends."""

from collections.abc import Callable
from pathlib import Path

import portable_session_vectors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_history import in_blocks, records
from vector_files import FOLDER, load

from tagwire import reference_history, reference_session
from tagwire.history import Record
from tagwire.ranges import LARGEST, encode_ranges, normalized

PORTABLE = (
    "gatt_ids",
    "bits",
    "ranges",
    "history",
    "history_decode",
    "messages",
    "session",
    "tagend",
    "command",
    "revocation",
    "bundle",
)


@pytest.mark.parametrize("name", portable_session_vectors.CHECKS)
def test_session_vectors_under_cpython(name: str) -> None:
    assert portable_session_vectors.CHECKS[name](load(name)) > 0


def test_session_vectors_under_micropython(micropython: Callable[..., str]) -> None:
    script = str(Path(portable_session_vectors.__file__))
    taken = dict(line.split() for line in micropython(script, str(FOLDER)).splitlines())
    assert taken == {name: str(check(load(name))) for name, check in portable_session_vectors.CHECKS.items()}


@pytest.mark.parametrize("module", PORTABLE)
def test_session_module_imports_alone_within_a_small_heap(micropython: Callable[..., str], module: str) -> None:
    micropython("-X", "heapsize=100k", "-c", f"import tagwire.{module}")


@settings(max_examples=50, deadline=None)
@given(records())
def test_history_blocks_are_what_the_specification_makes(every: list[Record]) -> None:
    for block, taken in in_blocks(every):
        named = [dict(zip(reference_history.RECORD, map(int, record), strict=True)) for record in taken]
        assert reference_history.build_block(named) == block


@given(st.sets(st.integers(0, LARGEST)))
def test_ranges_are_what_the_specification_makes(counters: set[int]) -> None:
    ranges = normalized((counter, counter) for counter in counters)
    data, left = encode_ranges(ranges)
    assert reference_session.build_ranges(ranges[: len(ranges) - len(left)]) == data
