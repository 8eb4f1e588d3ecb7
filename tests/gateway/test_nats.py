"""A NATS JetStream cluster as the broker, MQTT 3.1.1: one of its three nodes is lost in mid-flow."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hub_process import HubProcess, Subscriber
from load import Load, account
from nats_cluster import NatsCluster
from paho.mqtt.enums import MQTTProtocolVersion
from tags import Tag
from waiting import wait_until

from tagwire import trace

pytestmark = pytest.mark.system

TAGS = [Tag(tag_id) for tag_id in range(1, 6)]


def test_node_that_is_lost_in_mid_flow_costs_nothing(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str]
) -> None:
    cluster = NatsCluster(program("nats-server", "nats-server"), tmp_path / "nats", free_port)
    load = Load(TAGS, pause_s=0.05)
    with cluster, Subscriber(cluster.mqtt_ports[0], "consumer", MQTTProtocolVersion.MQTTv311) as subscriber:
        settings = f'[mqtt]\nhost = "127.0.0.1"\nport = {cluster.mqtt_ports[1]}\nprotocol = "3.1.1"\nkeepalive_s = 2\n'
        hub = HubProcess(tmp_path, [tag.entry() for tag in TAGS], settings + '[spool]\npath = "spool.db"\n')
        with hub:
            with load.on(hub):
                wait_until(lambda: len(subscriber.keys) > 50, "it flows")
                cluster.lose(2)
                delivered = len(set(subscriber.keys))
                wait_until(lambda: len(set(subscriber.keys)) > delivered + 100, "it flows on")
            wait_until(lambda: set(hub.traced(trace.ACCEPTED)) <= set(subscriber.keys), "all is delivered")
            assert hub.end() == 0
        account(hub, subscriber, load)
