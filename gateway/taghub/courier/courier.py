"""Drives the courier: hears who can be visited, makes room on the radios, carries out visits."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from taghub.clock import Clock
from taghub.closed_batch import ClosedBatch, sample_keys
from taghub.courier.mailbox import Mailbox, OrderError
from taghub.courier.schedule import AirTime, Call, Need, Schedule
from taghub.courier.visit import (
    Adopt,
    Answered,
    Fetched,
    Filled,
    Finding,
    Plan,
    Proven,
    Reopened,
    TimeTold,
    Told,
    Visit,
    VisitFailed,
)
from taghub.radio.link import LOST, Connect, Link, LinkError
from taghub.settings import CourierSettings
from taghub.spool import Spool
from taghub.spool.seen import WIDTH, Seen
from tagwire.counter import make_counter
from tagwire.fields import TIME_HUB, TIME_UNKNOWN
from tagwire.history import Record
from tagwire.keyring import HubKey, KeyringEntry
from tagwire.ranges import Ranges, difference, normalized, total, union
from tagwire.session import EPOCH_DAY_S, EPOCH_FOREVER, RANDOM_BYTES

BURST_S = 10.0  # how long a radio may connect at once, after it has not for a while
WRITE_TIMEOUT_S = 5.0
LOOK_S = 0.25  # how often a visit looks at the hub's clock: the air's goes faster than the machine's
HARD_LIMIT_S = 60.0  # of a visit, on the machine's clock: the air's stands still while the air is silent
ASSESS_TIMEOUT_S = 2.0
PAUSED_SPOOL_SHARE = 0.5  # of the spool's room: beyond, nothing is fetched that the spool might have to drop again
EXPIRE_INTERVAL_S = 60.0

_logger = logging.getLogger(__name__)


class Host(Protocol):
    """What the hub is for its courier."""

    spool: Spool

    def take_history(self, tag_id: int, records: list[Record], rssi_dbm: int) -> None:
        """Samples out of a tag's history: into the backlog."""

    def offer_time(self, unix_s: float, quality: int) -> None:
        """A proven tag says what time it is."""

    def reply(self, payload: bytes) -> None:
        """An answer to the platform."""


class Courier:
    """`connects`: what each radio connects with, None where it cannot; in the order in which the hub numbers them."""

    def __init__(
        self,
        settings: CourierSettings,
        host: Host,
        keyring: Mapping[int, KeyringEntry],
        connects: Sequence[Connect | None],
        clock: Clock,
        spool_bytes_max: int,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._settings = settings
        self._host = host
        self._connects = connects
        self._clock = clock
        self._spool_bytes_max = spool_bytes_max
        self._random = random
        self._schedule = Schedule()
        self.mailbox = Mailbox()
        self._air = [AirTime(settings.air_time_share, BURST_S) for _ in connects]
        self._active = [0 for _ in connects]
        self._keys: dict[int, HubKey] = {}
        self._new: dict[int, Call] = {}
        self._seen: dict[int, Seen] = {}
        self._fetched: dict[int, Ranges] = {}
        """Of each tag what was fetched and is not committed: neither missing nor safe."""
        self._wake = asyncio.Event()
        self.counts = dict.fromkeys(
            ("visits", "fetched", "requested", "never_made", "gone", "settled_by_others", "told", "commands"), 0
        )
        self.failures: dict[str, int] = {}
        """Visits that ended before all was done, by reason."""
        self.replace_keyring(keyring)

    def replace_keyring(self, keyring: Mapping[int, KeyringEntry]) -> None:
        """Go on with another keyring."""
        self._keys = {tag_id: entry.hub for tag_id, entry in keyring.items() if entry.hub is not None}

    @property
    def has_keys(self) -> bool:
        """Whether there is any tag that this hub may connect to."""
        return bool(self._keys)

    def may_visit(self, tag_id: int) -> bool:
        """Whether this hub has a key for sessions with a tag that is good today."""
        key = self._keys.get(tag_id)
        if key is None or key.epoch == EPOCH_FOREVER or self._clock.quality() == TIME_UNKNOWN:
            return key is not None
        return self._clock.unix_us() // 1_000_000 // EPOCH_DAY_S <= key.epoch

    def heard(self, tag_id: int, radio: int, address: bytes, rssi_dbm: int) -> None:
        """An authentic beacon says that its tag can be connected to now."""
        now_s = self._clock.age_s()
        if radio >= len(self._connects) or self._connects[radio] is None or not self.may_visit(tag_id):
            return
        if rssi_dbm < self._settings.min_rssi_dbm:
            return
        if self._schedule.wants(tag_id, address, now_s, self.mailbox.waiting(tag_id) > 0):
            self._new[tag_id] = Call(tag_id, radio, address, rssi_dbm, now_s)
            self._wake.set()

    def order(self, payload: bytes) -> None:
        """The platform sends something for a tag."""
        try:
            self.mailbox.take(payload, self._clock.age_s(), self.may_visit)
        except OrderError as error:
            self._host.reply(error.reply)

    def first_heard(self, tag_id: int, counter: int) -> None:
        """A tag's first sample at this hub."""
        if tag_id in self._keys and self._settings.adopt_hours:
            self._host.spool.errands.first_heard(tag_id, counter)

    def acknowledged(self, keys: list[tuple[int, int]]) -> None:
        """The broker has these samples."""
        known = self._keys
        ours = [key for key in keys if key[0] in known]
        if ours:
            self._host.spool.errands.acknowledged(ours)
            self._host.spool.note()

    def history_committed(self, batches: list[ClosedBatch]) -> None:
        """Batches of what was fetched are safe."""
        of_tag: dict[int, list[tuple[int, int]]] = {}
        for tag_id, counter in (key for batch in batches for key in sample_keys(batch)):
            of_tag.setdefault(tag_id, []).append((counter, counter))
        for tag_id, counters in of_tag.items():
            left = difference(self._fetched.get(tag_id, []), normalized(counters))
            if left:
                self._fetched[tag_id] = left
            else:
                self._fetched.pop(tag_id, None)

    def batches_dropped(self) -> None:
        """Some of what was fetched may be lost before it was safe; it is fetched again."""
        self._fetched.clear()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expire(), name="orders")
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._assess()
                self._start(group)

    @property
    def figures(self) -> dict[str, object]:
        """For the status."""
        errands = self._host.spool.errands
        return {
            **self.counts,
            "failed": dict(self.failures),
            "active": sum(self._active),
            "owed": errands.owed_total,
            "forgotten": errands.forgotten,
            "orders": len(self.mailbox),
            "paused": self._paused,
            "air_time_s": round(sum(air.used_s for air in self._air), 1),
        }

    @property
    def _paused(self) -> str:
        """Why nothing is fetched now; empty where it is."""
        spool = self._host.spool
        if spool.failing:
            return "spool_failing"
        return "spool_full" if spool.store.totals.bytes > self._spool_bytes_max * PAUSED_SPOOL_SHARE else ""

    async def _assess(self) -> None:
        """Find out what visits to the tags that have called would be good for."""
        calls, self._new = list(self._new.values()), {}
        fetched = {call.tag_id: self._fetched.get(call.tag_id, []) for call in calls}  # may be committed meanwhile
        try:
            async with asyncio.timeout(ASSESS_TIMEOUT_S):
                states = await asyncio.gather(*(self._host.spool.seen(call.tag_id) for call in calls))
        except TimeoutError:  # the disk is slow, or gone
            return
        for call, seen in zip(calls, states, strict=True):
            if seen is None:
                continue
            for first, last in fetched[call.tag_id]:
                seen.fill(first, last)
            missing = [] if self._paused else self._missing(call.tag_id, seen)
            errands, orders = self._host.spool.errands, self.mailbox.waiting(call.tag_id)
            other = not self._paused and errands.adopting_below(call.tag_id) is not None
            other = other or self._clock.quality() == TIME_UNKNOWN
            need = Need(total(missing), errands.owed_count(call.tag_id), orders, other)
            if not need.nothing:
                self._seen[call.tag_id] = seen
                self._schedule.call(call, need)

    def _start(self, group: asyncio.TaskGroup) -> None:
        now_s = self._clock.age_s()
        while True:
            free = {
                radio
                for radio, connect in enumerate(self._connects)
                if connect is not None
                and self._active[radio] < self._settings.connections
                and self._air[radio].free(now_s)
            }
            call = self._schedule.next(now_s, free) if free else None
            if call is None:
                break
            self._active[call.radio] += 1
            self._air[call.radio].begin(now_s)
            group.create_task(self._visit(call, self._seen.pop(call.tag_id)), name=f"visit {call.tag_id}")
        self._seen = {tag_id: seen for tag_id, seen in self._seen.items() if self._schedule.knows(tag_id)}

    async def _visit(self, call: Call, seen: Seen) -> None:
        connect, key = self._connects[call.radio], self._keys.get(call.tag_id)
        visit: Visit | None = None
        reason = ""
        self.counts["visits"] += 1
        try:
            if connect is None or key is None:  # another keyring has come
                raise VisitFailed("no_key")
            plan = self._plan(call.tag_id, key, seen)
            async with asyncio.timeout(HARD_LIMIT_S), connect(call.address, self._settings.connect_timeout_s) as link:
                visit = Visit(plan, link.frame_bytes, self._random(RANDOM_BYTES), self._clock.age_s())
                await self._converse(link, visit, call)
        except (LinkError, VisitFailed) as error:
            reason = error.reason
        except TimeoutError:
            reason = LOST
        except Exception:  # of some Bluetooth stack: it costs this visit, and no other
            _logger.exception("a visit to tag %d has failed", call.tag_id)
            reason = "error"
        finally:
            now_s = self._clock.age_s()
            self._active[call.radio] -= 1
            self._air[call.radio].end(now_s)
            proven = visit is not None and visit.proven
            if proven and (not reason or (visit is not None and visit.fetched)):
                self._schedule.done(call, now_s, left=bool(reason) or (visit is not None and not visit.complete))
            else:
                self._schedule.failed(call, now_s)
            self._wake.set()
        if reason:
            self.failures[reason] = self.failures.get(reason, 0) + 1
            _logger.debug("visit to tag %d: %s", call.tag_id, reason)

    async def _converse(self, link: Link, visit: Visit, call: Call) -> None:
        clock = self._clock
        while True:
            for frame in visit.frames():
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await link.write(frame)
            now_s = clock.age_s()
            if not visit.check(now_s):
                return
            try:
                async with asyncio.timeout(min(max(visit.due_s - now_s, 0.01), LOOK_S)):
                    frame = await link.read()
            except TimeoutError:
                continue  # `check` decides
            for finding in visit.receive(frame, clock.age_s()):
                self._apply(finding, call)

    def _apply(self, finding: Finding, call: Call) -> None:
        """What a visit has found out, into the spool, the errands, the mailbox."""
        tag_id, spool = call.tag_id, self._host.spool
        match finding:
            case Fetched(records, requested):
                self.counts["requested" if requested else "fetched"] += len(records)
                ranges = normalized((record.counter, record.counter) for record in records)
                if not requested:
                    self._fetched[tag_id] = union(self._fetched.get(tag_id, []), ranges)
                self._host.take_history(tag_id, records, call.rssi_dbm)
                self._tell_requests(tag_id, ranges)
            case Filled(ranges, why):
                self.counts[why] += total(ranges)
                spool.note(filled=[(tag_id, first, last) for first, last in ranges])
                self._tell_requests(tag_id, ranges)
            case Reopened(first, done):
                lowest = spool.errands.adopting_below(tag_id)
                if lowest is not None:
                    spool.errands.adopted(tag_id, first, done)
                    spool.note(reopened=[(tag_id, first, lowest)] if first < lowest else [])
            case Told(ranges):
                self.counts["told"] += total(ranges)
                spool.errands.told(tag_id, ranges)
                spool.note()
            case Answered(envelope, status, sealed):
                self.counts["commands"] += 1
                reply = self.mailbox.answered(tag_id, envelope, status, sealed)
                if reply is not None:
                    self._host.reply(reply)
            case TimeTold(_, unix_s, quality):
                self._host.offer_time(unix_s + self._clock.age_s() - call.t_s, quality)
            case Proven():
                pass

    def _tell_requests(self, tag_id: int, ranges: Ranges) -> None:
        for reply in self.mailbox.fetched(tag_id, ranges):
            self._host.reply(reply)

    def _missing(self, tag_id: int, seen: Seen) -> Ranges:
        """What the hub misses: never a counter above the last one heard, of which a beacon may still come."""
        return difference(seen.missing(), self._fetched.get(tag_id, []))

    def _plan(self, tag_id: int, key: HubKey, seen: Seen) -> Plan:
        clock, errands, quality = self._clock, self._host.spool.errands, self._clock.quality()
        paused = bool(self._paused)
        time = (clock.unix_us() / 1e6 - clock.age_s(), quality) if quality == TIME_HUB else None
        adopt = None
        below = errands.adopting_below(tag_id)
        if below is not None and not paused:
            not_before = max(make_counter(below >> 24, 0), seen.last - WIDTH + 1)
            oldest_s = clock.unix_us() // 1_000_000 - round(self._settings.adopt_hours * 3600)
            adopt = Adopt(below, not_before, oldest_s if quality != TIME_UNKNOWN else None)
        return Plan(
            tag_id,
            key,
            [] if paused else self._missing(tag_id, seen),
            [] if paused else self.mailbox.requested(tag_id),
            errands.owed(tag_id),
            tuple(self.mailbox.commands(tag_id)),
            time,
            seen.last if quality == TIME_UNKNOWN else None,
            adopt,
            self._settings.visit_s,
        )

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_INTERVAL_S)
            for reply in self.mailbox.expire(self._clock.age_s()):
                self._host.reply(reply)
