"""What a run's subscriber does with what it receives: batches into the ledger. Pure."""

from collections.abc import Iterable

from tagfleet.delivery import delivery_of
from tagfleet.figures import RunFigures
from tagfleet.ledger import Ledger
from tagwire.batch import decode_batch
from tagwire.errors import DecodeError
from tagwire.fields import TIME_HUB

STATUS_SUFFIX, BACKLOG_SUFFIX = "/status", "/backlog"


class RunConsumer:
    """hubs: the ids of hubs in topics, each with its number; another one gets the next number."""

    def __init__(self, ledger: Ledger, figures: RunFigures, hubs: dict[str, int]) -> None:
        self._ledger = ledger
        self._figures = figures
        self._hubs = hubs

    def take_all(self, arrivals: Iterable[tuple[int, str, bytes]]) -> None:
        """Publishes in the order of their arrival: Unix microseconds, topic, payload. What cannot be decoded is
        counted."""
        figures = self._figures
        for t_us, topic, payload in arrivals:
            if topic.endswith(STATUS_SUFFIX):
                continue
            try:
                batch = decode_batch(payload)
            except DecodeError:
                figures.undecodable += 1
                continue
            hub = self._hubs.setdefault(batch.hub, len(self._hubs))
            delivery = delivery_of(batch)
            self._ledger.arrived(
                delivery.tag_ids,
                delivery.counters,
                delivery.readings,
                t_us,
                hub,
                batch.sequence,
                certain_clock=batch.clock == TIME_HUB,
                backlog=topic.endswith(BACKLOG_SUFFIX),
            )
            figures.batches += 1
            figures.batch_bytes += len(payload)
            figures.batch_samples += len(delivery.tag_ids)
