"""The link to the broker is cut: nothing that was accepted is lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hub_process import HubProcess, Subscriber
from tags import Tag
from tcp_proxy import TcpProxy
from waiting import until

from taghub.embedded_broker import embedded_broker
from tagwire import trace

TAGS = [Tag(tag_id) for tag_id in range(1, 6)]


async def samples_through_a_link(
    folder: Path, port: int, hurt: Callable[[TcpProxy], None], outage_s: float, wait_for_broker: bool = False
) -> None:
    """Samples before, during and after an outage of the link between hub and broker."""
    expected: list[tuple[int, int]] = []
    async with embedded_broker(port), TcpProxy(port) as proxy:
        if wait_for_broker:
            hurt(proxy)
        mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {proxy.port}\nkeepalive_s = 2\n'
        mqtt += f"wait_for_broker = {str(wait_for_broker).lower()}\n"
        hub = HubProcess(folder, [tag.entry() for tag in TAGS], mqtt)
        with hub, await asyncio.to_thread(Subscriber(port).__enter__) as subscriber:

            async def advertise(counter: int) -> None:
                await asyncio.to_thread(hub.advertise, *[tag.advertisement(counter) for tag in TAGS])
                expected.extend((tag.tag_id, counter) for tag in TAGS)

            for counter in range(3):
                await advertise(counter)
            if not wait_for_broker:
                await until(lambda: len(set(subscriber.keys)) == len(expected))
                hurt(proxy)
            steps = round(outage_s / 0.25)
            for counter in range(10, 10 + steps):
                await advertise(counter)
                await asyncio.sleep(0.25)
            before = len(set(subscriber.keys))
            assert before < len(expected)
            await proxy.join()
            for counter in range(100, 103):
                await advertise(counter)
            await until(lambda: set(subscriber.keys) >= set(expected))
            await until(lambda: set(hub.traced(trace.ACKNOWLEDGED)) == set(expected))
            assert set(subscriber.keys) == set(expected)
            assert sorted(hub.traced(trace.ACCEPTED)) == sorted(expected)
            assert await asyncio.to_thread(hub.end) == 0
        # What was sent twice is recognised by the batch's number, and a batch is sent again unchanged.
        by_sequence = {batch.sequence: batch for batch in subscriber.batches}
        assert sum(len(batch.columns["tag"]) for batch in by_sequence.values()) == len(expected)
        assert "Traceback" not in hub.log


def test_link_that_is_cut_for_ten_seconds_loses_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    asyncio.run(samples_through_a_link(tmp_path, free_port(), TcpProxy.cut, 10.0))


def test_dead_zone_that_nobody_is_told_of_loses_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """keepalive_s is 2: the hub notices by itself, while the proxy still takes everything in."""
    asyncio.run(samples_through_a_link(tmp_path, free_port(), TcpProxy.swallow, 6.0))


def test_hub_that_waits_for_its_broker_loses_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    asyncio.run(samples_through_a_link(tmp_path, free_port(), TcpProxy.cut, 2.0, wait_for_broker=True))


def test_broker_that_is_slow_costs_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """300 bytes a second both ways, less than what there is to send: it waits, and neither end gives up."""
    asyncio.run(samples_through_a_link(tmp_path, free_port(), TcpProxy.slow, 6.0))
