"""A tag's whole life with hubs: it measures, keeps, opens its window, is visited, rotates its keys and goes on."""

import asyncio
from pathlib import Path

from window_bench import TAG_ID, Bench, Hub, counters, hub_near, replies, until

from tagfleet.oracle import NonceOracle
from tagfleet.twin.virtual_board import DEEPSLEEP_RESET, PWRON_RESET
from tagwire import command as c
from tagwire import messages as m
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE, parse_header
from tagwire.fields import Codes, to_codes
from tagwire.history import Record, codes_of
from tagwire.hubend import Established, Event, Received
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
    import twin_bench

    async def both(bench: Bench) -> None:
        async with hub_near(bench) as hub:
            try:
                await work(bench, hub)  # type: ignore[operator]
            except BaseException:
                print(bench.console())
                raise

    return twin_bench.on_bench(folder, twin_bench.twin_spec(SETTINGS), both)


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
    platform = aes128(c.platform_key(bytes(range(16))))
    envelope = c.seal_command(platform, TAG_ID, c.Command(1, c.ROTATE, c.EXPIRES_NEVER, b"\x05"))
    statuses: list[tuple[int, int]] = []

    async def work(bench: Bench, hub: Hub) -> None:
        for _ in range(2):
            await whole_wake(bench)
        statuses.extend(replies(await visited(bench, hub.visit(bench, [], lambda end: end.command(envelope)))))
        await whole_wake(bench)
        await whole_wake(bench, PWRON_RESET)
        statuses.extend(replies(await visited(bench, hub.visit(bench, [], lambda end: end.command(envelope)))))

    bench = run(tmp_path, work)
    assert statuses == [(m.COMMAND, m.STATUS_OK)] * 2
    first = 5 << 24
    used = [counter for counter, _ in bench.made]
    assert used[:4] == [0, 1, 2, first]
    assert used[4:] == sorted(used[4:])
    assert first < used[4] <= first + 16  # after the power cut
    assert NonceOracle
    assert until
