"""Reading a table for a score: kinds, targets and what is said about columns before anything is learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from shop_visits import OUTCOMES, visits, with_column

from edgewise.errors import InputError
from hub.origin import Origin
from hub.train.scoring.cautions import judge_table
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.columns import Column, cells, choose_features, numbers, texts
from hub.train.scoring.target import read_target


def chosen(table: pa.Table, target: str = "bought", wanted: Sequence[str] | None = None) -> list[Column]:
    dropped = {name for name in OUTCOMES if name != target}
    found = choose_features(table, target=target, wanted=wanted, dropped=dropped, categorical=())
    return list(found.columns)


def warnings_about(table: pa.Table, target: str = "bought") -> list[str]:
    read = read_target(table, target, None)
    columns = chosen(table, target)
    held = cells(table.filter(read.present), columns)
    return list(judge_table(held, columns, read, seed=0).warnings)


# Columns


def test_numbers_come_first_then_words() -> None:
    columns = chosen(visits())
    assert [column.name for column in columns] == ["pages", "seconds", "weekend", "code", "day", "place"]
    assert {column.kind for column in columns[:5]} == {"number"}
    assert columns[5].kind == "text"


def test_cells_hold_float32_numbers_and_words() -> None:
    table = pa.table({"n": [0.1, None, float("inf"), 1e300], "w": ["a", None, "b", ""]})
    held = cells(table, [Column("n", "number"), Column("w", "text")])
    assert held[0, 0] == float(np.float32(0.1))
    assert np.isnan(held[1:, 0].astype(float)).all()  # missing, infinite, and beyond float32
    assert held[:, 1].tolist() == ["a", "", "b", ""]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 22, None]), ["1", "22", ""]),
        (pa.array([1.0, 22.5, float("nan")]), ["1", "22.5", ""]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array(["007", "", None]), ["007", "", ""]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    ],
    ids=["integers", "floats", "booleans", "words", "dictionary"],
)
def test_the_same_value_is_the_same_word_whatever_the_type(values: pa.Array, expected: list[str]) -> None:
    assert texts(pa.table({"c": values}), "c").tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, False, None]), [1.0, 0.0, np.nan]),
        (pa.array(["1.5", "TRUE", ""]), [1.5, 1.0, np.nan]),
        (pa.array([2**40, None, -1]), [float(2**40), np.nan, -1.0]),
        (pa.nulls(3), [np.nan, np.nan, np.nan]),
    ],
    ids=["booleans", "words", "integers", "nothing"],
)
def test_numbers_are_read_from_every_type_that_holds_them(values: pa.Array, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(pa.table({"c": values}), "c"), np.array(expected, np.float32))


def test_a_word_among_numbers_is_an_error_with_row_and_column() -> None:
    with pytest.raises(InputError) as wrong:
        numbers(pa.table({"age": ["31", "old", "?"]}), "age")
    assert [problem.path for problem in wrong.value.problems] == ["row 2, column age", "row 3, column age"]
    assert "'old'" in wrong.value.problems[0].message


def test_a_fault_is_named_by_the_files_row_which_counts_the_header_and_rows_without_a_target(tmp_path: Path) -> None:
    table = pa.table({"age": ["31", "old", "?"]})
    for name, row in (("t.csv", 4), ("t.tsv.gz", 4), ("t.dat", 4), ("t.jsonl", 3), ("t.parquet", 3)):
        origin = Origin.of(tmp_path / name, 3).kept(np.array([True, False, True]))
        with pytest.raises(InputError, match=f"{name}: column 'age': 1 values are no numbers") as wrong:
            cells(table.take([0, 2]), [Column("age", "number")], origin)
        assert wrong.value.problems[0].path == f"row {row}, column age"


def test_dates_are_left_out_by_name_unless_they_were_asked_for() -> None:
    table = with_column(visits(), "when", pa.array([0] * 600, type=pa.timestamp("s")))
    found = choose_features(table, target="bought", wanted=None, dropped=OUTCOMES, categorical=())
    assert any("'when'" in said and "left out" in said for said in found.left_out)
    with pytest.raises(InputError, match="'when' is timestamp"):
        chosen(table, wanted=["when"])


def test_the_target_is_no_feature() -> None:
    with pytest.raises(InputError, match="is the target"):
        chosen(visits(), wanted=["pages", "bought"])
    with pytest.raises(InputError, match="no feature column"):
        choose_features(visits().select(["bought"]), target="bought", wanted=None, dropped=(), categorical=())


# Targets


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bought", ScoreKind.BINARY),
        ("mood", ScoreKind.MULTICLASS),
        ("orders", ScoreKind.COUNT),
        ("spent", ScoreKind.REGRESSION),
    ],
)
def test_the_kind_is_guessed_from_the_values(name: str, kind: ScoreKind) -> None:
    read = read_target(visits(), name, None)
    assert (read.kind, read.guessed) == (kind, True)
    assert not read_target(visits(), name, kind).guessed


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["no", "yes"], ("no", "yes")), ([1, 0], ("0", "1")), ([10, 9], ("9", "10")), ([True, False], ("false", "true"))],
)
def test_the_second_class_is_the_greater(values: list[object], classes: tuple[str, ...]) -> None:
    read = read_target(pa.table({"y": values * 20}), "y", None)
    assert read.classes == classes
    assert len(read.values) == 40


def test_rows_without_a_target_are_not_kept() -> None:
    read = read_target(pa.table({"y": [1, 0, None] * 20}), "y", None)
    assert read.present.sum() == len(read.values) == 40


BAD_TARGETS = {
    "constant": ([1] * 50, None, "is '1' in all 50 rows"),
    "three rows": ([0, 1, 1], None, "3 rows with a 'y'; expected at least 20"),
    "all missing": (pa.nulls(50), None, "0 rows"),
    "three values for binary": ([0, 1, 2] * 20, ScoreKind.BINARY, "3 different values"),
    "fractions for a count": ([0, 1, 1.5] * 20, ScoreKind.COUNT, "1.5"),
    "negatives for a count": ([0, 1, -1] * 20, ScoreKind.COUNT, "-1"),
    "words for a regression": (["a", "b"] * 20, ScoreKind.REGRESSION, "no numbers"),
    "too many classes": (list(range(500)), ScoreKind.MULTICLASS, "500 different values"),
    "infinite": ([1.5, 2.5, float("inf")] * 20, ScoreKind.REGRESSION, "finite"),
}


@pytest.mark.parametrize("flaw", BAD_TARGETS)
def test_a_target_with_a_flaw_is_an_input_error_that_says_which(flaw: str) -> None:
    values, kind, said = BAD_TARGETS[flaw]
    with pytest.raises(InputError, match=said):
        read_target(pa.table({"y": values}), "y", kind)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ([1.5, None, float("-inf")] * 20, None, "row 4 holds -inf; expected a finite number"),
        ([0.0, float("inf")] * 20, None, "row 3 holds inf; expected a finite number"),
        ([1.5, 2.5, 1e300] * 20, ScoreKind.REGRESSION, "row 4 holds 10{16}[0-9]{23}; expected a finite number that"),
        (["1.5", "2.5", "nan"] * 20, ScoreKind.REGRESSION, "row 4 holds nan; expected a finite number"),
        ([0, None, 1.5, 1] * 20, ScoreKind.COUNT, "row 4 holds 1.5; expected whole numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_target_that_is_no_quantity_is_named_by_file_and_row(values: list[Any], kind: ScoreKind, said: str) -> None:
    with pytest.raises(InputError, match=f"^shop.csv: target 'y': {said}") as wrong:
        read_target(pa.table({"y": values}), "y", kind, origin=Origin.of(Path("shop.csv"), len(values)))
    assert len(wrong.value.problems) == 20
    assert wrong.value.problems[0].path.endswith(", column y")


def test_a_class_that_was_not_there_in_training_is_an_error() -> None:
    with pytest.raises(InputError, match="'maybe'"):
        read_target(pa.table({"y": ["no", "maybe"] * 20}), "y", ScoreKind.BINARY, classes=("no", "yes"))


# Cautions


def test_a_sound_table_raises_no_warning() -> None:
    assert warnings_about(visits()) == []


def one(said: list[str], *words: str) -> bool:
    return any(all(word in line for word in words) for line in said)


def test_columns_without_information_are_left_out_by_name() -> None:
    table = with_column(visits(), "always", ["x"] * 600)
    table = with_column(table, "seven", [7] * 600)
    table = with_column(table, "empty", pa.nulls(600))
    table = with_column(table, "nan", [float("nan")] * 600)
    table = with_column(table, "pages again", table.column("pages").combine_chunks())
    table = with_column(table, "place again", table.column("place").combine_chunks())
    said = warnings_about(table)
    assert one(said, "'always'", "constant", "left out")
    assert one(said, "'seven'", "constant (7)")
    assert one(said, "'empty'", "no value")
    assert one(said, "'nan'", "no value")
    assert one(said, "'pages again'", "repeats column 'pages'")
    assert one(said, "'place again'", "repeats column 'place'")
    assert len(said) == 6


def test_a_column_that_is_only_missing_or_one_value_still_tells_something() -> None:
    table = with_column(visits(), "flag", [1 if index % 2 else None for index in range(600)])
    assert warnings_about(table) == []


def test_a_leaking_number_is_named_even_when_it_is_not_monotone() -> None:
    bought = visits().column("bought").to_numpy(zero_copy_only=False)
    bent = np.where(bought, np.random.default_rng(0).choice([1.0, 9.0], 600), 5.0)
    assert one(warnings_about(with_column(visits(), "bent", bent)), "'bent' alone tells 'bought'", "AUC")


def test_a_leaking_word_is_named_and_a_word_for_each_row_is_not_called_a_leak() -> None:
    bought = visits().column("bought").to_pylist()
    said = warnings_about(with_column(visits(), "result", ["paid" if won else "left" for won in bought]))
    assert one(said, "'result' alone tells 'bought'")
    rng = np.random.default_rng(1)
    said = warnings_about(with_column(visits(), "name", [f"n{number}" for number in rng.permutation(600)]))
    assert not one(said, "alone tells")


def test_a_copy_of_a_quantity_is_named() -> None:
    table = with_column(visits(), "copy", visits().column("spent").combine_chunks())
    assert one(warnings_about(table, "spent"), "'copy' alone tells 'spent'", "the same")
    nearly = visits().column("spent").to_numpy() * 2 + 1
    assert one(warnings_about(with_column(visits(), "nearly", nearly), "spent"), "'nearly' alone tells", "R2 1.0000")


def test_identifiers_are_named_also_when_they_are_floats() -> None:
    ids = np.random.default_rng(2).permutation(600) + 20_000_000
    said = warnings_about(with_column(visits(), "customer", ids.astype(float)))
    assert one(said, "'customer' looks like an identifier")
    assert one(said, "'customer' goes beyond 16,777,216")


def test_words_that_differ_in_most_rows_are_left_out() -> None:
    table = visits(3_000)
    said = warnings_about(with_column(table, "session", [f"s{index}" for index in range(3_000)]))
    assert one(said, "'session' has 3000 different words", "left out")


def test_few_rows_rare_classes_and_repeated_rows_are_said() -> None:
    assert one(warnings_about(visits(100)), "only 100 rows")
    rare = with_column(visits(), "bought", [index % 50 == 0 for index in range(600)])
    assert one(warnings_about(rare), "'true'", "average precision")
    assert one(warnings_about(pa.concat_tables([visits(), visits().slice(0, 30)])), "30 of 630 rows repeat")
    missing = with_column(visits(), "bought", pa.array([None, *visits().column("bought").to_pylist()[1:]]))
    assert one(warnings_about(missing), "1 rows have no 'bought'")


def test_a_table_without_a_useful_column_is_an_error() -> None:
    table = pa.table({"a": [1] * 50, "bought": [True, False] * 25})
    with pytest.raises(InputError, match="'a' is constant"):
        warnings_about(table)


def test_a_feature_that_is_named_twice_is_refused_by_name() -> None:
    name = next(name for name in visits().column_names if name != "bought")
    with pytest.raises(InputError, match=f"column '{name}' is named twice"):
        choose_features(visits(), target="bought", wanted=[name, name], dropped=(), categorical=())
