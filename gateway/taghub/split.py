"""A batch in two. Pure."""

from collections.abc import Callable

from taghub.closed_batch import ClosedBatch
from tagwire.batch import decode_batch, encode_batch


def halves(batch: ClosedBatch, next_sequence: Callable[[], int]) -> list[ClosedBatch]:
    """The samples of a batch of two or more, in two batches with numbers of their own: a number names one batch.

    Raises tagwire.errors.DecodeError when the payload is no batch.
    """
    whole = decode_batch(batch.payload)
    middle = batch.samples // 2
    parts = []
    for rows in (slice(0, middle), slice(middle, None)):
        part = whole._replace(
            sequence=next_sequence(), columns={name: values[rows] for name, values in whole.columns.items()}
        )
        count = len(part.columns["tag"])
        parts.append(ClosedBatch(part.sequence, batch.lane, batch.created_s, count, encode_batch(part)))
    return parts
