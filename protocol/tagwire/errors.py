"""Errors of the wire. Portable: runs under CPython and MicroPython.

Two causes, two types: `DecodeError` says that the *peer's* bytes are wrong (air, broker, file), `EncodeError` that
*we* were asked to send what the wire cannot carry.
"""


class TagwireError(Exception):
    """Base of every error that tagwire raises on purpose."""


class EncodeError(TagwireError):
    """The caller passed a value that the wire has no code for (a wrong key length, a counter out of range)."""


class DecodeError(TagwireError):
    """Bytes that came from outside are not a valid frame.

    `reason` is one of the `REASON_*` words below; receivers count by it. `detail`, maybe empty, is for a person.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason + ": " + detail if detail else reason)
        self.reason = reason
        self.detail = detail


REASON_LENGTH = "length"  # not the number of bytes that this kind of frame has
REASON_VERSION = "version"  # a wire version that this code does not know
REASON_KIND = "kind"  # a kind of frame that this code does not know
REASON_FORGED = "forged"  # the MIC does not fit: another key, another counter, or changed bytes
REASON_FORMAT = "format"  # a file or a batch that does not have its declared structure
REASON_ORDER = "order"  # a session frame whose number is not the next
REASON_REPLAYED = "replayed"  # a session frame or command whose number was taken before
REASON_STATE = "state"  # a frame that cannot come now: sealed without a hello, or after the session has ended
REASON_FLOW = "flow"  # more tries, or more unanswered messages, than one connection may have
REASON_UNASKED = "unasked"  # samples or ranges that this session did not ask for
REASON_REFUSED = "refused"  # the tag declined the session
REASON_SIGNATURE = "signature"  # an update bundle that none of the trusted keys signed
REASON_HASH = "hash"  # a file of an update bundle that is not the one its manifest names
REASON_BOARD = "board"  # an update bundle for other boards, or for a newer MicroPython
