"""The key tree below a tag's root key. Portable.

Every key is NIST SP 800-108 (counter mode, one block) over AES-CMAC: CMAC(K, 0x01 | label | 0x00 | context | 0x0080).
"""

from tagwire.errors import EncodeError
from tagwire.seal import aes128, cmac

LABEL_BEACON = b"tagstack beacon"
LABEL_ID = b"tagstack id"
LABEL_HUB = b"tagstack hub"  # see session.hub_key


def derive(key: bytes, label: bytes, context: bytes) -> bytes:
    """A 16-byte key derived from a 16-byte key. Raises EncodeError for another key length."""
    return cmac(aes128(key), b"\x01" + label + b"\x00" + context + b"\x00\x80")


def beacon_key(root_key: bytes, generation: int) -> bytes:
    """K_beacon of one generation (0 to 255): seals and opens that generation's beacons."""
    return _of_generation(root_key, LABEL_BEACON, generation)


def id_key(root_key: bytes, generation: int) -> bytes:
    """K_id of one generation: names that generation's beacons where ids are private."""
    return _of_generation(root_key, LABEL_ID, generation)


def _of_generation(root_key: bytes, label: bytes, generation: int) -> bytes:
    if not 0 <= generation <= 255:
        raise EncodeError("generation %d is not within 0 to 255" % generation)
    return derive(root_key, label, bytes([generation]))
