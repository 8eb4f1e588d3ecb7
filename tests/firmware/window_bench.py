"""A tag in its connectable window, on a virtual board, and hubs that come: everything real but chip and antenna.

The board runs a small program in place of the cycle: it makes some samples and opens one window a wake, so that a test
of sessions takes fractions of a second. What the cycle makes of windows is tested with the cycle.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from tagfleet.twin.image import compiled_firmware, provisioned_image
from tagfleet.twin.power import PowerSupply
from tagwire import gatt_ids
from tagwire.hubend import Event, Finished, HubEnd, Received, Replied
from tagwire.messages import HISTORY
from tagwire.ranges import Ranges
from tagwire.session import EPOCH_FOREVER, HubHandshake, hub_key

sys.path.insert(0, str(Path(__file__).parents[1] / "simulator"))

from central import Central, Link, central_on
from twin_bench import ROOT_KEY, Bench, on_bench, twin_spec, until

TAG_ID = 7
HUB_ID = 45
WINDOW = {"window_s": 1, "repl_window_s": 0}

# samples: how many the journal gets on the first wake, of counters from `first` on. before: code that runs ahead of
# each window.
PROGRAM = """
import gc
gc.threshold(2048)  # as tag.begin does
import time
from machine import RTC, SOFT_RESET, reset_cause, soft_reset
from tag.state import State, decode_state, encode_state

def store():
    RTC().memory(encode_state(state))

def begin(samples, first):
    from tag.clock import now_s
    from tag.history import History
    from tag.journal import Journal
    from tag.provisioning import load_config
    global state
    config = load_config()
    state = decode_state(RTC().memory())
    if state is None:
        state = State(config, first, first)
        state.seen_s = now_s()
        journal = Journal(config.tag_id, state.pending, 256)
        for counter in range(max(History(journal, first).newest() + 1, first), first + samples):
            state.pending.add(counter, (counter & 0xFFFF).to_bytes(2, "little") + bytes(9), 0, False)
            if state.pending.is_due():
                journal.write()
        state.next_counter = state.limit = max(first + samples, config.generation << 24)
    state.config = config
    state.window_ms = 1

if reset_cause() != SOFT_RESET:
    begin(%(samples)d, %(first)d)
    store()
    soft_reset()
state = decode_state(RTC().memory())
import tag.window
tag.window.IDLE_S = 20  # in place of 5: a machine that runs all tests at once may stall
%(before)s
print("clock", state.clock_s, state.time_quality, "generation", state.config.generation, "next", state.next_counter)
from tag.window import run
run(state)
"""


def image(provision: Any, samples: int = 20, first: int = 0, before: str = "") -> bytes:
    """The flash of such a board."""
    program = PROGRAM % {"samples": samples, "first": first, "before": before}
    return provisioned_image(provision, first, {**compiled_firmware(), "main.py": program.encode()})


class Hub:
    """A gateway with a radio of its own, and K_hub of the tag."""

    def __init__(self, central: Central, hub_id: int = HUB_ID, epoch: int = EPOCH_FOREVER) -> None:
        self.central = central
        self.hub_id = hub_id
        self.epoch = epoch
        self.key = hub_key(ROOT_KEY, hub_id, epoch)
        self._hellos = 0

    def handshake(self) -> HubHandshake:
        self._hellos += 1
        return HubHandshake(TAG_ID, self.key, self.hub_id, self.epoch, self._hellos.to_bytes(8, "little"))

    async def connect(self, bench: Bench, mtu: int | None = gatt_ids.MTU) -> Link:
        """A connection on which notifications are on."""
        link = await self.central.connect(bench.twin.address)
        await link.discover(mtu)
        await link.subscribe(gatt_ids.DATA)
        return link

    async def visit(
        self,
        bench: Bench,
        wanted: Iterable[tuple[int, int]] = (),
        *wishes: Callable[[HubEnd], None],
        mtu: int = gatt_ids.MTU,
    ) -> list[Event]:
        """Connect, ask for history and say what else there is to say, disconnect once all is answered."""
        link = await self.connect(bench, mtu)
        events = await self.talk(link, list(wanted), *wishes)
        await link.disconnect()
        return events

    async def talk(self, link: Link, wanted: Ranges, *wishes: Callable[[HubEnd], None]) -> list[Event]:
        """One session on a connection, until everything is answered. Raises DecodeError when the tag declines."""
        end = HubEnd(self.handshake(), wanted, gatt_ids.frame_bytes(link.connection.att_mtu))
        for wish in wishes:
            wish(end)
        events: list[Event] = []
        answers = len(wishes)
        while True:
            while (frame := end.next_frame()) is not None:
                await link.write(gatt_ids.CONTROL, frame)
            replied = sum(isinstance(event, Replied) and event.message != HISTORY for event in events)
            logs = sum(type(event).__name__ == "Log" for event in events)
            finished = not wanted or any(isinstance(event, Finished) for event in events)
            if events and finished and replied + logs >= answers:
                return events
            events += end.receive(await self.next_frame(link))

    async def next_frame(self, link: Link) -> bytes:
        """The next notification; raises ConnectionError when the connection ends before it."""
        frame = asyncio.ensure_future(link.next_notification())
        ends: set[asyncio.Future[Any]] = {frame, link.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not frame.done():
            frame.cancel()
            raise ConnectionError(f"ended with {link.ended.result()}")
        return frame.result()


def counters(events: list[Event]) -> list[int]:
    """Those of all samples received, in order."""
    return [record.counter for event in events if isinstance(event, Received) for record in event.records]


def replies(events: list[Event]) -> list[tuple[int, int]]:
    """(message, status) of each."""
    return [(event.message, event.status) for event in events if isinstance(event, Replied)]


async def until_next_wake(bench: Bench) -> None:
    """Returns once the wake of this moment has ended and another one has come to its window."""

    def windows() -> int:
        return sum(line.startswith("clock ") for line in bench.twin.process.console)

    begun = windows()
    await until(lambda: windows() > begun)


@contextlib.asynccontextmanager
async def hub_near(
    bench: Bench, number: int = 1, hub_id: int = HUB_ID, epoch: int = EPOCH_FOREVER
) -> AsyncIterator[Hub]:
    async with central_on(bench.link, number) as central:
        yield Hub(central, hub_id, epoch)


def in_window(
    folder: Path,
    work: Callable[[Bench, Hub], Awaitable[None]],
    settings: dict[str, Any] = WINDOW,
    supply: PowerSupply | None = None,
    **program: Any,
) -> Bench:
    """The bench after `work` was done beside the tag's wakes, which follow each other until it is."""
    spec = twin_spec(settings)

    async def both(bench: Bench) -> None:
        async def live() -> None:
            while True:
                await bench.wake()

        async with hub_near(bench) as hub:
            wakes = asyncio.ensure_future(live())
            working = asyncio.ensure_future(work(bench, hub))
            try:
                await asyncio.wait({wakes, working}, return_when=asyncio.FIRST_COMPLETED)
                if wakes.done():
                    wakes.result()
                await working
            except BaseException:
                print(bench.console())  # pytest shows it
                raise
            finally:
                for task in (wakes, working):
                    task.cancel()
                await asyncio.gather(wakes, working, return_exceptions=True)

    spec = spec._replace(image=image(spec.provision, **program))
    return on_bench(folder, spec, both, supply=supply)
