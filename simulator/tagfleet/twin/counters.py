"""Under which counter did a tag seal a frame? Pure."""

from typing import TYPE_CHECKING

from tagwire.beacon import HINT_PRIVATE, KIND_SERVICE, open_beacon, parse_header
from tagwire.counter import LOW_STEP, SEQUENCE_MAX, generation_of, make_counter
from tagwire.errors import DecodeError

if TYPE_CHECKING:
    from tagwire.seal import BlockCipher


class UnknownSeal(Exception):
    """A tag advertised a frame that its key opens under no counter of its generation."""


def sealed_under(encrypt: "BlockCipher", frame: bytes, near: int) -> int:
    """The counter of `frame`, with a public id, under a K_beacon; of near's generation and searched from `near` on.

    Whoever looks for a counter that was used twice must not take the next one for granted: every counter that ends in
    the frame's 16 bits is tried, lower ones too. Raises UnknownSeal when none opens it.
    """
    try:
        header = parse_header(frame)
    except DecodeError as error:
        raise UnknownSeal(f"{frame.hex()}: {error}") from None
    if header.kind != KIND_SERVICE and not header.hints & HINT_PRIVATE:
        first = make_counter(generation_of(near), 0)
        candidates = range(first | header.counter_low, first + SEQUENCE_MAX + 1, LOW_STEP)
        for counter in sorted(candidates, key=lambda counter: abs(counter - near)):
            try:
                open_beacon(encrypt, frame, counter)
            except DecodeError:
                continue
            return counter
    raise UnknownSeal(f"tag {header.tag_id} advertised {frame.hex()}, which its key opens under no counter")
