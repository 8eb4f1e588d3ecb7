"""Which batch is found guilty of ended connections, and on what proof."""

from taghub.suspects import BLAMES_MAX, Suspects


def test_link_that_never_works_makes_nobody_guilty() -> None:
    suspects = Suspects()
    assert not any(suspects.blame(1, splittable=splittable) for splittable in [True, False] * 10)


def test_batch_is_guilty_when_others_pass_between_its_tries() -> None:
    suspects = Suspects()
    for _ in range(BLAMES_MAX - 1):
        assert not suspects.blame(1, splittable=False)
        suspects.acknowledged(2)
    assert suspects.blame(1, splittable=False)


def test_status_is_proof_only_against_a_batch_that_nothing_is_lost_of() -> None:
    suspects = Suspects()
    for _ in range(BLAMES_MAX * 2):
        assert not suspects.blame(1, splittable=False)
        suspects.status_acknowledged()
    for _ in range(BLAMES_MAX - 1):
        assert not suspects.blame(2, splittable=True)
        suspects.status_acknowledged()
    assert suspects.blame(2, splittable=True)


def test_batch_that_arrives_after_all_is_innocent() -> None:
    suspects = Suspects()
    for _ in range(BLAMES_MAX - 1):
        suspects.blame(1, splittable=False)
        suspects.acknowledged(2)
    suspects.acknowledged(1)
    assert not suspects.blame(1, splittable=False)
