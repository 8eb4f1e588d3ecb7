"""Commands to hubs and replies from them over MQTT: topics `.../command` and `.../reply` (SPEC.md, "Topics")."""

import base64
import binascii
import json
import queue
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tagsmith.errors import BrokerError
from tagsmith.mailbox import Sealed

if TYPE_CHECKING:
    from paho.mqtt import client as mqtt

CONNECT_TIMEOUT_S = 10.0
QOS = 1  # at least once: a tag carries a number out once, and answers it twice


class Broker(NamedTuple):
    """Where hubs listen. certificates: a CA's file, None for the system's."""

    host: str
    port: int
    is_tls: bool
    user: str | None = None
    password: str | None = None
    certificates: str | None = None


class Reply(NamedTuple):
    """What a hub brought back. status: what the tag said to the hub. envelope: for the platform; empty where the tag
    did not take the command."""

    tag_id: int
    status: int | str | None
    envelope: bytes


def parse_broker(url: str) -> Broker:
    """`mqtt://host:1883` or `mqtts://host:8883`, ports optional. Raises ValueError with a sentence."""
    parts = urlsplit(url if "://" in url else f"mqtt://{url}")
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(f"{url!r} is not a broker such as mqtt://localhost or mqtts://broker.example:8883")
    is_tls = parts.scheme == "mqtts"
    return Broker(parts.hostname, parts.port or (8883 if is_tls else 1883), is_tls)


def to_message(row: Sealed) -> str:
    """What a hub takes on `.../command`."""
    return json.dumps({"tag": row.tag_id, "envelope": base64.b64encode(row.envelope).decode()})


def parse_reply(message: str | bytes) -> Reply:
    """What a hub says on `.../reply`. Raises ValueError with a sentence."""
    try:
        row = json.loads(message)
        envelope = base64.b64decode(row.get("reply") or "", validate=True)
        tag_id, status = row["tag"], row.get("status")
    except (ValueError, binascii.Error, AttributeError, TypeError, KeyError, RecursionError):
        raise ValueError("it is no reply of a hub: a JSON object with tag and reply") from None
    if type(tag_id) is not int or not 0 <= tag_id <= 0xFFFFFFFF or not isinstance(status, (int, str, type(None))):
        raise ValueError("its tag is no tag id, or its status neither number nor word")
    return Reply(tag_id, status, envelope)


def exchange(
    broker: Broker, root: str, rows: Sequence[Sealed], wait_s: float, on_reply: Callable[[Reply], None]
) -> None:
    """Publish commands for the hub whose topics begin with `root`, and hand out its replies until each of these tags
    has answered or `wait_s` is over. Raises BrokerError."""
    from taghub.mqtt_client import end_thread

    replies: queue.Queue[bytes] = queue.Queue(maxsize=10_000)
    connection = _connected(broker, f"{root}/reply", replies)
    try:
        for row in rows:
            connection.publish(f"{root}/command", to_message(row), QOS).wait_for_publish(CONNECT_TIMEOUT_S)
        open_tags = [row.tag_id for row in rows]
        limit_s = time.monotonic() + wait_s
        while open_tags and (left_s := limit_s - time.monotonic()) > 0:
            try:
                reply = parse_reply(replies.get(timeout=left_s))
            except (queue.Empty, ValueError):  # what others say there is not for us
                continue
            on_reply(reply)
            if reply.tag_id in open_tags:
                open_tags.remove(reply.tag_id)
    except (ValueError, RuntimeError) as error:
        raise BrokerError(f"The broker at {broker.host} took no message: {error}.", "the same command again") from None
    finally:
        connection.disconnect()
        end_thread(connection)


def _connected(broker: Broker, topic: str, replies: "queue.Queue[bytes]") -> "mqtt.Client":
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    from taghub.mqtt_client import end_thread

    answers: queue.Queue[str] = queue.Queue()

    def on_connect(connection: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            answers.put(str(reason))
        else:
            connection.subscribe(topic, QOS)

    def on_subscribe(_connection: mqtt.Client, _data: Any, _id: int, reasons: list[Any], _properties: Any) -> None:
        answers.put(str(reasons[0]) if reasons[0].is_failure else "")

    def on_message(_connection: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if not replies.full():
            replies.put(bytes(message.payload))

    connection = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    connection.on_connect, connection.on_subscribe, connection.on_message = on_connect, on_subscribe, on_message
    try:
        if broker.user is not None:
            connection.username_pw_set(broker.user, broker.password)
        if broker.is_tls:
            connection.tls_set_context(ssl.create_default_context(cafile=broker.certificates))
        connection.connect(broker.host, broker.port)
        connection.loop_start()
        said = answers.get(timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, queue.Empty) as error:
        end_thread(connection)
        raise BrokerError(
            f"The broker at {broker.host}, port {broker.port}, does not answer: {error or 'no word of it'}.",
            "its address, its port, and whether it runs; `mqtts://` where it wants TLS",
        ) from None
    if said:
        end_thread(connection)
        raise BrokerError(f"The broker at {broker.host} refuses: {said}.", "--user and --password-file, or its rules")
    return connection
