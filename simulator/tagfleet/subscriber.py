"""A real MQTT consumer: what it receives is what the ledger calls delivered."""

import asyncio
import os
import queue
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from taghub.mqtt_client import end_thread
from taghub.settings import MqttSettings

_SESSION_EXPIRY_S = 300
_UNSUPPORTED_PROTOCOL = 0x84  # MQTT 5.0, 3.2.2.2
_POLL_S = 0.02


class Arrival(NamedTuple):
    """One publish, and the Unix microseconds when it came."""

    t_us: int
    topic: str
    payload: bytes


class SubscriberFailed(Exception):
    """The broker could not be reached, or refused."""


class Subscriber:
    """Subscribed to `topics` at QoS 1 from entering to leaving the context; paho's own thread receives.

    Waits for a broker that is still starting. `still_waiting` is called meanwhile and may raise to end that.
    """

    def __init__(
        self,
        mqtt: MqttSettings,
        topics: list[str],
        timeout_s: float,
        still_waiting: Callable[[], None] = lambda: None,
        max_waiting: int = 100_000,
    ) -> None:
        self.dropped = 0  # arrivals that found the queue full: whoever consumes is too slow
        self.lost_s: float | None = None
        """Since when (monotonic) it has no connection; None while it has one."""
        self._mqtt = mqtt
        self._topics = topics
        self._timeout_s = timeout_s
        self._still_waiting = still_waiting
        self._arrivals: queue.Queue[Arrival] = queue.Queue(max_waiting)
        self._subscribed = False
        self._refusal = ""
        client_id = f"tagfleet-{os.getpid():x}-{time.time_ns() & 0xFFFFFFFF:x}"  # the session of no other run
        if mqtt.protocol == "5":
            self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        else:
            version = MQTTProtocolVersion.MQTTv311
            self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, clean_session=False)
        if mqtt.username is not None:
            self._client.username_pw_set(mqtt.username, _password(mqtt))
        if mqtt.tls is not None:
            context = ssl.create_default_context(cafile=mqtt.tls.ca_file)
            if mqtt.tls.cert_file is not None and mqtt.tls.key_file is not None:
                context.load_cert_chain(mqtt.tls.cert_file, mqtt.tls.key_file)
            self._client.tls_set_context(context)
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 2)

    async def __aenter__(self) -> Self:
        options: dict[str, Any] = {}
        if self._mqtt.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _SESSION_EXPIRY_S
            options = {"properties": properties}
        where = f"{self._mqtt.host}:{self._mqtt.port}"
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            try:
                self._client.connect(self._mqtt.host, self._mqtt.port, **options)
                break
            except OSError as error:
                await self._wait(deadline_s, f"no MQTT broker on {where}: {error}")
        self._client.loop_start()
        try:
            while not self._subscribed:
                why = self._refusal or "it confirmed no subscription"
                await self._wait(deadline_s, f"the MQTT broker on {where} cannot be used: {why}")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(end_thread, self._client)

    async def _wait(self, deadline_s: float, why: str) -> None:
        self._still_waiting()
        if time.monotonic() > deadline_s:
            raise SubscriberFailed(why)
        await asyncio.sleep(_POLL_S)

    def take(self) -> list[Arrival]:
        """What has arrived since the last call, in order."""
        return [self._arrivals.get_nowait() for _ in range(self._arrivals.qsize())]

    # paho calls these in its own thread.

    def _on_connect(self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            older = '; try broker.protocol = "3.1.1"' if reason.value == _UNSUPPORTED_PROTOCOL else ""
            self._refusal = f"{reason}{older}"
        else:
            self.lost_s = None
            client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        self._subscribed = all(not reason.is_failure for reason in reasons)

    def _on_disconnect(self, *_: Any) -> None:
        if self.lost_s is None:
            self.lost_s = time.monotonic()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            self._arrivals.put_nowait(Arrival(time.time_ns() // 1000, message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1


def _password(mqtt: MqttSettings) -> str | None:
    """The first line of the file that the settings name. Raises SubscriberFailed."""
    if mqtt.password_file is None:
        return None
    try:
        return (mqtt.password_file.read_text("utf-8").splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise SubscriberFailed(f"broker.password_file cannot be read: {error}") from None
