"""How many advertisements a second BlueZ's signals may bring, and how long a hub is deaf after each fault."""

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bleak import BleakScanner
from dbus_fast import Message, MessageType, Variant

from benchmarks import bluez_recovery, theengs
from benchmarks.figure import Figure, interleaved
from benchmarks.fleet import make_fleet
from benchmarks.habluetooth_peer import habluetooth
from taghub.clock import SystemClock
from taghub.heard import Heard
from taghub.intake import ACCEPTED, Intake
from taghub.radio import Radio, keep, make_radio
from taghub.radio.bleak_radio import BleakRadio
from taghub.registry import Registry
from taghub.settings import BleakSettings

TESTS = Path(__file__).resolve().parents[1] / "tests" / "gateway"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))  # the bus of the tests

from fake_bluez import FakeBluez, system_bus  # noqa: E402

TAGS, SAMPLES = 500, 40
ADAPTER = "/org/bluez/hci0"
DEVICE = "org.bluez.Device1"
OnDevice = Callable[[str, Any], None]


class _Heard(BleakRadio):
    """The radio's callback without a bus behind it."""

    async def _started(self, on_advertisement: Any, passive: bool, queue: Any) -> Any:
        self.scanner = BleakScanner(on_advertisement, bluez={"adapter": "hci0"})
        return self

    async def stop(self) -> None:
        pass


def signals() -> tuple[list[Message], dict[str, dict[str, Any]], dict[int, Any]]:
    """PropertiesChanged as bluetoothd sends them for each advertisement; what BlueZ knows of the devices; the keys."""
    fleet = make_fleet(TAGS, SAMPLES)
    devices: dict[str, dict[str, Any]] = {}
    messages = []
    for index, frame in enumerate(bytes(row) for row in fleet.beacons):
        address = f"F0:00:00:00:{index % TAGS >> 8:02X}:{index % TAGS & 255:02X}"
        path = f"{ADAPTER}/dev_{address.replace(':', '_')}"
        devices[path] = {DEVICE: {"Adapter": ADAPTER, "Address": address, "Alias": address.replace(":", "-")}}
        data = Variant("a{qv}", {0xFFFF: Variant("ay", frame)})
        body = [DEVICE, {"RSSI": Variant("n", -60), "ManufacturerData": data}, []]
        messages.append(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface="org.freedesktop.DBus.Properties",
                member="PropertiesChanged",
                signature="sa{sv}as",
                body=body,
            )
        )
    return messages, devices, fleet.keyring


def adverts_of(messages: list[Message]) -> list[tuple[str, bytes]]:
    """Address and frame of each signal."""
    adverts = []
    for message in messages:
        assert message.path is not None
        address = message.path.rpartition("/dev_")[2].replace("_", ":")
        adverts.append((address, message.body[1]["ManufacturerData"].value[0xFFFF].value))
    return adverts


def adverts_per_s(runs: int) -> Figure:
    messages, devices, keyring = signals()

    def through_bleak(callback: OnDevice) -> Callable[[Message], None]:
        """bleak's handler of D-Bus messages, with the devices known, that hands on to `callback`."""
        from bleak.backends.bluezdbus.manager import BlueZManager

        manager = BlueZManager()
        manager._properties = {path: {DEVICE: dict(known[DEVICE])} for path, known in devices.items()}
        manager._advertisement_callbacks[ADAPTER].append(callback)
        return manager._parse_msg

    def ours() -> float:
        radio = _Heard(BleakSettings.model_validate({"kind": "bleak"}), 0xFFFF, SystemClock())
        intake = Intake(Registry(keyring))

        async def run() -> float:
            async with radio.listen() as chunks:
                parse = through_bleak(radio.scanner._backend._handle_advertising_data)  # type: ignore[attr-defined]

                taken = asyncio.ensure_future(anext(chunks))
                await asyncio.sleep(0)
                gc.collect()
                started_s = time.process_time()
                for message in messages:
                    parse(message)
                intake.take(await taken)
                seconds = time.process_time() - started_s
            assert intake.counts[ACCEPTED] == len(messages), intake.counts
            return len(messages) / seconds

        return asyncio.run(run())

    measures: dict[str, Callable[[], float]] = {"ours": ours}
    if (peer := habluetooth(through_bleak, messages)) is not None:
        measures["habluetooth"] = peer
    if (peer := theengs.radio(adverts_of(messages), 0xFFFF)) is not None:
        measures["theengsgateway"] = peer
    gc.collect()
    gc.freeze()  # signals come one by one; here thousands wait, and looking at them for garbage is no radio's work
    values = interleaved(runs, measures)
    gc.unfreeze()
    about = (
        f"{len(messages):,} distinct beacons of {TAGS} tags: BlueZ's signals through bleak's decoding, queued, opened"
        " and checked by the intake, seconds of one core; habluetooth decodes and hands on; theengsgateway decodes by"
        " its own rules, and publishes nothing"
    )
    peers = {name: rates for name, rates in values.items() if name != "ours"}
    return Figure("radio_adverts_per_s", "adverts/s", "higher", 100_000, values["ours"], about, peers)


class _Kept:
    """A radio on a bluetoothd of our own, kept open, and a tag that advertises twenty times a second."""

    def __init__(self, bluez: FakeBluez) -> None:
        self.bluez = bluez
        self.heard: list[Heard] = []
        self.radio: Radio = make_radio(
            BleakSettings.model_validate({"kind": "bleak", "required": False}), 0xFFFF, SystemClock()
        )

    async def advertise(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            for name in list(self.bluez.adapters):
                self.bluez.advertise(name, "F0:00:00:00:00:01", {0xFFFF: bytes(24)})

    async def hears(self) -> float:
        """Seconds until the next report."""
        started_s, before = time.perf_counter(), len(self.heard)
        while len(self.heard) == before:  # noqa: ASYNC110  there is nothing that would tell us
            await asyncio.sleep(0.005)
        return time.perf_counter() - started_s


@contextlib.asynccontextmanager
async def _kept() -> AsyncIterator[_Kept]:
    bluez = FakeBluez()
    bluez.plug("hci0", "AA:BB:CC:DD:EE:01")
    async with asyncio.timeout(120), bluez.running():
        kept = _Kept(bluez)
        tasks = [
            asyncio.ensure_future(kept.advertise()),
            asyncio.ensure_future(keep(kept.radio, kept.heard.extend, lambda status: None)),
        ]
        await kept.hears()
        yield kept
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bluetoothd(kept: _Kept) -> float:
    await kept.bluez.stop()
    await asyncio.sleep(0.5)
    await kept.bluez.start()
    return await kept.hears()


async def _adapter(kept: _Kept) -> float:
    kept.bluez.pull("hci0")
    await asyncio.sleep(0.5)
    kept.bluez.plug("hci1", "AA:BB:CC:DD:EE:01")
    return await kept.hears()


async def _switched_off(kept: _Kept) -> float:
    kept.bluez.set_powered("hci0", False)
    return await kept.hears()


async def _in_progress(kept: _Kept) -> float:
    kept.bluez.refuse_start = 1
    await kept.bluez.stop()
    await kept.bluez.start()
    return await kept.hears()


FAULTS: dict[str, tuple[Callable[[_Kept], Awaitable[float]], float | None, str]] = {
    "bluetoothd": (_bluetoothd, 5.0, "bluetoothd killed; from its start to the first report"),
    "adapter": (_adapter, 10.0, "adapter pulled out; from its return under another name to the first report"),
    "switched_off": (_switched_off, None, "adapter switched off by somebody; until it is on again and heard"),
    "in_progress": (_in_progress, None, "bluetoothd restarted, first StartDiscovery answered InProgress"),
}


def recoveries(runs: int, dbus_daemon: str, measured: Sequence[str]) -> Iterator[Figure]:
    """On a bluetoothd of our own, but for those that were measured on the real one."""

    async def measure(fault: Callable[[_Kept], Awaitable[float]]) -> float:
        async with _kept() as kept:
            return await fault(kept)

    for name, (fault, goal, about) in FAULTS.items():
        if f"recovery_seconds_{name}" in measured:
            continue
        values = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder, system_bus(dbus_daemon, Path(folder)) as address:
                os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
                values.append(asyncio.run(measure(fault)))
        yield Figure(f"recovery_seconds_{name}", "s", "lower", goal, values, about)


def figures(runs: int) -> Iterator[Figure]:
    """At most 3 runs of each fault: they are times of waiting."""
    yield adverts_per_s(runs)
    logging.getLogger("taghub").setLevel(logging.CRITICAL)  # of faults that are wanted
    measured = []
    for figure in bluez_recovery.figures(min(runs, 3)):
        measured.append(figure.name)
        yield figure
    dbus_daemon = shutil.which("dbus-daemon", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    if dbus_daemon is None:
        print("  dbus-daemon is not installed (apt-get install dbus): no figures of recoveries", file=sys.stderr)
        return
    yield from recoveries(min(runs, 3), dbus_daemon, measured)
