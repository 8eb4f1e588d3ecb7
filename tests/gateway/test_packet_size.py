"""A real broker that takes small packets only: everything arrives, in smaller batches, and nothing blocks the rest."""

import asyncio
import os
import random
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_process import HubProcess, Subscriber
from mosquitto import Mosquitto
from paho.mqtt.enums import MQTTProtocolVersion
from tags import Tag, reading
from waiting import until

from taghub.run import run
from taghub.settings import load_settings
from tagwire.air import encode_advertisement
from tagwire.fields import Reading

pytestmark = pytest.mark.system

LIMIT = 2_000
TAGS = [Tag(tag_id) for tag_id in range(1, 601)]


def advertisements(counter: int, tags: list[Tag]) -> list[bytes]:
    """Samples that do not compress."""
    dice = random.Random(counter)

    def values() -> Reading:
        return reading(dice.randrange(80_000))._replace(
            latitude_e7=dice.randrange(800_000_000),
            longitude_e7=dice.randrange(1_700_000_000),
            humidity_mpct=dice.randrange(100_000),
        )

    return [tag.advertisement(counter, values()) for tag in tags]


def advertise(air: Path, *adv_data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(air))
        connection.sendall(b"".join(encode_advertisement(1, -60, bytes(6), data) for data in adv_data))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_batches_that_are_too_large_are_split_and_later_ones_arrive(
    tmp_path: Path,
    free_port: Callable[[], int],
    program: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    """MQTT 5 tells the limit. 3.1.1 cannot: the broker only ever ends the connection."""
    monkeypatch.setattr("taghub.backoff.delay_s", lambda before_s: 0.05)
    monkeypatch.setattr("taghub.sender.REFUSED_PAUSE_S", 0.5)
    port = free_port()
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nprotocol = "{protocol}"\n'
    hub = HubProcess(tmp_path, [tag.entry() for tag in TAGS], mqtt)
    version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311

    async def scenario(subscriber: Subscriber) -> None:
        running = asyncio.create_task(run(load_settings(hub.settings)))
        await until((tmp_path / "air").exists)
        expected: list[tuple[int, int]] = []
        for counter, tags in enumerate((TAGS, TAGS[:3], TAGS, TAGS[3:6])):
            await asyncio.to_thread(advertise, tmp_path / "air", *advertisements(counter, tags))
            expected += [(tag.tag_id, counter) for tag in tags]
            await asyncio.sleep(0.5)
        await until(lambda: set(subscriber.keys) >= set(expected))
        assert set(subscriber.keys) == set(expected)
        assert len(subscriber.keys) == len(expected)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    broker = Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port, f"max_packet_size {LIMIT}")
    with broker, Subscriber(port, version=version) as subscriber:
        asyncio.run(scenario(subscriber))
        assert subscriber.statuses[-1]["dropped"]["refused"] == 0
    assert len(subscriber.batches) > 4
    assert ("oversize" in broker.log) == (protocol == "3.1.1")
