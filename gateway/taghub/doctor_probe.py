"""Asks the machine what `doctor` judges. Changes nothing, and disturbs no hub that runs beside it."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from taghub.clock import SystemClock
from taghub.doctor import (
    FAILURE,
    GOOD,
    WARNING,
    BlueZLook,
    Finding,
    judge_bluez,
    judge_clock,
    judge_disk,
    judge_keyring,
)
from taghub.embedded_broker import HOST
from taghub.errors import EXIT_BROKER, EXIT_PORT, EXIT_RADIO, EXIT_SPOOL, KeyringError, RadioError
from taghub.mqtt_client import end_thread
from taghub.radio import make_radio
from taghub.radio.base import COUNT_FOREIGN, COUNT_REPORTS
from taghub.run import read_keyring
from taghub.settings import BleakSettings, BumbleSettings, MqttSettings, RadioSettings, Settings, SpoolSettings
from taghub.uplink import configure_access

BROKER_TIMEOUT_S = 10.0


async def examine(settings: Settings, listen_s: float) -> list[Finding]:
    """Everything, in the order in which a hub needs it. listen_s: how long each radio is listened to; 0 for not."""
    findings = [_keyring(settings), judge_clock(SystemClock().quality())]
    for section in settings.radio:
        findings += await _radio(section, settings.hub.company_id, listen_s)
    if settings.spool is not None:
        findings += await asyncio.to_thread(_disk, settings.spool)
    else:
        findings.append(
            Finding("disk", WARNING, "no [spool]: a power cut loses what the broker has not", "see taghub init")
        )
    if settings.mqtt is not None:
        findings.append(await asyncio.to_thread(_broker, settings.mqtt, f"taghub-doctor-{os.getpid()}"))
    else:
        findings.append(_embedded(settings.broker.port))
    return findings


def _keyring(settings: Settings) -> Finding:
    try:
        return judge_keyring(read_keyring(settings).values(), int(time.time()))
    except KeyringError as error:
        return Finding("keyring", FAILURE, str(error), "tagsmith inventory export", error.exit_code)


async def _radio(section: RadioSettings, company_id: int, listen_s: float) -> list[Finding]:
    name = f"radio {section.kind}"
    findings: list[Finding] = []
    if isinstance(section, BleakSettings) and sys.platform == "linux":
        findings += judge_bluez(await _bluez(section), name, section.adapter, section.scan == "passive")
    if not isinstance(section, BleakSettings | BumbleSettings):
        return [Finding(name, GOOD, "simulated")]
    if listen_s and not any(finding.level == FAILURE for finding in findings):
        findings.append(await _ear(section, name, company_id, listen_s))
    return findings


async def _ear(section: BleakSettings | BumbleSettings, name: str, company_id: int, listen_s: float) -> Finding:
    radio = make_radio(section, company_id, SystemClock())
    try:
        async with radio.listen():
            await asyncio.sleep(listen_s)
    except RadioError as error:
        advice = "does a hub that runs use it?" if section.kind == "bumble" else "docs/radios.md"
        return Finding(name, FAILURE, str(error).removeprefix(f"radio {radio.name}: "), advice, EXIT_RADIO)
    ours, others = radio.counts[COUNT_REPORTS], radio.counts[COUNT_FOREIGN]
    text = f"in {listen_s:g} s: {ours} reports of tags, {others} of others"
    if ours or others:
        return Finding(name, GOOD, text)
    return Finding(name, WARNING, text, "is a tag near? is the antenna connected?")


async def _bluez(section: BleakSettings) -> BlueZLook:
    from taghub.radio.adapter_reset import DEVICES, SYSFS, blocked, usb_node
    from taghub.radio.bluez import ADAPTER, MONITOR_MANAGER, connected

    version = await _bluetoothctl_version()
    try:
        async with connected() as bluez:
            if not await bluez.owner():
                return BlueZLook("bluetoothd does not run", version, [], frozenset(), {}, {})
            objects = await bluez.objects()
            adapters = await bluez.adapters()
    except RadioError as error:
        return BlueZLook(str(error), version, [], frozenset(), {}, {})
    monitors = frozenset(
        path.rpartition("/")[2]
        for path, interfaces in objects.items()
        if ADAPTER in interfaces and MONITOR_MANAGER in interfaces
    )
    paths = [DEVICES / "rfkill"] if section.recover != "restart" and (DEVICES / "rfkill").exists() else []
    if section.recover == "usb":
        paths += [path for one in adapters if (path := usb_node(one.name)) is not None and (SYSFS / one.name).exists()]
    writable = {str(path): os.access(path, os.W_OK) for path in paths}
    return BlueZLook("", version, adapters, monitors, {one.name: blocked(one.name) for one in adapters}, writable)


async def _bluetoothctl_version() -> tuple[int, ...]:
    """() where it is not installed, or does not answer."""
    path = shutil.which("bluetoothctl")
    if path is None:
        return ()
    process = await asyncio.create_subprocess_exec(
        path, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(5):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return ()
    match = re.search(rb"(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else ()


def _disk(spool: SpoolSettings) -> list[Finding]:
    folder = spool.path.parent
    try:
        free = shutil.disk_usage(folder).free
        started_s = time.perf_counter()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        sync_ms = (time.perf_counter() - started_s) * 1000
    except OSError as error:
        advice = "make the folder, and let the hub's user write there"
        return [Finding("disk", FAILURE, f"{folder}: {error.strerror}", advice, EXIT_SPOOL)]
    used = spool.path.stat().st_size if spool.path.exists() else 0
    return judge_disk(_file_system(folder), free, max(0, spool.max_mb * 1_000_000 - used), sync_ms)


def _file_system(folder: Path) -> str:
    """Its type, such as "ext4"; empty where the system does not tell."""
    path, best, kind = str(folder.resolve()), "", ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, where, what, *_ = line.split()
            if len(where) >= len(best) and (path + "/").startswith(where.rstrip("/") + "/"):
                best, kind = where, what
    return kind


def _broker(settings: MqttSettings, client_id: str) -> Finding:
    """Connects as the hub does, but for its name: a hub that runs would lose its session."""
    protocol = MQTTProtocolVersion.MQTTv5 if settings.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol)
    answered = threading.Event()
    reasons: list[str] = []

    def on_connect(_client: Client, _data: object, _flags: object, reason: object, _properties: object) -> None:
        reasons.append("" if not getattr(reason, "is_failure", False) else str(reason))
        answered.set()

    client.on_connect = on_connect
    place = f"{settings.host}:{settings.port}"
    try:
        configure_access(client, settings)
        client.connect(settings.host, settings.port, settings.keepalive_s)
    except Exception as error:  # of the system, of TLS, of a password file
        return Finding("broker", FAILURE, f"{place}: {error}", "check [mqtt], the network, and the broker", EXIT_BROKER)
    client.loop_start()
    answered.wait(BROKER_TIMEOUT_S)
    client.disconnect()
    end_thread(client)
    if not reasons:
        advice = "is there an MQTT broker at this port? TLS, and no TLS, are different ports"
        return Finding("broker", FAILURE, f"{place}: no answer to CONNECT", advice, EXIT_BROKER)
    if reasons[0]:
        return Finding("broker", FAILURE, f"{place}: {reasons[0]}", "check user name, password and rights", EXIT_BROKER)
    return Finding("broker", GOOD, f"{place} accepts this hub, MQTT {settings.protocol}")


def _embedded(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            text = f"port {port} for the embedded broker: {error.strerror}"
            return Finding("broker", WARNING, text, "does a hub run already? else another broker.port", EXIT_PORT)
    return Finding("broker", GOOD, f"embedded, port {port} is free; it forgets everything at its end")
