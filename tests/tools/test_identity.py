"""Ids as people read and type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagsmith.identity import ALPHABET, new_root_key, parse_id, readable_id

TAG_IDS = st.integers(0, 0xFFFFFFFF)


@given(TAG_IDS)
def test_readable_id_is_read_back(tag_id: int) -> None:
    label = readable_id(tag_id)
    for text in (label, label.lower(), label.replace("-", ""), "TAG:" + label.replace("-", ""), f" {label} "):
        assert parse_id(text) == tag_id


@given(TAG_IDS, st.integers(0, 7), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_found(tag_id: int, place: int, letter: str) -> None:
    label = readable_id(tag_id).replace("-", "")
    wrong = label[:place] + letter + label[place + 1 :]
    if wrong != label:
        with pytest.raises(ValueError, match="mistyped"):
            parse_id(wrong + "")


@given(TAG_IDS, st.integers(0, 7), st.integers(0, 7))
def test_two_swapped_characters_are_always_found(tag_id: int, one: int, other: int) -> None:
    letters = list(readable_id(tag_id).replace("-", ""))
    letters[one], letters[other] = letters[other], letters[one]
    wrong = "".join(letters)
    if wrong != readable_id(tag_id).replace("-", ""):
        with pytest.raises(ValueError, match="mistyped"):
            parse_id(wrong)


@given(TAG_IDS)
def test_decimal_id_is_read(tag_id: int) -> None:
    assert parse_id(f"#{tag_id}") == tag_id
    if len(str(tag_id)) != 8:
        assert parse_id(str(tag_id)) == tag_id


def test_letters_that_look_like_digits_are_read_as_those() -> None:
    assert parse_id(readable_id(1).replace("0", "O")) == 1


@pytest.mark.parametrize("text", ["", "-1", "4294967296", "#99999999999", "hello", "1.5", "٣", "0000-008", "U000-008X"])
def test_what_is_no_id_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a tag id"):
        parse_id(text)


def test_root_keys_differ() -> None:
    assert len({new_root_key() for _ in range(1000)}) == 1000
