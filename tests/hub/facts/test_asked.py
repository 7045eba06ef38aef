"""Words, files and JSON of people, into changes: all of it or nothing, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.errors import InputError
from hub.facts.asked import changes_of_file, changes_of_items, changes_of_words


def test_words_set_numbers_and_take_them_away() -> None:
    words = ["stock=0", "price=9.5", "trending=", "views_1h=1e3"]
    assert changes_of_words("tea", words) == {
        "stock": {"tea": 0.0},
        "price": {"tea": 9.5},
        "trending": {"tea": None},
        "views_1h": {"tea": 1000.0},
    }


@pytest.mark.parametrize(
    ("item", "word", "said"),
    [
        ("tea", "stock", "expected NAME=VALUE"),
        ("tea", "=3", "name ''; expected small letters"),
        ("tea", "Stock=3", "name 'Stock'; expected small letters"),
        ("tea", "stock=none", "'none'; expected a number"),
        ("tea", "stock=nan", "'nan'; expected a number"),
        ("tea", "stock=-inf", "'-inf'; expected a number"),
        ("tea", "stock=1e13", "'1e13'; expected a number from -1e+12 to 1e+12"),
        ("", "stock=3", "an item id of 0 characters"),
        ("x" * 201, "stock=3", "an item id of 201 characters"),
    ],
)
def test_a_word_that_cannot_be_used_is_named(item: str, word: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        changes_of_words(item, [word])
    [problem] = refused.value.problems
    assert problem.path == word
    assert problem.message.startswith(said)


def test_what_is_said_twice_must_be_the_same() -> None:
    assert changes_of_words("tea", ["stock=1", "stock=1.0"]) == {"stock": {"tea": 1.0}}
    with pytest.raises(InputError) as refused:
        changes_of_words("tea", ["stock=1", "stock=2"])
    assert refused.value.problems[0].message == "stock of 'tea' is said twice, differently"


def test_a_file_has_a_column_a_name_and_blanks_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    file.write_text("item,stock,price\n0012,0,\ntea,4,7.5\n")
    assert changes_of_file(file) == {"stock": {"0012": 0.0, "tea": 4.0}, "price": {"tea": 7.5}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,stock\ntea,1\n", "no column 'item'"),
        ("item,stock\ntea,few\njam,1\n", "row 2, column stock"),
        ("item,stock\ntea,1\ntea,2\n", "row 3, column stock"),
        ("item,In Stock\ntea,1\n", "row 2, column In Stock"),
        ("", "an empty file"),
    ],
)
def test_nothing_of_a_file_is_taken_that_has_a_mistake(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "facts.csv"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        changes_of_file(file)
    assert said in " ".join([str(refused.value), *(problem.path for problem in refused.value.problems)])


def test_json_says_null_for_taking_away() -> None:
    assert changes_of_items({"tea": {"stock": 0, "price": None}}) == {"stock": {"tea": 0.0}, "price": {"tea": None}}
    with pytest.raises(InputError) as refused:
        changes_of_items({"tea": {"In Stock": 1.0}})
    assert refused.value.problems[0].path == "$.items.tea.In Stock"
