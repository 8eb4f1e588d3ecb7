"""The data path of one hub, joined: reports in, batches out. Owns no socket; `run` drives it."""

import asyncio
import logging
from collections.abc import Sequence

from numpy.typing import ArrayLike

from taghub.batcher import Batcher
from taghub.clock import Clock
from taghub.closed_batch import LANE_ALARM, LANE_EVENT, LANE_REPLY, ClosedBatch, dated, key_columns, sample_keys
from taghub.courier.courier import Courier
from taghub.heard import Heard, HeardRun, connectable
from taghub.intake import ACCEPTED as OUTCOME_ACCEPTED
from taghub.intake import Intake
from taghub.inventory import Inventory
from taghub.pacing import Pacer
from taghub.position import PositionSource
from taghub.registry import Registry, TagState
from taghub.restamp import with_guessed_times
from taghub.run_intake import RUN_FROM, take_run
from taghub.sample_columns import Fetched, live_columns
from taghub.sample_rows import Rows, are_alarms, rows_of
from taghub.sender import Sender
from taghub.settings import Settings
from taghub.spool import Dropped, Known, Loaded, Spool, Store
from taghub.status import ONLINE, Figures, RadioStatus, status
from taghub.topics import topics
from taghub.trace_file import TraceFile
from taghub.uplink import Uplink
from tagwire.batch import Batch
from tagwire.batch import samples as samples_of
from tagwire.events import encode_event
from tagwire.fields import TIME_ESTIMATED, TIME_HUB, TIME_UNKNOWN
from tagwire.history import Record
from tagwire.keyring import KeyringEntry
from tagwire.trace import ACCEPTED, ACKNOWLEDGED, HEARD, SPOOLED

CLOCK_WORDS = {TIME_HUB: "hub", TIME_ESTIMATED: "estimated", TIME_UNKNOWN: "unknown"}
UNSAVED_BYTES_MAX = 16_000_000  # in memory, while the spool file cannot be written

_logger = logging.getLogger(__name__)


class Hub:
    """Lives in one event loop; a UplinkEvents of the uplink that `attach` names, and a SpoolEvents of its own spool."""

    def __init__(
        self,
        settings: Settings,
        keyring: dict[int, KeyringEntry],
        clock: Clock,
        position: PositionSource,
        trace: TraceFile | None,
        store: Store,
        loaded: Loaded,
        first_sequence: int,
    ) -> None:
        """store: opened, with what it `loaded`. first_sequence: above every batch number that was ever used."""
        self._settings = settings.hub
        self._clock = clock
        self._clock_quality = clock.quality()
        self._position = position
        self._trace = trace
        self._durable = settings.spool is not None
        registry = Registry(keyring)
        registry.restore(TagState(tag_id, last, True) for tag_id, last in loaded.last.items())
        self._intake = Intake(registry, last_epoch=loaded.epoch)
        self._batcher = Batcher(settings.hub.id, settings.batch.max_age_s, settings.batch.max_samples, first_sequence)
        guessed, others = loaded.open[:0], loaded.open
        if settings.clock.source == "system":
            now_us = None if self._clock_quality == TIME_UNKNOWN else clock.unix_us()
            guessed, others = with_guessed_times(loaded.open, now_us, loaded.certain)
        self._batcher.add_restored(guessed, others, clock.age_s())
        self.spool = Spool(store, loaded, self, UNSAVED_BYTES_MAX)
        pacer = Pacer(settings.mqtt.max_bytes_per_s if settings.mqtt is not None else 0)
        self._sender = Sender(self.spool, pacer, self._batcher.next_sequence)
        self._timer: asyncio.TimerHandle | None = None
        self._counts = {"closed": 0, "events": 0}
        self._link = {"connections": 0, "losses": 0, "refusals": 0}
        self._started_s = clock.age_s()
        site, name = settings.hub.site, settings.hub.id
        interval_s = settings.hub.presence_interval_s
        self._inventory = Inventory(topics(site, name).presence, site, name, interval_s, self._started_s)
        self._status_before = (self._started_s, 0, 0)
        self.all_delivered = asyncio.Event()
        """Set while no closed batch waits for the broker's acknowledgement."""
        self.ever_connected = asyncio.Event()
        self.last_refusal = "no answer"
        """Why the last try to connect failed."""
        self.radios: list[RadioStatus] = []
        self.courier: Courier | None = None
        """Who connects to tags; None where nobody does."""
        self._rearm()  # for samples that an earlier run has left open

    def attach(self, uplink: Uplink) -> None:
        """Where batches go from now on."""
        self._sender.uplink = uplink

    def take(self, reports: Sequence[Heard], radio: int = 0) -> None:
        """Reports of a radio, by its number: into the spool and the open batch, and to the broker when it is due."""
        if isinstance(reports, HeardRun) and len(reports) >= RUN_FROM:
            self._take_in(take_run(self._intake, reports))
        else:
            self._take_in(rows_of(self._intake.take(reports)))
        if self.courier is not None and self.courier.has_keys:
            for _, rssi_dbm, frame, address in connectable(reports):
                tag = self._intake.sender(frame)
                if tag is not None:
                    self.courier.heard(tag.tag_id, radio, address, rssi_dbm)

    def take_history(self, tag_id: int, records: list[Record], rssi_dbm: int) -> None:
        """Samples out of a tag's history, that this hub has not heard: into the backlog. The replay state stays."""
        now_us = self._clock.unix_us()
        fetched = [Fetched(tag_id, record, now_us, rssi_dbm) for record in records]
        self._batcher.add_history(fetched, self._clock.age_s())
        self._close_due()

    def reply(self, payload: bytes) -> None:
        """An answer to the platform."""
        closed_s = dated(self._clock.unix_us() // 1_000_000, self._clock_quality)
        self.spool.add([ClosedBatch(self._batcher.next_sequence(), LANE_REPLY, closed_s, 0, payload)])
        self.send()

    def order_arrived(self, payload: bytes) -> None:
        if self.courier is not None:
            self.courier.order(payload)

    def replace_keyring(self, keyring: dict[int, KeyringEntry]) -> None:
        """Go on with another keyring; frames that waited for its keys are taken now."""
        if self.courier is not None:
            self.courier.replace_keyring(keyring)
        self._take_in(rows_of(self._intake.replace_keyring(keyring, self._clock.unix_us())))

    def work(self) -> bool:
        """Some milliseconds of what private ids need; True when there is more to do soon."""
        now_us = self._clock.unix_us()
        if not now_us:  # the air's clock has not begun
            return False
        self._take_in(rows_of(self._intake.work(now_us, self._clock_quality == TIME_HUB)))
        return self._intake.has_work

    def _take_in(self, samples: Rows) -> None:
        for notice in self._intake.news:
            whose = "a private id" if notice.private else f"tag {notice.tag_id}"
            _logger.warning("service beacon of %s (not authenticated): %s", whose, notice.service)
        self._intake.news.clear()
        if len(samples):
            if self._trace is not None:
                self._trace.samples(HEARD, samples["tag_id"], samples["counter"], samples["t_us"])
            if self.courier is not None:
                for tag_id, counter in samples[["tag_id", "counter"]][samples["unconfirmed"]].tolist():
                    self.courier.first_heard(tag_id, counter)
            self.spool.accept(samples)
            self._batcher.add(samples, self._clock.age_s())
            self._inventory.take(samples)
            alarms = samples[are_alarms(samples)]
            if len(alarms):
                self._raise_events(alarms)
        self._close_due()

    def _raise_events(self, alarms: Rows) -> None:
        """Tell of each alarm at once: no batch and no disk is waited for."""
        now_s = self._clock.unix_us() // 1_000_000
        known = self._clock_quality != TIME_UNKNOWN
        batch = Batch(self._settings.id, 0, now_s, self._clock_quality, None, live_columns(alarms, known))
        payloads = [encode_event(batch.hub, sample) for sample in samples_of(batch)]
        closed_s = dated(now_s, self._clock_quality)
        self.spool.add(
            [ClosedBatch(self._batcher.next_sequence(), LANE_EVENT, closed_s, 0, payload) for payload in payloads]
        )
        self._counts["events"] += len(payloads)
        self.send()

    def close_batch(self) -> None:
        """Close the open batch before its time, because the hub ends."""
        self._close_due(close=True)

    @property
    def undelivered_batches(self) -> int:
        """Closed batches that the broker has not acknowledged."""
        return self.spool.undelivered_batches

    def send(self) -> None:
        """Publish what waits, as far as the uplink has room."""
        self._sender.send()

    def radio_changed(self, index: int, radio: RadioStatus) -> None:
        """A radio's state has changed: the status says at once when it has been opened or is in new trouble."""
        before, self.radios[index] = self.radios[index], radio
        if (before.open, before.problem) != (radio.open, radio.problem):
            self.publish_status(ONLINE)

    def follow_clock(self) -> None:
        """Look whether the clock was set; what a clock that did not know the time has stamped is corrected."""
        self._correct(self._clock.follow())

    def offer_time(self, unix_s: float, quality: int) -> None:
        """A tag, proven in a session, says what time it is; for a hub that has no better source, see Clock.offered."""
        self._correct(self._clock.offered(unix_s, quality))

    def _correct(self, step_us: int) -> None:
        before, self._clock_quality = self._clock_quality, self._clock.quality()
        if step_us:
            _logger.warning("the clock was set by %.1f s: %d open samples follow", step_us / 1e6, self.open_samples)
            self._batcher.shift(step_us)
            self._inventory.presence.shift(step_us)
            self._close_due(close=True)  # the spool's journal has the old stamps: a crash would bring them back
        if before != self._clock_quality:
            _logger.info("the clock is %s", CLOCK_WORDS[self._clock_quality])

    @property
    def open_samples(self) -> int:
        """Samples that wait for their batch to close."""
        return self._batcher.open_samples

    @property
    def due_s(self) -> float | None:
        """When the open batch has to be closed, on the scale of the clock's ages; None where none is open."""
        return self._batcher.due_s

    def close_due(self) -> None:
        """Close what is of age, where the clock has moved and no timer knows of it."""
        if self.due_s is not None and self._clock.age_s() >= self.due_s:
            self._close_due()

    def publish_status(self, state: str) -> None:
        """Publish the retained status."""
        uplink = self._sender.uplink
        if uplink is None:
            return
        now_s = self._clock.age_s()
        reports = sum(self._intake.counts.values())
        samples = self._intake.counts[OUTCOME_ACCEPTED]
        before_s, reports_before, samples_before = self._status_before
        passed_s = max(now_s - before_s, 0.001)
        totals = self.spool.store.totals
        figures = Figures(
            uptime_s=now_s - self._started_s,
            clock=CLOCK_WORDS[self._clock_quality],
            position=self._position.current(),
            tags_known=len(self._intake.registry.tags),
            tags_heard=self._intake.registry.heard_count,
            intake=self._intake.counts,
            waiting={"frames": len(self._intake.waiting), **self._intake.waiting.dropped},
            reports_per_s=(reports - reports_before) / passed_s,
            samples_per_s=(samples - samples_before) / passed_s,
            batches={
                **self._counts,
                "acknowledged": self._sender.acknowledged,
                "refused": self._sender.refused,
                "waiting": max(0, self.spool.undelivered_batches - self.spool.outbox.in_flight),
                "in_flight": self.spool.outbox.in_flight,
                "outbox_bytes": totals.bytes,
                "open_samples": self._batcher.open_samples,
            },
            link=self._link,
            dropped=self.spool.dropped,
            spool={
                "durable": int(self._durable),
                "failing": self.spool.failing,
                "failures": self.spool.failures,
                "repairs": self.spool.repairs,
                "set_aside": totals.poison,
            },
            radios=self.radios,
            courier=None if self.courier is None else self.courier.figures,
        )
        time_s = self._clock.unix_us() // 1_000_000
        message = status(state, self._settings.site, self._settings.id, time_s, figures)
        uplink.publish_status(message)
        self._status_before = (now_s, reports, samples)

    def publish_presence(self) -> None:
        """Publish who is here, where that is due."""
        now_us = self._clock.unix_us()
        uplink = self._sender.uplink
        if uplink is not None and now_us:
            clock = CLOCK_WORDS[self._clock_quality]
            for topic, message in self._inventory.due(self._clock.age_s(), now_us, clock):
                uplink.publish_retained(topic, message)

    def uplink_connected(self) -> None:
        self._link["connections"] += 1
        _logger.info("connected to the broker")
        self.ever_connected.set()
        self.publish_status(ONLINE)
        self._inventory.connected()
        self.publish_presence()
        self.send()

    def uplink_refused(self, reason: str) -> None:
        self._link["refusals"] += 1
        _logger.warning("no connection to the broker: %s", reason)
        self.last_refusal = reason

    def uplink_lost(self, reason: str) -> None:
        self._link["losses"] += 1
        _logger.warning("connection to the broker lost: %s; %d batches wait", reason, self.undelivered_batches)

    def batches_returned(self, sequences: list[int], blamed: bool) -> None:
        self._sender.batches_returned(sequences, blamed)

    def retained_given_up(self, topic: str) -> None:
        self._inventory.given_up(topic)

    def status_acknowledged(self) -> None:
        self._sender.status_acknowledged()

    def batch_acknowledged(self, sequence: int) -> None:
        batch = self._sender.batch_acknowledged(sequence)
        if batch is not None:
            if self._trace is not None and batch.lane >= LANE_ALARM:
                self._trace.samples(ACKNOWLEDGED, *key_columns(batch), self._clock.unix_us())
            if self.courier is not None and self.courier.has_keys:
                self.courier.acknowledged(sample_keys(batch))
        self.send()

    def batch_refused(self, sequence: int, code: int, reason: str) -> None:
        self._sender.batch_refused(sequence, code, reason)

    # What the spool tells.

    def samples_committed(self, samples: Rows) -> None:
        if len(samples):
            self._trace_committed(samples["tag_id"], samples["counter"])

    def history_committed(self, batches: list[ClosedBatch]) -> None:
        if self.courier is not None:
            self.courier.history_committed(batches)
        if self._trace is not None:
            for batch in batches:
                self._trace_committed(*key_columns(batch))

    def _trace_committed(self, tag_ids: ArrayLike, counters: ArrayLike) -> None:
        if self._trace is not None:
            for event in (ACCEPTED, SPOOLED) if self._durable else (ACCEPTED,):
                self._trace.samples(event, tag_ids, counters, self._clock.unix_us())

    def batches_ready(self) -> None:
        if self.spool.all_delivered:
            self.all_delivered.set()
        else:
            self.all_delivered.clear()
        self.send()

    def batches_dropped(self, dropped: list[Dropped]) -> None:
        if self.courier is not None:
            self.courier.batches_dropped()
        for sequence, samples, reason in dropped:
            _logger.error("batch %d dropped with %d samples: %s", sequence, samples, reason)

    def known(self) -> Known:
        now_s = self._clock.unix_us() // 1_000_000 if self._clock_quality == TIME_HUB else None
        return Known(now_s, self._intake.names.last_epoch, self._last_counters)

    def _last_counters(self) -> dict[int, int]:
        return {state.tag_id: state.last for state in self._intake.registry.snapshot()}

    def _close_due(self, close: bool = False) -> None:
        position = self._position.current()
        closed = self._batcher.take_due(
            self._clock.age_s(), self._clock.unix_us() // 1_000_000, self._clock_quality, position, close
        )
        if closed:
            self._counts["closed"] += len(closed)
            self.all_delivered.clear()
            self.spool.add(closed)
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batcher.due_s is not None:
            # At least a little: the air's clock stands still while the air is silent.
            delay_s = max(self._batcher.due_s - self._clock.age_s(), 0.01)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._close_due)
