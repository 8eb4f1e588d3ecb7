"""The tag as a twin in virtual time: how fast a month passes, and what power cuts cost it."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.figure import Figure
from tagfleet.commands.energy import measured
from tagfleet.energy import bill
from tagfleet.identity import make_provisions
from tagfleet.twin import TwinSpec
from tagfleet.twin.image import compiled_firmware, provisioned_image
from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.power_cuts import PowerCuts, scripted_orders
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.twin.visits import VisitingHub
from tagfleet.world.world import build_world

SEED = 5
UNDER_SKY_SEED = 2  # that world's truck is on the road; a tag that sees no sky for a day needs three times as much
MEASURED_S = 6 * 3600
QUICK: dict[str, int | bool | str] = {
    "repl_window_s": 0,
    "burst_repeats": 0,
    "burst_events": 1,
    "gnss_cold_timeout_s": 0,
    "gnss_hot_timeout_s": 0,
}
POINT_SAMPLES = 288
POINT_EVERY = 8
HEAP_WAKES = 45
# What runs in place of main.py: the heap is measured at each phase of a wake, and in a window whenever a frame is asked
# for, sent, or written down.
HEAP_MAIN = b"""
import gc
gc.collect()
base = gc.mem_alloc()
gc.threshold(2048)
from machine import RTC, SOFT_RESET, reset_cause

def observed(function):
    def call(*given):
        gc.collect()
        print("heap", gc.mem_alloc() - base)
        return function(*given)
    return call

if reset_cause() == SOFT_RESET:
    from tag import kept, window
    for name in ("next_frame", "notify"):
        setattr(window.Gatt, name, observed(getattr(window.Gatt, name)))
    kept.save = observed(kept.save)
else:
    from tag import app
    app.Tag.enter = observed(app.Tag.enter)
from tag.begin import main
main()
"""

# And here it is said how often flash was read, mounting it and this file included.
READS_MAIN = b"""
import flash, machine
sleep = machine.deepsleep
def told(*given):
    print("reads", flash.Flash.reads)
    sleep(*given)
machine.deepsleep = told
from tag.begin import main
main()
"""


def spec(settings: dict[str, int | bool | str]) -> TwinSpec:
    """A tag on a truck of the simulated world."""
    return TwinSpec(make_provisions(SEED, 1, 1, settings=settings)[0], 0, build_world(SEED, 1).view(0))


def days_per_minute(interpreter: str) -> float:
    """Simulated days in a minute of this machine: default settings, a sample each 5 minutes with GNSS and 3 bursts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        VirtualTwin(spec({"repl_window_s": 0}), Path(folder), interpreter) as twin,
    ):
        twin.wake()
        began_s, started_s = twin.now_s, time.perf_counter()
        twin.run(began_s + MEASURED_S)
        return (twin.now_s - began_s) / 86400 / ((time.perf_counter() - started_s) / 60)


class HeapPeaks(NamedTuple):
    """Bytes of heap in use at most, garbage collected, less the empty board: in a wake, and in a window."""

    wake: int
    window: int


def heap_peaks(interpreter: str) -> HeapPeaks:
    """Wakes from power-on on, with GNSS, an alarm and writes of the journal, the application loaded from flash; in some
    windows a hub takes the history, settles it, and brings a command."""
    one = spec({"repl_window_s": 0, "interval_s": 60, "temperature_high_mc": -79_000, "window_unsettled": 3})
    image = provisioned_image(one.provision, 0, {**compiled_firmware(), "main.py": HEAP_MAIN})
    hub = VisitingHub(one.provision, scripted_orders)
    peaks = {False: 0, True: 0}
    with (
        tempfile.TemporaryDirectory() as folder,
        VirtualTwin(one, Path(folder), interpreter, image=image, frozen=False, hub=hub) as twin,
    ):
        for _ in range(HEAP_WAKES):
            twin.wake()
            lines = twin.console().splitlines()
            in_window = any(line.startswith("window:") for line in lines)
            found = [int(line.split()[1]) for line in lines if line.startswith("heap ")]
            peaks[in_window] = max([peaks[in_window], *found])
    if not hub.visits or hub.faults or not hub.replied:
        raise RuntimeError(f"no visit as it should be: {hub.faults}")
    return HeapPeaks(peaks[False], peaks[True])


def flash_reads(interpreter: str, frozen: bool) -> int:
    """Reads of flash in a wake from deep sleep that makes a sample, without a receiver or a write of the journal."""
    one = spec({**QUICK, "interval_s": 300})
    image = provisioned_image(one.provision, 0, {**compiled_firmware(), "main.py": READS_MAIN})
    with (
        tempfile.TemporaryDirectory() as folder,
        VirtualTwin(one, Path(folder), interpreter, image=image, frozen=frozen) as twin,
    ):
        for _ in range(3):
            twin.wake()
        (found,) = [line for line in twin.console().splitlines() if line.startswith("reads ")]
    return int(found.split()[1])


def mah_per_day(interpreter: str) -> tuple[float, str]:
    """Typical charge of a day with default settings on a bare module, and its range."""
    phases = measured({"repl_window_s": 0}, 43_200, interpreter, UNDER_SKY_SEED)
    total = bill(phases, "bare-module", 2600, frozen=False).total
    return (
        total.typical,
        f"default settings, 12 h on a truck under open sky, bare module: {total.low:.1f} to {total.high:.1f}",
    )


def figures(runs: int) -> Iterator[Figure]:
    interpreter = interpreter_available()
    if interpreter is None:
        return
    values = [days_per_minute(interpreter) for _ in range(min(runs, 3))]
    about = "one twin, default settings: the real firmware under MicroPython, a process for each wake, 864 wakes a day"
    yield Figure("twin_days_per_minute", "days/min", "higher", 30 / 8, values, about)
    peaks = heap_peaks(interpreter)
    about = f"64-bit interpreter, heap of 160 kB; at each phase of {HEAP_WAKES} wakes, collected, less the empty board"
    yield Figure("heap_peak_bytes", "B", "lower", 131_072, [peaks.wake], about)
    about = "the same while a hub takes history, settles it and brings commands"
    yield Figure("heap_peak_window_bytes", "B", "lower", 131_072, [peaks.window], about)
    about = "a wake that makes a sample, imports from files that `tagsmith` wrote; LittleFS with MicroPython's sizes"
    yield Figure("flash_reads_per_wake", "reads", "lower", 6_000, [flash_reads(interpreter, False)], about)
    about = "the same with the firmware frozen into the chip"
    yield Figure("flash_reads_per_wake_frozen", "reads", "lower", 400, [flash_reads(interpreter, True)], about)
    charge, about = mah_per_day(interpreter)
    yield Figure("tag_mah_per_day", "mAh", "lower", None, [charge], about)
    one = spec({**QUICK, "window_unsettled": 24, "window_every": 3})
    with tempfile.TemporaryDirectory() as folder:
        cuts = PowerCuts(one, Path(folder), interpreter, hub=VisitingHub(one.provision, scripted_orders))
        cuts.run(POINT_SAMPLES, lambda operation: operation % POINT_EVERY == 1)
    about = (
        f"every {POINT_EVERY}th flash operation of a day with visits by a hub, before it and twice within; "
        "`make soak`: each of a week"
    )
    yield Figure("powercut_points_tried", "points", "higher", 300, [cuts.tried], about)
    yield Figure("powercut_failures", "points", "lower", 0, [len(cuts.failures)], "; ".join(cuts.failures[:3]) or about)
