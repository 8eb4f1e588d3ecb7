"""Bits to bytes and back, most significant first, and the two codes for whole numbers in history blocks. Portable."""

from tagwire.errors import REASON_FORMAT, DecodeError

ESCAPE = 10  # so many ones and no zero: the value follows with its length, because its Rice code would be longer


class BitWriter:
    """Appends values of any width; `mark` and `rewind` take back what did not fit."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._rest = 0  # the bits that do not fill a byte yet
        self._rest_bits = 0

    def put(self, value: int, width: int) -> None:
        """Append a value that is below 2**width."""
        rest = self._rest << width | value
        rest_bits = self._rest_bits + width
        while rest_bits >= 8:
            rest_bits -= 8
            self._bytes.append(rest >> rest_bits & 0xFF)
        self._rest = rest & (1 << rest_bits) - 1
        self._rest_bits = rest_bits

    def length(self) -> int:
        """How many bits stand here."""
        return len(self._bytes) * 8 + self._rest_bits

    def mark(self) -> "tuple[int, int, int]":
        """The present end, for `rewind`."""
        return len(self._bytes), self._rest, self._rest_bits

    def rewind(self, mark: "tuple[int, int, int]") -> None:
        """Forget everything after the mark."""
        length, self._rest, self._rest_bits = mark
        self._bytes = self._bytes[:length]

    def finish(self) -> bytes:
        """The bytes, the last one filled up with zeros."""
        if self._rest_bits:
            self.put(0, 8 - self._rest_bits)
        return bytes(self._bytes)


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


def put_rice(bits: "BitWriter", difference: int, rice: int) -> None:
    """A signed difference below 2**31 in a Rice code, folded first: 0, -1, 1, -2 become 0, 1, 2, 3."""
    folded = difference << 1 if difference >= 0 else -difference * 2 - 1
    quotient = folded >> rice
    if quotient < ESCAPE:
        bits.put((2 << quotient) - 2, quotient + 1)
        bits.put(folded & (1 << rice) - 1, rice)
    else:
        bits.put((1 << ESCAPE) - 1, ESCAPE)
        put_sized(bits, folded)


def get_rice(bits: "BitReader", rice: int) -> int:
    """What `put_rice` wrote."""
    quotient = bits.ones(ESCAPE)
    folded = quotient << rice | bits.get(rice) if quotient < ESCAPE else get_sized(bits)
    return folded >> 1 if folded & 1 == 0 else -(folded + 1 >> 1)


def put_sized(bits: "BitWriter", value: int) -> None:
    """5 bits of length - 1, then so many bits: any value below 2**32."""
    width = 1
    while value >> width:
        width += 1
    bits.put(width - 1, 5)
    bits.put(value, width)


def get_sized(bits: "BitReader") -> int:
    """What `put_sized` wrote."""
    return bits.get(bits.get(5) + 1)
