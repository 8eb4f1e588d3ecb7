"""JSON objects in which a name may stand only once. Host only: MicroPython's json has no such hook.

RFC 8259, section 4, leaves open which of two members with one name counts, so that two readers may take different ones.
"""

from typing import Any

_SHOWN_MAX = 40


class MemberTwiceError(ValueError):
    """A name stands twice in one object. The text names it and shows no value."""


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object from its members: `json.loads(text, object_pairs_hook=unique_members)`. Raises MemberTwiceError."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MemberTwiceError(f"{ascii(name)[1:-1]:.{_SHOWN_MAX}} comes twice")
            seen.add(name)
    return members
