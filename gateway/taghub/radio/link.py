"""A connection to a tag, as the courier sees it, over whatever radio."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

FRAMES_MAX = 64  # notifications that wait to be read: a tag has 8 frames of history and some answers under way

UNREACHABLE = "unreachable"  # it did not answer, or is not connectable any more
LOST = "lost"  # the connection ended by itself
NO_SERVICE = "no_service"  # it is connected and is no tag of ours
FLOOD = "flood"  # more notifications than anybody asked for


class LinkError(Exception):
    """The connection cannot be made, or is over; `reason` is one of the words above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Link(Protocol):
    """An open connection to a tag whose notifications are on."""

    frame_bytes: int
    """What one write or notification carries."""

    async def write(self, frame: bytes) -> None:
        """Send one frame. Raises LinkError."""

    async def read(self) -> bytes:
        """The next notification. Raises LinkError when the connection is over."""


Connect = Callable[[bytes, float], AbstractAsyncContextManager[Link]]
"""`connect(address, timeout_s)`: a Link inside, nothing left behind. Raises LinkError."""


class Notifications:
    """Between a callback and `Link.read`: bounded; what does not fit ends the connection."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(FRAMES_MAX + 1)
        self._over = ""

    def put(self, frame: bytes | bytearray) -> None:
        """A notification has come."""
        if self._frames.qsize() >= FRAMES_MAX:
            self.end(FLOOD)
        elif not self._over:
            self._frames.put_nowait(bytes(frame))

    def end(self, reason: str) -> None:
        """The connection is over. What has come before can still be read, but for a flood."""
        if not self._over:
            self._over = reason
            while reason == FLOOD and not self._frames.empty():
                self._frames.get_nowait()
            self._frames.put_nowait(None)  # whoever waits is woken

    async def get(self) -> bytes:
        """The next one. Raises LinkError."""
        frame = await self._frames.get()
        if frame is None:
            self._frames.put_nowait(None)  # and whoever comes after
            raise LinkError(self._over)
        return frame
