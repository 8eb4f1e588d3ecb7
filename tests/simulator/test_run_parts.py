"""The I/O parts of a run, each against its real counterpart."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tagfleet.airlink import AirLink, AirLost
from tagfleet.subscriber import Subscriber, SubscriberFailed
from tagfleet.trace_tail import TraceTail
from taghub.settings import MqttSettings
from tagwire import trace


def test_trace_tail_returns_each_record_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    tail = TraceTail(path)
    assert tail.read() == []
    data = b"".join(trace.encode(trace.HEARD, 1, counter, 10 + counter) for counter in range(5))
    with path.open("ab", buffering=0) as file:
        seen = []
        for i in range(len(data)):
            file.write(data[i : i + 1])
            seen += tail.read()
    assert [record.counter for record in seen] == list(range(5))
    assert tail.read() == []


async def send_for_ever(air: AirLink, pause_s: float, sent: list[int] | None = None) -> None:
    while True:
        await air.send(bytes(50_000))
        if sent is not None:
            sent.append(50_000)
        await asyncio.sleep(pause_s)


def test_air_link_waits_for_a_listener_and_says_when_it_goes(tmp_path: Path) -> None:
    address = tmp_path / "air"

    async def scene() -> bytes:
        received = bytearray()
        closed = asyncio.Event()

        async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.readexactly(5))
            writer.close()
            closed.set()

        async def listen_late() -> asyncio.Server:
            await asyncio.sleep(0.15)
            return await asyncio.start_unix_server(listener, address)

        late = asyncio.create_task(listen_late())
        async with AirLink(f"unix:{address}", 5.0) as air:
            await air.send(b"hello")
            await closed.wait()
            with pytest.raises(AirLost):
                await send_for_ever(air, 0.01)
        (await late).close()
        return bytes(received)

    assert asyncio.run(scene()) == b"hello"


def test_air_link_gives_up_when_nobody_listens(tmp_path: Path) -> None:
    async def scene() -> None:
        async with AirLink(f"unix:{tmp_path / 'nobody'}", 0.1):
            pass

    with pytest.raises(AirLost, match="nobody listens"):
        asyncio.run(scene())


def test_air_link_does_not_buffer_for_a_listener_that_does_not_read(tmp_path: Path) -> None:
    async def scene() -> None:
        done = asyncio.Event()

        async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await done.wait()
            writer.close()

        server = await asyncio.start_unix_server(deaf, tmp_path / "air", limit=1024)
        async with AirLink(f"unix:{tmp_path / 'air'}", 5.0) as air:
            task = asyncio.create_task(send_for_ever(air, 0.0, sent))
            await asyncio.sleep(0.5)
            task.cancel()
        done.set()
        server.close()

    sent: list[int] = []
    asyncio.run(scene())
    assert 0 < sum(sent) < 4_000_000  # the kernel's buffers, and 256 KiB of ours


def test_subscriber_says_when_there_is_no_broker(free_port: Callable[[], int]) -> None:
    async def scene() -> None:
        async with Subscriber(MqttSettings.model_validate({"host": "127.0.0.1", "port": free_port()}), ["#"], 0.2):
            pass

    with pytest.raises(SubscriberFailed, match="no MQTT broker on 127"):
        asyncio.run(scene())


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is the Linux kernel's")
def test_leash_ends_the_program_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            "sleeper = 'import time; print(1, flush=True); time.sleep(60)'\n"
            "leash = [sys.executable, '-m', 'tagfleet.leash', str(os.getpid())]\n"
            "program = [*leash, sys.executable, '-c', sleeper]\n"
            "child = subprocess.Popen(program, stdout=subprocess.PIPE, start_new_session=True)\n"
            "child.stdout.readline()\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    os.kill(child_pid, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline_s = time.monotonic() + 10
    while _alive(child_pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Not gone, and no zombie that nobody has reaped."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
