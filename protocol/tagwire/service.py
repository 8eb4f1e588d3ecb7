"""The service beacon: a tag that makes no samples says why. Portable.

Unsealed, because it may have no key to seal with: anybody can forge one. SPEC.md, "Service beacon", says what a
receiver may do with it.

0      byte 0 of a beacon, kind 2
1-6    as in a beacon: tag id or 0, low 16 bits of the next counter or 0; or the private name's first 4 bytes and 0
7      reason
8-10   firmware version: major, minor, patch
11     board
12     battery code of the sample body
13-15  seconds since the tag has had power, saturated
16-23  0
"""

from tagwire.beacon import HINT_PRIVATE, KIND_SERVICE, VERSION, parse_header
from tagwire.errors import REASON_KIND, DecodeError, EncodeError
from tagwire.fields import BATTERY_MAX, BATTERY_MIN_MV, BATTERY_NA, BATTERY_STEP_MV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Service(NamedTuple):
        """What a service beacon says. reason: a SERVICE_* code. version: (major, minor, patch) of the firmware.

        board: a BOARD_* code. battery_mv: None for not available. uptime_s: since power came, at most UPTIME_MAX_S.
        """

        reason: int
        version: tuple[int, int, int]
        board: int
        battery_mv: int | None
        uptime_s: int

else:
    from collections import namedtuple

    Service = namedtuple("Service", ("reason", "version", "board", "battery_mv", "uptime_s"))

SERVICE_UNSPECIFIED = 0
SERVICE_NO_KEY = 1  # no provisioning file, or one that cannot be read
SERVICE_SETTINGS = 2  # settings that the firmware cannot work with
SERVICE_COUNTER_LOST = 3
SERVICE_COUNTER_EXHAUSTED = 4
SERVICE_CRASH_LOOP = 5
SERVICE_BATTERY_LOW = 6
SERVICE_STORAGE = 7  # flash cannot be written (journal, counter), or is full of what nobody has acknowledged
SERVICE_CLOCK_LOST = 8  # private ids need the time

BOARD_UNKNOWN = 0
BOARD_ESP32_DEVKIT = 1
BOARD_ESP32C3_DEVKIT = 2
BOARD_ESP32S3_DEVKIT = 3
BOARD_ESP32C6_DEVKIT = 4

UPTIME_MAX_S = 0xFFFFFF  # 194 days


def encode_service(service: "Service", tag_id: int = 0, counter_low: int = 0, private_id: bytes = b"") -> bytes:
    """The 24 bytes. A tag without an identity leaves the id 0; one with private ids gives `private_id`, the first 4
    bytes of its name, or nothing at all, and never its id or counter. Raises EncodeError."""
    (reason, version, board, battery_mv, uptime_s) = service
    if private_id and (len(private_id) != 4 or tag_id or counter_low):
        raise EncodeError("a private id has 4 bytes and stands alone")
    if not 0 <= tag_id <= 0xFFFFFFFF or not 0 <= counter_low <= 0xFFFF or uptime_s < 0 or len(version) != 3:
        raise EncodeError("tag id %r, counter %r, uptime %r or version %r" % (tag_id, counter_low, uptime_s, version))
    values = (reason,) + tuple(version) + (board,)
    if min(values) < 0 or max(values) > 255:
        raise EncodeError("reason, version and board have a byte each, not %r" % (values,))
    battery = BATTERY_NA
    if battery_mv is not None:
        battery = min(max((battery_mv - BATTERY_MIN_MV + BATTERY_STEP_MV // 2) // BATTERY_STEP_MV, 0), BATTERY_MAX)
    byte0 = VERSION | KIND_SERVICE << 2 | (HINT_PRIVATE if private_id else 0)
    name = (private_id or tag_id.to_bytes(4, "little")) + counter_low.to_bytes(2, "little")
    uptime = min(uptime_s, UPTIME_MAX_S).to_bytes(3, "little")
    return bytes([byte0]) + name + bytes(values) + bytes([battery]) + uptime + bytes(8)


def decode_service(frame: bytes) -> "Service":
    """What a service beacon says; its bytes 16-23 are ignored. Raises DecodeError: "length", "version", "kind"."""
    if parse_header(frame).kind != KIND_SERVICE:
        raise DecodeError(REASON_KIND, "byte 0 is 0x%02x" % frame[0])
    return Service(
        frame[7],
        (frame[8], frame[9], frame[10]),
        frame[11],
        None if frame[12] > BATTERY_MAX else frame[12] * BATTERY_STEP_MV + BATTERY_MIN_MV,
        int.from_bytes(frame[13:16], "little"),
    )
