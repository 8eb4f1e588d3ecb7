"""paho's client, with what it lacks: topic aliases, and a word when its thread dies. Runs in paho's thread and ours."""

import contextlib
import logging
from collections.abc import Callable
from copy import copy
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KEPT_BYTES = 262_144  # of a packet from the broker; nothing that is meant for a hub is longer

_logger = logging.getLogger(__name__)


class _Bounded(bytearray):
    """The first KEPT_BYTES of what is put in."""

    told = False

    def __iadd__(self, data: Any) -> Self:  # type: ignore[misc]
        room = KEPT_BYTES - len(self)
        if len(data) > room and not self.told:
            self.told = True
            _logger.warning("the broker sends a packet of over %d bytes: the rest of it is dropped", KEPT_BYTES)
        super().__iadd__(data[:room])
        return self


def end_thread(client: Client) -> None:
    """`client.loop_stop()`. After a `disconnect` paho's thread ends by itself and is forgotten, maybe between that
    method's look at it and its join, which then fails (paho 2.1)."""
    with contextlib.suppress(AttributeError):
        client.loop_stop()


class MqttClient(Client):
    """A paho Client. `on_death` is called when its thread ends by an error.

    A topic goes over the wire once a connection, then as a number (MQTT 5, 3.3.2.3.4): 40 bytes less a publish. paho
    sends a message again on the next connection, where the numbers mean nothing any more: so they are put in at the
    moment of sending. Of what the broker sends, KEPT_BYTES a packet are kept: somebody may have put a huge retained
    message where this hub listens.
    """

    on_death: Callable[[Client, Exception], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.use_aliases(0)

    def use_aliases(self, most: int) -> None:
        """A connection begins (0: nothing is known of the broker yet), or the broker has told how many it takes."""
        self._alias_max = most
        self._aliases: dict[bytes, int] = {}

    def _packet_read(self) -> MQTTErrorCode:
        if not isinstance(self._in_packet["packet"], _Bounded):
            self._in_packet["packet"] = _Bounded(self._in_packet["packet"])
        result: MQTTErrorCode = super()._packet_read()
        return result

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """What paho runs in its thread."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as error:
            _logger.debug("the MQTT client's thread has died", exc_info=True)
            self.on_death(self, error)
            return MQTTErrorCode.MQTT_ERR_UNKNOWN

    def _send_publish(  # paho holds its lock on messages meanwhile, so the first use of an alias is the first sent
        self,
        mid: int,
        topic: bytes,
        payload: bytes | bytearray = b"",
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        info: MQTTMessageInfo | None = None,
        properties: Properties | None = None,
    ) -> MQTTErrorCode:
        send: Callable[..., MQTTErrorCode] = super()._send_publish
        known = topic in self._aliases
        if not known and len(self._aliases) >= self._alias_max:
            return send(mid, topic, payload, qos, retain, dup, info, properties)
        alias = self._aliases.setdefault(topic, len(self._aliases) + 1)
        aliased: Any = Properties(PacketTypes.PUBLISH) if properties is None else copy(properties)  # type: ignore[no-untyped-call]
        aliased.TopicAlias = alias
        return send(mid, b"" if known else topic, payload, qos, retain, dup, info, aliased)
