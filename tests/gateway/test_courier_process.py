"""A courier in a hub of its own process: a tag behind the air's stream, a real broker, kill -9."""

import base64
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hub_process import HubProcess, Subscriber
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tag_journal import JournalTag, TagSession
from waiting import wait_until

from taghub.mqtt_client import end_thread
from tagwire import air
from tagwire.batch import samples

ADDRESS = bytes(range(6))


class AirTag(threading.Thread):
    """A tag at the end of an air stream: connects are taken, writes answered."""

    def __init__(self, tag: JournalTag, stream: socket.socket) -> None:
        super().__init__(daemon=True)
        self._tag = tag
        self._stream = stream
        self._session: TagSession | None = None
        self.start()

    def call(self) -> None:
        """Advertise the newest sample with a window."""
        record = air.encode_advertisement(1, -60, ADDRESS, self._tag.call())
        self._stream.sendall(record)

    def run(self) -> None:
        decoder = air.Decoder()
        try:
            while data := self._stream.recv(65_536):
                for record in decoder.feed(data):
                    self._stream.sendall(b"".join(self._answers(record)))
        except OSError:
            pass  # the hub is gone

    def _answers(self, record: air.Record) -> list[bytes]:
        if record.type == air.RECORD_CONNECT:
            self._session = TagSession(self._tag)
            return [air.encode_connected(1, record.address, 244)]
        if record.type == air.RECORD_DISCONNECT:
            return [air.encode_disconnected(1, record.address, air.DISCONNECTED_AS_ASKED)]
        if record.type == air.RECORD_WRITE and self._session is not None:
            frames = self._session.write(record.data)
            return [air.encode_record(air.RECORD_NOTIFY, 1, record.address, frame) for frame in frames]
        return []


def backlog(subscriber: Subscriber) -> list[tuple[int, int]]:
    return [(sample.tag_id, sample.counter) for batch in subscriber.backlog for sample in samples(batch)]


def call_until(tag: AirTag, condition: Callable[[], bool], what: str) -> None:
    """A tag that is not answered calls again."""

    def called() -> bool:
        tag.call()
        time.sleep(0.1)
        return condition()

    wait_until(called, what)


def test_courier_of_a_real_hub(tmp_path: Path, free_port: Callable[[], int]) -> None:
    tag = JournalTag(7, newest=60)
    broker_port = free_port()
    extra = f'[broker]\nport = {broker_port}\n[spool]\npath = "spool.db"\n'
    extra += "[courier]\nair_time_share = 1.0\nadopt_hours = 0\n"
    hub = HubProcess(tmp_path, [tag.with_hub()], extra)
    with hub.start(), Subscriber(broker_port) as subscriber:
        hub.advertise(tag.advertisement(3, tag.values(3)))
        wait_until(lambda: subscriber.keys == [(7, 3)], "the first sample")
        with hub.air() as stream:
            peer = AirTag(tag, stream)
            call_until(peer, lambda: len(backlog(subscriber)) == 56, "the backlog")
            assert backlog(subscriber) == [(7, counter) for counter in range(4, 60)]
            wait_until(lambda: subscriber.statuses[-1]["courier"]["owed"] >= 56, "all of it acknowledged")
            envelope = base64.b64encode(b"\x01" + (9).to_bytes(4, "little") + bytes(30)).decode()
            orders = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
            orders.connect("127.0.0.1", broker_port)
            orders.publish("tags/v1/test/hub-1/command", json.dumps({"tag": 7, "envelope": envelope}), qos=1)
            orders.loop_start()
            call_until(peer, lambda: bool(tag.commands), "the command")
            wait_until(lambda: bool(subscriber.replies), "its answer")
            wait_until(lambda: len(tag.settled) == 58, "settled")
            end_thread(orders)
        reply = {"tag": 7, "number": 9, "status": "ok", "reply": base64.b64encode(b"sealed reply").decode()}
        assert subscriber.replies == [reply]
        wait_until(lambda: subscriber.statuses[-1]["courier"]["fetched"] == 56, "the status")
        assert tag.settled == {3, *range(4, 61)}
        hub.end(signal.SIGKILL)
    with hub.start(), hub.air() as stream:
        tag.newest_counter = 62
        call_until(AirTag(tag, stream), lambda: 61 in tag.asked, "the sample between")
    assert sorted(tag.asked) == [*range(4, 60), 61]
