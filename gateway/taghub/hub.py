"""The data path of one hub, joined: reports in, batches out. Owns no socket; `run` drives it."""

import asyncio
import logging

from taghub.batcher import Batcher
from taghub.clock import Clock
from taghub.heard import Heard
from taghub.intake import ACCEPTED as OUTCOME_ACCEPTED
from taghub.intake import Accepted, Intake
from taghub.outbox import Dropped, Outbox
from taghub.position import PositionSource
from taghub.registry import Registry
from taghub.settings import MqttSettings, Settings
from taghub.status import ONLINE, Figures, RadioStatus, status
from taghub.trace_file import TraceFile
from taghub.uplink import Uplink
from tagwire.fields import TIME_HUB
from tagwire.keyring import KeyringEntry
from tagwire.trace import ACCEPTED, ACKNOWLEDGED, HEARD

_logger = logging.getLogger(__name__)


class Hub:
    """Lives in one event loop; a UplinkEvents of the uplink that `attach` names."""

    def __init__(
        self,
        settings: Settings,
        mqtt: MqttSettings,
        keyring: dict[int, KeyringEntry],
        clock: Clock,
        position: PositionSource,
        trace: TraceFile | None,
        first_sequence: int,
    ) -> None:
        self._settings = settings.hub
        self._clock = clock
        self._clock_quality = clock.quality()
        self._position = position
        self._trace = trace
        self._intake = Intake(Registry(keyring))
        self._batcher = Batcher(settings.hub.id, settings.batch.max_age_s, settings.batch.max_samples, first_sequence)
        self._outbox = Outbox(mqtt.outbox_mb * 1_000_000)
        self._uplink: Uplink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._counts = {"closed": 0, "acknowledged": 0, "refused": 0}
        self._started_s = clock.age_s()
        self._status_before = (self._started_s, 0, 0)
        self.all_delivered = asyncio.Event()
        """Set while no closed batch waits for the broker's acknowledgement."""
        self.all_delivered.set()
        self.ever_connected = asyncio.Event()
        self.last_refusal = "no answer"
        """Why the last try to connect failed."""
        self.radios: list[RadioStatus] = []

    def attach(self, uplink: Uplink) -> None:
        """Where batches go from now on."""
        self._uplink = uplink

    def take(self, reports: list[Heard]) -> None:
        """Reports of a radio: into the open batch, and to the broker when it is due."""
        self._take_in(self._intake.take(reports))

    def replace_keyring(self, keyring: dict[int, KeyringEntry]) -> None:
        """Go on with another keyring; frames that waited for its keys are taken now."""
        self._take_in(self._intake.replace_keyring(keyring, self._clock.unix_us()))

    def work(self) -> bool:
        """Some milliseconds of what private ids need; True when there is more to do soon."""
        now_us = self._clock.unix_us()
        if not now_us:  # the air's clock has not begun
            return False
        self._take_in(self._intake.work(now_us, self._clock_quality == TIME_HUB))
        return self._intake.has_work

    def _take_in(self, samples: list[Accepted]) -> None:
        for notice in self._intake.news:
            whose = "a private id" if notice.private else f"tag {notice.tag_id}"
            _logger.warning("service beacon of %s (not authenticated): %s", whose, notice.service)
        self._intake.news.clear()
        if samples:
            if self._trace is not None:
                self._trace.heard(HEARD, [(sample.tag_id, sample.counter, sample.t_us) for sample in samples])
                self._trace.samples(ACCEPTED, [sample[:2] for sample in samples], self._clock.unix_us())
            self._batcher.add(samples, self._clock.age_s())
        self._close_due()

    def close_batch(self) -> None:
        """Close the open batch before its time, because the hub ends."""
        self._close_due(close=True)

    @property
    def undelivered_batches(self) -> int:
        """Closed batches that the broker has not acknowledged."""
        return self._outbox.batches

    def send(self) -> None:
        """Publish what waits, as far as the uplink has room."""
        uplink = self._uplink
        while uplink is not None and uplink.has_room and (batch := self._outbox.next_to_send(self._clock.age_s())):
            uplink.publish(batch)

    def radio_changed(self, index: int, radio: RadioStatus) -> None:
        """A radio has been opened or has died: the status says so at once."""
        self.radios[index] = radio
        self.publish_status(ONLINE)

    def publish_status(self, state: str) -> None:
        """Publish the retained status."""
        if self._uplink is None:
            return
        self._clock_quality = self._clock.quality()
        now_s = self._clock.age_s()
        reports = sum(self._intake.counts.values())
        samples = self._intake.counts[OUTCOME_ACCEPTED]
        before_s, reports_before, samples_before = self._status_before
        passed_s = max(now_s - before_s, 0.001)
        figures = Figures(
            uptime_s=now_s - self._started_s,
            clock="hub" if self._clock_quality == TIME_HUB else "estimated",
            position=self._position.current(),
            tags_known=len(self._intake.registry.tags),
            tags_heard=self._intake.registry.heard_count,
            intake=self._intake.counts,
            reports_per_s=(reports - reports_before) / passed_s,
            samples_per_s=(samples - samples_before) / passed_s,
            batches={
                **self._counts,
                "waiting": self._outbox.batches - self._outbox.in_flight,
                "in_flight": self._outbox.in_flight,
                "outbox_bytes": self._outbox.bytes,
                "open_samples": self._batcher.open_samples,
            },
            dropped=self._outbox.dropped,
            radios=self.radios,
        )
        time_s = self._clock.unix_us() // 1_000_000
        message = status(state, self._settings.site, self._settings.id, time_s, figures)
        self._uplink.publish_status(message)
        self._status_before = (now_s, reports, samples)

    def uplink_connected(self) -> None:
        _logger.info("connected to the broker")
        self.ever_connected.set()
        self.publish_status(ONLINE)
        self.send()

    def uplink_refused(self, reason: str) -> None:
        _logger.warning("no connection to the broker: %s", reason)
        self.last_refusal = reason

    def uplink_lost(self, reason: str) -> None:
        _logger.warning("connection to the broker lost: %s; %d batches wait", reason, self._outbox.batches)

    def batch_acknowledged(self, sequence: int) -> None:
        batch = self._outbox.acknowledged(sequence)
        if batch is not None:
            self._counts["acknowledged"] += 1
            if self._trace is not None:
                self._trace.samples(ACKNOWLEDGED, batch.samples, self._clock.unix_us())
        self._answered()

    def batch_refused(self, sequence: int, reason: str) -> None:
        self._counts["refused"] += 1
        _logger.warning("the broker refuses batch %d: %s", sequence, reason)
        dropped = self._outbox.refused(sequence, self._clock.age_s())
        if dropped is not None:
            _log_dropped(dropped)
        self._answered()

    def _answered(self) -> None:
        if not self._outbox.batches:
            self.all_delivered.set()
        self.send()

    def _close_due(self, close: bool = False) -> None:
        position = self._position.current()
        closed = self._batcher.take_due(
            self._clock.age_s(), self._clock.unix_us() // 1_000_000, self._clock_quality, position, close
        )
        for batch in closed:
            self._counts["closed"] += 1
            for dropped in self._outbox.add(batch):
                _log_dropped(dropped)
        if closed:
            self.all_delivered.clear()
            self.send()
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batcher.due_s is not None:
            # At least a little: the air's clock stands still while the air is silent.
            delay_s = max(self._batcher.due_s - self._clock.age_s(), 0.01)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._close_due)


def _log_dropped(dropped: Dropped) -> None:
    _logger.error("%d samples dropped: %s", dropped.samples, dropped.reason)
