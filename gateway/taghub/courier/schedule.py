"""Which tag to visit next, and when not. Pure: the time comes in.

A tag can be visited within the window that it announces. Who goes first: the sum of

    commands that wait                      1,000
    samples that the hub misses             3, and 1 for each doubling of their number
    samples that the tag could settle       1 for each doubling twice
    loudness                                1 for each 10 dB
    hours since its last visit              1 for each 4 h, at most 6
    failures in a row                       -3 each

so that twice the gain stands against 10 dB, which is what makes a connection hold; and samples come before the
news that others are safe.
"""

import math
from collections import OrderedDict
from typing import NamedTuple

WINDOW_S = 2.5  # of the 3 s that a tag listens for a connection
CALLS_MAX = 256  # tags that call at the same time; the least urgent are forgotten, and call again
TROUBLES_MAX = 4_096  # senders that have failed and are remembered
RETRY_FIRST_S = 5.0
RETRY_MAX_S = 3_600.0
RETRY_OTHER_MAX_S = 60.0  # for a tag whose calls came from other addresses: an impostor must not keep us from it
REST_S = 20.0  # after a visit that left nothing to do
VISITED_MAX = 100_000  # tags whose last visit is remembered


class Call(NamedTuple):
    """A tag that accepts a connection, as heard: on which radio, under which address, how loud, when."""

    tag_id: int
    radio: int
    address: bytes
    rssi_dbm: int
    t_s: float


class Need(NamedTuple):
    """What a visit is good for. missing: samples the hub would get; owed: samples the tag could settle; commands that
    wait for it. other: whether there is something else to do, such as asking for what was before its first sample."""

    missing: int = 0
    owed: int = 0
    commands: int = 0
    other: bool = False

    @property
    def nothing(self) -> bool:
        return not (self.missing or self.owed or self.commands or self.other)


class AirTime:
    """What part of its time a radio may be connecting. `share` 1 takes the limit away.

    A bucket: it fills with `share` seconds a second up to `burst_s`, and visits empty it while they last.
    """

    def __init__(self, share: float, burst_s: float) -> None:
        self._share = share
        self._burst_s = burst_s
        self._level_s = burst_s
        self._at_s: float | None = None
        self._visits = 0
        self.used_s = 0.0
        """Seconds in which at least one connection was up or being made."""

    def _pass(self, now_s: float) -> None:
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        if self._visits:
            self.used_s += passed_s
            self._level_s -= passed_s
        self._level_s = min(self._burst_s, self._level_s + passed_s * self._share)

    def free(self, now_s: float) -> bool:
        """Whether a visit may begin; next to one that is under way it costs nothing."""
        self._pass(now_s)
        return self._share >= 1 or self._level_s > 0

    def begin(self, now_s: float) -> None:
        """A visit begins."""
        self._pass(now_s)
        self._visits += 1

    def end(self, now_s: float) -> None:
        """A visit has ended."""
        self._pass(now_s)
        self._visits -= 1


class _Trouble(NamedTuple):
    failures: int
    until_s: float


class Schedule:
    """`call` when a tag can be visited, `next` when there is room for a visit, then `failed` or `done`."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[Call, Need]] = {}
        self._visiting: set[int] = set()
        self._troubles: OrderedDict[tuple[int, bytes], _Trouble] = OrderedDict()
        self._visited: OrderedDict[int, tuple[float, bytes]] = OrderedDict()
        """When a tag last proved itself, and under which address."""
        self.forgotten = 0
        """Calls that had to give way to more urgent ones."""

    def call(self, call: Call, need: Need) -> None:
        """A tag says that it can be visited; its last call counts, and the address under which it once was proven."""
        known = self._calls.get(call.tag_id)
        if known is not None and call.t_s - known[0].t_s < WINDOW_S and known[0].address != call.address:
            if self._proven_at(call.tag_id) == known[0].address:
                return
            if call.rssi_dbm <= known[0].rssi_dbm and self._proven_at(call.tag_id) != call.address:
                return
        self._calls[call.tag_id] = (call, need)
        if len(self._calls) > CALLS_MAX:
            self._forget(call.t_s)

    def wants(self, tag_id: int, address: bytes, now_s: float, commands: bool) -> bool:
        """Whether a call of this tag would be heard now: cheap, to be asked first."""
        return tag_id not in self._visiting and self._may(tag_id, address, now_s, commands)

    def knows(self, tag_id: int) -> bool:
        """Whether a call of this tag waits."""
        return tag_id in self._calls

    def next(self, now_s: float, free: set[int]) -> Call | None:
        """The call to answer now, on a radio that is `free`; it counts as visited until `failed` or `done`."""
        best, score = None, -math.inf
        for tag_id, (call, need) in list(self._calls.items()):
            if now_s - call.t_s > WINDOW_S:
                del self._calls[tag_id]
            elif call.radio in free and self.wants(tag_id, call.address, now_s, need.commands > 0):
                value = self._urgency(call, need, now_s)
                if value > score:
                    best, score = call, value
        if best is not None:
            del self._calls[best.tag_id]
            self._visiting.add(best.tag_id)
        return best

    def failed(self, call: Call, now_s: float) -> None:
        """The visit came to nothing: the next one waits, twice as long each time."""
        self._visiting.discard(call.tag_id)
        for key, longest_s in (((call.tag_id, call.address), RETRY_MAX_S), ((call.tag_id, b""), RETRY_OTHER_MAX_S)):
            failures = self._failures(key) + 1
            wait_s = min(RETRY_FIRST_S * 2.0 ** min(failures - 1, 20), longest_s)
            self._troubles[key] = _Trouble(failures, now_s + wait_s)
            self._troubles.move_to_end(key)
        while len(self._troubles) > TROUBLES_MAX:
            self._troubles.popitem(last=False)

    def done(self, call: Call, now_s: float, left: bool) -> None:
        """The tag has proven itself and was visited. `left`: there is more to do, so it may come again at once."""
        self._visiting.discard(call.tag_id)
        for key in ((call.tag_id, call.address), (call.tag_id, b"")):
            self._troubles.pop(key, None)
        self._visited[call.tag_id] = (now_s - (REST_S if left else 0.0), call.address)
        self._visited.move_to_end(call.tag_id)
        while len(self._visited) > VISITED_MAX:
            self._visited.popitem(last=False)

    def _proven_at(self, tag_id: int) -> bytes | None:
        visited = self._visited.get(tag_id)
        return None if visited is None else visited[1]

    def _failures(self, key: tuple[int, bytes]) -> int:
        trouble = self._troubles.get(key)
        return 0 if trouble is None else trouble.failures

    def _may(self, tag_id: int, address: bytes, now_s: float, commands: bool) -> bool:
        for key in ((tag_id, address), (tag_id, b"")):
            if key[1] == b"" and self._proven_at(tag_id) == address:
                continue  # that others have called in its name is not this one's fault
            trouble = self._troubles.get(key)
            if trouble is not None and now_s < trouble.until_s:
                return False
        visited = self._visited.get(tag_id)
        return commands or visited is None or now_s - visited[0] >= REST_S

    def _urgency(self, call: Call, need: Need, now_s: float) -> float:
        visited = self._visited.get(call.tag_id)
        hours = 24.0 if visited is None else (now_s - visited[0]) / 3600
        return (
            (1000.0 if need.commands else 0.0)
            + (3.0 if need.missing else 0.0)
            + math.log2(1 + need.missing)
            + math.log2(1 + need.owed) / 2
            + (call.rssi_dbm + 100) / 10
            + min(hours / 4, 6.0)
            - 3.0 * self._failures((call.tag_id, call.address))
        )

    def _forget(self, now_s: float) -> None:
        call, _ = min(self._calls.values(), key=lambda waiting: self._urgency(waiting[0], waiting[1], now_s))
        del self._calls[call.tag_id]
        self.forgotten += 1
