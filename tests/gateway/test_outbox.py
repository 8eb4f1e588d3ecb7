"""The outbox: order, refusals, and that nothing is sent twice at a time."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_EVENT, LANE_LIVE, ClosedBatch
from taghub.outbox import ASIDE_MAX, READY_MAX, REFUSED_PAUSE_S, REFUSED_TRIES_MAX, Outbox


def batch(sequence: int, lane: int = LANE_LIVE) -> ClosedBatch:
    return ClosedBatch(sequence, lane, 0, 2, b"payload")


def sent(outbox: Outbox, now_s: float = 0.0) -> list[int]:
    """Everything that goes now, in order."""
    batches = iter(lambda: outbox.next_to_send(now_s), None)
    return [each.sequence for each in batches]


def test_alarms_pass_live_data_and_live_data_passes_a_backlog() -> None:
    outbox = Outbox()
    outbox.refill([batch(1), batch(2, LANE_BACKLOG)])
    outbox.put([batch(7), batch(8, LANE_BACKLOG), batch(9, LANE_ALARM)])
    assert sent(outbox) == [9, 7, 1, 2, 8]
    assert outbox.in_flight == 5


def test_alarms_of_an_outage_pass_live_data() -> None:
    outbox = Outbox()
    outbox.refill([batch(1, LANE_EVENT), batch(2, LANE_ALARM), batch(3), batch(4, LANE_BACKLOG)])
    outbox.put([batch(7), batch(9, LANE_ALARM)])
    assert outbox.next_to_send(0.0, alarms_only=True) == batch(9, LANE_ALARM)
    assert outbox.next_to_send(0.0, alarms_only=True) == batch(1, LANE_EVENT)
    assert sent(outbox) == [2, 7, 3, 4]


def test_no_more_is_wanted_while_enough_alarms_of_an_outage_wait() -> None:
    outbox = Outbox()
    outbox.refill([batch(sequence, LANE_ALARM) for sequence in range(READY_MAX)])
    assert not outbox.wants_more
    assert len(sent(outbox)) == READY_MAX
    assert outbox.wants_more


def test_of_many_waiting_batches_the_newest_stay_in_memory() -> None:
    outbox = Outbox()
    outbox.put([batch(sequence) for sequence in range(READY_MAX + 10)])
    assert outbox.held == list(range(10, READY_MAX + 10))


def test_batches_that_are_in_no_file_all_stay_in_memory() -> None:
    outbox = Outbox()
    outbox.put([batch(sequence) for sequence in range(READY_MAX + 10)], saved=False)
    assert len(outbox.held) == READY_MAX + 10


def test_acknowledged_batch_is_gone_and_an_unknown_one_is_none() -> None:
    outbox = Outbox()
    outbox.put([batch(1)])
    assert outbox.acknowledged(1) is None
    outbox.next_to_send(0.0)
    assert outbox.acknowledged(1) == batch(1)
    assert (outbox.acknowledged(1), outbox.held) == (None, [])


def test_refused_batch_does_not_block_and_is_given_up_in_the_end() -> None:
    outbox = Outbox()
    outbox.put([batch(1), batch(2)])
    assert sent(outbox) == [1, 2]
    now_s = 0.0
    for _ in range(REFUSED_TRIES_MAX - 1):
        assert outbox.refused(1, now_s)
        assert sent(outbox, now_s) == []
        now_s += REFUSED_PAUSE_S
        assert sent(outbox, now_s) == [1]
    assert not outbox.refused(1, now_s)
    assert outbox.held == [2]


def test_broker_that_refuses_everything_gets_no_more() -> None:
    outbox = Outbox()
    for sequence in range(ASIDE_MAX + 5):
        outbox.put([batch(sequence)])
        if outbox.next_to_send(0.0) is not None:
            outbox.refused(sequence, 0.0)
    assert sent(outbox) == []
    assert len(sent(outbox, REFUSED_PAUSE_S)) == ASIDE_MAX + 5


def test_pause_holds_everything_and_gives_up_nothing() -> None:
    outbox = Outbox()
    outbox.put([batch(1), batch(2)])
    outbox.next_to_send(0.0)
    outbox.put_back([1], 5.0)
    outbox.pause(5.0)
    assert sent(outbox, 4.9) == []
    assert sent(outbox, 5.0) == [1, 2]


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: a batch is here once, or it was acknowledged, given up or forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.now_s = 0.0
        self.added = self.ended = 0
        self.in_flight: list[int] = []

    @rule(lane=st.sampled_from([LANE_ALARM, LANE_LIVE, LANE_BACKLOG]))
    def add(self, lane: int) -> None:
        self.added += 1
        self.outbox.put([batch(self.added, lane)], saved=False)

    @rule(passed_s=st.floats(0, 30))
    def send(self, passed_s: float) -> None:
        self.now_s += passed_s
        each = self.outbox.next_to_send(self.now_s)
        if each is not None:
            assert each.sequence not in self.in_flight
            self.in_flight.append(each.sequence)

    @rule(answer=st.sampled_from(["ack", "refuse", "back", "forget"]))
    def answer(self, answer: str) -> None:
        if not self.in_flight:
            return
        sequence = self.in_flight.pop(0)
        if answer == "ack":
            assert self.outbox.acknowledged(sequence) is not None
            self.ended += 1
        elif answer == "refuse":
            self.ended += not self.outbox.refused(sequence, self.now_s)
        elif answer == "back":
            self.outbox.put_back([sequence], self.now_s)
        else:
            self.outbox.forget([sequence])
            self.ended += 1

    @invariant()
    def every_batch_is_accounted_for(self) -> None:
        held = self.outbox.held
        assert len(set(held)) == len(held) == self.added - self.ended
        assert sorted(self.outbox.flying) == sorted(self.in_flight)


TestOutboxMachine = OutboxMachine.TestCase
