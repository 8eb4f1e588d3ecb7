"""What makes a tag unique: its root key, and its id as people read it. Pure but for the system's random source.

A tag id is 32 bits. On labels it stands as eight characters of Crockford's base 32 (no I, L, O, U), `28T5-CY3P`: 40
bits, of which the lowest 8 are a CRC of the id. The CRC's polynomial, x^8+x^4+x^3+x^2+1, is primitive, so that a single
wrong character and any two swapped ones are always found, wherever they stand.
"""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")  # what people type for 0 and 1
ROOT_KEY_BYTES = 16
TAG_ID_MAX = 0xFFFFFFFF


def new_root_key() -> bytes:
    """16 bytes from the operating system's random source."""
    return secrets.token_bytes(ROOT_KEY_BYTES)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
    return crc


def readable_id(tag_id: int) -> str:
    """A tag id (0 to 4,294,967,295) as it stands on its label."""
    value = tag_id << 8 | _crc8(tag_id.to_bytes(4, "big"))
    letters = "".join(ALPHABET[value >> shift & 31] for shift in range(35, -1, -5))
    return letters[:4] + "-" + letters[4:]


def parse_id(text: str) -> int:
    """A tag id from a label's form (hyphen and case do not matter, with or without the QR code's `TAG:`) or from a
    decimal number. Raises ValueError with a sentence for a person.

    Eight characters are always read as a label's form; a decimal number of eight digits is written `#12345678`.
    """
    given = text.strip().upper().removeprefix("TAG:")
    if given.startswith("#") or (given.isascii() and given.isdigit() and len(given) != 8):
        digits = given.removeprefix("#")
        if not (digits.isascii() and digits.isdigit()) or int(digits) > TAG_ID_MAX:
            raise ValueError(f"{text!r} is not a tag id: decimal ids go from 0 to {TAG_ID_MAX}")
        return int(digits)
    given = given.replace("-", "").translate(_READ_AS)
    if len(given) != 8 or any(letter not in ALPHABET for letter in given):
        raise ValueError(f"{text!r} is not a tag id: it is a number, or 8 characters such as {readable_id(1)}")
    value = 0
    for letter in given:
        value = value << 5 | ALPHABET.index(letter)
    tag_id, crc = value >> 8, value & 0xFF
    if _crc8(tag_id.to_bytes(4, "big")) != crc:
        number = f"; the number is written #{given}" if given.isdigit() else ""
        raise ValueError(f"{text!r} is mistyped: its check characters do not fit{number}")
    return tag_id
