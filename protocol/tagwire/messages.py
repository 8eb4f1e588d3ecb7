"""What stands inside a sealed session frame: messages, each type (u8) | length (u8) | value. Portable.

A frame is taken whole or not at all: `decode_messages` checks every value before anyone acts on the first.
"""

from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError
from tagwire.ranges import decode_ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    Message = tuple[int, bytes]

# From the hub to the tag
HISTORY = 0x01  # ranges: send these samples; no range at all: stop sending
CREDIT = 0x02  # u8: so many more frames of history
SETTLED = 0x03  # ranges: the broker has acknowledged these samples
TIME = 0x04  # Unix seconds (u32), time quality of the hub's clock (u8, a TIME_* code)
IDENTIFY = 0x05  # u8: show yourself for so many seconds
COMMAND = 0x06  # a sealed command of the platform, see tagwire.command
LOG = 0x07  # u16: send the tag's log from this byte on; answered by LOG_TEXT

# From the tag to the hub
STATE = 0x41  # newest counter (u32), how many samples are not settled (u32): always in the tag's first frame
BLOCK = 0x42  # samples, see tagwire.history
NEVER_MADE = 0x43  # ranges: asked for, but no sample has these counters, nor ever will
GONE = 0x44  # ranges: asked for, made, and overwritten since
END = 0x45  # newest counter (u32): all that was asked for and is not above it has been answered
REPLY = 0x46  # message type (u8), STATUS_* (u8), then the sealed reply if the message was a COMMAND that has one
LOG_TEXT = 0x47  # the byte that was asked for (u16), then the log from there on, as much as fits; nothing: its end

# Why something was done or not. 0 to 31: final. 32 and more: for now; the same message may be sent again later.
STATUS_OK = 0
STATUS_UNKNOWN = 1  # no such message or command
STATUS_NOT_PERMITTED = 2  # not for a sender of this class, or a hub that was revoked or whose key has expired
STATUS_FORGED = 3
STATUS_REPLAYED = 4
STATUS_EXPIRED = 5
STATUS_VALUE = 6  # a value out of range
STATUS_LIMITED = 7  # done in part: the clock was moved as far as a hub may move it
STATUS_SIGNATURE = 8
STATUS_BOARD = 9
STATUS_INTERRUPTED = 10  # power failed while it was carried out; the outcome is not known
STATUS_VERSION = 11
STATUS_BUSY = 32
STATUS_BATTERY = 33
STATUS_STORAGE = 34
STATUS_NOT_NOW = 35  # for example: its expiry cannot be checked while the tag does not know the time

MESSAGES_MAX = 16  # in one frame
_LENGTHS = {CREDIT: 1, TIME: 5, IDENTIFY: 1, LOG: 2, STATE: 8, END: 4}
_LENGTHS_MIN = {REPLY: 2, LOG_TEXT: 2}
_RANGES = (HISTORY, SETTLED, NEVER_MADE, GONE)


def encode_message(kind: int, value: bytes) -> bytes:
    """One message. Raises EncodeError for a value beyond 255 bytes."""
    if len(value) > 255:
        raise EncodeError("a message of %d bytes" % len(value))
    return bytes([kind, len(value)]) + value


def decode_messages(plaintext: bytes) -> "list[Message]":
    """The messages of a frame as (type, value); unknown types too, so that the receiver can decline or skip them.

    Raises DecodeError("format") unless every known message has its length and valid ranges, so that reading the values
    cannot fail later. Blocks and envelopes are opaque here.
    """
    messages: "list[Message]" = []
    at = 0
    while at < len(plaintext):
        end = at + 2 + (plaintext[at + 1] if at + 1 < len(plaintext) else 0)
        if end > len(plaintext) or at + 2 > len(plaintext) or len(messages) == MESSAGES_MAX:
            raise DecodeError(REASON_FORMAT, "a message that does not end within its frame, or one too many")
        kind = plaintext[at]
        value = plaintext[at + 2 : end]
        if len(value) != _LENGTHS.get(kind, len(value)) or len(value) < _LENGTHS_MIN.get(kind, 0):
            raise DecodeError(REASON_FORMAT, "message 0x%02x with %d bytes" % (kind, len(value)))
        if kind in _RANGES:
            decode_ranges(value)
        messages.append((kind, value))
        at = end
    return messages


def u32(value: int) -> bytes:
    """Four bytes, little-endian."""
    return value.to_bytes(4, "little")


def read_u32(value: bytes, at: int = 0) -> int:
    """The u32 at an offset."""
    return int.from_bytes(value[at : at + 4], "little")
