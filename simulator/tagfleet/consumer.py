"""What the subscriber does with what it receives: batches into the ledger, status into the figures. Pure."""

import json
from collections.abc import Iterable
from typing import Any

from tagfleet.delivery import delivery_of
from tagfleet.ledger import Ledger
from tagfleet.progress import Latest, Progress
from tagwire.batch import decode_batch
from tagwire.bulk import NOT_AVAILABLE
from tagwire.errors import DecodeError
from tagwire.fields import Reading


class Consumer:
    """Feed it publishes in the order of their arrival."""

    def __init__(self, ledger: Ledger, progress: Progress) -> None:
        self._ledger = ledger
        self._progress = progress

    def take_all(self, arrivals: Iterable[tuple[int, str, bytes]]) -> None:
        """Some publishes, each as the arguments of `take`."""
        for t_us, topic, payload in arrivals:
            self.take(t_us, topic, payload)

    def take(self, t_us: int, topic: str, payload: bytes) -> None:
        """One publish that arrived at Unix microseconds `t_us`. What cannot be decoded is counted."""
        try:
            if topic.endswith("/status"):
                self._take_status(payload)
            else:
                self._take_batch(t_us, payload, backlog=topic.endswith("/backlog"))
        except (DecodeError, ValueError):
            self._progress.undecodable += 1

    def _take_batch(self, t_us: int, payload: bytes, backlog: bool) -> None:
        progress = self._progress
        delivery = delivery_of(decode_batch(payload))
        self._ledger.arrived(delivery.tag_ids, delivery.counters, delivery.readings, t_us, backlog=backlog)
        progress.batches += 1
        progress.batch_bytes += len(payload)
        progress.batch_samples += len(delivery.tag_ids)
        rows = zip(*(column.tolist() for column in delivery.readings), strict=True)
        identities = zip(delivery.tag_ids.tolist(), delivery.counters.tolist(), delivery.rssi_dbm.tolist(), strict=True)
        for (tag_id, counter, rssi_dbm), row in zip(identities, rows, strict=True):
            values: list[Any] = [None if value == NOT_AVAILABLE else value for value in row]
            reading = Reading(*values)
            if not backlog:
                progress.latest[tag_id] = Latest(reading, counter, rssi_dbm, t_us)

    def _take_status(self, payload: bytes) -> None:
        status = json.loads(payload)
        if not isinstance(status, dict):
            raise ValueError("a status is a JSON object")
        counters, radios = status.get("intake"), status.get("radios")
        if isinstance(counters, dict):
            self._progress.hub_counters = {k: v for k, v in counters.items() if isinstance(v, int)}
        if isinstance(radios, list):
            self._progress.open_radios = sum(isinstance(r, dict) and r.get("open") is True for r in radios)
