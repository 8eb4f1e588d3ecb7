"""The embedded broker: full batches pass, and it comes back when it dies."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hub_process import Subscriber
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from waiting import until

from taghub import embedded_broker as module
from taghub.embedded_broker import HOST, embedded_broker
from taghub.errors import PortError
from taghub.mqtt_client import end_thread
from tagwire.batch import MAX_BATCH_BYTES


def publish(port: int, payload: bytes) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(HOST, port)
    client.loop_start()
    client.publish("tags/v1/test/hub/other", payload, qos=1).wait_for_publish(60)
    client.disconnect()
    end_thread(client)


def test_largest_batch_passes(free_port: Callable[[], int]) -> None:
    async def scenario(port: int) -> None:
        async with embedded_broker(port):
            with await asyncio.to_thread(Subscriber(port).__enter__) as subscriber:
                await asyncio.sleep(0.5)  # rumqttd confirms a subscription before it serves it
                await asyncio.to_thread(publish, port, bytes(MAX_BATCH_BYTES))
                await until(lambda: subscriber.other == ["tags/v1/test/hub/other"])

    asyncio.run(scenario(free_port()))


def test_broker_that_dies_is_started_again(free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    children = []
    create = asyncio.create_subprocess_exec

    async def recorded(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        children.append(await create(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorded)
    monkeypatch.setattr(module, "RESTART_PAUSE_S", 0.05)

    async def scenario(port: int) -> None:
        async with embedded_broker(port):
            children[0].kill()
            await until(lambda: len(children) == 2)
            with await asyncio.to_thread(Subscriber(port).__enter__):
                pass
        assert all(child.returncode is not None for child in children)

    asyncio.run(scenario(free_port()))


def test_port_that_is_taken(free_port: Callable[[], int]) -> None:
    async def scenario() -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PortError, match=rf"127\.0\.0\.1:{port} is not free"):
                async with embedded_broker(port):
                    pass

    asyncio.run(scenario())


def test_it_listens_on_loopback_only(free_port: Callable[[], int]) -> None:
    async def scenario(port: int) -> None:
        async with embedded_broker(port):
            with socket.create_server(("127.0.0.2", port)):  # would be taken if it listened on every address
                pass

    asyncio.run(scenario(free_port()))
