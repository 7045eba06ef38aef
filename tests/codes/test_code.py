"""What a code says, who can read it, and what a slip or a forger comes to."""

from __future__ import annotations

import numpy as np
import pytest
from codes_world import ANN, BO, KEY, SPRING
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.promotions import MOST_CODES, PromotionName
from edgewise.codes.code import (
    LAST_DAY,
    LETTERS,
    Code,
    CodeKey,
    day_end_ms,
    day_of,
    in_groups,
    is_owner,
    keys_of,
    letters_of,
    owner_of,
    verify,
    write_code,
)

KEYS = keys_of([KEY])
CODE = write_code(KEY, 5, 2_500, ANN)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@given(
    number=st.integers(1, MOST_CODES),
    day=st.integers(0, LAST_DAY),
    generation=st.integers(1, 31),
    subject=st.text("0123456789abcdef", min_size=32, max_size=32),
)
def test_what_is_written_is_read(number: int, day: int, generation: int, subject: str) -> None:
    key = CodeKey(SPRING, generation, b"x" * 32)
    written = write_code(key, number, day, subject)  # type: ignore[arg-type]
    read = verify(written, keys_of([key]))
    assert read == Code(SPRING, generation, number, day, owner_of(key, subject))  # type: ignore[arg-type]


def test_it_is_eight_groups_of_four_letters_without_look_alikes() -> None:
    assert [len(group) for group in CODE.split("-")] == [4] * 8
    assert set(CODE) <= {*ALPHABET, "-"}
    assert not set("ILOU") & set(CODE)


def test_people_may_write_it_their_way() -> None:
    letters = CODE.replace("-", "")
    lower = letters.lower().replace("1", "l").replace("0", "o")
    for written in (
        letters,
        lower,
        CODE.replace("-", " "),
        f"  {CODE}\n",
        CODE.replace("-", "\u2011"),
        CODE[:9] + "-" + CODE[9:],
    ):
        assert verify(written, KEYS) == verify(CODE, KEYS)


@given(st.data())
def test_one_wrong_letter_is_found_without_a_key(data: st.DataObject) -> None:
    letters = CODE.replace("-", "")
    place = data.draw(st.integers(0, LETTERS - 1))
    other = data.draw(st.sampled_from(sorted(set(ALPHABET) - {letters[place]})))
    assert letters_of(letters[:place] + other + letters[place + 1 :]) is None


def test_neighbours_that_were_exchanged_are_found() -> None:
    letters = CODE.replace("-", "")
    for place in range(LETTERS - 1):
        left, right = letters[place], letters[place + 1]
        if left != right:
            assert letters_of(letters[:place] + right + left + letters[place + 2 :]) is None


@pytest.mark.parametrize("text", ["", "-", CODE[:-1], CODE + "0", CODE.replace(CODE[0], "U"), "é" * 32, "0" * 5_000])
def test_what_is_no_code_is_none(text: str) -> None:
    assert letters_of(text) is None
    assert verify(text, KEYS) is None


@given(st.data())
def test_who_changes_anything_needs_the_key(data: st.DataObject) -> None:
    """Also with a check that was mended, as anybody can."""
    values = [ALPHABET.index(letter) for letter in CODE.replace("-", "")[:-1]]
    place = data.draw(st.integers(0, LETTERS - 2))
    values[place] = data.draw(st.integers(0, 31).filter(lambda value: value != values[place]))
    stem = "".join(ALPHABET[value] for value in values)
    mended = next(stem + last for last in ALPHABET if letters_of(stem + last))
    assert verify(mended, KEYS) is None


def test_another_promotions_code_is_not_this_ones() -> None:
    """Even where both have one key: the name is signed, too."""
    other = CodeKey(PromotionName("autumn"), 1, KEY.key)
    assert verify(CODE, keys_of([other])) is None
    assert verify(write_code(other, 5, 2_500, ANN), keys_of([KEY, other])) == Code(
        PromotionName("autumn"), 1, 5, 2_500, owner_of(other, ANN)
    )


def test_a_raised_generation_ends_earlier_codes() -> None:
    assert verify(CODE, keys_of([CodeKey(SPRING, 2, KEY.key)])) is None


def test_it_knows_its_owner() -> None:
    read = verify(CODE, KEYS)
    assert read is not None
    assert is_owner(read, KEYS, [BO, ANN])
    assert not is_owner(read, KEYS, [BO])
    assert not is_owner(read, KEYS, [])


def test_guesses_are_in_vain() -> None:
    """With a check that is right, which anybody can make."""
    drawn = np.random.default_rng(1).integers(0, 32, (2_000, LETTERS - 1))
    for row in drawn:
        stem = "".join(ALPHABET[value] for value in row)
        guess = next(stem + last for last in ALPHABET if letters_of(stem + last))
        assert verify(in_groups(guess), KEYS) is None


@pytest.mark.parametrize(
    ("number", "day", "subject"), [(0, 1, ANN), (MOST_CODES + 1, 1, ANN), (1, -1, ANN), (1, 1, "")]
)
def test_what_a_code_cannot_carry_is_refused(number: int, day: int, subject: str) -> None:
    with pytest.raises(ValueError, match="no code can say"):
        write_code(KEY, number, day, subject)  # type: ignore[arg-type]


@given(st.integers(1_577_836_800_000, 4_000_000_000_000))
def test_a_day_ends_after_every_moment_of_it(time_ms: int) -> None:
    assert day_end_ms(day_of(time_ms)) - 86_400_000 <= time_ms < day_end_ms(day_of(time_ms))
