"""From the spool to the broker: which batch goes when, and what its answer means. Owns no socket; the uplink does."""

import asyncio
import logging
from collections.abc import Callable

from taghub.closed_batch import ClosedBatch
from taghub.outbox import REFUSED_PAUSE_S
from taghub.pacing import Pacer
from taghub.refusals import MALFORMED, PAUSE, POISON, SPLIT, TOO_LARGE, refusal
from taghub.split import halves
from taghub.spool import Spool
from taghub.suspects import Suspects
from taghub.uplink import MAX_PACKET_BYTES, Uplink

SMALLEST_LIMIT_BYTES = 1_000  # below, no broker's limit on packets is what a batch dies of

_logger = logging.getLogger(__name__)


class Sender:
    """Lives in one event loop. Tell it what the uplink tells, and `send` when something may go."""

    def __init__(self, spool: Spool, pacer: Pacer, next_sequence: Callable[[], int]) -> None:
        """next_sequence: gives numbers to the halves of a batch that is too large."""
        self.uplink: Uplink | None = None
        """Where batches go."""
        self.acknowledged = 0
        """Batches that the broker has taken over."""
        self.refused = 0
        """Answers of the broker that were refusals."""
        self._spool = spool
        self._pacer = pacer
        self._next_sequence = next_sequence
        self._pace_timer: asyncio.TimerHandle | None = None
        self._suspects = Suspects()
        self._largest_bytes = MAX_PACKET_BYTES  # of a batch: what the broker has shown to take, where it does not tell

    def send(self) -> None:
        """Publish what waits, as far as the uplink has room."""
        uplink = self.uplink
        while uplink is not None and uplink.has_room_for_alarm:
            now_s = _now_s()
            delay_s = self._pacer.delay_s(now_s)
            batch = self._spool.next_to_send(now_s, alarms_only=delay_s > 0 or not uplink.has_room)
            if batch is None:
                if delay_s and uplink.has_room and self._pace_timer is None:
                    self._pace_timer = asyncio.get_running_loop().call_later(delay_s, self._pace_over)
                return
            largest_bytes = min(uplink.max_payload_bytes, self._largest_bytes)
            if len(batch.payload) > largest_bytes:
                self._refuse(batch.sequence, TOO_LARGE, f"the broker takes {largest_bytes} bytes")
                continue
            self._pacer.spend(len(batch.payload))
            uplink.publish(batch)

    def _pace_over(self) -> None:
        self._pace_timer = None
        self.send()

    def batch_acknowledged(self, sequence: int) -> ClosedBatch | None:
        """Out of the spool; None where it was not there any more. Call `send` once its news is told."""
        self._suspects.acknowledged(sequence)
        batch = self._spool.acknowledged(sequence)
        self.acknowledged += batch is not None
        return batch

    def status_acknowledged(self) -> None:
        """As of `UplinkEvents`."""
        self._suspects.status_acknowledged()
        self.send()

    def batch_refused(self, sequence: int, code: int, reason: str) -> None:
        """As of `UplinkEvents`."""
        self._refuse(sequence, code, reason)
        self.send()

    def batches_returned(self, sequences: list[int], blamed: bool) -> None:
        """As of `UplinkEvents`."""
        outbox, now_s = self._spool.outbox, _now_s()
        for sequence in sequences:
            batch = outbox.find(sequence)
            splittable = batch is not None and batch.samples > 1 and len(batch.payload) > SMALLEST_LIMIT_BYTES
            if not blamed or not self._suspects.blame(sequence, splittable):
                outbox.put_back([sequence], now_s + (REFUSED_PAUSE_S if blamed else 0.0))
                continue
            # The usual reason is a size that the broker does not take, which MQTT 3.1.1 has no way to tell.
            if batch is not None and splittable:
                self._largest_bytes = min(self._largest_bytes, len(batch.payload) - 1)
            reason = "it ends the connection whenever this is sent"
            self._refuse(sequence, TOO_LARGE if splittable else MALFORMED, reason)

    def _refuse(self, sequence: int, code: int, reason: str) -> None:
        self.refused += 1
        action, advice = refusal(code)
        _logger.warning("the broker refuses batch %d: %s; %s", sequence, reason, advice)
        outbox, now_s = self._spool.outbox, _now_s()
        batch = outbox.find(sequence)
        if action == PAUSE:
            outbox.put_back([sequence], now_s + REFUSED_PAUSE_S)
            outbox.pause(now_s + REFUSED_PAUSE_S)
        elif action == SPLIT and batch is not None and batch.samples > 1:
            self._spool.replace(sequence, halves(batch, self._next_sequence))
        else:
            self._spool.refused(sequence, now_s, for_good=action in (POISON, SPLIT))


def _now_s() -> float:
    """For pauses: of the machine, for a broker does not live in the air's time."""
    return asyncio.get_running_loop().time()
