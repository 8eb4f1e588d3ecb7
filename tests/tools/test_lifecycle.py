"""What the bench does with a board, from what the board and the inventory say."""

import pytest

from tagsmith.lifecycle import (
    CHECK,
    FAILED,
    MOVES,
    READY,
    REVOKED,
    VERIFIED,
    WRITE,
    WRITTEN,
    Found,
    Identity,
    Refusal,
    Step,
    next_step,
)

BARE = Found("aa", "1.27.0", "ESP32", True)


def carrying(tag_id: int, generation: int, chip: str = "aa") -> Found:
    return BARE._replace(chip=chip, tag_id=tag_id, generation=generation)


def test_new_board_gets_a_new_id() -> None:
    assert next_step(BARE, None, None, again=False) == Step(WRITE, None, 0)


@pytest.mark.parametrize("state", [WRITTEN, VERIFIED, FAILED])
def test_key_that_arrived_is_checked_not_written_twice(state: str) -> None:
    known = Identity(5, 2, state, "aa", 2)
    assert next_step(carrying(5, 2), known, known, again=False) == Step(CHECK, 5, 2)


@pytest.mark.parametrize("found", [BARE, carrying(5, 1)])
def test_key_that_did_not_arrive_is_never_sent_again(found: Found) -> None:
    known = Identity(5, 2, WRITTEN, "aa", 2)
    assert next_step(found, known, known, again=False) == Step(WRITE, 5, 3)


def test_board_that_is_ahead_of_a_restored_inventory_keeps_ahead() -> None:
    known = Identity(5, 2, READY, "aa", 2)
    assert next_step(carrying(5, 7), known, known, again=True) == Step(WRITE, 5, 8)


def test_tag_that_works_is_left_alone_unless_asked() -> None:
    known = Identity(5, 2, READY, "aa", 2)
    with pytest.raises(Refusal, match="ready") as refusal:
        next_step(carrying(5, 2), known, known, again=False)
    assert refusal.value.again
    assert next_step(carrying(5, 2), known, known, again=True) == Step(WRITE, 5, 3)


def test_copied_flash_is_refused_and_gets_another_id_when_asked() -> None:
    original = Identity(5, 2, READY, "aa", 2)
    copy = carrying(5, 2, chip="bb")
    with pytest.raises(Refusal, match="a copy"):
        next_step(copy, None, original, again=False)
    assert next_step(copy, None, original, again=True) == Step(WRITE, None, 0)


def test_board_of_another_bench_is_refused() -> None:
    with pytest.raises(Refusal, match="did not give it"):
        next_step(carrying(5, 2), None, None, again=False)
    assert next_step(carrying(5, 2), None, None, again=True) == Step(WRITE, None, 0)


def test_revoked_board_gets_a_new_id() -> None:
    known = Identity(5, 2, REVOKED, "aa", 2)
    assert next_step(BARE, known, None, again=False) == Step(WRITE, None, 0)


def test_generations_end() -> None:
    known = Identity(5, 255, WRITTEN, "aa", 255)
    with pytest.raises(Refusal, match="used up") as refusal:
        next_step(BARE, known, known, again=True)
    assert not refusal.value.again


def test_every_state_can_be_revoked_and_revoked_is_the_end() -> None:
    assert all(REVOKED in moves for state, moves in MOVES.items() if state != REVOKED)
    assert MOVES[REVOKED] == set()


def test_generation_that_a_command_raised_is_the_tag_s_own_and_is_not_given_again() -> None:
    known = Identity(5, 2, FAILED, "aa", 4)
    for generation in (2, 3, 4):
        assert next_step(carrying(5, generation), known, known, again=False) == Step(CHECK, 5, 2)
    assert next_step(carrying(5, 2), known, known, again=True) == Step(WRITE, 5, 5)
    assert next_step(BARE, known._replace(state=WRITTEN), None, again=False) == Step(WRITE, 5, 5)
