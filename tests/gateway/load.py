"""A load of samples for a hub that may die under it, and the account of them at the end."""

import threading
import time
from collections.abc import Iterable

from hub_process import HubProcess, Subscriber
from tags import Tag, reading

from tagwire import trace
from tagwire.air import encode_advertisement

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
