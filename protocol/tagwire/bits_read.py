"""What `bits` wrote, read back. Portable."""

from tagwire.bits import ESCAPE
from tagwire.errors import REASON_FORMAT, DecodeError


class BitReader:
    """Reads what a BitWriter wrote. Raises DecodeError("format") past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = 0
        self._rest = 0
        self._rest_bits = 0

    def get(self, width: int) -> int:
        """The next `width` bits."""
        while self._rest_bits < width:
            if self._next == len(self._data):
                raise DecodeError(REASON_FORMAT, "a block ends within a sample")
            self._rest = self._rest << 8 | self._data[self._next]
            self._next += 1
            self._rest_bits += 8
        self._rest_bits -= width
        value = self._rest >> self._rest_bits
        self._rest &= (1 << self._rest_bits) - 1
        return value

    def ones(self, most: int) -> int:
        """The number of ones before a zero, which is read too; `most` ones need no zero."""
        for count in range(most):
            if not self.get(1):
                return count
        return most

    def finish(self) -> None:
        """Raises DecodeError unless only the filling of the last byte is left."""
        if self._next < len(self._data) or self._rest_bits > 7 or self._rest:
            raise DecodeError(REASON_FORMAT, "a block goes on after its last sample")


def get_rice(bits: "BitReader", rice: int) -> int:
    """What `bits.put_rice` wrote."""
    quotient = bits.ones(ESCAPE)
    folded = quotient << rice | bits.get(rice) if quotient < ESCAPE else get_sized(bits)
    return folded >> 1 if folded & 1 == 0 else -(folded + 1 >> 1)


def get_sized(bits: "BitReader") -> int:
    """What `bits.put_sized` wrote."""
    return bits.get(bits.get(5) + 1)
