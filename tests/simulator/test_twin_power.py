"""Power lost at any moment: the tag comes back by itself, and never uses a counter again."""

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest
from test_twin import rewrite
from twin_bench import QUICK, Bench, in_virtual_time, on_bench, twin_spec

from tagfleet.twin.power import PowerSupply
from tagfleet.twin.virtual_board import DEEPSLEEP_RESET, PWRON_RESET
from tagwire.provision import COUNTER_FILE, encode_counter


def counters(bench: Bench) -> list[int]:
    return [counter for counter, _ in bench.made]


def test_power_loss_gives_up_the_reserved_counters_and_deep_sleep_none(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for cause in (PWRON_RESET, DEEPSLEEP_RESET, PWRON_RESET, DEEPSLEEP_RESET, PWRON_RESET):
            await bench.wake(cause)

    assert counters(in_virtual_time(tmp_path, twin_spec(), work)) == [0, 1, 16, 17, 32]


def test_reservation_is_raised_before_it_runs_out(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for _ in range(18):
            await bench.wake()
        await bench.wake(PWRON_RESET)

    no_windows = {**QUICK, "window_unsettled": 10_000}  # a wake for hubs makes no sample
    assert counters(in_virtual_time(tmp_path, twin_spec(no_windows), work)) == [*range(18), 32]


@pytest.mark.parametrize("lost", ["file", "NVS", "file damaged"])
def test_one_lost_place_is_no_loss_and_is_repaired(tmp_path: Path, lost: str) -> None:
    async def work(bench: Bench) -> None:
        await bench.wake()
        if lost == "NVS":
            bench.twin.board.nvs.clear()
        else:
            rewrite(bench.flash, {COUNTER_FILE: None if lost == "file" else b"\x10\x00\x00\x00abcd"})
        await bench.wake(PWRON_RESET)
        assert bench.twin.board.nvs == {b"tagstack\0counter": encode_counter(32)}
        bench.twin.board.nvs.clear()
        await bench.wake(PWRON_RESET)  # from the file alone

    assert counters(in_virtual_time(tmp_path, twin_spec(), work)) == [0, 16, 32]


def test_one_place_that_cannot_be_written_is_said_and_does_not_stop_the_tag(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.twin.board.nvs_works = False
        await bench.wake()
        await bench.wake(PWRON_RESET)

    bench = in_virtual_time(tmp_path, twin_spec(), work)
    assert counters(bench) == [0, 16]
    assert "counter NVS: OSError" in bench.console()


def test_a_flash_of_yesterday_does_not_turn_the_counter_back(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        yesterday = bench.flash.read_bytes()
        await bench.wake()
        await bench.wake(PWRON_RESET)
        bench.flash.write_bytes(yesterday)
        await bench.wake(PWRON_RESET)

    assert counters(in_virtual_time(tmp_path, twin_spec(), work)) == [0, 16, 32]


def operations_of_two_wakes(folder: Path) -> int:
    async def work(bench: Bench) -> None:
        await bench.wake()
        await bench.wake()

    return in_virtual_time(folder, twin_spec(), work).supply.operations


def survives_cut(folder: Path, fail_at: int, done: float) -> None:
    """Two wakes with power failing in durable operation `fail_at`, then a week of short wakes and power losses."""

    async def work(bench: Bench) -> None:
        for _ in range(2):
            halt = await bench.wake()
        assert bench.supply.operations > fail_at
        for cause in (halt.cause, DEEPSLEEP_RESET, PWRON_RESET):
            await bench.wake(cause)

    bench = in_virtual_time(folder, twin_spec(), work, supply=PowerSupply(fail_at, done))
    used = counters(bench)
    assert used == sorted(set(used)), (fail_at, done, used)
    assert len(used) >= 4
    assert len(set(bench.advertised)) == len(used)


def every_cut(folder: Path) -> list[tuple[int, float]]:
    return [(at, done) for at in range(operations_of_two_wakes(folder)) for done in (0.0, 0.5, 1.0)]


def test_power_cut_in_a_durable_operation_never_reuses_a_counter(tmp_path: Path) -> None:
    for fail_at, done in random.Random(1).sample(every_cut(tmp_path), 8):
        survives_cut(tmp_path, fail_at, done)


@pytest.mark.soak
def test_power_cut_at_any_moment_never_reuses_a_counter(tmp_path: Path) -> None:
    moments = random.Random(2)

    async def work(bench: Bench) -> None:
        started_s = time.monotonic()
        await bench.wake()
        wake_s = time.monotonic() - started_s
        for _ in range(150):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(moments.uniform(0, 3 * wake_s)):
                    await bench.wake(PWRON_RESET)
                    await bench.wake(DEEPSLEEP_RESET)

    bench = on_bench(tmp_path, twin_spec({**QUICK, "burst_interval_ms": 20}), work)
    used = counters(bench)
    assert len(used) > 20
    assert used == sorted(set(used))
    assert len(set(bench.advertised)) == len(used)


@pytest.mark.soak
def test_power_cut_in_every_durable_operation_never_reuses_a_counter(tmp_path: Path) -> None:
    cuts = every_cut(tmp_path)
    assert len(cuts) > 20
    for fail_at, done in cuts:
        survives_cut(tmp_path, fail_at, done)
