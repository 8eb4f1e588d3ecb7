"""What a hub can do with this tag in a session: journal, clock, light, log; commands by `orders`. Loaded on demand.

The `Tag` of tagwire.tagend, over the tag's state.
"""

import time

from tag import BUILT_S, clock
from tag.begin import unload
from tag.kept import load, owner
from tag.log import log, read_log
from tag.reading import known_time
from tagwire.errors import DecodeError
from tagwire.fields import TIME_ESTIMATED, TIME_GNSS, TIME_HUB
from tagwire.messages import STATUS_LIMITED, STATUS_NOT_PERMITTED, STATUS_OK, STATUS_STORAGE, STATUS_VALUE
from tagwire.revocation import HubFloors
from tagwire.session import hub_key
from tagwire.tagend import bounded_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tag.history import History
    from tag.state import State
    from tagwire.history import Record
    from tagwire.provision import Provision
    from tagwire.ranges import Ranges
    from tagwire.tagend import Hole

REVOKED_FILE = "revoked"
IDENTIFY_MAX_S = 60  # for one request: a light that shines for minutes costs more than a day of beacons
STEP_LOGGED_S = 2  # smaller ones are the drift of an ordinary day


class SessionTag:
    """This tag. `provision`: as the provisioning file says; `state`: changed by what hubs ask, and stored by `store`.

    identify_until_ms: by `time.ticks_ms`, None while nobody looks for the tag. ends: what was asked for ends the
    session once its reply is out. reboots: it then ends in a reset.
    """

    def __init__(self, provision: "Provision", state: "State", store: "Callable[[], None]") -> None:
        self.provision = provision
        self.state = state
        self.store = store
        self.identify_until_ms: "Any" = None
        self.ends = False
        self.reboots = False
        self.hub_id = 0  # of the hub that said hello last: the one that is connected
        self._history: "History | None" = None

    def known_time_s(self) -> "int | None":
        """Unix time, None while the tag does not know it."""
        return known_time(self.state, clock.now_s(), self.state.config.settings.clock_hold_h * 3600)[0]

    def key_for(self, hub_id: int, epoch: int) -> "bytes | None":
        """K_hub, None for a hub that was revoked, or whose key has expired."""
        self.hub_id = hub_id
        if not self.floors().permits(hub_id, epoch, self.known_time_s()):
            return None
        return hub_key(self.provision.root_key, hub_id, epoch)

    def newest(self) -> int:
        newest = self.state.pending.newest
        return self._journal().newest() if newest is None else newest

    def unsettled(self) -> int:
        unsettled = self.state.pending.unsettled
        return self._journal().unsettled() if unsettled is None else unsettled

    def read(self, ranges: "Ranges") -> "Iterator[Record | Hole]":
        return self._journal().read(ranges)

    def _journal(self) -> "History":
        if self._history is None:
            from tag.history import History
            from tag.journal import Journal

            state = self.state
            journal = Journal(state.config.tag_id, state.pending, state.config.settings.journal_kb)
            self._history = History(journal, state.next_counter)
        return self._history

    def settle(self, ranges: "Ranges") -> int:
        status = self._journal().settle(ranges)
        self.store()
        return status

    def set_time(self, unix_s: int, quality: int) -> int:
        """Within bounds, see `bounded_time`; each larger step is logged."""
        state = self.state
        now_s = clock.now_s()
        # A clock behind what it was set to is no clock that runs slowly: power has failed it.
        age_s = now_s - state.clock_s if 0 < state.clock_s <= now_s else None
        if age_s is None:
            if unix_s < BUILT_S:
                return STATUS_VALUE
        elif state.time_quality == TIME_GNSS and age_s <= state.config.settings.clock_hold_h * 3600:
            return STATUS_NOT_PERMITTED
        status, new_s = bounded_time(now_s, age_s, unix_s)
        clock.set_now(state, new_s, TIME_ESTIMATED if quality == TIME_ESTIMATED else TIME_HUB)
        self.store()
        if age_s is None:
            log("clock: set to %d by a hub" % new_s)
        elif abs(new_s - now_s) > STEP_LOGGED_S:
            log("clock: %+d s to %d, a hub said %d" % (new_s - now_s, new_s, unix_s))
        return status

    def identify(self, seconds: int) -> int:
        self.identify_until_ms = time.ticks_add(time.ticks_ms(), min(seconds, IDENTIFY_MAX_S) * 1000)
        return STATUS_LIMITED if seconds > IDENTIFY_MAX_S else STATUS_OK

    def log(self, offset: int, size: int) -> bytes:
        return read_log(offset, size)

    def command(self, envelope: bytes) -> "tuple[int, bytes]":
        # Most sessions bring none; one that does has no room for both.
        self._history = None
        unload("tag.history", "tag.journal", "tag.room", "tag.settled", "tag.segments")
        from tag.orders import Orders

        try:
            return Orders(self).receive(envelope)
        except (DecodeError, OSError) as error:  # what it remembers cannot be read: then a tag takes no commands
            log("commands: %s" % error)
            return STATUS_STORAGE, b""

    def floors(self) -> HubFloors:
        """Which hubs were revoked. A damaged file is as none, and logged: to refuse every hub would lock the platform
        out, which could not even revoke one."""
        try:
            return HubFloors(load(REVOKED_FILE, owner(self.provision.tag_id, 0)) or b"")
        except DecodeError as error:
            log("revoked hubs are lost: %s" % error)
            return HubFloors()
