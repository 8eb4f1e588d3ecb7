"""The courier: a week from one tag over GATT, tags a minute over air, and what is fetched twice (nothing)."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from tagfleet.twin import interpreter_available

TESTS = Path(__file__).resolve().parents[1] / "tests" / "gateway"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))  # the tags, links and hubs of the tests

WEEK = 2_016
FLOCK, FLOCK_ALONE_H, FLOCK_RUN_S = 100, 24.0, 3_600.0


def figures(runs: int) -> Iterator[Figure]:
    if interpreter_available() is None:
        print("  no MicroPython interpreter for this platform: no courier_week_seconds", file=sys.stderr)
    else:
        yield Figure(
            "courier_week_seconds",
            "s",
            "lower",
            5.0,
            [week_seconds() for _ in range(min(runs, 3))],
            f"{WEEK:,} samples from one twin, the real firmware under the real interpreter, over bumble GATT: from the "
            "decision to visit it to the last sample at the broker. Connection, discovery, session, spool and batches "
            "included; packets of the virtual link take no air time, and the twin's samples are alike",
        )
    per_minute, lost = zip(*(tags_per_minute() for _ in range(min(runs, 3))), strict=True)
    yield Figure(
        "courier_tags_per_minute",
        "tags/min",
        "higher",
        None,
        per_minute,
        f"{FLOCK} flock tags with a day of backlog each, over air: visits of some 5 s (4.5 s of them for the link, "
        "modelled), one at a time, without a limit on air time: 12 a minute leave no second, and a tag offers 3 s "
        "in ten minutes. Until 90 are drained; minutes of the air. At the default air_time_share of 0.2: 2.4 at most",
    )
    yield Figure(
        "courier_live_lost",
        "samples",
        "lower",
        0.0,
        lost,
        f"live samples that the radio reported meanwhile and the broker did not get, while {FLOCK} backlogs drained",
    )
    refetched = [float(refetched_in_a_week(seed)) for seed in range(min(runs, 3))]
    yield Figure(
        "courier_refetched",
        "samples",
        "lower",
        0.0,
        refetched,
        "samples fetched again after their commit, in a week of a tag of which a third is not heard, over connections "
        "that break anywhere, kills and restarts",
    )


def week_seconds() -> float:
    """One visit to one twin."""
    from test_courier_twin import seconds_at_twin

    with tempfile.TemporaryDirectory() as folder:
        return seconds_at_twin(Path(folder), WEEK + 1)


def tags_per_minute() -> tuple[float, float]:
    """Tags whose backlog is drained in a minute of the air's; live samples that were reported and are not published."""
    from test_courier_air import FlockDesk, on_air

    from tagfleet.airlink import AirLink
    from tagfleet.links import LinkSettings

    found = (0.0, 0.0)

    async def scenario(desk: FlockDesk, air: AirLink) -> None:
        nonlocal found
        drained_s: dict[int, float] = {}
        begun_us = desk.now_us
        while len(drained_s) < FLOCK and desk.now_us - begun_us < FLOCK_RUN_S * 1e6:
            await desk.run(air, 10.0)
            for tag_id, _ in desk.broker.history:
                drained_s.setdefault(tag_id, (desk.now_us - begun_us) / 1e6)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                while not desk.reported <= set(desk.broker.published()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        lost = len(desk.reported - set(desk.broker.published()))
        most = sorted(drained_s.values())[FLOCK * 9 // 10 - 1]
        found = (60.0 * (FLOCK * 9 // 10) / most, float(lost))

    with tempfile.TemporaryDirectory() as folder:
        links = LinkSettings(connect_s=4.5, loss_per_s=0.0)
        on_air(Path(folder), scenario, FLOCK, FLOCK_ALONE_H, links, 600.0, air_time_share=1.0)
    return found


def refetched_in_a_week(seed: int) -> int:
    """Of 2,016 samples."""
    from test_courier_week import simulated_week

    with tempfile.TemporaryDirectory() as folder:
        return int(simulated_week(Path(folder), 7.0, seed).refetched)
