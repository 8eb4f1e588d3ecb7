"""The intake of whole runs: whatever is heard, it comes to what the intake of single reports comes to."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tags import EPOCH, NOW_US, Tag

from taghub.heard import Heard, HeardRun
from taghub.intake import ACCEPTED, REPEAT, Accepted, Intake
from taghub.registry import Registry
from taghub.run_intake import take_run
from taghub.sample_rows import Rows
from tagwire.alarm import REASON_SHOCK
from tagwire.beacon import BEACON_BYTES, HINT_BACKLOG, HINT_CONNECTABLE

TAGS = [Tag(1), Tag(2, 1), Tag(3)]
ENTRIES = [
    TAGS[0].entry(),
    TAGS[1].entry(previous_generation=0, previous_beacon_key=TAGS[1].key(0), previous_expires_s=1_790_003_600),
    TAGS[2].entry(id_key=TAGS[2].id_key(), expires_s=1_790_000_900),
]
FRAMES = (
    [TAGS[0].beacon(counter) for counter in (1, 2, 3, 4, 5, 70_000, 70_001, 140_000)]
    + [TAGS[0].beacon(counter, hints=HINT_BACKLOG | HINT_CONNECTABLE) for counter in (2, 3)]
    + [TAGS[0].beacon(6, reason=REASON_SHOCK)]
    + [TAGS[1].beacon(counter) for counter in (1, 2, 3, 1 << 24, 1 << 24 | 1, 1 << 24 | 2)]
    + [TAGS[2].beacon(counter, epoch=EPOCH) for counter in range(4)]
    + [TAGS[2].beacon(counter) for counter in (4, 5)]
    + [Tag(99).beacon(1), bytes(BEACON_BYTES), b"\xff" * BEACON_BYTES]
)
FORGED = [frame[:-1] + bytes([frame[-1] ^ 1]) for frame in FRAMES]


def intake() -> Intake:
    made = Intake(Registry(ENTRIES))
    made.work(NOW_US, True)
    while made.has_work:
        made.work(NOW_US, True)
    return made


def run_of(reports: Iterable[Heard]) -> HeardRun:
    t_us, rssi_dbm, frames, addresses = zip(*reports, strict=True)
    rows = np.frombuffer(b"".join(frames), np.uint8).reshape(-1, BEACON_BYTES)
    return HeardRun(
        np.array(t_us, np.uint64), np.array(rssi_dbm, np.int8), rows, np.array([b or bytes(6) for b in addresses], "V6")
    )


def listed(samples: Rows) -> list[Accepted]:
    return [Accepted(*row) for row in samples.tolist()]


def by_tag(samples: Iterable[Accepted]) -> list[Accepted]:
    """Each tag's in their order; the order among tags has no meaning."""
    return sorted(samples, key=lambda sample: sample.tag_id)


reports = st.builds(
    lambda frame, age_s, rssi: Heard(NOW_US + age_s * 1_000_000, rssi, frame),
    st.sampled_from(FRAMES) | st.sampled_from(FORGED),
    st.sampled_from([0, 0, 0, 1000, 4000]),
    st.integers(-100, 0),
)


@given(st.lists(st.lists(reports, min_size=1, max_size=30), max_size=4))
def test_runs_give_what_single_reports_give(chunks: list[list[Heard]]) -> None:
    singly, in_runs = intake(), intake()
    for chunk in chunks:
        expected = by_tag(singly.take(chunk))
        assert by_tag(listed(take_run(in_runs, run_of(chunk)))) == expected
        assert in_runs.counts == singly.counts
        assert in_runs.registry.snapshot() == singly.registry.snapshot()


def test_plain_beacons_are_opened_in_one_go() -> None:
    """Or the property above would say nothing about it."""
    made = intake()
    made.take([Heard(NOW_US, -60, TAGS[0].beacon(1)), Heard(NOW_US, -60, TAGS[2].beacon(0, epoch=EPOCH))])
    made.take = pytest.fail  # type: ignore[method-assign,assignment]
    frames = [TAGS[0].beacon(2)] * 3 + [TAGS[2].beacon(1, epoch=EPOCH), TAGS[0].beacon(3), TAGS[0].beacon(60_000)]
    samples = listed(take_run(made, run_of(Heard(NOW_US, -60, frame) for frame in frames)))
    assert [sample[:2] for sample in samples] == [(1, 2), (1, 3), (1, 60_000), (3, 1)]
    assert (made.counts[ACCEPTED], made.counts[REPEAT]) == (6, 2)


def test_forged_frame_of_a_tag_is_no_harm_to_others() -> None:
    made = intake()
    made.take([Heard(NOW_US, -60, TAGS[0].beacon(1)), Heard(NOW_US, -60, TAGS[1].beacon(1 << 24))])
    forged = FORGED[FRAMES.index(TAGS[0].beacon(3))]
    frames = [TAGS[0].beacon(2), forged, TAGS[1].beacon(1 << 24 | 1), TAGS[0].beacon(3)]
    samples = listed(take_run(made, run_of(Heard(NOW_US, -60, frame) for frame in frames)))
    assert sorted(sample[:2] for sample in samples) == [(1, 2), (1, 3), (2, 1 << 24 | 1)]
    assert made.counts["forged"] == 1
