"""The platform's commands on a tag: carried by a hub over a real link, at most once whatever power does."""

import functools
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import pytest
from window_bench import HUB_ID, ROOT_KEY, TAG_ID, Bench, Hub, counters, hub_near, in_window, until_next_wake

from tagfleet.twin.power import PowerSupply
from tagfleet.twin.virtual_board import HARD_RESET
from tagwire import command as c
from tagwire import messages as m
from tagwire.errors import DecodeError
from tagwire.hubend import Event, HubEnd, Log, Replied
from tagwire.revocation import EVERY_HUB
from tagwire.seal import aes128
from tagwire.session import EPOCH_FOREVER

PLATFORM = aes128(c.platform_key(ROOT_KEY))
SHOW = 'print("settings", state.config.settings.interval_s, state.config.settings.mode)\n'


def sealed(number: int, opcode: int, value: bytes = b"", expires_s: int = c.EXPIRES_NEVER) -> bytes:
    return c.seal_command(PLATFORM, TAG_ID, c.Command(number, opcode, expires_s, value))


def outcome(events: list[Event]) -> tuple[int, int | None, bytes]:
    """The status for the hub; status and detail in the sealed reply, None and nothing where there is none."""
    (reply,) = [event for event in events if isinstance(event, Replied) and event.message == m.COMMAND]
    if not reply.sealed:
        return reply.status, None, b""
    _, status, detail = c.open_reply(PLATFORM, TAG_ID, reply.sealed)
    assert status == reply.status
    return reply.status, status, detail


async def carry(hub: Hub, bench: Bench, envelope: bytes) -> tuple[int, int | None, bytes]:
    return outcome(await hub.visit(bench, [], lambda end: end.command(envelope)))


def test_settings_are_checked_kept_and_can_be_taken_back(tmp_path: Path) -> None:
    outcomes: list[tuple[int, int | None, bytes]] = []

    async def work(bench: Bench, hub: Hub) -> None:
        twice = b'{"interval_s": 77, "interval_s": 600, "mode": "shelf"}'  # the last one counts
        refused = b'{"interval_s": 900, "burst_events": 0}'
        for number, value in enumerate((twice, b'{"mode": null}', refused), 1):
            outcomes.append(await carry(hub, bench, sealed(number, c.SETTINGS, value)))
        for number, value in enumerate((b"[]", b"{", b'{"what": 1}', b'{"interval_s": [1]}', b"\xff"), 10):
            outcomes.append(await carry(hub, bench, sealed(number, c.SETTINGS, value)))
        await until_next_wake(bench)
        bench.twin.board.supply.fail_at = bench.supply.operations  # the next thing that it stores ends in a power cut
        await until_next_wake(bench)
        await until_next_wake(bench)

    bench = in_window(tmp_path, work, before=SHOW)
    value = (m.STATUS_VALUE, m.STATUS_VALUE)
    ok = (m.STATUS_OK, m.STATUS_OK, b"")
    assert outcomes[:3] == [ok, ok, (*value, b"burst_events")]
    assert outcomes[3:] == [(*value, b""), (*value, b""), (*value, b"what"), (*value, b"interval_s"), (*value, b"")]
    shown = [line for line in bench.console().splitlines() if line.startswith("settings")]
    assert shown[0] == "settings 300 tracking"
    assert shown[-1] == "settings 600 tracking"


def test_command_is_answered_alike_for_ever_and_what_is_older_or_forged_is_not_taken(tmp_path: Path) -> None:
    rotate = sealed(20, c.SETTINGS, b'{"interval_s": 77}')
    answers: list[Event] = []

    async def work(bench: Bench, hub: Hub) -> None:
        for _ in range(2):
            answers.extend(await hub.visit(bench, [], lambda end: end.command(rotate)))
            await until_next_wake(bench)
        assert await carry(hub, bench, sealed(19, c.REBOOT)) == (m.STATUS_REPLAYED, None, b"")
        other = c.seal_command(PLATFORM, TAG_ID + 1, c.Command(21, c.REBOOT, c.EXPIRES_NEVER, b""))
        for envelope in (rotate[:-1] + b"\0", other, b"\x01" * 12, b""):
            assert await carry(hub, bench, envelope) == (m.STATUS_FORGED, None, b"")
        assert await carry(hub, bench, b"\x02" + rotate[1:]) == (m.STATUS_VERSION, None, b"")
        assert await carry(hub, bench, sealed(21, c.UPDATE, bytes(36))) == (m.STATUS_UNKNOWN, m.STATUS_UNKNOWN, b"")
        assert await carry(hub, bench, sealed(22, 99)) == (m.STATUS_UNKNOWN, m.STATUS_UNKNOWN, b"")
        assert await carry(hub, bench, sealed(23, c.REBOOT, expires_s=1)) == (m.STATUS_NOT_NOW, None, b"")

    in_window(tmp_path, work)
    first, second = [event for event in answers if isinstance(event, Replied)]
    assert first == second
    assert first.status == m.STATUS_OK


def test_reboot_comes_after_its_reply(tmp_path: Path) -> None:
    causes: list[int] = []

    async def work(bench: Bench, hub: Hub) -> None:
        wake = bench.twin.process.wake

        async def recorded(cause: int) -> object:
            causes.append(cause)
            return await wake(cause)

        bench.twin.process.wake = recorded  # type: ignore[method-assign, assignment]
        assert await carry(hub, bench, sealed(1, c.REBOOT, b"x")) == (m.STATUS_VALUE, m.STATUS_VALUE, b"")
        assert await carry(hub, bench, sealed(2, c.REBOOT)) == (m.STATUS_OK, m.STATUS_OK, b"")
        await until_next_wake(bench)
        assert await carry(hub, bench, sealed(2, c.REBOOT)) == (m.STATUS_OK, m.STATUS_OK, b"")  # told again, not done

    in_window(tmp_path, work)
    assert causes.count(HARD_RESET) == 1


@pytest.mark.parametrize("epoch", [EPOCH_FOREVER, 21_000])
def test_revoked_hub_is_refused_from_then_on_and_others_are_not(tmp_path: Path, epoch: int) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        hub.epoch = epoch
        hub.key = Hub(hub.central, HUB_ID, epoch).key
        revoke = HUB_ID.to_bytes(4, "little") + min(epoch + 1, 0xFFFF).to_bytes(2, "little")
        if epoch == EPOCH_FOREVER:  # a key without end can only be revoked with all of that hub's
            revoke = HUB_ID.to_bytes(4, "little") + b"\xff\xff"
        assert await carry(hub, bench, sealed(1, c.REVOKE, revoke)) == (m.STATUS_OK, m.STATUS_OK, b"")
        bench.twin.board.supply.fail_at = bench.supply.operations
        await until_next_wake(bench)
        if epoch != EPOCH_FOREVER:
            link = await hub.connect(bench)
            with pytest.raises(DecodeError, match="refused: status 2"):
                await hub.talk(link, [(0, 3)])
            await link.disconnect()
        async with hub_near(bench, 2, 99, epoch) as other:
            assert counters(await other.visit(bench, [(0, 3)])) == [0, 1, 2, 3]
            assert (await carry(other, bench, sealed(2, c.REVOKE, b"short")))[0] == m.STATUS_VALUE
            more = [sealed(n, c.REVOKE, (1000 + n).to_bytes(4, "little") + b"\x05\x00") for n in range(3, 20)]
            events = await other.visit(bench, [], *(functools.partial(HubEnd.command, envelope=one) for one in more))
            assert outcome(events[-1:]) == (m.STATUS_VALUE, m.STATUS_VALUE, b"full")
            everyone = EVERY_HUB.to_bytes(4, "little") + epoch.to_bytes(2, "little")
            assert (await carry(other, bench, sealed(30, c.REVOKE, everyone)))[0] == m.STATUS_OK
            assert counters(await other.visit(bench, [(0, 3)])) == [0, 1, 2, 3]

    in_window(tmp_path, work)


def test_rotation_goes_on_under_the_next_generation_with_a_counter_of_its_own(tmp_path: Path) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        assert await carry(hub, bench, sealed(1, c.ROTATE, b"\x00")) == (m.STATUS_VALUE, m.STATUS_VALUE, b"\x00")
        assert await carry(hub, bench, sealed(2, c.ROTATE, b"\x03")) == (m.STATUS_OK, m.STATUS_OK, b"")
        await until_next_wake(bench)
        # What the tag has measured before is still there, under its old counters; and so is the command's reply.
        assert counters(await hub.visit(bench, [(0, 40)])) == list(range(20))
        assert await carry(hub, bench, sealed(2, c.ROTATE, b"\x03")) == (m.STATUS_OK, m.STATUS_OK, b"")
        assert await carry(hub, bench, sealed(3, c.ROTATE, b"\x03")) == (m.STATUS_VALUE, m.STATUS_VALUE, b"\x03")
        await until_next_wake(bench)

    console = in_window(tmp_path, work).console()
    assert console.splitlines()[0].endswith("generation 0 next 20")
    assert (
        console.splitlines()[-2].endswith(f"generation 3 next {3 << 24}") or f"generation 3 next {3 << 24}" in console
    )


SETTINGS = (c.SETTINGS, b'{"interval_s": 600}', "settings 600 tracking")
ROTATE = (c.ROTATE, b"\x01", "generation 1")
REVOKE = (c.REVOKE, b"\x63\x00\x00\x00\x05\x00", "")
SOAK = [
    pytest.param(*asked, done, count(), marks=pytest.mark.soak)
    for asked in (SETTINGS, ROTATE, REVOKE)
    for done in (0.0, 0.5, 1.0)
]


@pytest.mark.parametrize(
    ("opcode", "value", "applied", "done", "cuts"),
    [(*SETTINGS, 0.5, (1, 5)), (*ROTATE, 0.0, (3, 7)), *SOAK],
)
def test_power_cut_anywhere_in_a_command_never_carries_it_out_twice(
    tmp_path: Path, opcode: int, value: bytes, applied: str, done: float, cuts: Iterable[int]
) -> None:
    """The platform repeats its envelope until it gets a reply. Power fails in one of the operations of flash or RTC
    memory that the command costs, before it, half-way or behind it. The reply says what is true, and stays the same."""
    for cut in cuts:
        answers, finished, console = asked_through_a_cut(tmp_path, sealed(1, opcode, value), cut, done, applied)
        assert answers[-1] == answers[-2], cut
        assert {answer.sealed for answer in answers} == {answers[0].sealed}, cut
        assert answers[0].status in (m.STATUS_OK, m.STATUS_INTERRUPTED), cut
        if answers[0].status == m.STATUS_OK:
            assert applied in console, cut
        if finished:
            assert cut >= 8
            break


def asked_through_a_cut(
    folder: Path, envelope: bytes, cut: int, done: float, applied: str
) -> tuple[list[Replied], bool, str]:
    """What the tag replied, whether to the first asking too (then power did not fail), and its console."""
    supply = PowerSupply()
    replies: list[Event] = []
    finished = False

    def command(end: HubEnd) -> None:
        end.command(envelope)

    async def work(bench: Bench, hub: Hub) -> None:
        nonlocal finished
        link = await hub.connect(bench)
        await hub.talk(link, [(0, 0)])  # up to here the session has not written anything
        supply.fail_at, supply.done = supply.operations + cut, done
        try:
            replies.extend(await hub.talk(link, [], command))
            finished = True
            supply.fail_at = None
        except ConnectionError:
            pass
        await link.disconnect()
        for _ in range(2):
            replies.extend(await hub.visit(bench, [], command))
        if applied not in bench.console():
            await until_next_wake(bench)

    console = in_window(folder, work, supply=supply, before=SHOW).console()
    return [event for event in replies if isinstance(event, Replied)], finished, console


def test_damaged_memory_takes_no_commands_and_the_rest_goes_on(tmp_path: Path) -> None:
    damage = """
for name in ("commands-0", "revoked"):
    with open(name, "wb") as file:
        file.write(b"\\x07\\0\\0\\0\\0damaged, with no checksum")
"""

    async def work(bench: Bench, hub: Hub) -> None:
        assert await carry(hub, bench, sealed(1, c.REBOOT)) == (m.STATUS_STORAGE, None, b"")
        assert counters(await hub.visit(bench, [(0, 3)])) == [0, 1, 2, 3]
        events = await hub.visit(bench, [], HubEnd.read_log)
        (log,) = [event.text.decode() for event in events if isinstance(event, Log)]
        assert "commands: format: commands-0" in log
        assert "revoked hubs are lost: format: revoked" in log

    in_window(tmp_path, work, before=damage)


TIME_S = 1_800_000_000


@pytest.mark.parametrize(
    ("before", "offers", "statuses", "clock", "logged"),
    [
        ("", [(1_795_564_799, 2), (TIME_S, 2)], [m.STATUS_VALUE, m.STATUS_OK], (TIME_S, 2), 1),
        ("", [(TIME_S, 1), (TIME_S + 5000, 2)], [m.STATUS_OK, m.STATUS_LIMITED], (TIME_S, 2), 1),
        ("", [(TIME_S, 0), (TIME_S, 4)], [m.STATUS_VALUE, m.STATUS_VALUE], (0, 0), 0),
        ("set_now(state, 1800000000, 3)", [(TIME_S + 5000, 3)], [m.STATUS_NOT_PERMITTED], (TIME_S, 3), 0),
        (
            "set_now(state, 1800000000, 3); state.clock_s -= 86400",  # a fix of yesterday
            [(TIME_S + 50_000, 2), (TIME_S, 2)],
            [m.STATUS_LIMITED, m.STATUS_LIMITED],
            (TIME_S + 2160, 2),  # 2.5 % of a day, and then of nothing
            1,
        ),
    ],
    ids=["first", "again", "no quality", "GNSS", "old GNSS"],
)
def test_time_is_taken_within_bounds(
    tmp_path: Path,
    before: str,
    offers: list[tuple[int, int]],
    statuses: list[int],
    clock: tuple[int, int],
    logged: int,
) -> None:
    got: list[int] = []
    log = ""

    async def work(bench: Bench, hub: Hub) -> None:
        nonlocal log
        for unix_s, quality in offers:
            tell: Callable[[HubEnd], None] = lambda end, one=unix_s, two=quality: end.set_time(one, two)  # type: ignore[misc]  # noqa: E731
            events = await hub.visit(bench, [], tell)
            got.extend(event.status for event in events if isinstance(event, Replied))
        events = await hub.visit(bench, [], HubEnd.read_log)
        log = next(event.text.decode() for event in events if isinstance(event, Log))
        await until_next_wake(bench)

    once = f"from tag.clock import set_now\nif not state.clock_s:\n    {before or 'pass'}\n"
    console = in_window(tmp_path, work, before=once).console()
    assert got == statuses
    last = [line for line in console.splitlines() if line.startswith("clock ")][-1].split()
    assert abs(int(last[1]) - clock[0]) <= 60
    assert int(last[2]) == clock[1]
    assert log.count("clock: ") == logged


def test_all_that_a_session_can_bring_fits_into_the_heap_at_once(tmp_path: Path) -> None:
    envelopes = [
        sealed(1, c.SETTINGS, b'{"interval_s": 600, "mode": "shelf", "temperature_high_mc": 8000, "trip_number": 12}'),
        sealed(2, c.REVOKE, b"\x63\x00\x00\x00\x05\x00"),
        sealed(3, c.ROTATE, b"\x01"),
        sealed(4, c.SETTINGS, b'{"interval_s": null, "calibration_id": "a laboratory"}'),
    ]
    got: list[Event] = []
    began_s = time.monotonic()

    async def work(bench: Bench, hub: Hub) -> None:
        commands = [functools.partial(HubEnd.command, envelope=one) for one in envelopes]
        more: list[Callable[[HubEnd], None]] = [
            functools.partial(HubEnd.settle, ranges=[(0, 99)]),
            lambda end: end.set_time(TIME_S + round(time.monotonic() - began_s), 2),
            HubEnd.read_log,
            functools.partial(HubEnd.identify, seconds=1),
        ]
        got.extend(await hub.visit(bench, [(0, 400)], *more, *commands))
        got.extend(await hub.visit(bench, [(0, 400)], *more))

    in_window(tmp_path, work, samples=300)
    assert counters(got) == [*range(300)] * 2
    replied = [event for event in got if isinstance(event, Replied)]
    assert len(replied) == 10
    assert {event.status for event in replied if event.message != m.TIME} == {m.STATUS_OK}
    # A clock that was set a moment ago moves by nothing, and both round to seconds.
    assert {event.status for event in replied if event.message == m.TIME} <= {m.STATUS_OK, m.STATUS_LIMITED}
    assert sum(isinstance(event, Log) for event in got) == 2
