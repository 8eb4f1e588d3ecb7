"""Keeps one radio open for ever: drives the state machine of `recovery`, one task at a time."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from taghub.errors import AbsentError, PassiveError, PortError, RadioError, SwitchedOffError
from taghub.heard import Heard
from taghub.radio import recovery
from taghub.radio.base import COUNT_FOREIGN, COUNT_OVERRUN, COUNT_REPORTS, Radio
from taghub.radio.recovery import IDLE, SCAN_ACTIVE, SCAN_PASSIVE, Recovery
from taghub.status import RadioStatus

OPEN_TIMEOUT_S = 20.0
STEP_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0  # a radio closes within half of it
LOOK_S = 1.0  # how often it is looked what was heard
EVENTS_MAX = 100  # of a bluetoothd that goes mad; what is dropped is told again by the next look at the adapter

_logger = logging.getLogger(__name__)


async def keep(
    radio: Radio,
    take: Callable[[Sequence[Heard]], None],
    changed: Callable[[RadioStatus], None],
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Runs until cancelled, whatever becomes of the radio. `take` is given reports, `changed` what the status shows.

    Raises RadioError or PortError only when a required radio cannot be opened at the start.
    """
    await _Keeper(radio, take, changed, now).run()


class _Keeper:
    def __init__(
        self,
        radio: Radio,
        take: Callable[[Sequence[Heard]], None],
        changed: Callable[[RadioStatus], None],
        now: Callable[[], float],
    ) -> None:
        self._radio = radio
        self._take = take
        self._changed = changed
        self._now = now
        self._recovery = Recovery(now(), radio.filtered, radio.silence_s, radio.steps)
        self._events: deque[tuple[int, str, str]] = deque(maxlen=EVENTS_MAX)  # number of the activity, event, reason
        self._wake = asyncio.Event()
        self._number = 0  # of the activity that runs: what an ended one still tells is of no interest
        self._open = False
        self._ever_open = False
        self._last_error: RadioError | PortError | None = None
        self._problem = ""
        self._shown: RadioStatus | None = None
        self._before = (0, 0)

    async def run(self) -> None:
        watch = asyncio.create_task(self._radio.watch(lambda event, reason: self._tell(0, event, reason)), name="watch")
        activity, task = IDLE, None
        try:
            while True:
                if self._recovery.activity != activity:
                    await _end(task, self._radio.name)
                    activity = self._recovery.activity
                    self._number += 1
                    self._open = False
                    work = self._work(activity)
                    task = None if work is None else asyncio.create_task(work, name=f"{activity} {self._radio.name}")
                self._show()
                await self._wait(watch, task)
                self._look()
        finally:
            watch.cancel()
            await _end(task, self._radio.name)
            await _end(watch, self._radio.name)

    def _work(self, activity: str) -> Coroutine[Any, Any, None] | None:
        if activity in (SCAN_ACTIVE, SCAN_PASSIVE):
            # What was asked for is asked for as it was set, for a radio that knows no other way.
            passive = None if not self._radio.filtered else activity == SCAN_PASSIVE
            return self._scan(self._number, passive)
        return None if activity == IDLE else self._step(self._number, activity)

    async def _wait(self, *tasks: asyncio.Task[None] | None) -> None:
        """For an event, or until the machine or the look is due. Raises what has ended a task unforeseen."""
        due_s = self._recovery.due_s
        timeout_s = LOOK_S if due_s is None else max(0.0, min(LOOK_S, due_s - self._now()))
        if not self._events:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
        self._wake.clear()
        for task in tasks:
            if task is not None and task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _look(self) -> None:
        """Tell the machine all that has happened since."""
        counts = self._radio.counts
        ours, others = counts[COUNT_REPORTS] + counts[COUNT_OVERRUN], counts[COUNT_FOREIGN]
        before, self._before = self._before, (ours, others)
        if self._open and ours != before[0]:
            self._on(recovery.OURS, "")
        elif self._open and others != before[1]:
            self._on(recovery.OTHERS, "")
        while self._events:
            number, event, reason = self._events.popleft()
            if number in (0, self._number):
                self._on(event, reason)
        state = self._recovery.state
        self._recovery.tick(self._now())
        if self._recovery.state != state:
            self._on_state(state, "nobody was heard" if state not in (recovery.PAUSED, recovery.ABSENT) else "")

    def _on(self, event: str, reason: str) -> None:
        before = self._recovery.state
        self._recovery.on(event, self._now())
        if event == recovery.OPENED:
            self._open = True
            self._ever_open = True
            self._problem = ""
            _logger.info("radio %s: open, %s", self._radio.name, self._recovery.state)
        refused = event in (recovery.FAILED, recovery.OFF, recovery.GONE) and self._last_error is not None
        if refused and self._radio.required and not self._ever_open:
            raise self._last_error or RadioError(reason)
        if self._recovery.state != before:
            self._on_state(before, reason)

    def _on_state(self, before: str, reason: str) -> None:
        state = self._recovery.state
        if reason and state in (recovery.PAUSED, recovery.ABSENT, recovery.FALLBACK):
            # What goes wrong again and again is told once, and shown in the status.
            level = logging.DEBUG if reason == self._problem else logging.WARNING
            self._problem = reason
            _logger.log(level, "radio %s: %s, now %s: %s", self._radio.name, before, state, reason)
        else:
            _logger.debug("radio %s: %s, now %s", self._radio.name, before, self._recovery.activity)

    def _show(self) -> None:
        self._radio.counts.update(self._recovery.counts)
        state = self._recovery.state
        status = RadioStatus(self._radio.name, self._open, self._radio.counts, state, self._problem)
        if status != self._shown:
            self._shown = status
            self._changed(status)

    def _tell(self, number: int, event: str, reason: str = "") -> None:
        self._events.append((number, event, reason))
        self._wake.set()

    async def _scan(self, number: int, passive: bool | None) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S) as opening:
                async with self._radio.listen(passive) as chunks:
                    opening.reschedule(None)
                    self._tell(number, recovery.OPENED)
                    async for chunk in chunks:
                        self._take(chunk)
        except AbsentError as error:
            self._failed(number, recovery.GONE, error)
        except SwitchedOffError as error:
            self._failed(number, recovery.OFF, error)
        except PassiveError as error:
            self._failed(number, recovery.REFUSED, error)
        except (PortError, RadioError) as error:
            self._failed(number, recovery.FAILED, error)
        except TimeoutError:
            self._failed(number, recovery.FAILED, RadioError(f"radio {self._radio.name}: no answer"))

    def _failed(self, number: int, event: str, error: RadioError | PortError) -> None:
        self._last_error = error
        self._tell(number, event, str(error).removeprefix(f"radio {self._radio.name}: "))

    async def _step(self, number: int, step: str) -> None:
        if step != recovery.RESTART:
            _logger.warning("radio %s: %s", self._radio.name, step.replace("_", " "))
            try:
                async with asyncio.timeout(STEP_TIMEOUT_S):
                    await self._radio.take_step(step)
            except RadioError as error:
                self._problem = str(error)
                _logger.warning("radio %s: %s: %s", self._radio.name, step.replace("_", " "), error)
            except TimeoutError:
                _logger.warning("radio %s: %s: no answer", self._radio.name, step.replace("_", " "))
        self._tell(number, recovery.DONE)


async def _end(task: asyncio.Task[None] | None, name: str) -> None:
    """Ends a task within bounded time, even one that hangs in somebody else's clean-up."""
    if task is None:
        return
    for _ in range(2):
        task.cancel()
        await asyncio.wait({task}, timeout=END_TIMEOUT_S)
        if task.done():
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
            return
    _logger.error("radio %s: %s does not end; it is given up", name, task.get_name())
