"""TheengsGateway as a peer: the path from an advertisement to an MQTT publish. GPL-3: run as a program of its own.

`pip install TheengsGateway` (its decoder has no wheels: cmake and a C++ compiler are needed), into this environment or
into another one, whose Python TAGSTACK_THEENGS names.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.fleet import Fleet
from benchmarks.gateway_rig import Rig

ADVERTS = 20_000  # of the fleet's

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


def adverts_per_s(folder: Path, mosquitto: str, fleet: Fleet) -> list[float]:
    """Advertisements decoded and published a second, of those that the gateway is measured with; none where it is not
    installed."""
    python = os.environ.get("TAGSTACK_THEENGS", sys.executable)
    if python == sys.executable and importlib.util.find_spec("TheengsGateway") is None:
        print("  no TheengsGateway (pip install TheengsGateway, with cmake and a C++ compiler)", file=sys.stderr)
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
