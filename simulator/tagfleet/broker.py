"""The MQTT broker of a run: one that is started for it, or one that runs already."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Protocol, Self

from tagfleet.scenario.model import BrokerSection
from taghub.embedded_broker import embedded_broker

LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 20.0
_PORT_ATTEMPTS = 3

# Unlimited queues: that a consumer is slow must not look like a broker's loss. Half a megabyte in flight to it.
_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
user root
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 200
{persistence}
"""
_PERSISTENCE = """\
persistence true
persistence_location {folder}/
"""


class BrokerFailed(Exception):
    """The broker cannot be started or reached, or has ended; the text says why."""


class Broker(Protocol):
    """Where it listens, its name for people, and the power over it. `stop` and `start` are for a scenario's outages.
    consumer_protocol: what the run's own consumer should speak; None: what the scenario says."""

    host: str
    port: int
    name: str
    consumer_protocol: str | None

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def start(self) -> None:
        """Come back. Raises BrokerFailed."""

    async def stop(self, kill: bool) -> None:
        """Go away: in order, or by SIGKILL."""

    def check(self) -> None:
        """Raises BrokerFailed when it has ended without being told to."""


def choose(section: BrokerSection, folder: Path) -> Broker:
    """The broker that a scenario asks for; its files in `folder`. Raises BrokerFailed."""
    program = mosquitto_program()
    match section.start:
        case "none":
            return RunningBroker(section.host or LOOPBACK, section.port)
        case "mosquitto" if program is None:
            raise BrokerFailed('mosquitto is not installed: apt-get install mosquitto, or start = "embedded"')
        case "embedded":
            return EmbeddedBroker()
    return EmbeddedBroker() if program is None else Mosquitto(program, folder, section.persistence)


def mosquitto_program() -> str | None:
    """Its path; None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class RunningBroker:
    """Somebody else's. It can only be left alone."""

    consumer_protocol: str | None = None

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.name = f"{host}:{port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self, kill: bool) -> None:
        pass

    def check(self) -> None:
        pass


class EmbeddedBroker:
    """rumqttd in a child process. It forgets everything when it ends."""

    host = LOOPBACK
    name = "embedded (rumqttd)"
    consumer_protocol: str | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for _ in range(_PORT_ATTEMPTS - 1):
            with contextlib.suppress(BrokerFailed):  # somebody was faster to take the free port
                await self.start()
                return self
            self.port = free_port()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(kill=True)

    async def start(self) -> None:
        try:
            await self._stack.enter_async_context(embedded_broker(self.port))
        except Exception as error:
            raise BrokerFailed(str(error)) from None

    async def stop(self, kill: bool) -> None:
        await self._stack.aclose()

    def check(self) -> None:
        pass  # it is restarted by itself


class Mosquitto:
    """mosquitto as a child process.

    It keeps a consumer's session over a restart only for MQTT 3.1.1: version 2.0.11 has forgotten one of MQTT 5 when it
    comes back, whatever its expiry, and with it what the broker had acknowledged to hubs.
    """

    host = LOOPBACK
    consumer_protocol: str | None = "3.1.1"

    def __init__(self, program: str, folder: Path, persistence: bool) -> None:
        self.name = "mosquitto"
        self.port = free_port()
        self._program = program
        self._config = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        kept = _PERSISTENCE.format(folder=folder) if persistence else "persistence false"
        (folder / "mosquitto.db").unlink(missing_ok=True)  # an earlier run's is not about this one
        self._config.write_text(_MOSQUITTO.format(port=self.port, persistence=kept), "utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(kill=False)

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tagfleet.leash", str(os.getpid())),
                *(self._program, "-c", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            self.check()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return
            if time.monotonic() > deadline_s:
                raise BrokerFailed(f"mosquitto does not listen within {_START_TIMEOUT_S:.0f} s: {self._last_line()}")
            await asyncio.sleep(0.02)

    async def stop(self, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def check(self) -> None:
        if self._process is not None and self._process.returncode is not None:
            raise BrokerFailed(f"mosquitto has ended with {self._process.returncode}: {self._last_line()}")

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "(it said nothing)")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
