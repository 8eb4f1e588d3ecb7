"""The life of an identity (one tag id in one generation, with its own root key), as a table. Pure.

`written` comes before the first byte leaves for the board: from then on the key may be out there, whatever the cable
does. That is why a key is given to one board once: a second try finds it there, or takes the next generation.
"""

from typing import NamedTuple

PLANNED = "planned"  # an id is set aside; no board has it
WRITTEN = "written"  # a board may have it
VERIFIED = "verified"  # a board has it: read back
READY = "ready"  # the self test passed
FAILED = "failed"  # the self test found a fault; the key is on the board
REPLACED = "replaced"  # a later generation of the same tag was verified
REVOKED = "revoked"  # must not be heard any more

MOVES = {
    PLANNED: {WRITTEN, REVOKED},
    WRITTEN: {VERIFIED, REPLACED, REVOKED},
    VERIFIED: {READY, FAILED, REPLACED, REVOKED},
    READY: {READY, FAILED, REPLACED, REVOKED},
    FAILED: {READY, FAILED, REPLACED, REVOKED},
    REPLACED: {REVOKED},
    REVOKED: set(),
}
ON_BOARD = frozenset({VERIFIED, READY, FAILED})
MAY_BE_HEARD = frozenset({WRITTEN, VERIFIED, READY, FAILED})
GENERATION_MAX = 255


class Identity(NamedTuple):
    """One key of a tag, without the key. generation: the one it was provisioned with. chip: the board's unique id,
    hexadecimal; None until one has it. raised_to: the highest generation that the board may have, by a command."""

    tag_id: int
    generation: int
    state: str
    chip: str | None
    raised_to: int


class Found(NamedTuple):
    """What a board says about itself. tag_id, generation, settings: of the provisioning file it carries, None without.

    chip: its unique id, hexadecimal. release: MicroPython's version. machine: what its maker calls the board.
    firmware: whether the tag's application is on it. fault: why a provisioning file that is there cannot be read.
    in_force: the generation that the tag's keys are of now, which a command may have raised since.
    """

    chip: str
    release: str
    machine: str
    firmware: bool
    tag_id: int | None = None
    generation: int | None = None
    board: str | None = None
    company_id: int | None = None
    counter: int | None = None
    settings: dict[str, int | bool | str] | None = None
    fault: str | None = None
    in_force: int | None = None


class Step(NamedTuple):
    """What to do with a board. tag_id is None for a new id; generation is the one to write, or to check."""

    action: str
    tag_id: int | None
    generation: int


WRITE = "write"
CHECK = "check"  # the board carries its newest key already: read it back, then the self test


class Refusal(Exception):
    """The board must not be written without a person's word. `again` tells whether `--again` is that word."""

    def __init__(self, sentence: str, *, again: bool) -> None:
        super().__init__(sentence)
        self.again = again


def next_step(found: Found, of_chip: Identity | None, carried: Identity | None, *, again: bool) -> Step:
    """What to do with the board `found`.

    of_chip: the newest identity that was ever given to this chip, if any. carried: the newest identity of the tag id
    that the board carries. again: the technician asked for a tag that works to be provisioned anew. Raises Refusal.
    """
    if carried is not None and carried.chip is not None and carried.chip != found.chip:
        # Flash copied from one board to another: the one thing that makes two tags with one id.
        if not again:
            raise Refusal(
                f"This board carries tag {carried.tag_id}, which belongs to another board: a copy.", again=True
            )
        carried = None
    if of_chip is None or of_chip.state == REVOKED:
        if carried is not None and carried.state in ON_BOARD and not again:
            raise Refusal(
                f"This board says that it is tag {carried.tag_id}, but not with the key and the settings that the "
                "inventory has for it.",
                again=True,
            )
        if found.tag_id is not None and not again and (of_chip is None or of_chip.tag_id != found.tag_id):
            raise Refusal(f"This board carries tag {found.tag_id}, which this inventory did not give it.", again=True)
        return Step(WRITE, None, 0)
    carries_newest = (
        found.tag_id == of_chip.tag_id
        and found.generation is not None
        and of_chip.generation <= found.generation <= of_chip.raised_to
    )
    if carries_newest and of_chip.state in (WRITTEN, VERIFIED, FAILED) and not again:
        return Step(CHECK, of_chip.tag_id, of_chip.generation)
    if of_chip.state == READY and found.tag_id is None and not again:
        raise Refusal(
            f"This board was tag {of_chip.tag_id}, generation {of_chip.generation}, and is erased now.", again=True
        )
    if of_chip.state == READY and not again:
        raise Refusal(f"This board is tag {of_chip.tag_id}, generation {of_chip.generation}, and ready.", again=True)
    known = max(of_chip.raised_to, found.generation or 0) if found.tag_id == of_chip.tag_id else of_chip.raised_to
    if known >= GENERATION_MAX:
        raise Refusal(f"Tag {of_chip.tag_id} has used up its {GENERATION_MAX + 1} generations.", again=False)
    return Step(WRITE, of_chip.tag_id, known + 1)
