"""The wire's properties at length: `make soak`. Other examples every time."""

from collections.abc import Callable

import pytest
import test_batch_properties as batches
import test_reference_batch as reference_batches
import test_wire_properties as wire
from hypothesis import settings

EXAMPLES = 2_000
PROPERTIES = (
    wire.test_all_codecs_quantise_alike,
    wire.test_all_codecs_read_alike,
    wire.test_value_returns_within_half_a_step,
    wire.test_beacon_opens_only_as_it_was_sealed,
    wire.test_random_bytes_as_a_beacon,
    wire.test_random_bytes_as_files,
    wire.test_provision_round_trip,
    batches.test_list_round_trip_in_every_form,
    reference_batches.test_what_the_encoder_makes_reads_alike,
    batches.test_column_round_trip,
    batches.test_random_bytes_as_a_column,
    batches.test_damaged_batch_raises_only_decode_errors,
    batches.test_damaged_json_line_raises_only_decode_errors,
)


@pytest.mark.soak
@pytest.mark.parametrize("prove", [pytest.param(function, id=function.__name__) for function in PROPERTIES])
def test_property_at_length(prove: Callable[[], None]) -> None:
    settings(max_examples=EXAMPLES, derandomize=False)(prove)()
