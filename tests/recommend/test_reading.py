"""Files of interactions: what is found, and what is refused with the place."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgewise.errors import InputError
from hub.recommend.reading import Columns, Read, read_about, read_interactions


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    place = folder / name
    place.write_text(text)
    return place


def pairs(read: Read) -> list[tuple[str, str]]:
    coded = read.interactions
    return [(coded.users[u], coded.items[i]) for u, i in zip(coded.user, coded.item, strict=True)]


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    place = write(tmp_path, "who,what\n007,9007199254740993\n7,1\n")
    assert pairs(read_interactions(place, Columns("who", "what"))) == [("007", "9007199254740993"), ("7", "1")]


def test_a_typed_header_is_found_by_its_bare_name(tmp_path: Path) -> None:
    place = write(tmp_path, "user_id:token\titem_id:token\ttimestamp:float\n01\t2\t30\n01\t3\t40\n", "ml.inter")
    found = read_interactions(place, Columns("user_id", "item_id", "timestamp")).interactions
    assert (found.users, found.items) == (("01",), ("2", "3"))
    assert found.time is not None
    assert found.time.tolist() == [30.0, 40.0]


def test_an_exact_name_wins_over_a_typed_one(tmp_path: Path) -> None:
    place = write(tmp_path, "u:token,u,i\na,b,1\n")
    assert pairs(read_interactions(place, Columns("u", "i"))) == [("b", "1")]


def test_dates_are_times(tmp_path: Path) -> None:
    place = write(tmp_path, "u,i,t\na,1,2026-01-02\na,2,2026-01-01\n")
    times = read_interactions(place, Columns("u", "i", "t")).interactions.time
    assert times is not None
    assert times[0] - times[1] == 86_400
    place = write(tmp_path, "u,i,t\na,1,2026-01-02 03:00:00\na,2,2026-01-02 02:00:00\n")
    times = read_interactions(place, Columns("u", "i", "t")).interactions.time
    assert times is not None
    assert times[0] > times[1]


def test_parquet_with_numbers_as_ids(tmp_path: Path) -> None:
    pq.write_table(pa.table({"u": [1, 2], "i": [10, 9], "w": [0.5, 2.0]}), tmp_path / "log.parquet")
    found = read_interactions(tmp_path / "log.parquet", Columns("u", "i", weight="w")).interactions
    assert (found.users, found.items) == (("1", "2"), ("9", "10"))
    assert found.weight is not None
    assert found.weight.tolist() == [0.5, 2.0]


def test_the_rows_of_a_test_file_follow(tmp_path: Path) -> None:
    train, test = write(tmp_path, "u,i\na,1\n"), write(tmp_path, "i,u\n2,a\n", "test.csv")
    read = read_interactions(train, Columns("u", "i"), test=test)
    assert (pairs(read), read.first_of_test) == ([("a", "1"), ("a", "2")], 1)


def test_a_catalogue_adds_items_and_counts_strangers(tmp_path: Path) -> None:
    log, items = write(tmp_path, "u,i\na,1\na,9\n"), write(tmp_path, "i,title\n1,One\n2,Two\n", "items.csv")
    read = read_interactions(log, Columns("u", "i"), catalogue=items)
    assert (read.interactions.items, read.unlisted) == (("1", "2", "9"), 1)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", Columns("u", "i"), "an empty file"),
        ("u,i\n", Columns("u", "i"), "a header and no row"),
        ("u,i\n1,2\n", Columns("user", "i"), "no column 'user'; there are: 'u', 'i'"),
        ("u,i\n1,2\n", Columns("u", "i", "t"), "no column 't'"),
        ("u,i\n1,2\n,3\n", Columns("u", "i"), "column u has 1 empty values, the first in row 3"),
        ("u,i,t\n1,2,2024-01-01\n1,3,soon\n", Columns("u", "i", "t"), "row 3, column t: 'soon', expected a number or"),
        ("u,i,w\n1,2,3\n1,3,much\n", Columns("u", "i", weight="w"), "row 3, column w: 'much', expected a number"),
        ("u,i,t\n1,2,soon\n", Columns("u", "i", "t"), "row 2, column t: 'soon', expected a number or a date"),
        ("u,i,w\n1,2,2026-01-01\n", Columns("u", "i", weight="w"), "column w: .* expected a number"),
        ("u,i,w\n1,2,1\n1,3,0\n", Columns("u", "i", weight="w"), "row 3, column w: 0, expected a number above 0"),
    ],
)
def test_what_is_wrong_is_said_with_the_place(tmp_path: Path, text: str, columns: Columns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_interactions(write(tmp_path, text), columns)


def test_ratings_and_what_a_catalogue_says_come_in_the_order_of_the_items(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,i,stars\na,10,5\na,9,2.5\n")
    (tmp_path / "items.csv").write_text("i,title,year\n10,Ten,2010\n8,Eight,2008\n")
    read = read_interactions(tmp_path / "log.csv", Columns("u", "i", rating="stars"))
    assert read.interactions.rating is not None
    assert read.interactions.rating.tolist() == [5.0, 2.5]
    items = read.interactions.items
    assert items == ("9", "10")
    said = read_about(tmp_path / "items.csv", "i", items)
    assert said == {"title": [None, "Ten"], "year": [None, 2010]}
    assert read_about(tmp_path / "items.csv", "i", items, columns=["year"]) == {"year": [None, 2010]}
    with pytest.raises(InputError, match="no column 'genre'; there are: 'i', 'title', 'year'"):
        read_about(tmp_path / "items.csv", "i", items, columns=["genre"])


def test_ids_with_decimals_stay_as_they_are_and_their_column_is_named(tmp_path: Path) -> None:
    whole = read_interactions(write(tmp_path, "u,i\n1.0,2\n10.0,3\n"), Columns("u", "i"))
    assert (whole.fractions, whole.interactions.users) == (("u",), ("1.0", "10.0"))
    assert read_interactions(write(tmp_path, "u,i\n1.0,2.5\nx,3.0\n"), Columns("u", "i")).fractions == ()


def test_an_id_that_is_not_a_number_is_missing_and_nobody_s_name(tmp_path: Path) -> None:
    place = tmp_path / "log.parquet"
    pq.write_table(pa.table({"u": pa.array([1.0, float("nan")]), "i": [2.0, 3.0]}), place)
    with pytest.raises(InputError, match="column u has 1 empty values, the first in row 2"):
        read_interactions(place, Columns("u", "i"))
