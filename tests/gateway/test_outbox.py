"""The outbox: order, bound, refusals, and nothing given up without being counted."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from taghub.batcher import ClosedBatch
from taghub.outbox import DROP_FULL, DROP_REFUSED, REFUSED_PAUSE_S, REFUSED_TRIES_MAX, Dropped, Outbox


def batch(sequence: int, size: int = 10) -> ClosedBatch:
    return ClosedBatch(sequence, bytes(size), [(1, sequence), (2, sequence)])


def test_batches_leave_in_order_and_are_forgotten_when_acknowledged() -> None:
    outbox = Outbox(1000)
    outbox.add(batch(1))
    outbox.add(batch(2))
    first = outbox.next_to_send(0.0)
    assert first == batch(1)
    assert outbox.next_to_send(0.0) == batch(2)
    assert outbox.next_to_send(0.0) is None
    assert (outbox.batches, outbox.in_flight, outbox.bytes) == (2, 2, 20)
    assert outbox.acknowledged(1) == batch(1)
    assert outbox.acknowledged(1) is None
    assert (outbox.batches, outbox.in_flight, outbox.bytes) == (1, 1, 10)


def test_full_outbox_drops_the_oldest_that_is_not_in_flight() -> None:
    outbox = Outbox(30)
    for sequence in (1, 2, 3):
        assert outbox.add(batch(sequence)) == []
    outbox.next_to_send(0.0)
    assert outbox.add(batch(4)) == [Dropped(DROP_FULL, 2)]
    assert outbox.next_to_send(0.0) == batch(3)
    assert outbox.dropped == {DROP_FULL: 2, DROP_REFUSED: 0}


def test_refused_batch_is_set_aside_does_not_block_and_is_given_up_in_the_end() -> None:
    outbox = Outbox(1000)
    outbox.add(batch(1))
    outbox.add(batch(2))
    now_s = 0.0
    for _ in range(REFUSED_TRIES_MAX - 1):
        assert outbox.next_to_send(now_s) == batch(1)
        assert outbox.refused(1, now_s) is None
        if now_s == 0.0:
            assert outbox.next_to_send(now_s) == batch(2)
        assert outbox.next_to_send(now_s) is None
        now_s += REFUSED_PAUSE_S
    assert outbox.next_to_send(now_s) == batch(1)
    assert outbox.refused(1, now_s) == Dropped(DROP_REFUSED, 2)
    assert outbox.refused(1, now_s) is None
    assert (outbox.batches, outbox.bytes) == (1, 10)


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: each batch is in the outbox, acknowledged, or counted as dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(100)
        self.now_s = 0.0
        self.added = self.acknowledged = self.dropped = 0
        self.in_flight: list[int] = []

    @rule(size=st.integers(1, 40))
    def add(self, size: int) -> None:
        self.added += 1
        self.dropped += sum(dropped.samples for dropped in self.outbox.add(batch(self.added, size))) // 2

    @rule(passed_s=st.floats(0, 30))
    def send(self, passed_s: float) -> None:
        self.now_s += passed_s
        sent = self.outbox.next_to_send(self.now_s)
        if sent is not None:
            assert sent.sequence not in self.in_flight
            self.in_flight.append(sent.sequence)

    @rule(accept=st.booleans())
    def answer(self, accept: bool) -> None:
        if not self.in_flight:
            return
        sequence = self.in_flight.pop(0)
        if accept:
            assert self.outbox.acknowledged(sequence) is not None
            self.acknowledged += 1
        elif self.outbox.refused(sequence, self.now_s) is not None:
            self.dropped += 1

    @invariant()
    def every_batch_is_accounted_for(self) -> None:
        assert self.added == self.outbox.batches + self.acknowledged + self.dropped
        assert sum(self.outbox.dropped.values()) == 2 * self.dropped
        assert self.outbox.in_flight == len(self.in_flight)
        assert self.outbox.bytes <= 100 + 40 * max(1, self.outbox.in_flight)


TestOutboxMachine = OutboxMachine.TestCase
