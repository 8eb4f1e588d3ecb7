"""What the chips have in common: silence, a checksum, and what they told. Pure."""

from typing import NamedTuple, Protocol


class Nack(Exception):
    """The device does not acknowledge: not there, busy, or asked for what it does not know."""


class Told(NamedTuple):
    """What a chip's answer means by its datasheet; None for what it did not say, or said with a wrong checksum."""

    temperature_mc: int | None
    humidity_mpct: int | None


class I2cChip(Protocol):
    """A device on the I2C bus. told: what its last answer meant, None when it was no measurement."""

    told: Told | None

    def write(self, data: bytes, now_s: float) -> None:
        """A write transaction. Raises Nack."""

    def read(self, length: int, now_s: float) -> bytes:
        """A read transaction. Raises Nack."""


def crc8(data: bytes) -> int:
    """Polynomial x^8 + x^5 + x^4 + 1, start 0xFF, most significant bit first; by long division over all bits."""
    bits = 8 * len(data)
    remainder = (int.from_bytes(data, "big") ^ 0xFF << bits - 8) << 8  # the start value acts on the first byte only
    for bit in range(bits + 7, 7, -1):
        if remainder >> bit & 1:
            remainder ^= 0x131 << bit - 8
    return remainder


def damaged(answer: bytes, mask: bytes) -> bytes:
    """The answer with `mask` XORed onto its first bytes."""
    return bytes(a ^ b for a, b in zip(answer, mask.ljust(len(answer), b"\0"), strict=False))
