"""A load of samples for a hub that may die under it, and the account of them at the end."""

import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
from hub_process import HubProcess, Subscriber
from tags import NOW_S, Tag, reading

from tagwire import trace
from tagwire.air import encode_advertisement, encode_advertisements
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.bulk import advertisements, seal_beacons
from tagwire.fields import encode_body

Key = tuple[int, int]


class Load:
    """Some tags, each of which sends its next sample now and then, from a thread, while `with` lasts.

    Whoever does not listen misses samples: so it is on the air.
    """

    def __init__(self, tags: Iterable[Tag], pause_s: float = 0.01) -> None:
        self._tags = list(tags)
        self._pause_s = pause_s
        self._counters = dict.fromkeys((tag.tag_id for tag in self._tags), 0)
        self._hub: HubProcess | None = None
        self._stop = threading.Event()
        self.sent: set[Key] = set()

    def on(self, hub: HubProcess) -> "Load":
        self._hub = hub
        return self

    def __enter__(self) -> "Load":
        self._stop.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        assert self._hub is not None
        try:
            with self._hub.air() as air:
                while not self._stop.is_set():
                    air.sendall(b"".join(self._next(tag) for tag in self._tags))
                    time.sleep(self._pause_s)
        except (OSError, AssertionError):
            return  # the hub is dead

    def _next(self, tag: Tag) -> bytes:
        self._counters[tag.tag_id] += 1
        counter = self._counters[tag.tag_id]
        self.sent.add((tag.tag_id, counter))
        values = reading(counter % 800 * 100 - 40_000)  # so that every sample is another one
        return encode_advertisement(1, -60, bytes(6), tag.advertisement(counter, values))


def account(hub: HubProcess, subscriber: Subscriber, load: Load) -> None:
    """No accepted sample lost, none delivered as two different ones, and none that was never sent.

    One that died between COMMIT and its trace is delivered and not traced: that is no loss.
    """
    delivered: dict[Key, set[object]] = {}
    for sample in subscriber.samples:
        values = sample.reading._replace(time_s=None, time_quality=0)
        delivered.setdefault((sample.tag_id, sample.counter), set()).add(values)
    accepted = hub.traced(trace.ACCEPTED)
    assert len(accepted) == len(set(accepted)), "accepted twice"
    assert set(accepted) - set(delivered) == set(), "accepted and lost"
    assert set(hub.traced(trace.ACKNOWLEDGED)) - set(delivered) == set()
    assert set(delivered) - load.sent == set(), "never sent"
    assert [key for key, values in delivered.items() if len(values) > 1] == [], "two different ones"
    assert "Traceback" not in hub.log, hub.log
    by_sequence: dict[int, object] = {}
    for batch in subscriber.batches:
        keys = sorted(zip(batch.columns["tag"].tolist(), batch.columns["counter"].tolist(), strict=True))
        assert by_sequence.setdefault(batch.sequence, keys) == keys, "one number, two batches"


def days_of_air(hours: int, tags: int, interval_s: int = 300, first_hour: int = 0) -> Iterator[bytes]:
    """What some tags send in so many hours, one piece for each interval, as fast as the hub takes it."""
    keys = [Tag(tag_id).key() for tag_id in range(1, tags + 1)]
    tag_ids = np.arange(1, tags + 1)
    an_hour = 3600 // interval_s
    for counter in range(first_hour * an_hour, (first_hour + hours) * an_hour):
        now_s = NOW_S + counter * interval_s
        bodies = [encode_body(reading(20_000 + 100 * (counter % 50), now_s))] * tags
        body_rows = np.frombuffer(b"".join(bodies), np.uint8).reshape(tags, -1)
        beacons = seal_beacons(keys, tag_ids, np.full(tags, counter), body_rows)
        adv_data = advertisements(COMPANY_ID_TEST, beacons)
        t_us = np.full(tags, now_s * 1_000_000, np.int64)
        yield encode_advertisements(t_us, np.full(tags, -60), np.zeros((tags, 6), np.uint8), adv_data)
