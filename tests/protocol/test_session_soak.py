"""The long forms of the session tests: the same properties on many more examples, drawn anew each time."""

from collections.abc import Callable
from typing import Any

import pytest
import test_bundle
import test_command
import test_history
import test_ranges
import test_session
import test_session_vectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MANIFESTS = st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr))

PROPERTIES: list[tuple[Any, tuple[st.SearchStrategy[Any], ...], int]] = [
    (
        test_session.test_session_history_arrives_exactly_once_over_a_link_that_breaks_anywhere,
        (test_session.counters, test_session.counters, test_session.counters, test_session.breaks),
        3_000,
    ),
    (test_session.test_session_garbage_raises_only_decode_errors, (st.binary(max_size=260), st.booleans()), 10_000),
    (test_session.test_session_authentic_garbage_raises_only_decode_errors, (st.binary(max_size=233),), 10_000),
    (
        test_history.test_history_block_of_garbage_raises_only_its_error,
        (st.binary(max_size=240), st.integers(1, 2000)),
        30_000,
    ),
    (
        test_history.test_history_blocks_return_every_record_and_each_stands_alone,
        (test_history.records(), st.integers(40, 244)),
        3_000,
    ),
    (test_session_vectors.test_history_blocks_are_what_the_specification_makes, (test_history.records(),), 3_000),
    (test_ranges.test_ranges_of_garbage_raise_or_reencode_to_the_same_bytes, (st.binary(max_size=40),), 30_000),
    (test_command.test_command_of_garbage_does_nothing, (st.binary(max_size=240),), 10_000),
    (test_bundle.test_bundle_manifest_of_garbage_raises_only_its_error, (MANIFESTS,), 10_000),
]


@pytest.mark.soak
@pytest.mark.parametrize(("run", "strategies", "examples"), PROPERTIES, ids=[run.__name__ for run, _, _ in PROPERTIES])
def test_session_property_on_many_examples(
    run: Any, strategies: tuple[st.SearchStrategy[Any], ...], examples: int
) -> None:
    often = settings(max_examples=examples, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
    again: Callable[[], None] = often(given(*strategies)(run.hypothesis.inner_test))
    again()
