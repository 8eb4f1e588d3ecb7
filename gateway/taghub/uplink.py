"""The MQTT connection: paho in its own thread, spoken to from the event loop.

Who owns what: the outbox decides which batch goes next and gives it up; from `publish` until the broker's PUBACK a
message is paho's, which sends it again after each reconnect with its packet id and DUP, as MQTT wants it. So that paho
never holds more than the broker's Receive Maximum, `publish` is only called while `has_room`.

A connection that ends FRUITLESS_MAX times in a row without a single acknowledgement may end because of what is sent:
the session is then given up, and batches go one at a time until one is acknowledged.

paho's thread survives an OSError only. One that dies of anything else, of a host name that cannot be encoded, say,
is replaced.
"""

import asyncio
import functools
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from taghub.backoff import Backoff
from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_EVENT, LANE_REPLY, ClosedBatch
from taghub.errors import SettingsError
from taghub.mqtt_client import KEPT_BYTES, MqttClient, end_thread
from taghub.refusals import end_of_connection
from taghub.settings import MQTT_TEXT_BYTES_MAX, MqttSettings
from taghub.tls import tls_context, with_advice
from taghub.topics import Topics
from tagwire import events
from tagwire.batch import CONTENT_TYPE

STATUS_CONTENT_TYPE = "application/json"
MAX_PACKET_BYTES = 268_435_455  # where the broker names no limit
HEADER_BYTES = 512  # of a publish: topic, properties, with room to spare
_RECEIVE_MAXIMUM = 0xFFFF  # where the broker names none (MQTT 5, 3.2.2.3.3)
FRUITLESS_MAX = 3
ORDER_BYTES_MAX = 4_096  # what the platform sends is below 400 bytes; more is no order
_STATUS = -1  # stands for a batch's sequence where a status message is meant

_logger = logging.getLogger(__name__)


class UplinkEvents(Protocol):
    """What the owner of an uplink is told, in the event loop."""

    def uplink_connected(self) -> None:
        """The broker has accepted the connection; `has_room` may be true again."""

    def uplink_refused(self, reason: str) -> None:
        """The broker cannot be reached or refuses the connection; another try follows by itself."""

    def uplink_lost(self, reason: str) -> None:
        """An established connection is gone; another try follows by itself."""

    def batches_returned(self, sequences: list[int], blamed: bool) -> None:
        """These batches are not with the MQTT client any more, and were not answered. `blamed`: the connection has
        ended again with this one alone in flight."""

    def status_acknowledged(self) -> None:
        """The broker has taken a retained message over; `has_room` may be true again."""

    def retained_given_up(self, topic: str) -> None:
        """The connection has ended with this retained message alone in flight: it may be too large."""

    def batch_acknowledged(self, sequence: int) -> None:
        """The broker has taken a batch over."""

    def batch_refused(self, sequence: int, code: int, reason: str) -> None:
        """The broker has answered a batch with an error: the PUBACK's reason code, 0x80 or above, and its name."""

    def order_arrived(self, payload: bytes) -> None:
        """The platform sends something for a tag."""


class Uplink:
    """One connection to a broker, kept up until `stop`."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        topics: Topics,
        will: bytes,
        events: UplinkEvents,
        orders: bool = False,
    ) -> None:
        """orders: whether to listen to what the platform sends.

        Raises SettingsError when a file for TLS or the password cannot be used.
        """
        self._settings = settings
        self._topics = topics
        self._events = events
        self._orders = orders
        self._loop = asyncio.get_running_loop()
        self._connected = False
        self._stopped = False
        self._window = settings.inflight
        self._receive_maximum = _RECEIVE_MAXIMUM
        self._sequences: dict[int, int] = {}
        self._retained: dict[str, bytes] = {}  # by topic, what goes next; the topics of a hub are few
        self._retained_topic = ""  # of what is in flight
        self._given_up: set[str] = set()  # topics, and said so
        self._idle = asyncio.Event()
        self._idle.set()
        self._backoff = Backoff()  # touched by paho's thread, and in the event loop only when that has ended or will
        self._fruitless = 0  # connections in a row that ended with batches in flight and none acknowledged
        self._careful = False  # one batch at a time
        self._max_packet_bytes = MAX_PACKET_BYTES
        self._old: list[asyncio.Task[None]] = []
        self._make_client = functools.partial(self._configured_client, client_id, will)
        self._client = self._make_client()

    def _configured_client(self, client_id: str, will: bytes) -> MqttClient:
        settings = self._settings
        if settings.protocol == "5":
            client = MqttClient(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        else:
            version = MQTTProtocolVersion.MQTTv311
            client = MqttClient(CallbackAPIVersion.VERSION2, client_id, protocol=version, clean_session=False)
        client.max_inflight_messages_set(settings.inflight + 2)  # and the status, and an alarm
        client.will_set(self._topics.status, will, qos=1, retain=True, properties=self._properties(STATUS_CONTENT_TYPE))
        configure_access(client, settings)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = lambda _, userdata, sock: _begin(client, sock)
        client.on_death = self._on_death
        return client

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def has_room(self) -> bool:
        """Whether one more batch may be published now."""
        return self._connected and len(self._sequences) < self._window

    @property
    def has_room_for_alarm(self) -> bool:
        """Whether one more event or alarm may be published now: one is let in where batches fill the window."""
        window = 1 if self._careful else min(self._window + 1, self._receive_maximum)
        return self._connected and len(self._sequences) < window

    @property
    def max_payload_bytes(self) -> int:
        """The largest batch that the broker takes."""
        return self._max_packet_bytes - HEADER_BYTES

    def start(self, clean_start: bool = False) -> None:
        """Begin to connect, and never stop trying."""
        options: dict[str, Any] = {}
        if self._settings.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._settings.session_expiry_s
            properties.MaximumPacketSize = KEPT_BYTES
            options = {"clean_start": clean_start, "properties": properties}
        self._client.connect_async(self._settings.host, self._settings.port, self._settings.keepalive_s, **options)
        self._client.loop_start()

    async def stop(self) -> None:
        """End the connection in order, so that the broker does not send the will. Takes at most a connect timeout."""
        self._stopped = True
        self._connected = False  # the end of the connection is no news
        self._client.disconnect()
        await asyncio.to_thread(end_thread, self._client)
        await asyncio.gather(*self._old)

    def publish(self, batch: ClosedBatch) -> None:
        """Hand a batch to the broker; `batch_acknowledged` or `batch_refused` follows, however long it takes."""
        event = batch.lane < LANE_ALARM
        properties = self._properties(events.CONTENT_TYPE if event else CONTENT_TYPE)
        if properties is not None:
            if not event and self._settings.describe:
                properties.UserProperty = [("sequence", str(batch.sequence)), ("count", str(batch.samples))]
            if self._settings.expiry_s:
                properties.MessageExpiryInterval = self._settings.expiry_s
        topics = self._topics
        lanes = {LANE_REPLY: topics.reply, LANE_EVENT: topics.events, LANE_BACKLOG: topics.backlog}
        topic = lanes.get(batch.lane, topics.samples)
        self._publish(topic, batch.payload, batch.sequence, properties, retain=False)

    def publish_status(self, status: bytes) -> None:
        """Publish the retained status."""
        self.publish_retained(self._topics.status, status)

    def publish_retained(self, topic: str, message: bytes) -> None:
        """Publish a retained message, as soon as the one before is answered; of several that wait for one topic, the
        last goes."""
        self._retained[topic] = message
        self._idle.clear()
        self._send_status()

    async def wait_idle(self) -> None:
        """Return when everything that was published is answered, the status too."""
        await self._idle.wait()

    def _send_status(self) -> None:
        # Full of batches, it still has room for a status; but what is suspected has to be alone.
        window = 1 if self._careful else min(self._window + 2, self._receive_maximum)
        if not self._connected or _STATUS in self._sequences.values() or len(self._sequences) >= window:
            return
        while self._retained:
            topic = next(iter(self._retained))
            message = self._retained.pop(topic)
            if len(message) <= self.max_payload_bytes:
                self._retained_topic = topic
                self._publish(topic, message, _STATUS, self._properties(STATUS_CONTENT_TYPE), retain=True)
                return
            self._give_up(topic, len(message))
        if not self._sequences:
            self._idle.set()

    def _give_up(self, topic: str, size: int) -> None:
        if topic not in self._given_up:
            what = topic.split("/")[4]
            _logger.error("the broker takes %d bytes, too few for the %s of %d", self.max_payload_bytes, what, size)
        self._given_up.add(topic)

    def _publish(self, topic: str, payload: bytes, sequence: int, properties: Properties | None, retain: bool) -> None:
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # 65,535 packet ids are taken: cannot be, within the window
            raise RuntimeError("paho has no packet id left")
        self._sequences[info.mid] = sequence
        self._idle.clear()

    def _properties(self, content_type: str) -> Properties | None:
        if self._settings.protocol != "5":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if self._settings.describe:
            properties.ContentType = content_type
        return properties

    # What follows runs in paho's thread, and does no more than pass the news on.

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if client is not self._client:
            return
        if reason.is_failure:  # on_disconnect follows
            self._tell(self._events.uplink_refused, f"the broker refuses this hub: {reason}")
            return
        self._backoff.up(time.monotonic())
        if self._orders:
            client.subscribe(self._topics.command, qos=1)
        receive_maximum = int(getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM))
        packet_bytes = int(getattr(properties, "MaximumPacketSize", MAX_PACKET_BYTES))
        self._client.use_aliases(int(getattr(properties, "TopicAliasMaximum", 0)))
        self._tell(self._now_connected, receive_maximum, packet_bytes)

    def _on_connect_fail(self, client: Client, userdata: Any) -> None:
        if client is not self._client:
            return
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]  # paho calls from its handler
        self._retry_later()
        self._tell(self._events.uplink_refused, with_advice(str(error) or type(error).__name__))

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if client is not self._client:
            return
        self._retry_later()
        self._tell(self._now_lost, end_of_connection(reason.value, str(reason)))

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties) -> None:
        if client is not self._client:
            return
        self._tell(self._answered, mid, reason.value if reason.is_failure else 0, str(reason))

    def _on_subscribe(
        self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        if reasons and reasons[0].is_failure:
            _logger.warning("the broker does not let this hub listen to %s: %s", self._topics.command, reasons[0])

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        if client is self._client and len(message.payload) <= ORDER_BYTES_MAX:
            self._tell(self._events.order_arrived, message.payload)

    def _on_death(self, client: Client, error: Exception) -> None:
        if client is not self._client:
            return
        self._tell(self._now_dead, f"{type(error).__name__}: {error}")

    def _retry_later(self) -> None:
        """Our own delay in the place of paho's, which has no jitter."""
        delay = self._backoff.down_s(time.monotonic())
        self._client.reconnect_delay_set(delay, delay)  # type: ignore[arg-type]  # it only ever computes with them

    def _tell(self, listener: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(listener, *args)

    # And from here on in the event loop again.

    def _now_connected(self, receive_maximum: int, packet_bytes: int) -> None:
        self._max_packet_bytes = packet_bytes
        self._connected = True
        self._receive_maximum = receive_maximum
        self._window = 1 if self._careful else min(self._settings.inflight, receive_maximum)
        self._events.uplink_connected()

    def _now_lost(self, reason: str) -> None:
        if self._connected:
            self._connected = False
            self._events.uplink_lost(reason)
            self._consider_fruitless()

    def _consider_fruitless(self) -> None:
        """The connection has ended. If that may be because of what was in flight, get it back from paho."""
        batches = [sequence for sequence in self._sequences.values() if sequence != _STATUS]
        self._fruitless = self._fruitless + 1 if self._sequences else 0
        if not self._sequences or (self._fruitless < FRUITLESS_MAX and not self._careful):
            return
        blamed = self._careful
        if blamed and not batches:
            self._events.retained_given_up(self._retained_topic)
        self._careful = True
        self._old.append(asyncio.create_task(asyncio.to_thread(_end_client, self._client)))
        self._replace_client(batches, blamed)

    def _now_dead(self, reason: str) -> None:
        """paho's thread has ended by an error, connected or not."""
        if self._connected:
            self._connected = False
            self._events.uplink_lost(reason)
        else:
            self._events.uplink_refused(reason)
        batches = [sequence for sequence in self._sequences.values() if sequence != _STATUS]
        self._replace_client(batches, blamed=False)

    def _replace_client(self, batches: list[int], blamed: bool) -> None:
        """Go on with a new client and a new session after a while; the batches that were in flight go back."""
        self._client = self._make_client()
        self._sequences.clear()
        if not self._retained:
            self._idle.set()
        self._events.batches_returned(batches, blamed)
        self._loop.call_later(self._backoff.down_s(time.monotonic()), self._start_anew)

    def _start_anew(self) -> None:
        if not self._stopped:
            self.start(clean_start=True)

    def _answered(self, mid: int, code: int, reason: str) -> None:
        sequence = self._sequences.pop(mid, None)
        self._send_status()
        if not self._sequences and not self._retained:
            self._idle.set()
        if sequence is None:
            return
        if sequence == _STATUS:
            if code:
                _logger.warning("the broker refuses the status message: %s", reason)
            self._events.status_acknowledged()
            return
        self._fruitless = 0
        if self._careful:
            self._careful = False
            self._window = min(self._settings.inflight, self._receive_maximum)
        if code:
            self._events.batch_refused(sequence, code, reason)
        else:
            self._events.batch_acknowledged(sequence)


def configure_access(client: Client, settings: MqttSettings) -> None:
    """User name, password and TLS. Raises SettingsError when a file for them cannot be used."""
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(settings))
    if settings.tls is not None:
        client.tls_set_context(tls_context(settings.tls))


def _end_client(client: Client) -> None:
    client.disconnect()
    end_thread(client)


def _password(settings: MqttSettings) -> str | None:
    if settings.password_file is None:
        return None
    try:
        lines = settings.password_file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"mqtt.password_file: cannot be read: {error}") from None
    password = lines[0] if lines else ""
    if len(password.encode()) > MQTT_TEXT_BYTES_MAX:
        raise SettingsError(f"mqtt.password_file: a password has at most {MQTT_TEXT_BYTES_MAX} bytes")
    return password


def _begin(client: MqttClient, sock: Any) -> None:
    """A connection begins. A batch is one write: Nagle's algorithm could only delay it."""
    client.use_aliases(0)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
