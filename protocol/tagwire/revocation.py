"""Which hubs may talk to a tag: the lowest epoch still valid, for every hub and for single ones. Portable.

State of the tag; the firmware keeps `encode()` durable. 6 bytes an entry: hub id u32 | epoch u16, hub ids rising.
"""

from tagwire.errors import REASON_FORMAT, DecodeError
from tagwire.session import expired

EVERY_HUB = 0xFFFFFFFF
ENTRIES_MAX = 16
ENTRY_BYTES = 6


class HubFloors:
    """Floors only rise. `data`: what `encode` returned; raises DecodeError("format") for anything else."""

    def __init__(self, data: bytes = b"") -> None:
        self._floors: dict[int, int] = {}
        for at in range(0, len(data) - ENTRY_BYTES + 1, ENTRY_BYTES):
            hub_id = int.from_bytes(data[at : at + 4], "little")
            self._floors[hub_id] = int.from_bytes(data[at + 4 : at + 6], "little")
        if self.encode() != data or len(self._floors) > ENTRIES_MAX:
            raise DecodeError(REASON_FORMAT, "revoked hubs in %d bytes" % len(data))

    def encode(self) -> bytes:
        """The entries as bytes."""
        data = b""
        for hub_id in sorted(self._floors):
            data += hub_id.to_bytes(4, "little") + self._floors[hub_id].to_bytes(2, "little")
        return data

    def permits(self, hub_id: int, epoch: int, now_s: "int | None") -> bool:
        """Whether a hub with a key of this epoch may open a session now. `now_s`: Unix time, None when not known."""
        floor = max(self._floors.get(hub_id, 0), self._floors.get(EVERY_HUB, 0))
        return epoch >= floor and not expired(epoch, now_s)

    def revoke(self, hub_id: int, epoch: int) -> bool:
        """Refuse keys of that hub (or EVERY_HUB) below the epoch. False when there is no room for another hub: then
        raise the floor of every hub first, which frees the entries below it."""
        floors = dict(self._floors)
        floors[hub_id] = max(floors.get(hub_id, 0), epoch)
        everyone = floors.get(EVERY_HUB, 0)
        kept = {one: floor for one, floor in floors.items() if one == EVERY_HUB or floor > everyone}
        if len(kept) > ENTRIES_MAX:
            return False
        self._floors = kept
        return True
