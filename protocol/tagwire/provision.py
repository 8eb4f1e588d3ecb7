"""The two files that make a bare tag somebody's tag: `provision.json` and `counter`. Portable.

Whoever provisions writes both, a bench as well as the simulator. Each carries a CRC-32 (IEEE 802.3): it finds a torn
write or a slipped edit, nothing more. SPEC.md, "Provisioning file", is the authority.
"""

import json
from binascii import crc32, hexlify, unhexlify

from tagwire.errors import REASON_FORMAT, DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Provision(NamedTuple):
        """Who a tag is.

        root_key: K_root, 16 bytes, the one secret. generation: 0 to 255, raised each time the tag is provisioned
        again. company_id: of the Manufacturer Specific Data, 0xFFFF for tests only. board: the name of the firmware's
        board file. settings: name to int, bool or str; which names there are is the firmware's business.
        """

        tag_id: int
        root_key: bytes
        generation: int
        company_id: int
        board: str
        settings: dict[str, int | bool | str]

else:
    from collections import namedtuple

    Provision = namedtuple("Provision", ("tag_id", "root_key", "generation", "company_id", "board", "settings"))

FORMAT = "tagstack-provision/1"
PROVISION_FILE = "provision.json"  # both in the root of the tag's file system
COUNTER_FILE = "counter"
PROVISION_BYTES_MAX = 4096  # a tag reads the file whole, into some 100 KB of heap
COUNTER_BYTES = 8
ERASED = b"\xff" * COUNTER_BYTES


def _fault(tag_id, root_key, generation, company_id, board, settings) -> "str | None":  # type: ignore[no-untyped-def]
    """What is wrong with these values, whoever they came from; None when all is well."""
    # `type(...) is int`, because CPython's isinstance takes True for an integer.
    if type(tag_id) is not int or not 0 <= tag_id <= 0xFFFFFFFF:
        return "tag_id is not an integer of 32 bits"
    if not isinstance(root_key, bytes) or len(root_key) != 16:
        return "root_key does not have 16 bytes"
    if type(generation) is not int or not 0 <= generation <= 255:
        return "generation is not within 0 to 255"
    if type(company_id) is not int or not 0 <= company_id <= 0xFFFF:
        return "company_id is not an integer of 16 bits"
    if not isinstance(board, str) or not 1 <= len(board) <= 32:
        return "board is not a name of 1 to 32 characters"
    if not isinstance(settings, dict):
        return "settings is not an object"
    for name in settings:
        if not isinstance(name, str) or type(settings[name]) not in (int, bool, str):
            return "setting %s is not an integer, a boolean or a string" % name
    return None


def encode_provision(provision: "Provision") -> bytes:
    """The file's bytes: a line of JSON and a line with its CRC-32. Raises EncodeError."""
    fault = _fault(*provision)
    if fault:
        raise EncodeError(fault)
    (tag_id, root_key, generation, company_id, board, settings) = provision
    line = json.dumps(
        {
            "format": FORMAT,
            "tag_id": tag_id,
            "root_key": hexlify(root_key).decode(),
            "generation": generation,
            "company_id": company_id,
            "board": board,
            "settings": settings,
        }
    ).encode()
    data = line + b"\n%08x\n" % crc32(line)
    if len(data) > PROVISION_BYTES_MAX:
        raise EncodeError("the file would have %d bytes, more than %d" % (len(data), PROVISION_BYTES_MAX))
    return data


def decode_provision(data: bytes) -> "Provision":
    """The file's content; keys that it does not know are ignored. Raises DecodeError("format"), whose text never
    holds the key."""
    if len(data) > PROVISION_BYTES_MAX:
        raise _broken("%d bytes, more than %d" % (len(data), PROVISION_BYTES_MAX))
    lines = data.split(b"\n")
    if len(lines) not in (2, 3) or lines[2:] not in ([], [b""]):
        raise _broken("it does not have two lines")
    if lines[1] != b"%08x" % crc32(lines[0]):
        raise _broken("the CRC-32 in line 2 does not fit line 1")
    try:
        values = json.loads(lines[0].decode())
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise _broken("line 1 is not JSON")
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise _broken("its format is not " + FORMAT)
    try:
        root_key = unhexlify(values["root_key"])
    except (KeyError, TypeError, ValueError):
        raise _broken("root_key is not hexadecimal")
    found = (
        values.get("tag_id"),
        root_key,
        values.get("generation"),
        values.get("company_id"),
        values.get("board"),
        values.get("settings"),
    )
    fault = _fault(*found)
    if fault:
        raise _broken(fault)
    return Provision(*found)  # type: ignore[arg-type]


def encode_counter(counter: int) -> bytes:
    """A persisted counter: u32, then the CRC-32 of those four bytes, both little-endian. Raises EncodeError.

    The very last counter, 0xFFFFFFFF, cannot be persisted: with its CRC it looks like erased flash, eight times 0xFF.
    """
    if not 0 <= counter < 0xFFFFFFFF:
        raise EncodeError("counter %d is not within 0 to 4,294,967,294" % counter)
    data = counter.to_bytes(4, "little")
    return data + crc32(data).to_bytes(4, "little")


def decode_counter(data: bytes) -> int:
    """The counter that `encode_counter` wrote. Raises DecodeError("format")."""
    if len(data) != COUNTER_BYTES or data == ERASED or crc32(data[:4]).to_bytes(4, "little") != data[4:]:
        raise _broken("not 4 bytes and their CRC-32")
    return int.from_bytes(data[:4], "little")


def _broken(detail: str) -> DecodeError:
    return DecodeError(REASON_FORMAT, detail)
