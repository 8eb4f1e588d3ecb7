"""Under which counter did a tag seal a frame? Pure."""

from typing import TYPE_CHECKING, NamedTuple

from tagwire.beacon import HINT_PRIVATE, KIND_SERVICE, epoch_of, open_beacon, parse_header, private_name
from tagwire.counter import LOW_STEP, SEQUENCE_MAX, generation_of, make_counter
from tagwire.errors import DecodeError

if TYPE_CHECKING:
    from tagwire.seal import BlockCipher


class UnknownSeal(Exception):
    """A tag advertised a frame that its key opens under no counter of its generation."""


class Private(NamedTuple):
    """Who a tag with private ids is, its K_id as a block cipher, and the Unix time at which it was heard."""

    tag_id: int
    encrypt_id: "BlockCipher"
    now_s: float


def is_service(frame: bytes) -> bool:
    """Whether a tag says that it makes no samples; such a frame has no counter, and is not sealed."""
    try:
        return parse_header(frame).kind == KIND_SERVICE
    except DecodeError:
        return False


def sealed_under(encrypt: "BlockCipher", frame: bytes, near: int, private: Private | None = None) -> int:
    """The counter of `frame` under a K_beacon; of near's generation and searched from `near` on.

    Whoever looks for a counter that was used twice must not take the next one for granted: every counter that ends in
    the frame's 16 bits is tried, lower ones too. Raises UnknownSeal when none opens it.
    """
    try:
        header = parse_header(frame)
    except DecodeError as error:
        raise UnknownSeal(f"{frame.hex()}: {error}") from None
    low, tag_id, epoch = header.counter_low, None, 0
    is_known = header.kind != KIND_SERVICE
    if header.hints & HINT_PRIVATE:
        is_known = False
        for epoch in _epochs(private):
            assert private is not None
            name = private_name(private.encrypt_id, epoch)
            if name[:4] == frame[1:5]:
                low ^= int.from_bytes(name[4:], "little")
                tag_id, is_known = private.tag_id, True
                break
    if is_known:
        first = make_counter(generation_of(near), 0)
        candidates = range(first | low, first + SEQUENCE_MAX + 1, LOW_STEP)
        for counter in sorted(candidates, key=lambda counter: abs(counter - near)):
            try:
                open_beacon(encrypt, frame, counter, tag_id, epoch)
            except DecodeError:
                continue
            return counter
    raise UnknownSeal(f"tag {header.tag_id} advertised {frame.hex()}, which its key opens under no counter")


def _epochs(private: Private | None) -> range:
    """The epochs that a tag's clock may be in."""
    if private is None:
        return range(0)
    now = epoch_of(int(private.now_s))
    return range(max(now - 1, 0), now + 2)
