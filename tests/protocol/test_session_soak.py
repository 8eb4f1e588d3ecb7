"""The long forms of the session tests: the same properties, on many more examples."""

import pytest
import test_bundle
import test_command
import test_history
import test_ranges
import test_session
import test_session_vectors
from hypothesis import HealthCheck, settings

PROPERTIES = [
    (getattr(module, name), examples)
    for module, name, examples in (
        (test_session, "test_session_history_arrives_exactly_once_over_a_link_that_breaks_anywhere", 5_000),
        (test_session, "test_session_garbage_raises_only_decode_errors", 20_000),
        (test_session, "test_session_authentic_garbage_raises_only_decode_errors", 20_000),
        (test_history, "test_history_block_of_garbage_raises_only_its_error", 200_000),
        (test_history, "test_history_blocks_return_every_record_and_each_stands_alone", 5_000),
        (test_session_vectors, "test_history_blocks_are_what_the_specification_makes", 5_000),
        (test_ranges, "test_ranges_of_garbage_raise_or_reencode_to_the_same_bytes", 200_000),
        (test_command, "test_command_of_garbage_does_nothing", 20_000),
        (test_bundle, "test_bundle_manifest_of_garbage_raises_only_its_error", 50_000),
    )
]


@pytest.mark.soak
@pytest.mark.parametrize(("run", "examples"), PROPERTIES, ids=lambda value: getattr(value, "__name__", ""))
def test_session_property_on_many_examples(run, examples) -> None:  # type: ignore[no-untyped-def]
    settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))(run)()
