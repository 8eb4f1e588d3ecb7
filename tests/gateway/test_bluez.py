"""A radio on BlueZ, through bleak and a real D-Bus, with a bluetoothd that fails in every way that is known."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fake_bluez import FakeBluez, system_bus
from tags import Tag
from waiting import until

from taghub.clock import SystemClock
from taghub.errors import AbsentError, RadioError
from taghub.heard import Heard
from taghub.radio import keep, keeper, make_radios, recovery
from taghub.radio.base import COUNT_FOREIGN, COUNT_OVERRUN, Radio
from taghub.settings import BleakSettings
from taghub.status import RadioStatus

pytestmark = pytest.mark.system

TAG = Tag(7)
TAG_ADDRESS = "F0:00:00:00:00:01"
SILENCE_S = 1.0
ADDRESS, ANOTHER = "AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02"


@pytest.fixture(autouse=True)
def bus(program: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with system_bus(program("dbus-daemon", "dbus"), tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that waits waits a tenth; the machine's own times are tested with a time of the test's."""
    monkeypatch.setattr(keeper, "LOOK_S", 0.05)
    for name in ("PAUSE_FIRST_S", "PAUSE_LONGEST_S", "PROBE_S", "TRIAL_S", "ABSENT_POLL_S"):
        monkeypatch.setattr(recovery, name, getattr(recovery, name) / 10)


class Kept:
    """Radios on a bluetoothd, kept open."""

    def __init__(self, radios: list[Radio]) -> None:
        self.radios = radios
        self.heard: list[list[Heard]] = [[] for _ in radios]
        self.shown: list[list[RadioStatus]] = [[] for _ in radios]

    @property
    def counts(self) -> dict[str, int]:
        return self.radios[0].counts

    @property
    def state(self) -> str:
        return self.shown[0][-1].state if self.shown[0] else ""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for index, radio in enumerate(self.radios):
                group.create_task(keep(radio, self.heard[index].extend, self.shown[index].append))


def kept(scenario: Callable[[FakeBluez, Kept], Awaitable[None]], *sections: dict[str, Any]) -> None:
    """Run a scenario beside radios with these settings, one of the defaults where there are none."""

    async def main() -> None:
        bluez = FakeBluez()
        bluez.plug("hci0", ADDRESS)
        async with asyncio.timeout(60), bluez.running(), advertising(bluez):
            defaults = {"kind": "bleak", "required": False}
            settings = [BleakSettings.model_validate(defaults | section) for section in sections or ({},)]
            radios = Kept(make_radios(settings, 0xFFFF, SystemClock()))
            for radio in radios.radios:
                radio.silence_s = SILENCE_S
            keeping = asyncio.create_task(radios.run())
            working = asyncio.ensure_future(scenario(bluez, radios))
            await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                await keeping  # it never ends but by an error
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await working

    asyncio.run(main())


@contextlib.asynccontextmanager
async def advertising(bluez: FakeBluez) -> AsyncIterator[None]:
    """One tag of ours and one stranger, twenty times a second, on every adapter."""

    async def advertise() -> None:
        counter = 0
        while True:
            await asyncio.sleep(0.05)
            counter += 1
            for name in list(bluez.adapters):
                bluez.advertise(name, TAG_ADDRESS, {0xFFFF: TAG.beacon(counter)})
                if bluez.scanning(name) == "active":
                    bluez.advertise(name, "F0:00:00:00:00:02", {0x004C: b"phone"})

    task = asyncio.create_task(advertise())
    yield
    task.cancel()


async def hears(radios: Kept, index: int = 0) -> float:
    """Wait until the radio hears something new; the seconds it took."""
    started_s = time.monotonic()
    before = len(radios.heard[index])
    await until(lambda: len(radios.heard[index]) > before)
    return time.monotonic() - started_s


def test_active_scan_asks_for_duplicates_and_counts_others() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        await until(lambda: radios.counts[COUNT_FOREIGN] > 0)
        assert radios.heard[0][0].rssi_dbm == -60
        assert len(radios.heard[0][0].payload) == 24
        assert bluez.scanning("hci0") == "active"
        assert (radios.state, radios.counts[COUNT_OVERRUN]) == ("active", 0)

    kept(scenario)


def test_passive_scan_registers_a_monitor_and_hears() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        assert bluez.scanning("hci0") == "passive"
        assert "hci0 RegisterMonitor" in bluez.calls
        assert "hci0 StartDiscovery" not in bluez.calls
        assert radios.counts[COUNT_FOREIGN] == 0

    kept(scenario, {"scan": "passive"})


def test_scan_ends_with_the_radio() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        async with radios.radios[0].listen():
            await until(lambda: bluez.scanning("hci0") == "active")
        assert bluez.scanning("hci0") == ""
        assert bluez.calls[-2:] == ["hci0 StopDiscovery", "hci0 SetDiscoveryFilter"]

    async def main() -> None:
        bluez = FakeBluez()
        bluez.plug("hci0", ADDRESS)
        async with asyncio.timeout(30), bluez.running():
            settings = [BleakSettings.model_validate({"kind": "bleak"})]
            await scenario(bluez, Kept(make_radios(settings, 0xFFFF, SystemClock())))

    asyncio.run(main())


def test_two_adapters_are_two_radios_and_never_one() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.plug("hci1", ANOTHER)
        await hears(radios, 0)
        await hears(radios, 1)
        assert bluez.scanning("hci0") == bluez.scanning("hci1") == "active"
        assert bluez.calls.count("hci0 StartDiscovery") == bluez.calls.count("hci1 StartDiscovery") == 1

    kept(scenario, {}, {})


def test_bluetoothd_killed_and_started_again_in_mid_scan() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        await bluez.stop()
        await until(lambda: radios.state == "absent")
        assert not radios.shown[0][-1].open
        await bluez.start()
        assert await hears(radios) < 5
        await until(lambda: radios.counts["restarts"] == 1)
        assert radios.counts["absences"] == 1

    kept(scenario)


def test_bluetoothd_that_is_replaced_at_once() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        await bluez.stop()
        await bluez.start()
        assert await hears(radios) < 5

    kept(scenario)


@pytest.mark.parametrize("scan", ["active", "passive"])
def test_adapter_that_comes_back_under_another_name(scan: str) -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.pull("hci0")
        await until(lambda: radios.state == "absent")
        bluez.plug("hci1", ADDRESS)
        assert await hears(radios) < 10
        assert bluez.scanning("hci1") == scan

    kept(scenario, {"adapter": "hci0", "scan": scan})


def test_adapter_of_another_radio_is_never_taken() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.plug("hci1", ANOTHER)
        await hears(radios, 0)
        await hears(radios, 1)
        bluez.pull("hci0")
        bluez.pull("hci1")
        await until(lambda: radios.shown[0][-1].state == radios.shown[1][-1].state == "absent")
        bluez.plug("hci0", ANOTHER)  # the second one's adapter, under the first one's name
        await hears(radios, 1)
        assert radios.shown[0][-1].state == "absent"
        bluez.plug("hci1", ADDRESS)
        await hears(radios, 0)

    kept(scenario, {"adapter": ADDRESS.lower()}, {"adapter": "hci1"})


def test_scan_that_is_in_progress_for_ever_is_ended_by_switching_the_adapter() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.refuse_start = 1_000_000
        await until(lambda: bluez.calls.count("hci0 Set") >= 2)
        bluez.refuse_start = 0
        await hears(radios)
        assert radios.counts["power_cycles"] >= 1
        assert "InProgress" in " ".join(status.problem for status in radios.shown[0])

    kept(scenario)


def test_scan_that_dies_silently_is_started_again() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.stop_scanning("hci0")
        await until(lambda: radios.counts["silences"] == 1)
        assert await hears(radios) < 5

    kept(scenario)


def test_monitor_that_the_kernel_refused_is_noticed_and_replaced_by_an_active_scan() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.deaf_monitors = True
        await until(lambda: radios.state == "fallback")
        await hears(radios)
        assert (radios.counts["probes"], radios.counts["fallbacks"]) == (1, 1)
        assert (radios.counts["silences"], radios.counts["power_cycles"]) == (0, 0)

    kept(scenario, {"scan": "passive"})


def test_bluetoothd_without_experimental_scans_actively_and_says_so() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.experimental = False
        await until(lambda: radios.state == "fallback")
        await hears(radios)
        assert "experimental" in " ".join(status.problem for status in radios.shown[0])

    kept(scenario, {"scan": "passive"})


def test_adapter_that_was_switched_off_is_switched_on() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.set_powered("hci0", False)
        await until(lambda: radios.state == "paused")
        assert await hears(radios) < 10
        assert radios.counts["power_cycles"] == 1

    kept(scenario)


def test_adapter_that_is_blocked_waits_for_its_owner_and_does_not_spin() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.blocked = True
        bluez.set_powered("hci0", False)
        await until(lambda: any("Blocked" in status.problem for status in radios.shown[0]))
        calls = len(bluez.calls)
        await asyncio.sleep(0.5)
        assert len(bluez.calls) - calls < 10
        bluez.blocked = False
        bluez.set_powered("hci0", True)
        assert await hears(radios) < 5

    kept(scenario)


def test_adapter_that_bluetoothd_is_switching_on_itself_is_waited_for() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.busy = 2
        bluez.set_powered("hci0", False)
        await until(lambda: radios.state == "paused")
        await hears(radios)
        assert (radios.counts["power_cycles"], bluez.busy) == (1, 0)

    kept(scenario)


def test_recovery_that_may_only_restart_leaves_the_adapter_alone() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        bluez.refuse_start = 6
        await hears(radios)
        assert radios.counts["restarts"] >= 6
        assert not any(call.endswith(" Set") for call in bluez.calls)

    kept(scenario, {"recover": "restart"})


def test_bluetoothd_that_hangs_is_given_up_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taghub.radio.bluez.CALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(keeper, "OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr("taghub.radio.bleak_radio.CLOSE_TIMEOUT_S", 0.3)

    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await hears(radios)
        bluez.hangs = True
        bluez.stop_scanning("hci0")
        await until(lambda: radios.counts["restarts"] >= 2)
        bluez.hangs = False
        await hears(radios)

    kept(scenario)


def test_required_adapter_that_is_not_there_ends_the_hub_at_its_start_only() -> None:
    async def scenario(bluez: FakeBluez, radios: Kept) -> None:
        await asyncio.sleep(30)

    with pytest.raises(ExceptionGroup) as caught:
        kept(scenario, {"adapter": "hci9", "required": True})
    assert isinstance(caught.value.exceptions[0], AbsentError)
    assert str(caught.value.exceptions[0]) == ("radio bleak hci9: no adapter hci9; there is: hci0 (AA:BB:CC:DD:EE:01)")


def test_bus_that_ends_is_connected_again(
    program: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taghub.radio.bluez.BUS_CHECK_S", 0.1)
    monkeypatch.setattr("taghub.radio.bluez_host.WATCH_RETRY_S", 0.2)
    folder = tmp_path / "second"
    folder.mkdir()

    async def main() -> None:
        bluez = FakeBluez()
        bluez.plug("hci0", ADDRESS)
        settings = [BleakSettings.model_validate({"kind": "bleak", "required": False})]
        radios = Kept(make_radios(settings, 0xFFFF, SystemClock()))
        async with asyncio.timeout(60), advertising(bluez):
            with system_bus(daemon, folder) as address:
                monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
                await bluez.start()
                keeping = asyncio.create_task(radios.run())
                await hears(radios)
            await bluez.stop()
            await until(lambda: radios.state == "absent")
            (folder / "bus").unlink()
            with system_bus(daemon, folder):
                await bluez.start()
                await hears(radios)
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping
                await bluez.stop()

    daemon = program("dbus-daemon", "dbus")
    asyncio.run(main())
    # dbus_fast leaves a write that failed to nobody. Its complaint, a traceback, is made with `ast`; in another test,
    # amid Hypothesis's own parsing, CPython 3.11 answers that with a SystemError.
    gc.collect()


def test_settings_of_linux_stay_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    plain, chosen = make_radios(
        [BleakSettings.model_validate({"kind": "bleak", "adapter": adapter}) for adapter in (None, "hci0")],
        0xFFFF,
        SystemClock(),
    )
    assert (plain.filtered, plain.steps) == (False, frozenset())

    async def arguments(radio: Any) -> dict[str, Any]:
        return dict(await radio._host.scanner_arguments(False, lambda reason: None))

    assert asyncio.run(arguments(plain)) == {}
    with pytest.raises(RadioError, match="leave `adapter` out"):
        asyncio.run(arguments(chosen))
