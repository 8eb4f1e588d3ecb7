"""The gateway as a process, with a spool on the disk, a real mosquitto behind it, and a consumer that only counts."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from taghub.mqtt_client import end_thread
from tagwire.keyring import KeyringEntry, write_keyring

TIMEOUT_S = 180.0


def mosquitto_path() -> str | None:
    """The program, which Debian puts where users' paths do not look."""
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        print("  no mosquitto (apt-get install mosquitto): no figures of a whole gateway", file=sys.stderr)
    return path


class Rig:
    """A hub between air and broker, everything in one folder."""

    def __init__(self, folder: Path, mosquitto: str, entries: Iterable[KeyringEntry], settings: str = "") -> None:
        """settings: lines for [hub], sections behind a line `---`."""
        self.folder = folder
        self._port = free_port()
        self._mosquitto = mosquitto
        hub, _, sections = settings.partition("---")
        write_keyring(folder / "keyring.jsonl", entries)
        self._hub_settings = hub
        self._sections = sections
        (folder / "mosquitto.conf").write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        )
        self.received = 0
        """Samples."""
        self.batches = 0
        self.last_s = 0.0
        self.events: dict[str, float] = {}
        """When each event has come, by its tag and counter."""
        self.status_bytes = 0
        self.presence_bytes = 0
        """Of payload."""
        self.presences = 0
        self.on_samples: Callable[[bytes], None] | None = None
        self._hub: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def broker(self) -> Iterator["ByteCounter"]:
        """Broker and consumer, and a counted link for the hub."""
        command = [self._mosquitto, "-c", str(self.folder / "mosquitto.conf")]
        broker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", self._port)) == 0)
        consumer = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        consumer.on_message = lambda client, userdata, message: self._count(message)
        consumer.connect("127.0.0.1", self._port)
        consumer.subscribe("tags/v1/#", qos=1)
        consumer.loop_start()
        link = ByteCounter(self._port)
        try:
            yield link
        finally:
            link.close()
            consumer.disconnect()
            end_thread(consumer)
            broker.terminate()
            broker.wait()

    @contextlib.contextmanager
    def running(self) -> Iterator[socket.socket]:
        """The air's end of it all; everything is up."""
        with self.broker(), self.hub(self._port) as air:
            yield air

    @contextlib.contextmanager
    def hub(self, port: int) -> Iterator[socket.socket]:
        """A hub that reaches its broker at this port."""
        (self.folder / "settings.toml").write_text(
            f'[hub]\nid = "hub-1"\nsite = "bench"\n{self._hub_settings}\n[keyring]\npath = "keyring.jsonl"\n'
            f'[[radio]]\nkind = "air"\nlisten = "unix:{self.folder}/air"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ninflight = 20\n[spool]\npath = "spool.db"\n{self._sections}'
        )
        command = [sys.executable, "-m", "taghub", "run", "--quiet", str(self.folder / "settings.toml")]
        self._hub = subprocess.Popen(command)
        air = socket.socket(socket.AF_UNIX)
        try:
            wait_until(lambda: air.connect_ex(str(self.folder / "air")) == 0)
            yield air
        finally:
            air.close()
            if self._hub.poll() is None:
                self._hub.send_signal(signal.SIGTERM)
            self._hub.wait(30)

    def kill(self) -> None:
        """As a power cut would, but for the disk's cache."""
        assert self._hub is not None
        self._hub.kill()
        self._hub.wait()
        (self.folder / "air").unlink(missing_ok=True)

    def wait_received(self, samples: int) -> None:
        wait_until(lambda: self.received >= samples)

    def cpu_s(self) -> float:
        """What the hub has used of a core so far, its threads included."""
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        return int(self._proc("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def written_bytes(self) -> int:
        """What it has sent to the disk so far; 0 where there is none, as on tmpfs."""
        return int(self._proc("io").split("\nwrite_bytes: ")[1].split("\n")[0])

    def _proc(self, name: str) -> str:
        assert self._hub is not None
        return Path(f"/proc/{self._hub.pid}/{name}").read_text()

    def _count(self, message: MQTTMessage) -> None:
        now_s = time.perf_counter()
        if message.topic.endswith("/status"):
            self.status_bytes = len(message.payload)
        elif "/presence" in message.topic:
            self.presence_bytes += len(message.payload)
            self.presences += 1
        elif message.topic.endswith("/events"):
            id_ = message.payload.split(b'"', 4)[3].decode()
            self.events.setdefault(id_.rpartition("-")[0], now_s)
        else:
            properties = dict(getattr(message.properties, "UserProperty", []))
            self.received += int(properties.get("count", 0))
            self.batches += 1
            self.last_s = now_s
            if self.on_samples is not None:
                self.on_samples(bytes(message.payload))


class ByteCounter:
    """A TCP link that counts what passes: the payload of TCP, both ways."""

    def __init__(self, target_port: int) -> None:
        self.bytes = 0
        self.target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self.target_port))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.bytes += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("the rig does not get on")
        time.sleep(0.01)
