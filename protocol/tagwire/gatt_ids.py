"""A tag's GATT service: its names, its limits, and the value of the info characteristic. Portable.

SPEC.md, "GATT service", is the authority. The frames that control and data carry are those of `session`.
"""

from tagwire.errors import REASON_LENGTH, DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Info(NamedTuple):
        """What a tag says of itself to anybody. protocol: version of the session's frames. firmware: (major, minor,
        patch). board: a service.BOARDS code."""

        protocol: int
        firmware: tuple[int, int, int]
        board: int

else:
    from collections import namedtuple

    Info = namedtuple("Info", ("protocol", "firmware", "board"))

SERVICE = "b3a1a000-7a67-4c2e-9d1f-5f0c7a6e6d01"
INFO = "b3a1a001-7a67-4c2e-9d1f-5f0c7a6e6d01"  # read
CONTROL = "b3a1a002-7a67-4c2e-9d1f-5f0c7a6e6d01"  # write, with and without response: hub to tag
DATA = "b3a1a003-7a67-4c2e-9d1f-5f0c7a6e6d01"  # notify: tag to hub

MTU = 247  # what both sides ask for: a frame of 244 bytes fits one link-layer packet (Vol 6, Part B, 2.4)
MTU_MIN = 67  # frames of 64 bytes
ATT_HEADER_BYTES = 3  # opcode and handle of a write or a notification (Vol 3, Part F, 3.4)
INFO_BYTES = 8

FRAMES_MAX = 24  # frames that wait for a tag to read them; what a hub may have under way is less
IDLE_S = 5  # without a frame of a proven session: the tag disconnects
CONNECTION_S = 120  # however busy: the tag disconnects, and the hub goes on in a later window
WINDOWS_S = 300  # after a wake's first window none opens anew


def frame_bytes(mtu: int) -> int:
    """What one write or notification carries at this ATT MTU."""
    return mtu - ATT_HEADER_BYTES


def encode_info(info: "Info") -> bytes:
    """The 8 bytes of the info characteristic."""
    major, minor, patch = info.firmware
    return bytes([info.protocol, major, minor, patch, info.board, 0, 0, 0])


def decode_info(value: bytes) -> "Info":
    """What a tag says of itself. Raises DecodeError("length") for less than 8 bytes; later versions may add more."""
    if len(value) < INFO_BYTES:
        raise DecodeError(REASON_LENGTH, "an info of %d bytes" % len(value))
    return Info(value[0], (value[1], value[2], value[3]), value[4])
