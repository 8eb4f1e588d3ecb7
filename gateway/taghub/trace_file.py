"""The trace: what happened to each sample, appended to a file for whoever follows it."""

import logging
from collections.abc import Iterable
from pathlib import Path

from taghub.errors import SettingsError
from tagwire.trace import RECORD_BYTES, encode, encode_many

_logger = logging.getLogger(__name__)


class TraceFile:
    """Appends records, one write a call, so a reader sees them at once."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError when the file cannot be opened."""
        try:
            self._file = path.open("ab", buffering=0)
            if path.is_file():  # a record that a killed run has begun
                self._file.truncate(path.stat().st_size // RECORD_BYTES * RECORD_BYTES)
        except OSError as error:
            raise SettingsError(f"trace.path: cannot be written: {error}") from None

    def heard(self, event: int, samples: Iterable[tuple[int, int, int]]) -> None:
        """One record for each (tag id, counter, t_us)."""
        self._write(b"".join([encode(event, tag_id, counter, t_us) for tag_id, counter, t_us in samples]))

    def samples(self, event: int, samples: Iterable[tuple[int, int]], t_us: int) -> None:
        """One record for each (tag id, counter), all at `t_us`."""
        self._write(encode_many(event, samples, t_us))

    def close(self) -> None:
        self._file.close()

    def _write(self, records: bytes) -> None:
        try:
            self._file.write(records)
        except OSError as error:  # a full disk must not stop the hub for the sake of its trace
            _logger.error("the trace cannot be written: %s", error)
