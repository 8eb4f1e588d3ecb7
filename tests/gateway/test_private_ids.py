"""Private ids at a hub: names that change, clocks that differ, a hub without time, and frames that wait."""

from typing import Any

from tags import EPOCH, NOW_US, Tag, reading

from taghub import intake as words
from taghub.heard import Heard
from taghub.intake import Intake
from taghub.registry import Registry, TagState
from tagwire.idtable import IdTable
from tagwire.keyring import KeyringEntry

EPOCH_US = 1_024_000_000
TAG = Tag(7)


def private_entry(tag: Tag, **changes: Any) -> KeyringEntry:
    return tag.entry(id_key=tag.id_key(), **changes)


def intake_of(*tags: Tag, last_epoch: int = 0) -> Intake:
    return Intake(Registry([private_entry(tag) for tag in tags]), last_epoch=last_epoch)


def work_all(intake: Intake, now_us: int = NOW_US, certain: bool = True) -> list[int]:
    """All that is to be done at this time; the counters of the samples that come of it."""
    found = [sample.counter for sample in intake.work(now_us, certain)]
    while intake.has_work:
        found += [sample.counter for sample in intake.work(now_us, certain)]
    return found


def accepted(intake: Intake, *reports: Heard) -> list[int]:
    return [sample.counter for sample in intake.take(reports)]


def test_tag_is_followed_through_its_names() -> None:
    intake = intake_of(TAG, Tag(8))
    for step in range(5):
        now_us = NOW_US + step * EPOCH_US
        work_all(intake, now_us)
        report = TAG.heard(step, epoch=EPOCH + step, t_us=now_us)
        assert accepted(intake, report, report) == [step]
    assert intake.counts[words.REPEAT] == 5


def test_frames_heard_before_the_names_are_made_wait_for_them() -> None:
    intake = intake_of(TAG)
    assert accepted(intake, TAG.heard(1, epoch=EPOCH), TAG.heard(1, epoch=EPOCH), TAG.heard(2, epoch=EPOCH)) == []
    assert work_all(intake) == [1, 2]
    assert (intake.counts[words.UNKNOWN], intake.counts[words.ACCEPTED]) == (1, 2)
    assert len(intake.waiting) == 0


def test_name_outside_the_window_is_unknown_also_where_it_was_known_before() -> None:
    intake = intake_of(*(Tag(number) for number in range(1, 600)))  # so many tags that the window is a day
    work_all(intake)
    old = TAG.heard(2, epoch=EPOCH)
    assert accepted(intake, TAG.heard(1, epoch=EPOCH), TAG.heard(3, epoch=EPOCH - 80)) == [1, 3]
    work_all(intake, NOW_US + 200 * EPOCH_US)
    assert accepted(intake, old._replace(t_us=NOW_US + 200 * EPOCH_US)) == []
    assert intake.counts[words.UNKNOWN] == 1


def test_hub_without_time_searches_forward_from_the_last_epoch_it_knew() -> None:
    intake = intake_of(TAG, Tag(8), last_epoch=EPOCH - 5_000)
    booted_us = 1_000_000  # 1970: no clock
    assert work_all(intake, booted_us, certain=False) == []
    assert accepted(intake, TAG.heard(4, epoch=EPOCH, t_us=booted_us)) == []
    assert work_all(intake, booted_us, certain=False) == [4]
    assert intake.names.last_epoch == EPOCH
    # It goes on by its own clock from there.
    later_us = booted_us + EPOCH_US
    work_all(intake, later_us, certain=False)
    assert accepted(intake, Tag(8).heard(1, epoch=EPOCH + 1, t_us=later_us)) == [1]


def test_hub_without_time_never_goes_back_behind_the_last_epoch_it_knew() -> None:
    intake = intake_of(TAG, last_epoch=EPOCH)
    work_all(intake, 1_000_000, certain=False)
    recorded = TAG.heard(4, epoch=EPOCH - 3_000, t_us=1_000_000)
    assert accepted(intake, recorded) == []
    work_all(intake, 1_000_000, certain=False)
    assert accepted(intake, recorded) == []
    assert intake.names.last_epoch == EPOCH


def test_noise_does_not_tell_a_hub_without_time_the_epoch() -> None:
    intake = intake_of(TAG, last_epoch=EPOCH)
    work_all(intake, 1_000_000, certain=False)
    genuine = TAG.beacon(1, epoch=EPOCH + 2_000)
    forged = genuine[:-1] + bytes([genuine[-1] ^ 1])  # a true name, replayed with another MIC
    accepted(intake, Heard(1_000_000, -60, forged))
    work_all(intake, 1_000_000, certain=False)
    assert intake.names.last_epoch == EPOCH


def test_private_ids_that_collide_are_told_apart_by_the_mic() -> None:
    first, second = Tag(7), Tag(8)
    second.id_key = first.id_key  # type: ignore[method-assign]  # the same names, as two in 2**32 may have by chance
    intake = Intake(Registry([private_entry(tag) for tag in (first, second)]))
    work_all(intake)
    reports = [tag.heard(counter, epoch=EPOCH) for counter in (3, 4) for tag in (first, second)]
    assert [(sample.tag_id, sample.counter) for sample in intake.take(reports)] == [(7, 3), (8, 3), (7, 4), (8, 4)]


def test_table_names_every_tag_in_slices_and_forgets_what_is_over() -> None:
    keys = [Tag(number).id_key() for number in range(300)]
    table = IdTable(keys, epochs_each_side=1)
    assert not table.work(100, 50)
    assert not table.work(105, 50)  # the clock jumped before the first window was complete
    while not table.work(101, 50):
        pass
    fresh = IdTable(keys, epochs_each_side=1)
    while not fresh.work(101, 10_000):
        pass
    assert table._bearers == fresh._bearers
    assert {epoch: sorted(ids) for epoch, ids in table._ids.items()} == {
        epoch: sorted(ids) for epoch, ids in fresh._ids.items()
    }
    assert sorted(table._ids) == [100, 101, 102, 103]


def test_unknown_tag_is_taken_when_its_key_comes() -> None:
    intake = Intake(Registry([]))
    heard = [TAG.heard(counter, reading(), t_us=NOW_US + counter) for counter in (5, 6, 6, 7)]
    assert accepted(intake, *heard, Tag(9).heard(1)) == []
    samples = intake.replace_keyring([TAG.entry()], NOW_US + 60_000_000)
    assert [(sample.counter, sample.t_us) for sample in samples] == [(5, NOW_US + 5), (6, NOW_US + 6), (7, NOW_US + 7)]
    assert len(intake.waiting) == 1


def test_what_waits_is_bounded_in_number_and_age() -> None:
    intake = Intake(Registry([]))
    for number in range(5_000):
        intake.take([Heard(NOW_US, -60, b"\x01" + number.to_bytes(23, "little"))])
    assert (len(intake.waiting), intake.waiting.dropped) == (4_096, {"full": 904, "old": 0})
    intake.replace_keyring([], NOW_US + 3_700_000_000)
    assert (len(intake.waiting), intake.waiting.dropped) == (0, {"full": 904, "old": 4_096})


def test_state_never_rolls_back() -> None:
    intake = Intake(Registry([TAG.entry()]))
    assert accepted(intake, TAG.heard(10)) == [10]
    old = intake.registry.snapshot()
    assert accepted(intake, TAG.heard(20)) == [20]
    new = intake.registry.snapshot()
    assert new == [TagState(7, 20, True)]
    for states in ([*old, *new], [*new, *old]):
        again = Intake(Registry([TAG.entry(last_counter=3)]))
        again.registry.restore(states)
        samples = again.take([TAG.heard(15), TAG.heard(20), TAG.heard(21)])
        assert [(sample.counter, sample.unconfirmed) for sample in samples] == [(21, False)]


def test_tag_that_leaves_the_keyring_and_comes_back_goes_on_where_it_was() -> None:
    intake = Intake(Registry([TAG.entry()]))
    assert accepted(intake, TAG.heard(10)) == [10]
    intake.replace_keyring([], NOW_US)
    assert intake.registry.snapshot() == [TagState(7, 10, True)]
    intake.replace_keyring([TAG.entry()], NOW_US)
    assert accepted(intake, TAG.heard(9), TAG.heard(11)) == [11]


def test_state_of_a_newer_generation_than_the_keyrings_opens_nothing_old() -> None:
    registry = Registry([TAG.entry()])
    registry.restore([TagState(7, 1 << 24 | 5, True)])
    assert accepted(Intake(registry), TAG.heard(50)) == []


def test_rotation_under_private_names_with_a_grace_time() -> None:
    tag = Tag(7, generation=1)
    previous = {
        "previous_generation": 0,
        "previous_beacon_key": tag.key(0),
        "previous_id_key": tag.id_key(0),
        "previous_expires_s": NOW_US // 1_000_000 + 100,
    }
    intake = Intake(Registry([private_entry(tag, **previous)]))
    work_all(intake)
    assert accepted(intake, tag.heard(5, epoch=EPOCH), tag.heard(1 << 24, epoch=EPOCH)) == [5, 1 << 24]
    assert accepted(intake, tag.heard(6, epoch=EPOCH)) == []
    late = Intake(Registry([private_entry(tag, **previous)]))
    work_all(late)
    over_us = NOW_US + 100_000_000
    assert accepted(late, tag.heard(6, epoch=EPOCH, t_us=over_us)) == []
    assert accepted(late, tag.heard(1 << 24, epoch=EPOCH, t_us=over_us)) == [1 << 24]
    assert late.counts[words.FORGED] == 1
