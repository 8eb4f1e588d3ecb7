"""Twins together: heard by a gateway's own scanner over HCI, ended cleanly, restarted when they crash."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakScanner
from twin_bench import QUICK, Bench, interpreter, on_bench, opened, twin_spec, until

from tagfleet.twin.bytecode import BOARD_FOLDER
from tagfleet.twin.counters import UnknownSeal
from tagfleet.twin.fleet import TwinFleet
from tagfleet.twin.image import provisioned_image
from taghub.radio.bumble_backend import BumbleScanner
from tagsmith.manifest import tag_files
from tagwire.fields import Reading, to_codes


class Ear:
    """A gateway's scanner: the beacons that it heard, each once."""

    def __init__(self, transport: str) -> None:
        self.frames: set[bytes] = set()
        self.scanner = BleakScanner(self._on_advertisement, backend=BumbleScanner, transport=transport)

    def _on_advertisement(self, device: Any, advertisement: Any) -> None:
        self.frames.add(advertisement.manufacturer_data.get(0xFFFF))


def test_gateways_hear_every_sample_of_every_twin_over_hci(tmp_path: Path) -> None:
    made: dict[tuple[int, int], Reading] = {}
    sent: dict[tuple[int, int], bytes] = {}

    def on_made(tag_id: int, counter: int, truth: Reading, t_us: int, _alarm: bool) -> None:
        assert abs(t_us / 1e6 - time.time()) < 5
        made[tag_id, counter] = truth

    def on_advertised(tag_id: int, frame: bytes, t_us: int) -> None:
        sent[tag_id, frame[5] | frame[6] << 8] = frame

    async def run() -> tuple[Ear, Ear]:
        interpreter()
        settings = {**QUICK, "burst_events": 6}
        specs = [twin_spec(settings, tag_id=tag_id) for tag_id in (7, 8)]
        fleet = TwinFleet(specs, tmp_path, on_made=on_made, on_advertised=on_advertised, autostart=False)
        async with fleet:
            first, second = Ear(fleet.hci_transport), Ear(fleet.hci_transport)
            async with first.scanner:
                fleet.start()
                async with second.scanner:
                    await until(lambda: len(made) >= 4)
                    await asyncio.sleep(0.5)
                # One gateway went; the other goes on.
                await until(lambda: len(made) >= 6)
                await asyncio.sleep(0.5)
                await fleet.stop()
        return first, second

    first, second = asyncio.run(asyncio.wait_for(run(), 60))
    assert first.frames == set(sent.values())
    assert second.frames < first.frames
    for (tag_id, counter), truth in made.items():
        assert opened(sent[tag_id, counter], counter) == to_codes(truth)


def test_report_is_told_once_a_gateway_scans_whatever_it_makes_of_it(tmp_path: Path) -> None:
    sent: set[tuple[int, bytes]] = set()
    reported: set[tuple[int, bytes]] = set()

    async def run() -> Ear:
        interpreter()
        fleet = TwinFleet(
            [twin_spec({**QUICK, "burst_events": 6}, tag_id=tag_id) for tag_id in (7, 0xFEDCBA98)],
            tmp_path,
            on_advertised=lambda tag_id, frame, t_us: sent.add((tag_id, frame)),
            on_reported=lambda tag_id, frame, t_us: reported.add((tag_id, frame)),
        )
        async with fleet:
            await until(lambda: len(sent) >= 2)
            await asyncio.sleep(0.5)
            assert not reported
            unheard = set(sent)
            ear = Ear(fleet.hci_transport)
            async with ear.scanner:
                await until(lambda: {tag_id for tag_id, _ in reported - unheard} == {7, 0xFEDCBA98})
                await asyncio.sleep(0.5)
            await fleet.stop()
        return ear

    ear = asyncio.run(asyncio.wait_for(run(), 60))
    assert reported <= sent
    assert {frame for _, frame in reported} == ear.frames


def test_twin_that_seals_under_another_key_ends_the_fleet(tmp_path: Path) -> None:
    async def run() -> None:
        interpreter()
        spec = twin_spec()
        other = provisioned_image(spec.provision._replace(root_key=bytes(16)), spec.first_counter)
        async with TwinFleet([spec._replace(image=other)], tmp_path):
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(run())
    assert caught.group_contains(UnknownSeal, match="tag 7 advertised")


def test_fleet_leaves_no_process_behind(tmp_path: Path) -> None:
    async def run() -> None:
        interpreter()
        async with TwinFleet([twin_spec()], tmp_path) as fleet:
            await until(lambda: fleet.twins[7].process.wakes >= 2)

    asyncio.run(run())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_interpreter_ends_when_its_host_dies() -> None:
    ours, theirs = socket.socketpair()
    command = [interpreter(), str(BOARD_FOLDER / "start.py"), str(theirs.fileno())]
    with subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env={**os.environ, "MICROPYPATH": str(BOARD_FOLDER)}
    ) as process:
        theirs.close()
        ours.recv(3)
        ours.close()
        assert process.wait(timeout=10) == 1


def test_crash_is_reported_and_the_twin_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(bench: Bench) -> None:
        spec = twin_spec()
        files = {**tag_files(), "main.py": b"import machine\nmachine.no_such_thing()\n"}
        bench.flash.write_bytes(provisioned_image(spec.provision, 0, files))
        task = asyncio.create_task(bench.twin.process.run())
        await until(lambda: bench.twin.process.crashes >= 2)
        task.cancel()

    bench = on_bench(tmp_path, twin_spec(), work)
    assert "AttributeError" in bench.console()
    assert "no_such_thing" in caplog.text


def test_missing_interpreter_is_said_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinFleet([twin_spec()], tmp_path, interpreter="/nonexistent/micropython"):
            pass

    with pytest.raises(FileNotFoundError, match="MicroPython"):
        asyncio.run(run())
