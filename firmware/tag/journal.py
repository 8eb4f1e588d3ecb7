"""The journal: every sample, in flash until it is settled and its room is needed. This file writes it.

A sample first waits in RTC memory (`tag.pending`); eight at a time go to flash, in one append. So a power cut costs at
most the last eight, a reset none. `tag.history` reads the journal for hubs, `tag.room` decides what goes when it is
full. Every eighth sample loads this file, no other does.
"""

from tag import segments
from tag.pending import folder_of
from tag.records import DELTA_MAX, counter_of, rebased

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.pending import Pending

BLOCK_KB = 4
SPARE_BLOCKS = 8  # of the room that is granted: folder, settled file, the copies that LittleFS makes
ENOSPC = 28


class Journal:
    """One tag's journal. `pending` is its part in RTC memory, which the caller keeps; room_kb: what it may take."""

    def __init__(self, tag_id: int, pending: "Pending", room_kb: int) -> None:
        self.folder = folder_of(tag_id)
        self.pending = pending
        self._segments_max = max(room_kb // BLOCK_KB - SPARE_BLOCKS, 2)

    def write(self) -> None:
        """Put all that waits into flash; store `pending` in RTC memory then. Raises OSError: it waits on.

        A reset between the two leaves samples in flash that still wait: they are not written twice.
        """
        files = segments.list_segments(self.folder)
        records = self.pending.after(segments.last_counter(self.folder, files[-1]) if files else -1)
        if records:
            first = counter_of(self.pending.base, records[0])
            last = counter_of(self.pending.base, records[-1])
            base = first
            if files:
                newest = files[-1]
                if newest.records + len(records) <= segments.SEGMENT_RECORDS and last - newest.base <= DELTA_MAX:
                    base = newest.base
                elif len(files) >= self._segments_max:
                    self._make_room(len(files) - self._segments_max + 1)
            data = b"".join([rebased(self.pending.base, base, record) for record in records])
            try:
                segments.append(self.folder, base, data)
            except OSError as error:
                if error.errno != ENOSPC or len(files) < 2:
                    raise
                self._make_room(1)  # others have filled the flash: the journal gives way
                segments.append(self.folder, base, data)
        self.pending.clear()

    def _make_room(self, files: int) -> None:
        from tag.room import drop

        drop(self.folder, self.pending, files)
