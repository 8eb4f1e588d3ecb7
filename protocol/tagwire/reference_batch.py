"""The batch as plain Python, line by line after SPEC.md: the executable specification. Slow, and checks little.

Host only. What must be refused is the vectors' and `tagwire.batch`'s business.
"""

import cbor2
import zstandard

from tagwire.table import COLUMNS, FOREIGN_COLUMNS


class Bytes:
    """A column's bytes, from the first to the last."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def take(self, size: int) -> bytes:
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def unsigned(self) -> int:
        number = shift = 0
        while True:
            octet = self.take(1)[0]
            number |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return number

    def signed(self) -> int:
        return unzigzag(self.unsigned())

    def bits(self, count: int, width: int) -> list[int]:
        number = int.from_bytes(self.take((count * width + 7) // 8), "little")
        return [number >> width * i & ((1 << width) - 1) for i in range(count)]


def unzigzag(code: int) -> int:
    return code // 2 if code % 2 == 0 else -(code + 1) // 2


def read_list(data: Bytes, count: int) -> list[int]:
    """SPEC.md, "Lists"."""
    if count == 0:
        return []
    octet = data.take(1)[0]
    form, width = octet & 3, octet >> 2
    if form == 3:
        runs = data.unsigned()
        lengths, values = read_list(data, runs), read_list(data, runs)
        return [value for value, length in zip(values, lengths, strict=True) for _ in range(length + 1)]
    base = data.signed()
    low = data.bits(count, width)
    if form == 0:
        return [base + value for value in low]
    rest = data.take(data.unsigned())
    varints = Bytes(zstandard.decompress(rest) if form == 2 else rest)
    return [base + unzigzag(varints.unsigned() << width | low[i]) for i in range(count)]


def read_tags(data: Bytes) -> list[int]:
    """SPEC.md, "Columns": the column `tag`."""
    groups = data.unsigned()
    tags = [data.unsigned()]
    for step in read_list(data, groups - 1):
        tags.append(tags[-1] + step)
    sizes = read_list(data, groups)
    return [tag for tag, size in zip(tags, sizes, strict=True) for _ in range(size + 1)]


def read_column(data: Bytes, tags: list[int], times: list[int]) -> list[int]:
    """Any other column. times: not needed for the column `time` itself."""
    count = len(tags)
    octet = data.take(1)[0]
    prediction, patched, shift = octet & 3, octet >> 2 & 1, octet >> 3 & 3
    patches: dict[int, int] = {}
    if patched:
        number = data.unsigned()
        at = -1
        places = []
        for between in read_list(data, number):
            at += between + 1
            places.append(at)
        patches = dict(zip(places, read_list(data, number), strict=True))
    values = [0] * count
    if prediction == 0:
        values = read_list(data, count)
    elif prediction == 1:
        first = [i for i in range(count) if i == 0 or tags[i] != tags[i - 1]]
        others = [i for i in range(count) if i not in set(first)]
        for i, value in zip(first, read_list(data, len(first)), strict=True):
            values[i] = value
        for i, difference in zip(others, read_list(data, len(others)), strict=True):
            values[i] = values[i - 1] + difference
    else:
        order = sorted(range(count), key=lambda i: times[i])  # stable
        value = data.signed()
        values[order[0]] = value
        for i, difference in zip(order[1:], read_list(data, count - 1), strict=True):
            value += difference
            values[i] = value
    values = [value << shift for value in values]
    return [patches.get(i, value) for i, value in enumerate(values)]


def read_batch(payload: bytes) -> tuple[list[object], dict[str, list[int]]]:
    """The seven elements before the columns, and the columns by name."""
    item = cbor2.loads(payload)
    encoded = item[7]
    tags = read_tags(Bytes(encoded[0]))
    times = read_column(Bytes(encoded[COLUMNS["time"].id]), tags, [])
    columns = {"tag": tags, "time": times}
    for name, column in {**COLUMNS, **FOREIGN_COLUMNS}.items():
        if name not in columns and column.id in encoded:
            columns[name] = read_column(Bytes(encoded[column.id]), tags, times)
    return item[:7], columns
