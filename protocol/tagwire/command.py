"""Commands of the platform, sealed end to end: hubs carry them and can neither read nor make them. Portable.

Envelope, both ways: byte 0 | command number u32 | sealed body | MIC (8). Byte 0 is the version (bits 0-1) and 0 (2-7).
Command body: opcode u8 | expiry u32 | value. Reply body: STATUS_* u8 | detail.

Numbers rise strictly; gaps are fine. A number's upper 8 bits are at least the generation that the tag was provisioned
with, so that a tag whose memory was erased (and which is then provisioned under a higher generation) takes no old
command again. One number has one command and one reply, ever: that keeps every nonce unique in both directions.
"""

from binascii import crc32

from tagwire.counter import SEQUENCE_BITS
from tagwire.errors import (
    REASON_FORMAT,
    REASON_LENGTH,
    REASON_VERSION,
    DecodeError,
    EncodeError,
)
from tagwire.keys import derive
from tagwire.messages import (
    STATUS_EXPIRED,
    STATUS_FORGED,
    STATUS_INTERRUPTED,
    STATUS_NOT_NOW,
    STATUS_OK,
    STATUS_REPLAYED,
    STATUS_STORAGE,
    STATUS_VERSION,
)
from tagwire.seal import aes128, ccm_open, ccm_seal
from tagwire.session import TOWARDS_TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, Protocol

    from tagwire.seal import BlockCipher

    class Command(NamedTuple):
        """One command. expires_s: Unix time after which a tag refuses it, EXPIRES_NEVER for none."""

        number: int
        opcode: int
        expires_s: int
        value: bytes

    class Actions(Protocol):
        """What the firmware can do for the platform."""

        def ready(self, command: "Command") -> int:
            """STATUS_OK, or why not now: STATUS_BUSY, STATUS_BATTERY, STATUS_NOT_NOW. Changes nothing."""

        def execute(self, command: "Command") -> "tuple[int, bytes]":
            """Do it: a final STATUS_* (STATUS_UNKNOWN for an opcode it does not know, STATUS_VALUE for a value out of
            range) and up to DETAIL_BYTES_MAX of detail. What ends the session (a reboot) is only put down for later."""

    class Memory(Protocol):
        """One durable place of up to MEMORY_BYTES_MAX bytes."""

        def load(self) -> "bytes | None":
            """What was saved last, None before the first time."""

        def save(self, data: bytes) -> None:
            """Return when it is durable. Raises OSError."""

else:
    from collections import namedtuple

    Command = namedtuple("Command", ("number", "opcode", "expires_s", "value"))

LABEL_PLATFORM = b"tagstack platform"
VERSION = 1
FRAME_COMMAND = 0x02  # nonce byte 9, see beacon.FRAME_BEACON
HEADER_BYTES = 5  # also the associated data
MIC_BYTES = 8
COMMAND_BYTES_MIN = HEADER_BYTES + 5 + MIC_BYTES
VALUE_BYTES_MAX = 192  # with envelope, message and frame around it: 223 bytes
DETAIL_BYTES_MAX = 16
MEMORY_BYTES_MAX = 4 + 1 + DETAIL_BYTES_MAX + 4
EXPIRES_NEVER = 0xFFFFFFFF

SETTINGS = 1  # value: JSON object of settings, UTF-8
REBOOT = 2  # no value
ROTATE = 3  # value: the new generation u8, above the present one
REVOKE = 4  # value: hub id u32, the lowest epoch still valid u16; see HubFloors
UPDATE = 5  # value: SHA-256 of the bundle's manifest (32), length of the bundle u32: leave to receive this bundle


def platform_key(root_key: bytes) -> bytes:
    """K_platform: seals commands and replies. No hub ever has it."""
    return derive(root_key, LABEL_PLATFORM, b"")


def first_number(generation: int) -> int:
    """The lowest command number for a tag that was provisioned with this generation."""
    return generation << SEQUENCE_BITS


def seal_command(encrypt: "BlockCipher", tag_id: int, command: Command) -> bytes:
    """The envelope of a command. One number may seal one command only: keep the envelope, not the command."""
    if len(command.value) > VALUE_BYTES_MAX:
        raise EncodeError("a command's value of %d bytes" % len(command.value))
    body = bytes([command.opcode]) + command.expires_s.to_bytes(4, "little") + command.value
    return _seal(encrypt, tag_id, command.number, TOWARDS_TAG, body)


def open_command(encrypt: "BlockCipher", tag_id: int, envelope: bytes) -> Command:
    """The command in an envelope. Raises DecodeError: "length", "version", "forged"."""
    if len(envelope) > COMMAND_BYTES_MIN + VALUE_BYTES_MAX:
        raise DecodeError(REASON_LENGTH, "an envelope of %d bytes" % len(envelope))
    body = _open(encrypt, tag_id, TOWARDS_TAG, envelope, COMMAND_BYTES_MIN)
    return Command(number_of(envelope), body[0], int.from_bytes(body[1:5], "little"), body[5:])


def open_reply(encrypt: "BlockCipher", tag_id: int, envelope: bytes) -> "tuple[int, int, bytes]":
    """The number, the STATUS_* and the detail of a sealed reply. Raises DecodeError."""
    body = _open(encrypt, tag_id, 0, envelope, HEADER_BYTES + 1 + MIC_BYTES)
    return number_of(envelope), body[0], body[1:]


def number_of(envelope: bytes) -> int:
    """The number that an envelope says it has."""
    return int.from_bytes(envelope[1:5], "little")


def command_nonce(byte0: int, tag_id: int, number: int, direction: int) -> bytes:
    """The nonce of an envelope, laid out as a beacon's; the command's number stands for the counter."""
    return (
        bytes([byte0])
        + tag_id.to_bytes(4, "little")
        + number.to_bytes(4, "little")
        + bytes([FRAME_COMMAND | direction, 0, 0, 0])
    )


def _seal(encrypt: "BlockCipher", tag_id: int, number: int, direction: int, body: bytes) -> bytes:
    header = bytes([VERSION]) + number.to_bytes(4, "little")
    return header + ccm_seal(encrypt, command_nonce(VERSION, tag_id, number, direction), header, body, MIC_BYTES)


def _open(encrypt: "BlockCipher", tag_id: int, direction: int, envelope: bytes, bytes_min: int) -> bytes:
    if len(envelope) < bytes_min:
        raise DecodeError(REASON_LENGTH, "an envelope of %d bytes" % len(envelope))
    if envelope[0] != VERSION:
        raise DecodeError(REASON_VERSION, "byte 0 is 0x%02x" % envelope[0])
    nonce = command_nonce(envelope[0], tag_id, number_of(envelope), direction)
    return ccm_open(encrypt, nonce, envelope[:HEADER_BYTES], envelope[HEADER_BYTES:], MIC_BYTES)


class CommandReceiver:
    """The tag's end: carries out each command at most once, and answers it with the same reply ever after.

    Its state is the last number taken and that command's outcome, in `memory`. The number is durable before the command
    is carried out, the outcome before the reply is sealed; a power cut in between is answered as STATUS_INTERRUPTED.
    """

    def __init__(self, root_key: bytes, tag_id: int, generation: int, memory: "Memory", actions: "Actions") -> None:
        """`generation`: the one in the provisioning file. Raises DecodeError("format") when the memory is corrupt: then
        the tag takes no commands until it is provisioned again."""
        self._encrypt = aes128(platform_key(root_key))
        self._tag_id = tag_id
        self._memory = memory
        self._actions = actions
        self._floor = first_number(generation) - 1
        self._load()

    def _load(self) -> None:
        saved = self._memory.load()
        number, status, detail = (-1, STATUS_OK, b"") if saved is None else decode_memory(saved)
        self._last = max(number, self._floor)
        self._outcome: "tuple[int, bytes] | None" = (status, detail) if number > self._floor else None

    def receive(self, envelope: bytes, now_s: "int | None") -> "tuple[int, bytes]":
        """Carry out a command: the STATUS_* for the hub that brought it, and the sealed reply for the platform.

        The reply is empty when the command was not taken: a forged one, an old one, or one that may come again later
        (STATUS_BUSY and above). `now_s`: the tag's Unix time, None when it does not know.
        """
        try:
            command = open_command(self._encrypt, self._tag_id, envelope)
        except DecodeError as error:
            return (STATUS_VERSION if error.reason == REASON_VERSION else STATUS_FORGED), b""
        if command.number == self._last and self._outcome is not None:
            return self._reply()
        if command.number <= self._last:
            return STATUS_REPLAYED, b""
        expired = False
        if command.expires_s != EXPIRES_NEVER:
            if now_s is None:
                return STATUS_NOT_NOW, b""
            expired = now_s > command.expires_s
        status = STATUS_OK if expired else self._actions.ready(command)
        if status != STATUS_OK:
            return status, b""
        try:
            self._save(command.number, STATUS_EXPIRED if expired else STATUS_INTERRUPTED, b"")
            if not expired:
                status, detail = self._actions.execute(command)
                self._save(command.number, status, detail[:DETAIL_BYTES_MAX])
        except OSError:
            # Only what is durable may be answered: after a restart another outcome would go under the same nonce.
            try:
                self._load()
            except (OSError, DecodeError):
                self._last, self._outcome = command.number, None
            return STATUS_STORAGE, b""
        return self._reply()

    def _save(self, number: int, status: int, detail: bytes) -> None:
        self._memory.save(encode_memory(number, status, detail))
        self._last = number
        self._outcome = (status, detail)

    def _reply(self) -> "tuple[int, bytes]":
        status, detail = self._outcome or (STATUS_INTERRUPTED, b"")
        return status, _seal(self._encrypt, self._tag_id, self._last, 0, bytes([status]) + detail)


def encode_memory(number: int, status: int, detail: bytes) -> bytes:
    """What a CommandReceiver keeps: number u32 | status u8 | detail | CRC-32."""
    data = number.to_bytes(4, "little") + bytes([status]) + detail
    return data + crc32(data).to_bytes(4, "little")


def decode_memory(data: bytes) -> "tuple[int, int, bytes]":
    """What `encode_memory` made. Raises DecodeError("format")."""
    if not 9 <= len(data) <= MEMORY_BYTES_MAX or crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
        raise DecodeError(REASON_FORMAT, "the command memory is corrupt")
    return int.from_bytes(data[:4], "little"), data[4], data[5:-4]
