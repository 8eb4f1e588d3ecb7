"""TheengsGateway as a peer: the path from an advertisement to an MQTT publish. GPL-3: run as a program of its own.

`pip install TheengsGateway` (its decoder has no wheels: cmake and a C++ compiler are needed), into this environment or
into another one, whose Python TAGSTACK_THEENGS names.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import Fleet
from benchmarks.gateway_rig import Rig

ADVERTS = 20_000  # of the fleet's
SIGNALS = 4_000  # it takes some 0.4 ms for each

PROGRAM = """
import copy, logging, sys, time
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from TheengsGateway.ble_gateway import Gateway
from TheengsGateway.config import DEFAULT_CONFIG

logging.disable(logging.CRITICAL)
port, company_id, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
gateway = Gateway({**copy.deepcopy(DEFAULT_CONFIG), "host": "127.0.0.1", "port": port, "gateway_id": "peer"})
gateway.connect_mqtt()
gateway.client.loop_start()
rows = open(path, "rb").read()
device = BLEDevice("A4:C1:38:8D:18:B2", None, None)
reports = [
    AdvertisementData(None, {company_id: rows[start : start + 24]}, {}, [], None, -60, ())
    for start in range(0, len(rows), 24)
]
while not gateway.client.is_connected():
    time.sleep(0.01)
last = []
publish = gateway.client.publish
gateway.client.publish = lambda *arguments: last.append(publish(*arguments)) or last[-1]
started_s = time.perf_counter()
for report in reports:
    gateway.detection_callback(device, report)
last[-1].wait_for_publish()
print(len(reports) / (time.perf_counter() - started_s), len(last))
"""

RADIO_PROGRAM = """
import copy, logging, sys, time
from bleak.backends.bluezdbus.manager import BlueZManager
from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus
from dbus_fast import Message, MessageType, Variant
from TheengsGateway.ble_gateway import Gateway
from TheengsGateway.config import DEFAULT_CONFIG

class Client:
    published = 0
    def publish(self, topic, message, qos, retain):
        self.published += 1
        return (0,)

logging.disable(logging.CRITICAL)
adapter, interface, company_id = "/org/bluez/hci0", "org.bluez.Device1", int(sys.argv[1])
gateway = Gateway({**copy.deepcopy(DEFAULT_CONFIG), "gateway_id": "peer"})
gateway.client = Client()
scanner = BleakScannerBlueZDBus(gateway.detection_callback, None, "active", bluez={"adapter": "hci0"})
manager = BlueZManager()
manager._advertisement_callbacks[adapter].append(scanner._handle_advertising_data)
messages = []
for line in sys.stdin:
    address, frame = line.split()
    path = adapter + "/dev_" + address.replace(":", "_")
    known = {"Adapter": adapter, "Address": address, "Alias": address.replace(":", "-")}
    manager._properties[path] = {interface: known}
    data = Variant("a{qv}", {company_id: Variant("ay", bytes.fromhex(frame))})
    body = [interface, {"RSSI": Variant("n", -60), "ManufacturerData": data}, []]
    messages.append(Message(
        message_type=MessageType.SIGNAL, path=path, interface="org.freedesktop.DBus.Properties",
        member="PropertiesChanged", signature="sa{sv}as", body=body,
    ))
started_s = time.process_time()
for message in messages:
    manager._parse_msg(message)
print(len(messages) / (time.process_time() - started_s), gateway.client.published)
"""


def radio(adverts: list[tuple[str, bytes]], company_id: int) -> Callable[[], float] | None:
    """Signals of BlueZ a second of one core's time, through bleak's decoding, TheengsGateway's handler and decoder, to
    a client that publishes nothing; None where it is not installed. adverts: the sender's address, and the frame."""
    python = _python()
    if python is None:
        return None
    lines = "\n".join(f"{address} {frame.hex()}" for address, frame in adverts[:SIGNALS])

    def work() -> float:
        command = [python, "-c", RADIO_PROGRAM, str(company_id)]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=300, check=True)
        rate, published = done.stdout.split()
        if int(published) < min(SIGNALS, len(adverts)):
            raise RuntimeError(f"TheengsGateway published {published} of {SIGNALS}")
        return float(rate)

    return work


def _python() -> str | None:
    """The one that has it; None, and a word why, where none does."""
    python = os.environ.get("TAGSTACK_THEENGS", sys.executable)
    if python == sys.executable and importlib.util.find_spec("TheengsGateway") is None:
        print("  no TheengsGateway (pip install TheengsGateway, with cmake and a C++ compiler)", file=sys.stderr)
        return None
    return python


def adverts_per_s(folder: Path, mosquitto: str, fleet: Fleet) -> list[float]:
    """Advertisements decoded and published a second, of those that the gateway is measured with; none where it is not
    installed."""
    python = _python()
    if python is None:
        return []
    adverts = folder / "adverts"
    adverts.write_bytes(fleet.beacons[:ADVERTS].tobytes())
    rig = Rig(folder, mosquitto, [])
    with rig.broker() as link:
        command = [python, "-c", PROGRAM, str(link.target_port), "65535", str(adverts)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rate, published = done.stdout.split()
    if int(published) < ADVERTS:
        raise RuntimeError(f"TheengsGateway published {published} of {ADVERTS}")
    return [float(rate)]
