"""Tables that people bring: read as they meant them, or refused with the place."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.tables import guess_delimiter, read_table, require_columns, utf8_fault


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_a_csv_is_guessed(tmp_path: Path, delimiter: str) -> None:
    content = delimiter.join(("id", "x")) + "\n" + delimiter.join(("1", "2.5")) + "\n"
    assert read_table(written(tmp_path, "t.csv", content)).to_pylist() == [{"id": 1, "x": 2.5}]


def test_a_delimiter_inside_quotes_does_not_count() -> None:
    assert guess_delimiter('"a,b,c";x') == ";"


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.inter", "t.item", "t.user", "t.TSV"])
def test_some_endings_promise_tabs(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, "user:token\ttitle:token_seq\n1\tOne, two, three\n")
    assert read_table(path).to_pylist() == [{"user:token": 1, "title:token_seq": "One, two, three"}]


def test_any_ending_is_text_with_a_delimiter_given(tmp_path: Path) -> None:
    path = written(tmp_path, "t.dat", "a|b\n1|2\n")
    assert read_table(path, delimiter="|").column_names == ["a", "b"]
    with pytest.raises(InputError, match=r"\.dat ending, expected one of .*\.csv"):
        read_table(path)


def test_gzip_bom_line_breaks_and_quotes(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfid,text\r\n1,"two\nlines, one ""field"""\r\n'
    path = written(tmp_path, "t.csv.gz", gzip.compress(content))
    assert read_table(path).to_pylist() == [{"id": 1, "text": 'two\nlines, one "field"'}]


def test_an_empty_field_is_null_in_every_type(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "a,b,c\n1,x,2020-01-01\n,,\n")
    assert read_table(path).to_pylist()[1] == {"a": None, "b": None, "c": None}


def test_text_columns_keep_every_digit(tmp_path: Path) -> None:
    content = "id,n\n00123,1\n18446744073709551615,2\n"
    path = written(tmp_path, "t.csv", content)
    assert read_table(path, text=["id", "absent"]).column("id").to_pylist() == [
        "00123",
        "18446744073709551615",
    ]
    table = pa.table({"id": pa.array([9_007_199_254_740_993]), "n": [1]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", text=["id"]).column("id").to_pylist() == ["9007199254740993"]


def test_rows_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n")
    with pytest.raises(InputError) as refused:
        read_table(path)
    assert [problem.path for problem in refused.value.problems] == ["row 3", "row 4"]
    assert "expected 2 fields, got 1" in refused.value.problems[0].message


def test_a_quote_that_never_closes_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", 'a,b\n1,x\n2,"open\n3,y\n')
    with pytest.raises(InputError, match="row 3: a quote is opened and never closed"):
        read_table(path)
    inches = written(tmp_path, "inches.csv", 'a,b\n1,5" nail\n')
    assert read_table(inches).to_pylist() == [{"a": 1, "b": '5" nail'}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "an empty file"),
        ("t.csv", b" \n\n", "an empty file"),
        ("t.csv", "a,b\n1,\u00e9\n".encode("latin-1"), "not UTF-8: row 2, byte 0xe9 at offset 6"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("t.csv", b"a,a\n1,2\n", "column 'a' occurs more than once"),
        ("t.csv.gz", b"a,b\n1,2\n", "damaged gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:-9], "damaged gzip"),
        ("t.parquet", b"", "an empty file"),
        ("t.parquet", b"PAR1 but no more", "unreadable Parquet"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "in row 2"),
        ("t.jsonl", b'{"a": 1}\n{"a": "x"}\n', "in row 2"),
        ("t.jsonl", b"", "an empty file"),
        ("t.json.txt.zip", b"x", "expected one of"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as refused:
        read_table(path)
    assert str(path) in str(refused.value)


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    for name in ("t.csv", "t.parquet", "t.jsonl", "t", "t.exe"):
        with pytest.raises(InputError, match="no such file"):
            read_table(tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="a folder"):
        read_table(tmp_path / "folder.csv")


def test_absent_columns_are_listed_with_the_nearest(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "t.csv", "customer,amount\n1,2\n"))
    require_columns(table, ["amount"])
    with pytest.raises(
        InputError, match="orders: no column 'custmer', 'zzz'; there are: 'customer', 'amount'"
    ) as refused:
        require_columns(table, ["custmer", "amount", "zzz"], where="orders")
    assert [problem.message for problem in refused.value.problems] == ["absent; did you mean 'customer'?", "absent"]


@given(st.lists(st.fixed_dictionaries({"a": st.integers(-(2**53), 2**53), "b": st.booleans()}), min_size=1))
def test_json_lines_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, int]]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_table(path).to_pylist() == rows


@given(st.binary(max_size=60))
def test_the_first_byte_that_is_not_utf8_is_found(content: bytes) -> None:
    try:
        content.decode()
        expected = None
    except UnicodeDecodeError as fault:
        expected = fault.start
    assert utf8_fault(content) == expected
