"""What the platform sends to tags through this hub, and what it is answered. Pure.

    in   {"tag": 7, "envelope": "<base64>"}                          a sealed command, see SPEC.md, "Commands"
         {"request": "history", "tag": 7, "first": 100, "last": 199}  fetch these samples, arrived or not
    out  {"tag": 7, "number": 16777217, "status": "ok", "reply": "<base64>"}
         {"request": "history", "tag": 7, "first": 100, "last": 199, "status": "ok"}

It is in memory only. A platform keeps what it sends until it is answered, and may send it again at any time: a tag
carries each command out once, and repeats its answer.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tagwire.hubend import STATUS_NAMES
from tagwire.json_members import unique_members
from tagwire.messages import STATUS_BUSY
from tagwire.ranges import Ranges, difference, intersection, union

ENVELOPE_BYTES_MAX = 210  # SPEC.md, "Commands"
COMMANDS_OF_TAG_MAX = 8
ORDERS_MAX = 10_000  # of all tags together, some 5 MB
REQUEST_MAX = 16_384  # counters in one request for history
TRIES_MAX = 10  # visits in which a tag may answer "not now"
AGE_MAX_S = 7 * 86_400.0

MALFORMED = "malformed"
FULL = "full"  # too many wait already; send it again later
NO_TAG = "no_tag"  # not in this hub's keyring, or without a key to connect with
NOT_REACHED = "not_reached"  # the tag was not met within a week
OK = "ok"


Known = Callable[[int], bool]


class OrderError(Exception):
    """An order that is not taken; `reply` says why."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply.decode())
        self.reply = reply


class _Command(NamedTuple):
    envelope: bytes
    came_s: float
    tries: int


class Mailbox:
    """`take` orders as they come, `commands` and `requested` for a visit, `answered` and `fetched` after it."""

    def __init__(self) -> None:
        self._commands: dict[int, list[_Command]] = {}
        self._requests: dict[int, list[tuple[int, int, float]]] = {}
        self._left: dict[int, Ranges] = {}

    def __len__(self) -> int:
        return sum(map(len, self._commands.values())) + sum(map(len, self._requests.values()))

    def take(self, payload: bytes, now_s: float, known: Known) -> int:
        """An order from the platform: the tag that it is for. known(tag id): whether this hub may connect to it.

        Raises OrderError; the same envelope twice is one order.
        """
        try:
            document = json.loads(payload, object_pairs_hook=unique_members)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or not _is_counter(document.get("tag")):
            raise OrderError(_encoded({"status": MALFORMED}))
        tag_id = document["tag"]
        if document.get("request") == "history":
            self._take_request(tag_id, document, now_s, known)
        else:
            self._take_command(tag_id, document, now_s, known)
        return int(tag_id)

    def _take_command(self, tag_id: int, document: dict[str, Any], now_s: float, known: Known) -> None:
        try:
            envelope = base64.b64decode(document.get("envelope") or "", validate=True)
        except (TypeError, ValueError, binascii.Error):
            envelope = b""
        if not 5 <= len(envelope) <= ENVELOPE_BYTES_MAX:
            raise OrderError(_encoded({"tag": tag_id, "status": MALFORMED}))
        waiting = self._commands.get(tag_id, [])
        if any(command.envelope == envelope for command in waiting):
            return
        self._check(_answer(tag_id, envelope), tag_id, known, len(waiting) < COMMANDS_OF_TAG_MAX)
        self._commands.setdefault(tag_id, []).append(_Command(envelope, now_s, 0))

    def _take_request(self, tag_id: int, document: dict[str, Any], now_s: float, known: Known) -> None:
        first, last = document.get("first"), document.get("last")
        if type(first) is not int or type(last) is not int or not 0 <= first <= last <= 0xFFFFFFFF:
            raise OrderError(_encoded({"request": "history", "tag": tag_id, "status": MALFORMED}))
        if last - first >= REQUEST_MAX:
            raise OrderError(_encoded({"request": "history", "tag": tag_id, "status": MALFORMED}))
        waiting = self._requests.get(tag_id, [])
        if any(request[:2] == (first, last) for request in waiting):
            return
        self._check(_request(tag_id, first, last), tag_id, known, len(waiting) < COMMANDS_OF_TAG_MAX)
        self._requests.setdefault(tag_id, []).append((first, last, now_s))
        self._left[tag_id] = union(self._left.get(tag_id, []), [(first, last)])

    def _check(self, about: dict[str, Any], tag_id: int, known: Known, room: bool) -> None:
        if not known(tag_id):
            raise OrderError(_encoded({**about, "status": NO_TAG}))
        if not room or len(self) >= ORDERS_MAX:
            raise OrderError(_encoded({**about, "status": FULL}))

    def waiting(self, tag_id: int) -> int:
        """How many orders wait for a tag."""
        return len(self._commands.get(tag_id, ())) + len(self._requests.get(tag_id, ()))

    def commands(self, tag_id: int) -> list[bytes]:
        """The envelopes for a tag, in the order in which they came."""
        return [command.envelope for command in self._commands.get(tag_id, ())]

    def requested(self, tag_id: int) -> Ranges:
        """The counters that the platform has asked for and this hub has not fetched since."""
        return list(self._left.get(tag_id, []))

    def answered(self, tag_id: int, envelope: bytes, status: int, sealed: bytes) -> bytes | None:
        """A tag has answered a command: what to tell the platform; None where it will be tried again."""
        waiting = self._commands.get(tag_id, [])
        for at, command in enumerate(waiting):
            if command.envelope == envelope:
                if status >= STATUS_BUSY and command.tries + 1 < TRIES_MAX:
                    waiting[at] = command._replace(tries=command.tries + 1)
                    return None
                del waiting[at]
                break
        if not waiting:
            self._commands.pop(tag_id, None)
        reply = base64.b64encode(sealed).decode()
        return _encoded({**_answer(tag_id, envelope), "status": STATUS_NAMES.get(status, str(status)), "reply": reply})

    def fetched(self, tag_id: int, ranges: Ranges) -> list[bytes]:
        """These counters were fetched, or have no sample: what to tell the platform about requests that are done."""
        if tag_id not in self._left:
            return []
        left = self._left[tag_id] = difference(self._left[tag_id], ranges)
        done = [request for request in self._requests[tag_id] if not intersection([request[:2]], left)]
        self._requests[tag_id] = [r for r in self._requests[tag_id] if r not in done]
        if not self._requests[tag_id]:
            del self._requests[tag_id], self._left[tag_id]
        return [_encoded({**_request(tag_id, first, last), "status": OK}) for first, last, _ in done]

    def expire(self, now_s: float) -> list[bytes]:
        """Give up what has waited for too long: what to tell the platform."""
        replies = []
        for tag_id, commands in list(self._commands.items()):
            old = [command for command in commands if now_s - command.came_s > AGE_MAX_S]
            replies += [_encoded({**_answer(tag_id, c.envelope), "status": NOT_REACHED}) for c in old]
            self._commands[tag_id] = [command for command in commands if command not in old]
            if not self._commands[tag_id]:
                del self._commands[tag_id]
        for tag_id, requests in list(self._requests.items()):
            gone = [request for request in requests if now_s - request[2] > AGE_MAX_S]
            replies += [_encoded({**_request(tag_id, r[0], r[1]), "status": NOT_REACHED}) for r in gone]
            self._requests[tag_id] = [request for request in requests if request not in gone]
            if not self._requests[tag_id]:
                del self._requests[tag_id], self._left[tag_id]
        return replies


def _is_counter(value: object) -> bool:
    return type(value) is int and 0 <= value <= 0xFFFFFFFF


def _answer(tag_id: int, envelope: bytes) -> dict[str, Any]:
    return {"tag": tag_id, "number": int.from_bytes(envelope[1:5], "little")}


def _request(tag_id: int, first: int, last: int) -> dict[str, Any]:
    return {"request": "history", "tag": tag_id, "first": first, "last": last}


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
