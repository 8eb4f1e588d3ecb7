"""Which counter the next sample gets, after any reset. Pure; `places` does the reading and writing.

Never use one counter twice: under one key that would seal two samples with one nonce. So a *limit*, the first
counter that is not reserved, stands in two persistent places, and is raised before a counter at it is used. Deep sleep
keeps the next counter in RTC memory. When power was lost, what is known is the limit alone: the tag goes on from there
and gives up at most `RESERVED` counters, which receivers see as a gap.
"""

from tag.faults import COUNTER_EXHAUSTED, CounterLost
from tagwire.counter import SEQUENCE_MAX, generation_of, make_counter

RESERVED = 16


def resume(generation: int, next_counter: int, limit: int) -> bool:
    """Whether a next counter and a limit from RTC memory can be trusted to belong to this generation."""
    return generation_of(next_counter) == generation and limit - RESERVED <= next_counter <= limit


def cold_start(generation: int, limits: "list[int | None]", provisioned: "int | None" = None) -> int:
    """The next counter when RTC memory does not know it, from the limits in the places (None: missing or damaged).

    provisioned: the generation that the tag was provisioned with, lower than `generation` where a command has rotated
    its keys. While the highest limit is of an earlier one since then, no counter of the new one was ever used: before
    the first, its limit is written to both places, and a place that takes none is cleared.

    Raises CounterLost: the key is here, but no place holds a limit, or the highest is of another generation.
    """
    known = [limit for limit in limits if limit is not None]
    if not known:
        raise CounterLost("counter missing in every place")
    next_counter = max(known)
    if provisioned is not None and provisioned <= generation_of(next_counter) < generation:
        return make_counter(generation, 0)
    if generation_of(next_counter) != generation:
        raise CounterLost("counter of generation %d, key of %d" % (generation_of(next_counter), generation))
    return next_counter


def raised_limit(next_counter: int) -> int:
    """The limit to write before `next_counter` is used. Raises CounterLost at the end of the generation.

    A generation's last two counters are never used: a limit lies within its generation, and is never all ones, which is
    what erased flash reads as.
    """
    end = make_counter(generation_of(next_counter), SEQUENCE_MAX - 1)
    if next_counter >= end:
        raise CounterLost("counter exhausted", COUNTER_EXHAUSTED)
    return min(next_counter + RESERVED, end)
