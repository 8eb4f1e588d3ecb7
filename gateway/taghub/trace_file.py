"""The trace: what happened to each sample, appended to a file for whoever follows it."""

import logging
from pathlib import Path

from numpy.typing import ArrayLike

from taghub.errors import SettingsError
from tagwire.trace import RECORD_BYTES, encode_columns

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

    def samples(self, event: int, tag_ids: ArrayLike, counters: ArrayLike, t_us: ArrayLike) -> None:
        """One record for each sample; t_us: of each, or one for all."""
        self._write(encode_columns(event, tag_ids, counters, t_us))

    def close(self) -> None:
        self._file.close()

    def _write(self, records: bytes) -> None:
        try:
            self._file.write(records)
        except OSError as error:  # a full disk must not stop the hub for the sake of its trace
            _logger.error("the trace cannot be written: %s", error)
