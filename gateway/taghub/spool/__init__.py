"""What a hub holds until the broker has it, durable: `Spool` for the event loop, `Store` for the file behind it."""

from taghub.spool.commit import Dropped, Limits, Loaded, StoreError
from taghub.spool.lock import lock
from taghub.spool.spool import DROP_MEMORY, Known, Spool, SpoolEvents
from taghub.spool.store import Store

__all__ = ["DROP_MEMORY", "Dropped", "Known", "Limits", "Loaded", "Spool", "SpoolEvents", "Store", "StoreError", "lock"]
