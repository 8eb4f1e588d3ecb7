"""Links, hubs and brokers that go away and come back: carries a scenario's actions out, and watches the recovery."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tagfleet import fault_schedule
from tagfleet.broker import Broker
from tagfleet.fault_schedule import ENDS_OF_OUTAGES, Action
from tagfleet.targets import Target


class Outages:
    """The home of who is away now. Times are monotonic seconds."""

    def __init__(self, target: Target, broker: Broker) -> None:
        self.recovery_s: float | None = None
        """From the end of the last outage until all that was made before has arrived; infinite while it has not, None
        where there was no outage."""
        self.over_s = 0.0
        """When the last outage was over."""
        self._target = target
        self._broker = broker
        self._count = 0
        self._away: Counter[int] = Counter()  # how many outages each hub's link is in
        self._powerless: Counter[int] = Counter()  # how many reboots each hub is in
        self._broker_away = 0  # how many outages it is in
        self._recovering: tuple[float, int] | None = None  # since when, and of what was made before (Unix microseconds)

    @property
    def going_on(self) -> bool:
        """Whether links or the broker are away at a scenario's word."""
        return self._count > 0

    def will_end(self, schedule: Iterable[Action], moment_s: float) -> bool:
        """Whether there is an outage that the scenario will end."""
        ends = (fault_schedule.BROKER_START, fault_schedule.JOIN)
        return self.going_on and any(action.do in ends and action.moment_s > moment_s for action in schedule)

    async def act(self, action: Action, off: set[int], start_us: int) -> None:
        """Carry an action out; `off` are the hubs without power. Raises TargetFailed, BrokerFailed."""
        target, hubs = self._target, action.hubs
        match action.do:
            case fault_schedule.CUT | fault_schedule.SILENCE:
                self._count += 1
                await target.cut(_first(self._away, hubs), action.do == fault_schedule.SILENCE)
            case fault_schedule.JOIN:
                self._count -= 1
                await target.join(_last(self._away, hubs))
            case fault_schedule.CRASH:
                off |= set(hubs)
                await target.crash(_first(self._powerless, hubs))
            case fault_schedule.START:
                back = _last(self._powerless, hubs)
                await target.start(back)
                off -= set(back)
            case fault_schedule.CLOCK:
                await target.set_clock(hubs, action.skew_us)
            case fault_schedule.BROKER_STOP | fault_schedule.BROKER_KILL:
                self._count += 1
                self._broker_away += 1
                if self._broker_away == 1:
                    await self._broker.stop(kill=action.do == fault_schedule.BROKER_KILL)
            case fault_schedule.BROKER_START:
                self._broker_away -= 1
                if not self._broker_away:
                    await self._broker.start()
                self._count -= 1
        if action.do in ENDS_OF_OUTAGES:
            self.over_s = time.monotonic()
            self._recovering = self.over_s, start_us + round(action.moment_s * 1e6)
            self.recovery_s = math.inf

    def recovered(self, now_s: float, missing: Callable[[int], int]) -> float | None:
        """How long it took, once; `missing` counts what was made before a moment and has not arrived."""
        if self._recovering is None or self.going_on:
            return None
        since_s, made_before_us = self._recovering
        if missing(made_before_us):
            return None
        self._recovering = None
        self.recovery_s = now_s - since_s
        return self.recovery_s


def _first(faults: Counter[int], hubs: Sequence[int]) -> list[int]:
    """One more fault has come to some hubs: those that had none."""
    new = [hub for hub in hubs if not faults[hub]]
    faults.update(hubs)
    return new


def _last(faults: Counter[int], hubs: Sequence[int]) -> list[int]:
    """One fault of some hubs is over: those that have none left."""
    faults.subtract(hubs)
    return [hub for hub in hubs if not faults[hub]]
