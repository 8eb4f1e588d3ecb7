"""What a consumer builds on: payloads by their content type, each sample once, and the documented program."""

import asyncio
import re
import sqlite3
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from taghub.embedded_broker import HOST, embedded_broker
from taghub.mqtt_client import end_thread
from tagwire import batch, fields, json_lines
from tagwire.batch import Sample
from tagwire.consumer import Merger, Publish, decode_publish
from tagwire.errors import DecodeError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "consumer.md"
READING = fields.Reading(525_200_066, 134_049_540, 4_300, 61_500, 3_720, 1, 2, 1_790_000_124, fields.TIME_GNSS)


def sample(tag: int, counter: int, **changes: Any) -> Sample:
    return Sample(tag, counter, READING._replace(**changes), 1_790_000_125, -70, False)


def publish(*samples: Sample, hub: str = "hub-1") -> Publish:
    return Publish(hub, 1, None, list(samples))


def example_batch(hub: str = "hub-1", count: int = 20, sequence: int = 7) -> batch.Batch:
    codes = fields.to_codes(READING)
    values = [*codes[:7], codes.time_quality]
    rows = [(1_000 + i % 4, i, 1_790_000_124 + i, *values, 1, -18, 0) for i in range(count)]
    columns = dict(zip(batch.COLUMNS, np.array(rows, np.int64).T, strict=True))
    return batch.Batch(hub, sequence, 1_790_000_200, 2, None, columns)


def test_payload_is_known_by_content_type_or_by_its_first_byte() -> None:
    value = example_batch()
    data, text = batch.encode_batch(value), json_lines.to_json_lines(value).encode()
    expected = sorted(batch.samples(value))
    for payload, content_type in (
        (data, batch.CONTENT_TYPE),
        (data, None),
        (text, json_lines.CONTENT_TYPE),
        (text, ""),
    ):
        taken = decode_publish(payload, content_type)
        assert (taken.hub, sorted(taken.samples)) == ("hub-1", expected)
    for payload, content_type in (
        (data, "application/json"),
        (text, batch.CONTENT_TYPE),
        (data, json_lines.CONTENT_TYPE),
        (b"", None),
        (text + text.replace(b"hub-1", b"hub-2"), None),
    ):
        with pytest.raises(DecodeError, match="format"):
            decode_publish(payload, content_type)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400), st.sampled_from(["a", "b"])), max_size=200))
def test_each_sample_comes_out_once_whatever_the_order(deliveries: list[tuple[int, int, str]]) -> None:
    merger = Merger()
    out = []
    for tag, counter, hub in deliveries:
        merged = merger.add(publish(sample(tag, counter), hub=hub))
        out += merged.new
        assert not merged.retimed
        assert not merged.conflicts
        assert merged.repeats == 1 - len(merged.new)
    assert [(s.tag_id, s.counter) for s in out] == list(dict.fromkeys((tag, counter) for tag, counter, _ in deliveries))


def test_better_time_wins_and_worse_does_not() -> None:
    merger = Merger()
    guessed = sample(1, 5, time_s=1_790_000_300, time_quality=fields.TIME_ESTIMATED)
    exact = sample(1, 5)
    assert merger.add(publish(guessed)).new == [guessed]
    assert merger.add(publish(exact, hub="hub-2")).retimed == [exact]
    assert merger.add(publish(guessed)).repeats == 1


def test_other_values_under_one_identity_are_reported_and_the_first_stand() -> None:
    merger = Merger()
    first, other = sample(1, 5), sample(1, 5, temperature_mc=9_900)
    merger.add(publish(first))
    merged = merger.add(publish(other, hub="hub-2"))
    assert (merged.new, [(c.hub, c.sample) for c in merged.conflicts]) == ([], [("hub-2", other)])
    assert merger.add(publish(first)).repeats == 1


def test_foreign_counters_belong_to_their_hub() -> None:
    merger = Merger()
    ruuvi = sample(1, 5)._replace(source=1)
    assert merger.add(publish(sample(1, 5))).new
    assert merger.add(publish(ruuvi)).new
    assert merger.add(publish(ruuvi, hub="hub-2")).new
    assert merger.add(publish(ruuvi)).repeats == 1


def test_memory_is_bounded_and_what_was_forgotten_is_new_again() -> None:
    merger = Merger(max_pages=100)
    tracemalloc.start()
    for tag in range(5_000):
        merger.add(publish(sample(tag, 1)))
    used_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used_bytes < 400_000  # 4 MB would be 800 bytes for each
    assert merger.forgotten_pages == 4_900
    assert merger.add(publish(sample(4_999, 1))).repeats == 1
    assert len(merger.add(publish(sample(0, 1))).new) == 1


def test_documented_program_stores_each_sample_once_and_what_came_while_it_was_away(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    script, database, port = tmp_path / "consumer.py", tmp_path / "samples.db", free_port()
    script.write_text(program)

    def send(count: int = 20) -> None:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect(HOST, port)
        client.loop_start()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = batch.CONTENT_TYPE
        for hub, sequence in (("hub-1", 7), ("hub-1", 7), ("hub-2", 1)):
            data = batch.encode_batch(example_batch(hub, count, sequence))
            client.publish(f"tags/v1/depot/{hub}/samples", data, 1, properties=properties).wait_for_publish(5)
        client.publish("tags/v1/depot/hub-1/samples", b"garbage", 1).wait_for_publish(5)
        client.disconnect()
        end_thread(client)

    def stored() -> list[tuple[int, int, int, float]]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute("SELECT tag, counter, time, temperature_c FROM samples").fetchall()

    @asynccontextmanager
    async def running() -> AsyncIterator[asyncio.StreamReader]:
        command = [sys.executable, str(script), HOST, str(port), str(database)]
        consumer = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert consumer.stderr is not None
        try:
            yield consumer.stderr
        finally:
            consumer.terminate()
            await consumer.communicate()

    async def scenario() -> str:
        async with embedded_broker(port), asyncio.timeout(60):
            async with running() as complaints:
                line = asyncio.ensure_future(complaints.readline())
                while not line.done():  # until it has subscribed and seen the garbage that comes last
                    await asyncio.to_thread(send)
                    await asyncio.wait([line], timeout=1)
            assert len(stored()) == 20
            await asyncio.to_thread(send, 30)
            async with running():
                while len(stored()) < 30:  # noqa: ASYNC110  (another process fills it)
                    await asyncio.sleep(0.05)
            return (await line).decode()

    errors = asyncio.run(scenario())
    assert sorted(stored()) == sorted((1_000 + i % 4, i, 1_790_000_124 + i, 4.3) for i in range(30))
    assert "tags/v1/depot/hub-1/samples: format" in errors
