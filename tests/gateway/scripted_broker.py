"""A broker that answers as it is told to: the answers that no real one gives on demand. QoS 1 only."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP = 1, 2, 3, 4, 12, 13


class Publish(NamedTuple):
    """A publish as it came in."""

    topic: str
    packet_id: int
    dup: bool
    payload: bytes
    properties: bytes = b""
    """As they came, of MQTT 5."""


class ScriptedBroker:
    """`answer` gives the PUBACK reason code for each publish, None for no answer, bytes for others than a PUBACK.

    `greet` gives what follows the CONNACK of the n-th connection; None ends the connection instead."""

    def __init__(self, answer: Callable[[Publish], int | bytes | None], connack: bytes = b"\x00\x00\x00") -> None:
        self._answer = answer
        self._connack = connack
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.publishes: list[Publish] = []
        self.calm = False
        """For `answer` to ask."""
        self._five = True
        self.greet: Callable[[int], bytes | None] = lambda number: b""
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> "ScriptedBroker":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while True:
            try:
                first = (await reader.readexactly(1))[0]
                packet = await reader.readexactly(await _remaining_length(reader))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if first >> 4 == CONNECT:
                self._five = packet[6] == 5
                greeting = self.greet(self.connections)
                self.connections += 1
                if greeting is None:
                    writer.transport.abort()
                    return
                writer.write(bytes([CONNACK << 4, len(self._connack)]) + self._connack + greeting)
            elif first >> 4 == PINGREQ:
                writer.write(bytes([PINGRESP << 4, 0]))
            elif first >> 4 == PUBLISH:
                publish = _parsed(first, packet, self._five)
                self.publishes.append(publish)
                reason = self._answer(publish)
                if isinstance(reason, bytes):
                    writer.write(reason)
                elif reason is not None:
                    code = bytes([reason]) if self._five else b""
                    header = bytes([PUBACK << 4, 2 + len(code)])
                    writer.write(header + publish.packet_id.to_bytes(2, "big") + code)


async def _remaining_length(reader: asyncio.StreamReader) -> int:
    length = shift = 0
    while True:
        octet = (await reader.readexactly(1))[0]
        length |= (octet & 0x7F) << shift
        if octet < 0x80:
            return length
        shift += 7


def _parsed(first: int, packet: bytes, five: bool) -> Publish:
    topic_end = 2 + int.from_bytes(packet[:2], "big")
    packet_id = int.from_bytes(packet[topic_end : topic_end + 2], "big")
    properties_start = topic_end + 3  # all properties of a test are shorter than 128 bytes
    properties = packet[properties_start : properties_start + packet[topic_end + 2]] if five else b""
    payload = packet[properties_start + len(properties) :] if five else packet[topic_end + 2 :]
    return Publish(packet[2:topic_end].decode(), packet_id, bool(first & 8), payload, properties)
