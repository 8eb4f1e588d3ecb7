"""A real hub as a child process, the air in front of it and a real MQTT subscriber behind it."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from waiting import wait_until

from taghub.mqtt_client import end_thread
from tagwire import trace
from tagwire.air import encode_advertisement
from tagwire.batch import Batch, Sample, decode_batch, samples
from tagwire.keyring import KeyringEntry, write_keyring


class HubProcess:
    """`taghub run` on a generated settings file: one air radio on a unix socket, a trace, batches after 0.2 s."""

    def __init__(self, folder: Path, entries: Iterable[KeyringEntry], extra: str, hub_id: str = "hub-1") -> None:
        self.folder = folder
        self.trace_path = folder / "trace.bin"
        self._air_path = folder / "air"
        self._log_path = folder / "taghub.log"
        write_keyring(folder / "keyring.jsonl", entries)
        self.settings = folder / "settings.toml"
        self.settings.write_text(
            f'[hub]\nid = "{hub_id}"\nsite = "test"\nstatus_interval_s = 1\n'
            '[keyring]\npath = "keyring.jsonl"\n[trace]\npath = "trace.bin"\n'
            f'[[radio]]\nkind = "air"\nlisten = "unix:{self._air_path}"\n[batch]\nmax_age_s = 0.2\n{extra}',
            "utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.file_bytes_max = resource.RLIM_INFINITY
        """No file of the hub may grow beyond."""
        self.environment: dict[str, str] = {}
        """In addition to this process's own."""

    def start(self) -> Self:
        with self._log_path.open("ab") as log:
            command = [sys.executable, "-m", "taghub", "run", str(self.settings)]
            if self.file_bytes_max != resource.RLIM_INFINITY:
                command = ["prlimit", f"--fsize={self.file_bytes_max}", *command]
            self._process = subprocess.Popen(command, stderr=log, env=os.environ | self.environment)
        return self

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        return self._log_path.read_text("utf-8")

    def wait_listening(self) -> None:
        wait_until(lambda: self._air_path.exists() or not self.running, "the hub listens")
        assert self.running, self.log

    @property
    def running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def rss_mb(self) -> float:
        """What the hub holds in memory."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def notify(self, number: signal.Signals) -> None:
        """Send a signal that does not end the hub."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the hub to end; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    def air(self) -> socket.socket:
        """A connection to the hub's air."""
        self.wait_listening()
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._air_path))
            except ConnectionRefusedError:  # bound, and not yet listening; or dead
                connection.close()
                assert self.running, self.log
                time.sleep(0.01)
            else:
                return connection

    def advertise(self, *advertisements: bytes) -> None:
        """Let the hub's radio report these AdvData."""
        with self.air() as connection:
            records = [encode_advertisement(1, -60, bytes(6), adv_data) for adv_data in advertisements]
            connection.sendall(b"".join(records))

    def count(self, event: int) -> int:
        """How many records of that event the trace has; quick, for many."""
        if not self.trace_path.exists():
            return 0
        return self.trace_path.read_bytes()[:: trace.RECORD_BYTES].count(event)

    def traced(self, event: int) -> list[tuple[int, int]]:
        """(tag id, counter) of each record of that event."""
        if not self.trace_path.exists():
            return []
        return [record[1:3] for record in trace.iter_records(self.trace_path.read_bytes()) if record.event == event]


class Subscriber:
    """Receives everything below tags/v1/, keeps batches and the last status. With a `client_id` it has a session at the
    broker that outlives connections; `version` is MQTT's."""

    def __init__(
        self, port: int, client_id: str = "", version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    ) -> None:
        self.batches: list[Batch] = []
        self.statuses: list[dict[str, Any]] = []
        self.presence: dict[str, dict[str, Any]] = {}
        self.backlog: list[Batch] = []
        self.events: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []
        self.other: list[str] = []
        five = version == MQTTProtocolVersion.MQTTv5
        clean = None if five else not client_id
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, clean_session=clean)
        self._connect: dict[str, Any] = {}
        if client_id and five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 3600
            self._connect = {"clean_start": False, "properties": properties}
        options: dict[str, Any] = {"options": SubscribeOptions(qos=1)} if five else {"qos": 1}
        self._client.on_connect = lambda client, *_: client.subscribe("tags/v1/#", **options)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = lambda client, userdata, message: self._receive(message)
        self._ready = False
        self._client.on_subscribe = self._on_subscribe
        self._port = port

    def _on_subscribe(self, *_: object) -> None:
        self._ready = True

    def _receive(self, message: MQTTMessage) -> None:
        if message.topic.endswith("/samples"):
            self.batches.append(decode_batch(bytes(message.payload)))
        elif message.topic.endswith("/backlog"):
            self.backlog.append(decode_batch(bytes(message.payload)))
        elif message.topic.endswith("/events"):
            self.events.append(json.loads(message.payload))
        elif message.topic.endswith("/reply"):
            self.replies.append(json.loads(message.payload))
        elif message.topic.endswith("/status"):
            self.statuses.append(json.loads(message.payload))
        elif "/presence" in message.topic:
            self.presence[message.topic] = json.loads(message.payload) if message.payload else {}
        else:
            self.other.append(message.topic)

    def __enter__(self) -> Self:
        def connected() -> bool:
            try:
                self._client.connect("127.0.0.1", self._port, 5, **self._connect)
            except OSError:
                return False
            return True

        wait_until(connected, "the broker listens")
        self._client.loop_start()
        wait_until(lambda: self._ready, "subscribed")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        end_thread(self._client)

    @property
    def samples(self) -> list[Sample]:
        return [sample for batch in self.batches for sample in samples(batch)]

    @property
    def distinct(self) -> int:
        """How many samples have come, each counted once; quick, for many."""
        columns = [batch.columns["tag"] << 32 | batch.columns["counter"] for batch in list(self.batches)]
        return len(np.unique(np.concatenate(columns))) if columns else 0

    @property
    def keys(self) -> list[tuple[int, int]]:
        """(tag id, counter) of each sample, sorted; one that was delivered twice is there twice."""
        return sorted((sample.tag_id, sample.counter) for sample in self.samples)
