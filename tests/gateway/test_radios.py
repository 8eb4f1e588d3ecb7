"""The same tests on every radio: raw HCI, the kernel's Bluetooth under BlueZ, a real adapter. See `radio_bench`."""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import waiting
from bleak import BleakClient, BleakScanner
from hub_process import HubProcess
from radio_bench import RadioBench, VhciBench, bench_of
from tags import Tag
from waiting import until

from taghub.heard import Heard
from taghub.radio import Radio, keep, recovery
from taghub.radio.base import COUNT_FOREIGN
from taghub.status import RadioStatus
from tagwire import trace
from tagwire.keyring import KeyringEntry, hub_key_of
from tagwire.keys import beacon_key

TAG = Tag(7)
TAG_ADDRESS = "F0:00:00:00:00:01"
INFO = "b3a1a001-7a67-4c2e-9d1f-5f0c7a6e6d01"
TWIN_IDS = (1, 2)
VISITED_ID = 3  # a twin that opens windows for hubs
TWIN_ROOT_KEY = bytes(16)
HUB_ID = 45
FETCHED_MIN = 6  # a twin with a sample every 5 s has made more while the virtual machine booted
COURIER = "[courier]\nair_time_share = 1.0\nconnect_timeout_s = 60\nvisit_s = 110\n"

pytestmark = pytest.mark.timeout(480)  # under software emulation


@pytest.fixture
def option(request: pytest.FixtureRequest) -> str | None:
    """What --radio says; where there is no conftest that knows it, the environment."""
    return os.environ.get("TAGSTACK_RADIO") or request.config.getoption("--radio", None)


@pytest.fixture
def bench(option: str | None) -> RadioBench:
    return bench_of(option)


@pytest.fixture(autouse=True)
def patience(option: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real tag may be silent for minutes, an emulated processor is slow."""
    if option is not None:
        monkeypatch.setattr(waiting, "TIMEOUT_S", 400.0)


class Listener:
    """A radio, kept open, and all that it heard."""

    def __init__(self, radio: Radio) -> None:
        self.radio = radio
        self.heard: list[Heard] = []
        self.state = ""

    async def __aenter__(self) -> "Listener":
        self._task = asyncio.create_task(keep(self.radio, self.heard.extend, self._changed))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _changed(self, status: RadioStatus) -> None:
        self.state = status.state

    async def hears(self, reports: int = 1) -> float:
        """Wait for so many reports more; the seconds they took."""
        started_s, wanted = time.monotonic(), len(self.heard) + reports
        await self.until(lambda: len(self.heard) >= wanted)
        return time.monotonic() - started_s

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(lambda: condition() or self._task.done())
        if self._task.done():
            self._task.result()  # why it has ended


def on(bench: RadioBench, scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench:
            await scenario()

    asyncio.run(main())


@pytest.mark.parametrize("scan", ["active", "passive"])
def test_scan_hears_tags(bench: RadioBench, scan: str) -> None:
    async def scenario() -> None:
        async with Listener(bench.radio(scan=scan)) as listener:
            await listener.until(lambda: len({report.payload for report in listener.heard}) >= 2)
            assert listener.state == (scan if listener.radio.filtered else "active")
            assert {len(report.payload) for report in listener.heard} == {24}
            if not listener.radio.filtered:
                await listener.until(lambda: listener.radio.counts[COUNT_FOREIGN] > 0)

    on(bench, scenario)


def test_tag_is_connected_and_read(bench: RadioBench) -> None:
    async def scenario() -> None:
        async with BleakScanner(**bench.backend("scanner")) as scanner:
            async for device, advertisement in scanner.advertisement_data():
                if device.address == TAG_ADDRESS or (not bench.virtual and 0xFFFF in advertisement.manufacturer_data):
                    break
        async with BleakClient(device, timeout=60, **bench.backend("client")) as client:
            assert len(await client.read_gatt_char(INFO)) == 8

    on(bench, scenario)


def test_controller_pulled_out_and_put_back_in_mid_scan(bench: RadioBench) -> None:
    async def scenario() -> None:
        async with Listener(bench.radio()) as listener:
            await listener.hears()
            await bench.pull()
            await listener.until(lambda: listener.state in (recovery.ABSENT, recovery.PAUSED))
            await bench.plug()
            print(f"adapter return recovered in {await listener.hears():.2f} s")
            await listener.until(lambda: listener.radio.counts["restarts"] >= 1)

    on(bench, scenario)


def hub_on(bench: RadioBench, folder: Path, entries: list[KeyringEntry], extra: str) -> HubProcess:
    sections = [
        "[[radio]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items() if value is not None)
        for settings in bench.settings()
    ]
    return HubProcess(folder, entries, f"{broker_section()}{''.join(sections)}{extra}")


def broker_section() -> str:
    """An embedded broker; in a virtual machine, one outside."""
    if outside := os.environ.get("TAGSTACK_BROKER"):
        host, _, port = outside.rpartition(":")
        return f'[mqtt]\nhost = "{host}"\nport = {port}\nstart_timeout_s = 120\n'
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"[broker]\nport = {probe.getsockname()[1]}\n"


def run_until(
    bench: RadioBench, folder: Path, entries: list[KeyringEntry], done: Callable[[HubProcess], bool], extra: str = ""
) -> HubProcess:
    """`taghub run` on the bench's radios; it has ended on return."""
    hubs: list[HubProcess] = []

    async def scenario() -> None:
        with hub_on(bench, folder, entries, extra) as hub:
            hubs.append(hub)
            try:
                await until(lambda: done(hub) or not hub.running)
            except TimeoutError:
                raise AssertionError(hub.log) from None
            assert hub.running, hub.log

    on(bench, scenario)
    return hubs[0]


def delivered(acknowledged: set[tuple[int, int]], entries: list[KeyringEntry], samples_each: int) -> bool:
    """Whether the broker has so many samples of each of these tags."""
    ids = [tag_id for tag_id, _ in acknowledged]
    return all(ids.count(entry.tag_id) >= samples_each for entry in entries)


def test_gateway_delivers_what_its_radio_hears(bench: RadioBench, tmp_path: Path) -> None:
    if not bench.virtual:
        pytest.skip("needs the keys of a tag that is there: `taghub run` with its keyring shows the same")
    tag = TAG.entry()
    run_until(bench, tmp_path, [tag], lambda hub: delivered(set(hub.traced(trace.ACKNOWLEDGED)), [tag], 3))


# What only a kernel and a bluetoothd have.


@pytest.mark.bluez
def test_service_killed_and_started_again_in_mid_scan(bench: RadioBench) -> None:
    assert isinstance(bench, VhciBench)

    async def scenario() -> None:
        async with Listener(bench.radio()) as listener:
            await listener.hears()
            bench.kill_service()
            await listener.until(lambda: listener.state == recovery.ABSENT)
            await bench.start_service()
            print(f"bluetoothd restart recovered in {await listener.hears():.2f} s")
            await listener.until(lambda: listener.radio.counts["absences"] == 1)

    on(bench, scenario)


@pytest.mark.bluez
def test_gateway_on_two_adapters_hears_tags_and_fetches_the_history_of_a_twin(option: str, tmp_path: Path) -> None:
    """One gateway, since an emulated one takes a minute to start. The twins have the real firmware."""
    key = beacon_key(TWIN_ROOT_KEY, 0)
    twins = [KeyringEntry(tag_id, 0, key) for tag_id in TWIN_IDS]
    visited = KeyringEntry(VISITED_ID, 0, key, hub=hub_key_of(TWIN_ROOT_KEY, HUB_ID))

    def done(hub: HubProcess) -> bool:
        acknowledged = set(hub.traced(trace.ACKNOWLEDGED))
        first_heard = next((counter for tag_id, counter in hub.traced(trace.HEARD) if tag_id == VISITED_ID), None)
        return (
            delivered(acknowledged, [TAG.entry(), *twins], 2)
            and first_heard is not None
            and acknowledged >= {(VISITED_ID, counter) for counter in range(first_heard + 1)}
        )

    bench = VhciBench(option, adapters=2)
    hub = run_until(bench, tmp_path, [TAG.entry(), *twins, visited], done, COURIER)
    first_heard = next(counter for tag_id, counter in hub.traced(trace.HEARD) if tag_id == VISITED_ID)
    assert first_heard >= FETCHED_MIN  # samples that nobody but the courier can have got
    print(f"{first_heard} samples came over GATT")


@pytest.mark.bluez
def test_passive_scan_without_experimental_becomes_an_active_one(option: str) -> None:
    bench = VhciBench(option, experimental=False)

    async def scenario() -> None:
        async with Listener(bench.radio(scan="passive")) as listener:
            await listener.hears()
            assert listener.state == recovery.FALLBACK

    on(bench, scenario)


def block_bluetooth() -> None:
    """As rfkill(8) does (linux/rfkill.h: index, type 2, operation 3 for all of them, soft, hard)."""
    Path("/dev/rfkill").write_bytes(bytes((0, 0, 0, 0, 2, 3, 1, 0)))


@pytest.mark.soak  # fails on BlueZ 5.66, which answers InProgress to every scan after the block; see docs/radios.md
@pytest.mark.bluez
def test_adapter_that_rfkill_blocks_is_unblocked(bench: RadioBench) -> None:
    async def scenario() -> None:
        async with Listener(bench.radio()) as listener:
            await listener.hears()
            block_bluetooth()
            await listener.until(lambda: listener.state == recovery.PAUSED)
            print(f"rfkill block recovered in {await listener.hears():.2f} s")
            await listener.until(lambda: listener.radio.counts["power_cycles"] == 1)

    on(bench, scenario)


@pytest.mark.bluez
def test_scan_that_falls_silent_without_a_word_is_started_again(bench: RadioBench) -> None:
    assert isinstance(bench, VhciBench)

    async def scenario() -> None:
        async with Listener(bench.radio(silence_s=15)) as listener:
            await listener.hears()
            before = listener.radio.counts["silences"]  # an emulated adapter may take long to begin
            bench.controllers[0].set_deaf(True)
            await listener.until(lambda: listener.radio.counts["silences"] > before)
            bench.controllers[0].set_deaf(False)
            print(f"silence recovered in {await listener.hears():.2f} s after it was noticed")

    on(bench, scenario)
