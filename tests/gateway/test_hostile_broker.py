"""A broker that does what no broker should: the hub stays, stays small, and delivers when it comes to reason."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_process import HubProcess
from scripted_broker import PUBACK, PUBLISH, Publish, ScriptedBroker
from tags import Tag
from waiting import until

from tagwire import trace
from tagwire.batch import decode_batch

TAGS = [Tag(tag_id) for tag_id in range(1, 6)]
HUGE_BYTES = 100_000_000
RSS_MAX_MB = 150
CALM_AFTER = 3  # connections, or publishes

Answer = Callable[[int, Publish], int | bytes | None]
Greet = Callable[[int], bytes | None]


def acknowledges_others(number: int, publish: Publish) -> bytes:
    """Twice, and packets that were never sent; and with the packets of QoS 2."""
    dice = random.Random(number)
    wrong = [dice.randrange(1, 1 << 16).to_bytes(2, "big") for _ in range(20)]
    packets = [bytes([PUBACK << 4, 3]) + packet_id + b"\x00" for packet_id in wrong]
    packets += [bytes([kind, 2]) + packet_id for kind in (0x50, 0x62, 0x70) for packet_id in wrong[:3]]
    mine = bytes([PUBACK << 4, 3]) + publish.packet_id.to_bytes(2, "big") + b"\x00"
    return b"".join(packets) + mine * 2


def ends_the_connection(number: int, publish: Publish) -> int | None:
    return 0 if number > CALM_AFTER else None


def answers_nonsense(number: int, publish: Publish) -> int | bytes:
    return 0 if number > CALM_AFTER else random.Random(number).randbytes(200)


def has_no_such_topic(number: int, publish: Publish) -> int:
    """Until somebody has made it, while the hub waits."""
    return 0x90 if publish.topic.endswith("/samples") and number <= 10 else 0


def huge_retained(number: int) -> bytes:
    topic = b"tags/v1/test/hub-1/command"
    head = len(topic).to_bytes(2, "big") + topic + b"\x00\x01\x00"
    length, octets = len(head) + HUGE_BYTES, b""
    while length:
        octets += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
    return bytes([PUBLISH << 4 | 3]) + octets + head + bytes(HUGE_BYTES) if number == 0 else b""


def hangs_up(number: int) -> bytes | None:
    return b"" if number >= CALM_AFTER else None


def well(number: int, publish: Publish) -> int:
    return 0


@pytest.mark.parametrize(
    ("answer", "greet"),
    [
        (acknowledges_others, lambda number: b""),
        (answers_nonsense, lambda number: b""),
        (has_no_such_topic, lambda number: b""),
        (well, huge_retained),
        (well, hangs_up),
        (well, lambda number: b"\xff\xfe\xfd" * 100 if number < CALM_AFTER else b""),
    ],
    ids=[
        "wrong acknowledgements",
        "nonsense",
        "no such topic",
        "huge retained message",
        "hangs up",
        "nonsense at first",
    ],
)
def test_hub_stays_and_delivers_when_the_broker_comes_to_reason(tmp_path: Path, answer: Answer, greet: Greet) -> None:
    async def scenario() -> None:
        answered = 0

        def numbered(publish: Publish) -> int | bytes | None:
            nonlocal answered
            answered += 1
            return answer(answered, publish)

        async with ScriptedBroker(numbered) as broker:
            broker.greet = greet
            mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nkeepalive_s = 2\nwait_for_broker = true\n'
            hub = HubProcess(tmp_path, [tag.entry() for tag in TAGS], f'{mqtt}[spool]\npath = "spool.db"\n')
            with hub.start():
                expected = set()
                for counter in range(1, 6):
                    await asyncio.to_thread(hub.advertise, *[tag.advertisement(counter) for tag in TAGS])
                    expected |= {(tag.tag_id, counter) for tag in TAGS}
                    await asyncio.sleep(0.25)
                await until(lambda: set(hub.traced(trace.ACKNOWLEDGED)) == expected)
                assert hub.rss_mb() < RSS_MAX_MB
                assert await asyncio.to_thread(hub.end) == 0
            delivered = set()
            for publish in broker.publishes:
                if publish.topic.endswith("/samples"):
                    columns = decode_batch(publish.payload).columns
                    delivered |= set(zip(columns["tag"].tolist(), columns["counter"].tolist(), strict=True))
            assert delivered == expected
            assert "Traceback" not in hub.log
            assert ("does not take this topic name" in hub.log) == (answer is has_no_such_topic)
            assert ("the rest of it is dropped" in hub.log) == (greet is huge_retained)

    asyncio.run(scenario())
