"""The journal's files: each a run of records named by its base in 8 hexadecimal digits. I/O.

A record is appended to the newest file or begins a new one; no file is changed in any other way. LittleFS makes each
append whole or not at all. The folder bears the tag's id: what another identity of the same board measured is not ours.
"""

import os

from tag.pending import PREFIX
from tag.records import RECORD_BYTES, counter_of, is_intact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Segment(NamedTuple):
        """One file: the base of its run, and how many it holds."""

        base: int
        records: int

else:
    from collections import namedtuple

    Segment = namedtuple("Segment", ("base", "records"))

SEGMENT_RECORDS = 192  # 3 kB: an append copies the file's block, so a larger file programs more bytes a record
READ_RECORDS = 16  # at once, so that reading costs 256 bytes of heap


def list_segments(folder: str) -> "list[Segment]":
    """All files, oldest first; what else is in the folder is left alone."""
    segments = []
    try:
        for entry in os.ilistdir(folder):
            try:
                segments.append(Segment(int(entry[0], 16), entry[-1] // RECORD_BYTES))
            except ValueError:
                pass
    except OSError:  # no folder yet
        pass
    segments.sort()
    return segments


def read_segment(folder: str, base: int) -> "Iterator[bytes]":
    """Its intact records, in rising order. May raise OSError."""
    last = base - 1
    with open(_path(folder, base), "rb") as file:
        while True:
            data = file.read(READ_RECORDS * RECORD_BYTES)
            if not data:
                return
            for at in range(0, len(data), RECORD_BYTES):
                record = data[at : at + RECORD_BYTES]
                if is_intact(base, record) and counter_of(base, record) > last:
                    last = counter_of(base, record)
                    yield record


def last_counter(folder: str, segment: "Segment") -> int:
    """The counter of its last intact record; the one below its base when it has none. May raise OSError."""
    with open(_path(folder, segment.base), "rb") as file:
        for index in range(segment.records - 1, -1, -1):
            file.seek(index * RECORD_BYTES)
            record = file.read(RECORD_BYTES)
            if is_intact(segment.base, record):
                return counter_of(segment.base, record)
    return segment.base - 1


def append(folder: str, base: int, records: bytes) -> None:
    """Add records to the file of that base, which is made if it is not there. Raises OSError, then none is added."""
    try:
        file = open(_path(folder, base), "ab")
    except OSError:
        make_folder(folder)
        file = open(_path(folder, base), "ab")
    with file:
        file.write(records)


def make_folder(folder: str) -> None:
    """Make an empty journal in place of any other's. Raises OSError."""
    for entry in list(os.ilistdir("/")):
        other = "/" + entry[0]
        if entry[0].startswith(PREFIX) and other != folder:
            for file in list(os.ilistdir(other)):
                os.remove(other + "/" + file[0])
            os.rmdir(other)
    try:
        os.mkdir(folder)
    except OSError as error:
        if error.errno != 17:  # EEXIST
            raise


def remove(folder: str, base: int) -> None:
    """Delete a file. May raise OSError."""
    os.remove(_path(folder, base))


def _path(folder: str, base: int) -> str:
    return "%s/%08x" % (folder, base)
