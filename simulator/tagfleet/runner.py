"""One run of a scenario, from set-up to the verdict."""

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tagfleet.broker import Broker, BrokerFailed, choose
from tagfleet.conclusion import Ran, conclude
from tagfleet.consumer import Consumer
from tagfleet.fault_schedule import Action
from tagfleet.figures import COUNTING, DELIVERING, ENDED, RUNNING, RunFigures
from tagfleet.ledger import Ledger, LedgerFull
from tagfleet.machine import allow_many_files
from tagfleet.oracle import NonceReuse
from tagfleet.outages import Outages
from tagfleet.pace import Pace
from tagfleet.result import Result
from tagfleet.scenario import Scenario
from tagfleet.scenario.quantities import duration_text
from tagfleet.settling import AFTERMATH_S, Settling
from tagfleet.stage import Cast, build, target_of, traffic_of, twins_of
from tagfleet.subscriber import Subscriber, SubscriberFailed
from tagfleet.targets import Target, TargetFailed
from tagfleet.targets.inside import hub_name
from tagfleet.traffic import DirectTraffic, Step, Traffic
from tagfleet.twin.counters import UnknownSeal
from tagfleet.view import View

if TYPE_CHECKING:  # they load a Bluetooth stack, which most runs do without
    from tagfleet.hci_flock import HciFlock
    from tagfleet.twin_crew import TwinCrew

TICK_S = 0.025
SHOW_S = 0.25
WATCH_S = 1.0
STEP_SAMPLES = 8_000  # as many as a step takes in at most: numpy's calls are paid for, and caches hold it
FREE_STEP_SAMPLES = 80_000  # the same as fast as it can: hubs' commits cost the more, the smaller their pieces are
STEP_S_MAX = 600.0
PENDING_MAX = 200_000  # accepted and not delivered, when it goes as fast as it can
START_TIMEOUT_S = 20.0
BROKER_GONE_S = 20.0  # without a connection, and without an outage that the scenario asked for
TAIL_S = 1.0  # of the run's own time: bursts that have begun
HOPELESS_LAGS = 15  # so many times the allowed lag: no use in going on


class Run:
    """`run` it once. `stop` ends it early, with its report; called again, without waiting for what is on its way."""

    def __init__(self, scenario: Scenario, name: str, folder: Path, interpreter: str | None = None) -> None:
        self.scenario = scenario
        self.figures = RunFigures(
            name,
            scenario.title,
            scenario.run.duration,
            scenario.run.time,
            scenario.tags.count,
            scenario.hubs.count,
            scenario.hubs.target,
        )
        self._name = name
        self._folder = folder
        self._interpreter = interpreter
        self._stops = 0
        self._log: list[str] = []
        self._twins = twins_of(scenario, interpreter)
        self.figures.twin_ids = [twin.tag_id for twin in self._twins]
        if scenario.tags.twins and not self._twins:
            self.figures.twins_note = "none on this platform"
            self._log.append("no MicroPython interpreter for this platform: the run has no twins")
        self._shown_s = self._watched_s = 0.0
        self._outages: Outages
        self._cast: Cast
        self._target: Target
        self._broker: Broker
        self._traffic: Traffic | DirectTraffic | HciFlock
        self._subscriber: Subscriber
        self._consumer: Consumer
        self._pace: Pace
        self._crew: TwinCrew | None = None
        self._start_us = 0
        self._started_s = self._ended_s = 0.0
        self._began_us = 0

    def stop(self) -> None:
        """Make no more samples."""
        self._stops += 1

    async def run(self, view: View[RunFigures]) -> Result:
        """Raises nothing that a part of the run may fail with: that is the result's `failure`."""
        failure = ""
        hub_cpu: float | None = None
        notes: list[str] = []
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._set_up(stack, view)
                try:
                    await self._make(view)
                    await self._deliver(view)
                except (TargetFailed, BrokerFailed, NonceReuse, UnknownSeal, LedgerFull, OSError) as error:
                    failure = str(error)
                self._phase(COUNTING, view)
                self._ended_s = self._ended_s or time.monotonic()
                figures = self._target.figures()
                if figures.hubs and self._target.traced:
                    hub_cpu = figures.cpu_s / max(time.monotonic() - self._started_s, 1e-3)
                failure = await self._end(failure)
                notes = self._target.notes()
        except (TargetFailed, BrokerFailed, SubscriberFailed, LedgerFull, OSError) as error:
            failure = failure or str(error)
        except BaseExceptionGroup as group:
            failure = failure or str(_first(group))
        return self._result(failure, hub_cpu, notes, view)

    # Set-up.

    async def _set_up(self, stack: contextlib.AsyncExitStack, view: View[RunFigures]) -> None:
        scenario, folder = self.scenario, self._folder
        allow_many_files()
        view.show(self.figures)
        self._broker = await stack.enter_async_context(choose(scenario.broker, folder))
        self.figures.broker = self._broker.name
        now_us = time.time_ns() // 1000
        start = scenario.run.start
        self._start_us = now_us if start is None else int(start.timestamp() * 1e6)
        self._cast = build(scenario, self._start_us, now_us, self._twins, folder)
        if self._twins:
            from tagfleet.twin_crew import TwinCrew

            self._crew = TwinCrew(self._twins, self._cast.world, self._cast.ledger, folder, self._interpreter)
            await stack.enter_async_context(self._crew)
        address = self._broker.host, self._broker.port
        hci = None if self._crew is None else self._crew.hci_transport
        if scenario.hubs.target == "hci":
            from tagfleet.hci_flock import HciFlock

            self._traffic = await stack.enter_async_context(
                HciFlock(self._cast.flock, self._cast.ledger, self._cast.faults)
            )
            hci = self._traffic.hci_transport
        self._target = target_of(scenario, self._cast, address, self._start_us, folder, hci)
        if scenario.hubs.target != "hci":
            self._traffic = traffic_of(scenario, self._cast, self._start_us, self._target.traced)
        self._outages = Outages(self._target, self._broker)
        await stack.enter_async_context(self._target)
        site, kinds = (scenario.hubs.site, _KINDS) if self._target.traced else ("+", _KINDS[:2])
        topics = [f"tags/v1/{site}/+/{kind}" for kind in kinds]
        mqtt = scenario.broker.mqtt(*address)
        if self._broker.consumer_protocol is not None:
            mqtt = mqtt.model_copy(update={"protocol": self._broker.consumer_protocol})
        self._subscriber = await stack.enter_async_context(Subscriber(mqtt, topics, START_TIMEOUT_S, self._check_start))
        names = {hub_name(hub): hub for hub in range(scenario.hubs.count)} if self._target.traced else {}
        self._consumer = Consumer(self._cast.ledger, self.figures, names)
        await self._all_ready()
        if hci is not None:
            await self._all_radios_open(scenario.hubs.count + 1)

    async def _all_radios_open(self, radios: int) -> None:
        """What is said before a hub's Bluetooth listens is heard by nobody; statuses tell. Raises TargetFailed."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self.figures.open_radios < radios:
            self._check_start()
            self._target.check()
            if time.monotonic() > deadline_s:
                raise TargetFailed(f"hubs have opened {self.figures.open_radios} of {radios} radios")
            await asyncio.sleep(TICK_S)
            self._consumer.take_all(self._subscriber.take())

    async def _all_ready(self) -> None:
        ready = asyncio.create_task(self._target.ready())
        try:
            while not ready.done():
                self._check_start()
                await asyncio.wait([ready], timeout=SHOW_S)
            await ready
        finally:
            ready.cancel()
        self._check_start()

    def _check_start(self) -> None:
        self._broker.check()
        if self._stops:
            raise TargetFailed("stopped before it had started")

    # The run.

    async def _make(self, view: View[RunFigures]) -> None:
        scenario = self.scenario
        self._started_s, self._began_us = time.monotonic(), time.time_ns() // 1000
        self._cast.ledger.begin(self._began_us)
        self._pace = Pace(scenario.run.time, self._started_s)
        self._phase(RUNNING, view)
        if self._crew is not None:
            self._crew.start()
        actions = list(self._cast.schedule)
        step_s = self._step_s()
        moment_s, end_s = 0.0, scenario.run.duration
        while moment_s < end_s and not self._stops:
            next_s = min(actions[0].moment_s if actions else math.inf, end_s)
            target_s = min(next_s, self._pace.due(time.monotonic()), moment_s + step_s)
            if not self._pace.free and target_s < next_s:
                least_s = moment_s + TICK_S * scenario.run.time
                target_s = max(target_s, min(least_s, next_s, moment_s + step_s))
                if (wait_s := self._pace.wait_s(target_s, time.monotonic())) > 0:
                    await asyncio.sleep(wait_s)
            if target_s > moment_s:
                await self._step(target_s, making=True)
                moment_s = target_s
                self._pace.reached(moment_s, time.monotonic())
            while actions and actions[0].moment_s <= moment_s:
                await self._act(actions.pop(0), view)
            if await self._look(moment_s, view):
                break
            if self._pace.free:
                await self._wait_for_consumer(view)
        self.figures.moment_s = moment_s

    def _step_s(self) -> float:
        """How much of the run's own time one step takes in at most."""
        rate = self.scenario.tags.count / self.scenario.tags.interval
        samples = FREE_STEP_SAMPLES if self._pace.free else STEP_SAMPLES
        return min(max(samples / rate, TICK_S), STEP_S_MAX)

    async def _step(self, moment_s: float, making: bool) -> None:
        until_us = self._start_us + round(moment_s * 1e6)
        step: Step = self._traffic.step(until_us, time.time_ns() // 1000, making)
        self.figures.made += step.made
        self._pace.blocked(await self._target.send(until_us, step))
        self.figures.moment_s = moment_s
        self._collect()
        await asyncio.sleep(0)

    def _collect(self) -> None:
        ledger = self._cast.ledger
        for rows in self._target.traces():
            ledger.traced(
                rows["hub"],
                rows["event"],
                rows["tag"].astype("i8"),
                rows["counter"].astype("i8"),
                rows["t_us"].astype("i8"),
            )
        self._consumer.take_all(self._subscriber.take())

    async def _look(self, moment_s: float, view: View[RunFigures]) -> bool:
        """Show how it goes, now and then. True when there is no use in going on."""
        now_s = time.monotonic()
        if now_s < self._shown_s + SHOW_S:
            return False
        self._shown_s = now_s
        self._target.check()
        if not self._outages.going_on:
            self._broker.check()
        self._watch_recovery(now_s)
        self._refresh(now_s)
        view.show(self.figures)
        lost_s = self._subscriber.lost_s
        if lost_s is not None and not self._outages.will_end(self._cast.schedule, moment_s):
            away_s = now_s - max(lost_s, self._outages.over_s)
            if away_s > BROKER_GONE_S:
                raise BrokerFailed(f"the broker has been away for {away_s:.0f} s: the run ends here")
        return self._pace.worst_lag_s > HOPELESS_LAGS * self.scenario.run.lag_max

    async def _wait_for_consumer(self, view: View[RunFigures]) -> None:
        """Without a schedule nothing but this bounds what is on its way."""
        ledger = self._cast.ledger
        while not self._stops and not self._outages.going_on:
            on_way = (ledger.accepted_count if self._target.traced else ledger.reported_count) - ledger.arrived_count
            if on_way <= PENDING_MAX:
                return
            await asyncio.sleep(TICK_S)
            self._collect()
            await self._look(self.figures.moment_s, view)

    async def _act(self, action: Action, view: View[RunFigures]) -> None:
        started_s = time.monotonic()
        text = f"{duration_text(action.moment_s)}: {action.text}"
        self._note(text)
        view.say(text)
        await self._outages.act(action, self._traffic.off, self._start_us)
        if action.skew_us:
            self._cast.ledger.clocks_are_wrong(action.hubs)
        self._pace.blocked(time.monotonic() - started_s)

    def _watch_recovery(self, now_s: float) -> None:
        """Once a second: it looks through the whole ledger. What is old may leave memory with it."""
        if now_s < self._watched_s + WATCH_S:
            return
        self._watched_s = now_s
        old_s = self.figures.moment_s - max(WATCH_S * 60, 3 * self.scenario.tags.interval)
        self._cast.ledger.forget_before(self._start_us + round(old_s * 1e6))
        took_s = self._outages.recovered(
            now_s, lambda until_us: self._cast.ledger.missing(until_us, self._target.traced)
        )
        if took_s is not None:
            self._note(f"recovered: all that was made before has arrived {took_s:.1f} s after")

    def _note(self, text: str) -> None:
        self._log.append(text)
        self.figures.events.append(text)

    # The end.

    async def _deliver(self, view: View[RunFigures]) -> None:
        """Let bursts end, close batches, and wait until nothing more comes."""
        self._ended_s = time.monotonic()
        self._phase(DELIVERING, view)
        if self._crew is not None:
            await self._crew.stop()
        moment_s, end_s = self.figures.moment_s, self.figures.moment_s + TAIL_S
        while moment_s < end_s and self._traffic.waiting and self._stops < 2:
            step_s = 0.1 if self._pace.free else min(TICK_S * self.scenario.run.time, 0.2)
            moment_s = min(moment_s + step_s, end_s)
            if (wait_s := self._pace.wait_s(moment_s, time.monotonic())) > 0:
                await asyncio.sleep(wait_s)
            await self._step(moment_s, making=False)
            await self._look(moment_s, view)
        self.figures.moment_s = min(moment_s, self.scenario.run.duration)
        await self._target.flush()
        await self._settle(view)

    async def _settle(self, view: View[RunFigures]) -> None:
        ledger, traced = self._cast.ledger, self._target.traced
        settling = Settling(time.monotonic(), self.scenario.run.drain, SHOW_S * 3 if traced else SHOW_S)
        while self._stops < 2:
            now_s = time.monotonic()
            await asyncio.sleep(TICK_S)
            self._collect()
            await self._look(self.figures.moment_s, view)
            hubs = self._target.figures()
            waits = hubs.undelivered + hubs.open_samples > 0
            complete = ledger.accepted_count <= ledger.arrived_count and not waits if traced else not ledger.pending
            # What is away when a person ends the run stays away: nobody has to wait for it.
            blocked = self._stops == 0 if self._outages.going_on else waits
            if settling.over(now_s, ledger.arrived_count, complete, blocked):
                return

    async def _end(self, failure: str) -> str:
        """Hubs end in order; what they still say and deliver is taken in. Returns why the run has failed."""
        ledger = self._cast.ledger
        ending = asyncio.create_task(self._target.end(0.5 if self._stops > 1 or failure else 3.0))
        while not ending.done():
            await asyncio.sleep(TICK_S)
            self._collect()
        try:
            await ending
        except TargetFailed as error:
            failure = failure or str(error)
        deadline_s = time.monotonic() + AFTERMATH_S
        while time.monotonic() < deadline_s:
            await asyncio.sleep(TICK_S)
            self._collect()
        left = await asyncio.to_thread(lambda: list(self._target.left()))
        for _, samples in left:
            if samples:
                tag_ids, counters = zip(*samples, strict=True)
                ledger.waiting(tag_ids, counters)
        for hub, reasons in self._target.figures().dropped.items():
            ledger.dropped(hub, sum(reasons.values()))
            self._log.append(f"{hub_name(hub)} dropped by policy: {reasons}")
        return failure

    def _refresh(self, now_s: float) -> None:
        figures = self.figures
        figures.unmade, figures.hostile = self._traffic.unmade, self._traffic.hostile
        figures.reports = self._traffic.reports
        figures.lag_s, figures.slipped_s = self._pace.worst_lag_s, self._pace.slipped_s
        figures.of_hubs = self._target.figures()
        figures.tell(self._cast.ledger, now_s - self._started_s, time.time_ns() // 1000)

    def _phase(self, phase: str, view: View[RunFigures]) -> None:
        self.figures.phase = phase
        view.show(self.figures)

    def _result(self, failure: str, hub_cpu: float | None, notes: Sequence[str], view: View[RunFigures]) -> Result:
        figures, stopped = self.figures, self._stops > 0
        if not self._started_s:
            account = Ledger.for_tags([], 0).account()
            failure = failure or "it did not start"
            return Result(self.scenario, self._name, figures, account, failure=failure, stopped=stopped)
        self._refresh(time.monotonic())
        result = conclude(
            Ran(
                self.scenario,
                self._name,
                figures,
                self._cast,
                self._pace,
                self._crew,
                self._began_us,
                self._ended_s - self._started_s,
                self._outages.recovery_s,
                hub_cpu,
                self._subscriber.dropped,
                stopped,
            )
        )
        result.failure, result.stopped, result.log = failure, stopped, self._log
        result.notes += notes
        if stopped:
            span = f"{duration_text(round(figures.moment_s))} of {duration_text(figures.duration_s)}"
            result.notes.append(f"stopped by a person or a signal after {span}: this is about what ran until then")
        hubs = [hub_name(hub) for hub in range(self.scenario.hubs.count)]
        try:
            self._cast.ledger.save({"name": self._name, "hubs": hubs})
        except OSError as error:
            result.failure = result.failure or f"the ledger cannot be kept: {error}"
        self._phase(ENDED, view)
        return result


_KINDS = ("samples", "backlog", "status")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
