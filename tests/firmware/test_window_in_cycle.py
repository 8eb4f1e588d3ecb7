"""A tag's whole life with hubs: it measures, keeps, opens its window, is visited, rotates its keys and goes on."""

import asyncio
from pathlib import Path

from window_bench import ROOT_KEY, Bench, Hub, counters, hub_near

from twin_bench import interpreter, on_bench, twin_spec  # isort: skip  (window_bench has put its folder into sys.path)

from tagfleet.twin.counters import sealed_under
from tagfleet.twin.virtual_board import DEEPSLEEP_RESET, PWRON_RESET
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.twin.visits import VisitingHub
from tagwire import command as c
from tagwire import messages as m
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE, parse_header
from tagwire.fields import Codes, to_codes
from tagwire.history import Record, codes_of
from tagwire.hubend import Established, Event, Received
from tagwire.keys import beacon_key
from tagwire.seal import aes128

SETTINGS = {
    "interval_s": 2,
    "burst_repeats": 0,
    "repl_window_s": 0,
    "burst_events": 1,
    "gnss_cold_timeout_s": 0,
    "gnss_hot_timeout_s": 0,
    "window_unsettled": 2,
    "window_every": 1,
    "window_s": 2,
}


def records(events: list[Event]) -> list[Record]:
    return [record for event in events if isinstance(event, Received) for record in event.records]


def run(folder: Path, work: object) -> Bench:
    async def both(bench: Bench) -> None:
        async with hub_near(bench) as hub:
            try:
                await work(bench, hub)  # type: ignore[operator]
            except BaseException:
                print(bench.console())
                raise

    return on_bench(folder, twin_spec(SETTINGS), both)


async def whole_wake(bench: Bench, cause: int | None = None) -> None:
    """A wake and, where one is due, its window: until it sleeps."""
    while (await bench.wake(cause)).cause != DEEPSLEEP_RESET:
        cause = None


async def visited(bench: Bench, visit: object) -> list[Event]:
    """One wake, and what a hub got in its window."""
    wake = asyncio.ensure_future(whole_wake(bench))
    try:
        return await visit  # type: ignore[misc, no-any-return]
    finally:
        await wake


def test_history_is_what_was_measured_and_what_was_advertised(tmp_path: Path) -> None:
    events: list[Event] = []

    async def work(bench: Bench, hub: Hub) -> None:
        await whole_wake(bench)
        assert parse_header(bench.advertised[0]).hints == 0
        events.extend(await visited(bench, hub.visit(bench, [(0, 10)], lambda end: end.settle([(0, 1)]))))
        await whole_wake(bench)  # one unsettled sample: no window
        events.extend(await visited(bench, hub.visit(bench, [(0, 10)])))

    bench = run(tmp_path, work)
    assert [event for event in events if isinstance(event, Established)] == [Established(1, 2), Established(3, 2)]
    assert counters(events) == [0, 1, 0, 1, 2, 3]
    made = {counter: to_codes(truth) for counter, truth in bench.made}
    fetched: dict[int, Codes] = {record.counter: codes_of(record) for record in records(events)}
    assert fetched == made
    hints = [parse_header(frame).hints for frame in bench.advertised]
    assert HINT_BACKLOG | HINT_CONNECTABLE in hints


def test_rotation_ends_one_counter_and_begins_the_next_one(tmp_path: Path) -> None:
    """In virtual time, with a hub that comes in each window."""
    spec = twin_spec({**SETTINGS, "interval_s": 300})
    first = 5 << 24
    hub = VisitingHub(spec.provision, lambda number: (c.ROTATE, b"\x05") if number == 1 else None)
    with VirtualTwin(spec, tmp_path, interpreter(), hub=hub) as twin:
        while not hub.replied:
            twin.wake()
        assert hub.replied == {1: m.STATUS_OK}
        twin.wake()
        twin.wake(PWRON_RESET)
        hub.replied.clear()  # it never heard the answer, and brings the same envelope again
        while not hub.replied:
            twin.wake()
        assert hub.replied == {1: m.STATUS_OK}
        twin.wake()
        used: list[int] = []
        for made in twin.made:
            generation = 5 if len(used) >= 2 else 0
            near = max(used[-1] + 1 if used else 0, generation << 24)
            used.append(sealed_under(aes128(beacon_key(ROOT_KEY, generation)), made.frame, near))
    assert used[:3] == [0, 1, first]
    assert used == sorted(set(used))
    assert first < used[3] <= first + 16  # after the power cut
    assert len(used) >= 5
    assert hub.faults == []
