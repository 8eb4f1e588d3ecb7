"""What a run's subscriber does with what it receives: batches into the ledger, statuses into the figures. Pure."""

import json
from collections.abc import Iterable

from tagfleet.delivery import delivery_of
from tagfleet.figures import HubStatus, RunFigures
from tagfleet.latest import latest_of
from tagfleet.ledger import Ledger
from tagwire.batch import decode_batch
from tagwire.errors import DecodeError
from tagwire.fields import TIME_HUB

STATUS_SUFFIX, BACKLOG_SUFFIX = "/status", "/backlog"


class Consumer:
    """hubs: the ids of hubs in topics, each with its number; another one gets the next number."""

    def __init__(self, ledger: Ledger, figures: RunFigures, hubs: dict[str, int]) -> None:
        self._ledger = ledger
        self._figures = figures
        self._hubs = hubs

    def take_all(self, arrivals: Iterable[tuple[int, str, bytes]]) -> None:
        """Publishes in the order of their arrival, each as the arguments of `take`."""
        for t_us, topic, payload in arrivals:
            self.take(t_us, topic, payload)

    def take(self, t_us: int, topic: str, payload: bytes) -> None:
        """One publish that arrived at Unix microseconds `t_us`. What cannot be decoded is counted."""
        try:
            if topic.endswith(STATUS_SUFFIX):
                self._take_status(topic.split("/")[-2], payload)
            else:
                self._take_batch(t_us, payload, backlog=topic.endswith(BACKLOG_SUFFIX))
        except (DecodeError, ValueError):
            self._figures.undecodable += 1

    def _take_batch(self, t_us: int, payload: bytes, backlog: bool) -> None:
        figures = self._figures
        batch = decode_batch(payload)
        delivery = delivery_of(batch)
        self._ledger.arrived(
            delivery.tag_ids,
            delivery.counters,
            delivery.readings,
            t_us,
            self._number(batch.hub),
            batch.sequence,
            certain_clock=batch.clock == TIME_HUB,
            backlog=backlog,
        )
        figures.batches += 1
        figures.batch_bytes += len(payload)
        figures.batch_samples += len(delivery.tag_ids)
        if figures.latest is not None and not backlog:
            figures.latest |= latest_of(delivery, t_us)

    def _take_status(self, hub: str, payload: bytes) -> None:
        status = json.loads(payload)
        if not isinstance(status, dict):
            raise ValueError("a status is a JSON object")
        number = self._number(hub)
        known = self._figures.statuses.get(number, HubStatus())
        counters, radios = status.get("intake"), status.get("radios")
        if isinstance(counters, dict):
            known = known._replace(intake={name: n for name, n in counters.items() if isinstance(n, int)})
        if isinstance(radios, list):
            known = known._replace(open_radios=sum(isinstance(r, dict) and r.get("open") is True for r in radios))
        self._figures.statuses[number] = known

    def _number(self, hub: str) -> int:
        return self._hubs.setdefault(hub, len(self._hubs))
