"""Sessions between a hub and a tag: keys, the two clear frames that open one, and sealed frames. Sans-IO, portable.

    HELLO    hub to tag   byte 0 | hub id u32 | epoch u16 | hub random (8)                        15 bytes
    WELCOME  tag to hub   byte 0 | tag random (8)                                                  9 bytes
    REFUSED  tag to hub   byte 0 | status u8                                                       2 bytes
    SEALED   both ways    byte 0 | number u16 | sealed messages | MIC (8)                   at most 244 bytes

Byte 0 is the version (bits 0-1) and the frame's type (bits 2-4). Who the tag is stands in no clear frame: a tag with a
private id answers anyone's hello with random bytes. Each side is proven by its first sealed frame.
"""

from tagwire.errors import (
    REASON_FLOW,
    REASON_KIND,
    REASON_LENGTH,
    REASON_ORDER,
    REASON_REFUSED,
    REASON_REPLAYED,
    REASON_STATE,
    REASON_VERSION,
    DecodeError,
    EncodeError,
)
from tagwire.keys import LABEL_HUB, derive
from tagwire.messages import STATUS_NOT_PERMITTED, STATUS_VERSION
from tagwire.seal import aes128, ccm_open, ccm_seal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LABEL_SESSION = b"tagstack session"
VERSION = 1
TYPE_HELLO = 0
TYPE_WELCOME = 1
TYPE_REFUSED = 2
TYPE_SEALED = 3

HELLO_BYTES = 15
WELCOME_BYTES = 9
REFUSED_BYTES = 2
RANDOM_BYTES = 8
HEADER_BYTES = 3  # also the associated data
MIC_BYTES = 8
FRAME_BYTES_MAX = 244  # one GATT write or notification at an MTU of 247, which fits one link-layer packet
FRAME_OVERHEAD = HEADER_BYTES + MIC_BYTES
NUMBER_MAX = 0xFFFF

FRAME_SESSION = 0x01  # nonce byte 9, see beacon.FRAME_BEACON
TOWARDS_TAG = 0x80

EPOCH_DAY_S = 86400
EPOCH_FOREVER = 0xFFFF

HELLOS_MAX = 4  # for one connection: each costs the tag some ten AES blocks and 8 random bytes
FORGED_MAX = 8  # for one connection: at 8 bytes of MIC a guess succeeds once in 2**64


def hub_key(root_key: bytes, hub_id: int, epoch: int) -> bytes:
    """K_hub: lets hub `hub_id` talk to the tag until the end of Unix day `epoch` (EPOCH_FOREVER: no end)."""
    if not 0 <= hub_id <= 0xFFFFFFFF or not 0 <= epoch <= 0xFFFF:
        raise EncodeError("hub id %d or epoch %d out of range" % (hub_id, epoch))
    return derive(root_key, LABEL_HUB, hub_id.to_bytes(4, "little") + epoch.to_bytes(2, "little"))


def session_key(key: bytes, hub_random: bytes, tag_random: bytes) -> bytes:
    """The key of one session. Fresh as long as one of the two sides draws fresh bytes."""
    return derive(key, LABEL_SESSION, hub_random + tag_random)


def expired(epoch: int, now_s: "int | None") -> bool:
    """Whether a hub key's last day is over. A tag that does not know the time cannot tell, and takes it as valid."""
    return now_s is not None and epoch != EPOCH_FOREVER and now_s // EPOCH_DAY_S > epoch


def session_nonce(byte0: int, tag_id: int, number: int, direction: int) -> bytes:
    """The nonce of a sealed frame, laid out as a beacon's; the frame's number stands for the counter."""
    return (
        bytes([byte0])
        + tag_id.to_bytes(4, "little")
        + number.to_bytes(4, "little")
        + bytes([FRAME_SESSION | direction, 0, 0, 0])
    )


def frame_type(frame: bytes) -> int:
    """The TYPE_* of a frame. Raises DecodeError: "length", "version", "kind"."""
    if not frame or len(frame) > FRAME_BYTES_MAX:
        raise DecodeError(REASON_LENGTH, "a frame of %d bytes" % len(frame))
    if frame[0] & 3 != VERSION:
        raise DecodeError(REASON_VERSION, "version %d" % (frame[0] & 3))
    kind = frame[0] >> 2
    if kind > TYPE_SEALED:
        raise DecodeError(REASON_KIND, "byte 0 is 0x%02x" % frame[0])
    if kind < TYPE_SEALED and len(frame) != (HELLO_BYTES, WELCOME_BYTES, REFUSED_BYTES)[kind]:
        raise DecodeError(REASON_LENGTH, "a frame of type %d with %d bytes" % (kind, len(frame)))
    if kind == TYPE_SEALED and len(frame) < FRAME_OVERHEAD:
        raise DecodeError(REASON_LENGTH, "a sealed frame of %d bytes" % len(frame))
    return kind


class Channel:
    """Seals and opens the numbered frames of one session, at one end.

    A frame that was sealed is sent again, where a link asks for it, as the very same bytes.
    """

    def __init__(self, key: bytes, tag_id: int, sends_towards_tag: bool) -> None:
        self._encrypt = aes128(key)
        self._tag_id = tag_id
        self._send_direction = TOWARDS_TAG if sends_towards_tag else 0
        self._next_sent = 0
        self.next_received = 0

    def seal(self, plaintext: bytes) -> bytes:
        """The next frame. Raises EncodeError after 65,536 frames (start a new session) or beyond 233 bytes."""
        number = self._next_sent
        if number > NUMBER_MAX or len(plaintext) > FRAME_BYTES_MAX - FRAME_OVERHEAD:
            raise EncodeError("frame %d of %d bytes" % (number, len(plaintext)))
        self._next_sent += 1
        byte0 = VERSION | TYPE_SEALED << 2
        header = bytes([byte0]) + number.to_bytes(2, "little")
        nonce = session_nonce(byte0, self._tag_id, number, self._send_direction)
        return header + ccm_seal(self._encrypt, nonce, header, plaintext, MIC_BYTES)

    def open(self, frame: bytes) -> bytes:
        """What the next frame says. Raises DecodeError and then has changed nothing: "length", "version", "kind",
        "replayed" (a number taken before: a repeat by the link), "order" (a later one), "forged"."""
        if frame_type(frame) != TYPE_SEALED:
            raise DecodeError(REASON_KIND, "not a sealed frame")
        number = frame_number(frame)
        if number != self.next_received:
            reason = REASON_REPLAYED if number < self.next_received else REASON_ORDER
            raise DecodeError(reason, "frame %d where %d is next" % (number, self.next_received))
        nonce = session_nonce(frame[0], self._tag_id, number, self._send_direction ^ TOWARDS_TAG)
        plaintext = ccm_open(self._encrypt, nonce, frame[:HEADER_BYTES], frame[HEADER_BYTES:], MIC_BYTES)
        self.next_received += 1
        return plaintext


def frame_number(frame: bytes) -> int:
    """The number of a sealed frame."""
    return frame[1] | frame[2] << 8


class HubHandshake:
    """The hub's side of opening a session: `hello` is the frame to send, `welcome` makes the channel."""

    def __init__(self, tag_id: int, key: bytes, hub_id: int, epoch: int, hub_random: bytes) -> None:
        if len(hub_random) != RANDOM_BYTES:
            raise EncodeError("a hello has 8 random bytes")
        self._tag_id = tag_id
        self._key = key
        self._random = hub_random
        self.hello = bytes([VERSION | TYPE_HELLO << 2]) + hub_id.to_bytes(4, "little") + epoch.to_bytes(2, "little")
        self.hello += hub_random

    def welcome(self, frame: bytes) -> Channel:
        """The channel, from the tag's answer. Raises DecodeError: "refused" (the detail is the status), and others."""
        kind = frame_type(frame)
        if kind == TYPE_REFUSED:
            raise DecodeError(REASON_REFUSED, "status %d" % frame[1])
        if kind != TYPE_WELCOME:
            raise DecodeError(REASON_KIND, "no welcome")
        return Channel(session_key(self._key, self._random, frame[1:]), self._tag_id, True)


class TagHandshake:
    """The tag's side, for one connection. Holds at most one proven and one unproven session.

    A hello alone changes nothing: the proven session goes on until a first frame under the new key is authentic.

    `key_for(hub_id, epoch)` returns K_hub, or None for a hub that may not talk to this tag. `random(n)` returns n bytes
    from the chip's true random generator.
    """

    def __init__(
        self, tag_id: int, key_for: "Callable[[int, int], bytes | None]", random: "Callable[[int], bytes]"
    ) -> None:
        self._tag_id = tag_id
        self._key_for = key_for
        self._random = random
        self._hellos = 0
        self._forged = 0
        self._pending: "Channel | None" = None
        self.channel: "Channel | None" = None

    def hello(self, frame: bytes) -> bytes:
        """The answer to a hello: WELCOME or REFUSED. Raises DecodeError: "flow" after HELLOS_MAX; then disconnect."""
        self._hellos += 1
        if self._hellos > HELLOS_MAX:
            raise DecodeError(REASON_FLOW, "%d hellos" % self._hellos)
        refused = bytes([VERSION | TYPE_REFUSED << 2])
        try:
            if frame_type(frame) != TYPE_HELLO:
                raise DecodeError(REASON_KIND, "no hello")
        except DecodeError as error:
            if error.reason != REASON_VERSION:
                raise
            return refused + bytes([STATUS_VERSION])
        key = self._key_for(int.from_bytes(frame[1:5], "little"), int.from_bytes(frame[5:7], "little"))
        if key is None:
            return refused + bytes([STATUS_NOT_PERMITTED])
        tag_random = self._random(RANDOM_BYTES)
        self._pending = Channel(session_key(key, frame[7:], tag_random), self._tag_id, False)
        return bytes([VERSION | TYPE_WELCOME << 2]) + tag_random

    def open(self, frame: bytes) -> "tuple[bytes, bool]":
        """What a sealed frame says, and whether it began a new session. Raises DecodeError, and then only the count of
        forged frames has changed; after FORGED_MAX of them always "flow": disconnect."""
        if self._forged >= FORGED_MAX:
            raise DecodeError(REASON_FLOW, "%d forged frames" % self._forged)
        if frame_type(frame) != TYPE_SEALED:
            raise DecodeError(REASON_KIND, "not a sealed frame")
        begins = self._pending is not None and frame_number(frame) == 0  # a proven session is past its frame 0
        channel = self._pending if begins else self.channel
        if channel is None:
            raise DecodeError(REASON_STATE, "no session")
        try:
            plaintext = channel.open(frame)
        except DecodeError as error:
            if error.reason not in (REASON_ORDER, REASON_REPLAYED):  # those cost nothing
                self._forged += 1
            raise
        if begins:
            self.channel = channel
            self._pending = None
        return plaintext, begins
