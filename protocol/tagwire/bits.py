"""Whole numbers as bits, most significant first, in the two codes of history blocks. Portable.

`bits_read` reads them. A file of its own, because a tag has no room for what it never does.
"""

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


def put_sized(bits: "BitWriter", value: int) -> None:
    """5 bits of length - 1, then so many bits: any value below 2**32."""
    width = 1
    while value >> width:
        width += 1
    bits.put(width - 1, 5)
    bits.put(value, width)
