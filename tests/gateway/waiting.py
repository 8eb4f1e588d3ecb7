"""Waiting for what another task, thread or process does."""

import asyncio
import time
from collections.abc import Callable

TIMEOUT_S = 60.0  # twice the longest time a hub waits before it tries its broker again


async def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds; the event loop runs meanwhile."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110  there is nothing that would tell us
            await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` holds; the test fails with `what` when it does not in time."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, f"not in time: {what}"
        time.sleep(0.01)
