"""Between a radio's callback and the intake: bounded, and what does not fit is counted."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from taghub.errors import RadioError
from taghub.heard import Heard

CAPACITY = 20_000  # some ten seconds of the busiest controller there is, about 4 MB


class ReportQueue:
    """`put` in a callback, `chunks` in a task of the same event loop."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._reports: deque[Heard] = deque()
        self._wake = asyncio.Event()
        self._failure: str | None = None

    def put(self, report: Heard) -> bool:
        """Queue a report; False when it does not fit, and is lost."""
        if len(self._reports) >= self._capacity:
            return False
        self._reports.append(report)
        self._wake.set()
        return True

    def fail(self, reason: str) -> None:
        """End `chunks` with a RadioError, once it has given what is queued."""
        self._failure = reason
        self._wake.set()

    async def chunks(self) -> AsyncIterator[list[Heard]]:
        """All that is queued, each time there is something. Raises RadioError after `fail`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._reports:
                chunk = list(self._reports)
                self._reports.clear()
                yield chunk
            if self._failure is not None:
                raise RadioError(self._failure)
