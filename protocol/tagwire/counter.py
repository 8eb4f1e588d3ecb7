"""The sample counter: generation (8 bits) | sequence (24 bits), of which a beacon carries the low 16. Portable."""

from tagwire.errors import EncodeError

SEQUENCE_BITS = 24
SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1
COUNTER_MAX = 0xFFFFFFFF
LOW_STEP = 0x10000  # counters that share their low 16 bits are this far apart


def make_counter(generation: int, sequence: int) -> int:
    """The counter of a generation (0 to 255) and a sequence (0 to 16,777,215). Raises EncodeError."""
    if not 0 <= generation <= 255 or not 0 <= sequence <= SEQUENCE_MAX:
        raise EncodeError("generation %d or sequence %d out of range" % (generation, sequence))
    return generation << SEQUENCE_BITS | sequence


def generation_of(counter: int) -> int:
    """The generation within a counter."""
    return counter >> SEQUENCE_BITS


def next_with_low(last: int, low: int) -> int:
    """The smallest counter above `last` whose low 16 bits are `low`: a receiver's first guess for a new beacon.

    It may leave last's generation (compare `generation_of`), even pass COUNTER_MAX.
    """
    counter = last & ~0xFFFF | low
    return counter if counter > last else counter + LOW_STEP
