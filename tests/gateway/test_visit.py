"""One visit: whatever is missing, wherever the connection breaks, each sample comes once and nothing is lost."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tag_journal import HUB_ID, JournalTag
from tags import NOW_S

from taghub.courier.visit import (
    ADOPT_FIRST,
    DONE,
    FAULTS_MAX,
    GREETING,
    Adopt,
    Answered,
    Fetched,
    Filled,
    Finding,
    Plan,
    Proven,
    Reopened,
    TimeTold,
    Told,
    Visit,
    VisitFailed,
)
from tagwire.errors import DecodeError
from tagwire.fields import TIME_GNSS, TIME_HUB
from tagwire.keyring import hub_key_of
from tagwire.ranges import difference, normalized

TAG_ID = 7


def plan(tag: JournalTag, missing: list[tuple[int, int]], **changes: Any) -> Plan:
    return Plan(tag.tag_id, hub_key_of(tag.root_key, HUB_ID), missing)._replace(**changes)


def carry(tag: JournalTag, visit: Visit, frames: int = 100_000, frame_bytes: int = 244) -> list[Finding]:
    """Carry frames both ways until the visit is done, or the connection breaks after so many."""
    findings: list[Finding] = []
    end = tag.end(frame_bytes, random.Random(frames).randbytes)
    towards_hub: list[bytes] = []
    while visit.phase != DONE:
        for frame in visit.frames():
            if not frames:
                return findings
            frames -= 1
            end.receive(frame)
        while (answer := end.next_frame()) is not None:
            towards_hub.append(answer)
        if not towards_hub or not frames:
            return findings
        frames -= 1
        findings += visit.receive(towards_hub.pop(0), 0.0)
    return findings


def visited(tag: JournalTag, made: Plan, frames: int = 100_000, frame_bytes: int = 244) -> list[Finding]:
    return carry(tag, Visit(made, frame_bytes, bytes(8), 0.0), frames, frame_bytes)


def fetched(findings: list[Finding], requested: bool = False) -> list[int]:
    return [
        record.counter
        for finding in findings
        if isinstance(finding, Fetched) and finding.requested == requested
        for record in finding.records
    ]


ranges = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 40)).map(lambda pair: (pair[0], sum(pair))), max_size=50
)


@settings(max_examples=60, deadline=None)
@given(ranges, st.sets(st.integers(0, 440)), st.lists(st.integers(0, 30), max_size=6), st.sampled_from([64, 100, 244]))
def test_missing_samples_come_once_across_broken_connections(
    pairs: list[tuple[int, int]], lost: set[int], breaks: list[int], frame_bytes: int
) -> None:
    tag = JournalTag(TAG_ID, newest=440)
    tag.skipped = {counter for counter in lost if counter % 2}
    tag.gone = lost - tag.skipped
    wanted = missing = normalized(pairs)
    counters: list[int] = []
    for frames in (*breaks, 100_000):
        findings = visited(tag, plan(tag, missing), frames, frame_bytes)
        counters += fetched(findings)
        filled = [r for finding in findings if isinstance(finding, Filled) for r in finding.ranges]
        missing = difference(missing, normalized([*filled, *((c, c) for c in fetched(findings))]))
    assert missing == []
    assert len(counters) == len(set(counters))
    assert set(counters) == {c for first, last in wanted for c in range(first, last + 1)} - tag.gone - tag.skipped


def test_visit_does_all_it_came_for() -> None:
    tag = JournalTag(TAG_ID, newest=50)
    envelope = b"\x01" + (9).to_bytes(4, "little") + bytes(20)
    made = plan(
        tag,
        [(10, 12)],
        requested=[(20, 21)],
        settled=[(0, 5), (7, 9)],
        commands=(envelope,),
        time=(float(NOW_S), TIME_HUB),
        probe=50,
    )
    findings = visited(tag, made)
    assert findings[0] == Proven(50, 51)
    assert fetched(findings) == [10, 11, 12]
    assert fetched(findings, requested=True) == [20, 21]
    assert Told([(0, 5), (7, 9)]) in findings
    assert Answered(envelope, 0, b"sealed reply") in findings
    assert TimeTold(50, NOW_S, TIME_GNSS) in findings
    assert tag.settled == {0, 1, 2, 3, 4, 5, 7, 8, 9}
    assert (tag.times, tag.commands) == ([(NOW_S, TIME_HUB)], [envelope])


def test_tag_whose_samples_are_all_settled_is_asked_for_none() -> None:
    tag = JournalTag(TAG_ID, newest=50)
    tag.settled = set(range(51))
    assert Filled([(10, 12)], "settled_by_others") in visited(tag, plan(tag, [(10, 12)]))
    assert tag.asked == []


@pytest.mark.parametrize(("hours", "expected"), [(0.1, ADOPT_FIRST), (24, 288), (72, 600)])
def test_history_from_before_the_first_sample_goes_back_as_far_as_is_wanted(hours: float, expected: int) -> None:
    tag = JournalTag(TAG_ID, newest=600)
    adopt = Adopt(600, 0, NOW_S - round(hours * 3600))
    findings = visited(tag, plan(tag, [], adopt=adopt))
    assert len(fetched(findings)) == expected
    assert [finding for finding in findings if isinstance(finding, Reopened)][-1] == Reopened(600 - expected, True)


def test_history_from_before_ends_with_what_is_not_settled_or_with_the_generation() -> None:
    tag = JournalTag(TAG_ID, newest=600)
    tag.settled = set(range(580))
    findings = visited(tag, plan(tag, [], adopt=Adopt(600, 0, None)))
    assert sorted(fetched(findings)) == list(range(579, 600))  # one of the 21 that it has is newer
    tag = JournalTag(TAG_ID, newest=20)
    findings = visited(tag, plan(tag, [], adopt=Adopt(20, 0, None)))
    assert sorted(fetched(findings)) == list(range(20))
    assert Reopened(0, True) in findings


def test_many_gaps_are_asked_for_in_many_requests() -> None:
    tag = JournalTag(TAG_ID, newest=900)
    gaps = [(counter, counter) for counter in range(0, 900, 2)]
    assert fetched(visited(tag, plan(tag, gaps))) == [first for first, _ in gaps]


def test_tag_that_says_nothing_is_left() -> None:
    tag = JournalTag(TAG_ID)
    visit = Visit(plan(tag, []), 244, bytes(8), 100.0)
    assert len(visit.frames()) == 1
    assert visit.check(102.9)
    with pytest.raises(VisitFailed, match="stalled"):
        visit.check(103.0)


def test_tag_that_goes_silent_in_the_middle_is_left_and_one_that_goes_on_is_left_at_the_limit() -> None:
    tag = JournalTag(TAG_ID, newest=3000)
    made = plan(tag, [(0, 2999)], limit_s=5.0)
    visit, end = Visit(made, 244, bytes(8), 0.0), tag.end()
    now_s, progress = 0.0, 0
    while visit.check(now_s):
        for frame in visit.frames():
            end.receive(frame)
        answer = end.next_frame()
        if answer is None:
            break
        visit.receive(answer, now_s)
        progress, now_s = visit.fetched, now_s + 0.5
    assert now_s == 5.0
    assert visit.proven
    assert 0 < progress < 3000
    silent = Visit(made, 244, bytes(8), 0.0)
    carry(tag, silent, frames=8)
    with pytest.raises(VisitFailed, match="stalled"):
        silent.check(4.5)


def test_device_that_claims_a_foreign_id_is_left() -> None:
    tag, impostor = JournalTag(TAG_ID), JournalTag(TAG_ID)
    visit = Visit(plan(tag, [(0, 3)]), 244, bytes(8), 0.0)
    impostor.root_key = bytes(16)
    end = impostor.end()
    (hello,) = visit.frames()
    end.receive(hello)
    visit.receive(end.next_frame() or b"", 0.0)
    for frame in visit.frames():
        with pytest.raises(DecodeError, match="forged"):
            end.receive(frame)
    for _ in range(FAULTS_MAX - 1):
        assert visit.receive(b"\x0d\x00\x00" + bytes(20), 0.0) == []
    with pytest.raises(VisitFailed, match="faults"):
        visit.receive(b"\x0d\x00\x00" + bytes(20), 0.0)
    assert not visit.proven


def test_frames_that_are_too_small_for_a_session() -> None:
    with pytest.raises(VisitFailed, match="mtu"):
        Visit(plan(JournalTag(TAG_ID), []), 20, bytes(8), 0.0)


@given(st.lists(st.binary(max_size=600), max_size=40))
def test_any_notifications_raise_nothing_else(frames: list[bytes]) -> None:
    visit = Visit(plan(JournalTag(TAG_ID), [(0, 3)]), 244, bytes(8), 0.0)
    visit.frames()
    try:
        for frame in frames:
            assert visit.receive(frame, 0.0) == []
            visit.frames()
    except VisitFailed:
        pass
    assert not visit.proven


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_unordered_repeated_and_oversized_notifications_lose_and_double_nothing(draw: random.Random, kind: int) -> None:
    tag = JournalTag(TAG_ID, newest=300)
    visit, end = Visit(plan(tag, [(0, 299)]), 244, bytes(8), 0.0), tag.end(244, draw.randbytes)
    queue: list[bytes] = []
    counters: list[int] = []
    try:
        for _ in range(200):
            for frame in visit.frames():
                end.receive(frame)
            while (answer := end.next_frame()) is not None:
                queue.append(answer)
            if not queue:
                break
            at = draw.randrange(len(queue)) if kind == 1 and visit.phase != GREETING else 0
            frame = queue[0] if kind == 2 and draw.random() < 0.2 else queue.pop(at)
            if kind == 3 and draw.random() < 0.1:
                frame += bytes(300)
            counters += fetched(visit.receive(frame, 0.0))
    except VisitFailed:
        pass
    assert len(counters) == len(set(counters))
    assert set(counters) <= set(range(300))
    if visit.phase == DONE:
        assert len(counters) == 300
