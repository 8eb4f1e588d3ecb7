"""Follows the trace file that a hub appends to."""

from pathlib import Path

from tagwire.trace import RECORD_BYTES, TraceRecord, iter_records

_READ_BYTES = RECORD_BYTES * 65_536  # a bound for one call, not for the file


class TraceTail:
    """Reads what was appended since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[TraceRecord]:
        """New whole records; none while there is no file yet."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return []
        data = data[: len(data) - len(data) % RECORD_BYTES]
        self._offset += len(data)
        return list(iter_records(data))
