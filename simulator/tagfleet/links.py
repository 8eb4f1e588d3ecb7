"""Connections to flock tags over the air's connection records: they answer history as real tags do. Pure.

A journal is not stored but made anew from (seed, tag, sequence); what is kept is what hubs have settled.
"""

from tagfleet.flock import Flock
from tagwire.air import Record


class FlockLinks:
    """The tags' end of every connection. Feed it what hubs send; send hubs what it returns."""

    def __init__(self, flock: Flock) -> None:
        self._flock = flock

    def receive(self, hub: int, record: Record, now_us: int) -> bytes:
        """Take a connect, write or disconnect of a hub; the air records to send to that hub, in order."""
        raise NotImplementedError

    def lost(self, now_us: int) -> dict[int, bytes]:
        """Call it now and then: the records for each hub about connections that ended by themselves."""
        raise NotImplementedError
