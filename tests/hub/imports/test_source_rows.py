"""Files in any encoding and format: read as they are, refused with the row, never held whole."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources_world import RECEIPTS, document, written

from edgewise.errors import InputError
from hub.imports.source_rows import SourceRow, SourceRows

NAMES = {"id", "name"}
TEXT = "id,name\n1,Zoë\n2,Łukasz\n"


def rows(path: Path, **said: Any) -> list[SourceRow]:
    return list(SourceRows(path, document(RECEIPTS, **said), NAMES))


def names(path: Path, **said: Any) -> list[Any]:
    return [row.values.get("name") for row in rows(path, **said) if row.fault is None]


def fault(path: Path, **said: Any) -> tuple[int, str, str]:
    (row,) = [row for row in rows(path, **said) if row.fault is not None]
    assert row.fault is not None
    return row.number, row.fault.column, f"{row.fault.reason}; {row.fault.expected}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode(), {}),
        (TEXT.encode("utf-8-sig"), {}),
        (TEXT.encode("utf-16"), {}),
        (TEXT.encode("utf-16-be"), {"encoding": "utf-16"}),
        (TEXT.encode("utf-16-le"), {"encoding": "utf-16"}),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), {}),
        (TEXT.replace("\n", "\r\n").encode(), {}),
        (gzip.compress(TEXT.encode("utf-8-sig"), mtime=0), {}),
        (TEXT.replace(",", ";").encode(), {}),
        (TEXT.replace(",", "\t").encode(), {}),
        (TEXT.replace(",", "|").encode(), {"delimiter": "|"}),
        (TEXT.partition("\n")[2].encode(), {"header": ["id", "name"]}),
        (("sep=|\n" + TEXT.replace(",", "|")).encode("utf-8-sig"), {}),
    ],
    ids=repr,
)
def test_every_encoding_and_delimiter_is_read(tmp_path: Path, content: bytes, said: dict[str, Any]) -> None:
    path = written(tmp_path / ("x.csv.gz" if content[:2] == b"\x1f\x8b" else "x.csv"), content)
    assert names(path, **said) == ["Zoë", "Łukasz"]


LATIN = "id,name\n1,Ann\n2,Zoë\n3,Bob\n".encode("cp1252")


def test_another_encoding_is_told_with_row_column_and_cure(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LATIN)
    number, column, why = fault(path)
    assert (number, column) == (3, "name")
    assert "byte 0xeb at offset 2" in why
    assert "cp1252" in why
    assert names(path) == ["Ann", "Bob"]


def test_a_declared_fallback_is_taken_for_the_whole_file_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LATIN)
    read = SourceRows(path, document(RECEIPTS, fallback_encoding="cp1252"), NAMES)
    assert [row.values["name"] for row in read] == ["Ann", "Zoë", "Bob"]
    assert read.encoding is not None
    assert "row 3 is no UTF-8" in read.encoding.note
    assert names(path, encoding="cp1252") == ["Ann", "Zoë", "Bob"]
    assert names(written(path, TEXT), fallback_encoding="cp1252") == ["Zoë", "Łukasz"]


@pytest.mark.parametrize(
    ("content", "said", "says"),
    [
        (TEXT.encode(), {"encoding": "cp1252"}, "row 2: the source declares cp1252, but the file is UTF-8"),
        (TEXT.encode("utf-16"), {"encoding": "utf-8"}, "row 1: utf-16 by its byte order mark"),
        (TEXT.encode("utf-8-sig"), {"encoding": "cp1252"}, "row 1: utf-8 by its byte order mark"),
        (TEXT.encode("utf-16-le"), {}, "looks like UTF-16 without a byte order mark"),
        (TEXT.encode("utf-16")[:-1], {}, "not in the encoding of its first bytes"),
        (b"", {}, "an empty file"),
        (b"\n \n", {}, "an empty file"),
        (b"id,name,id\n1,a,2\n", {}, "column 'id' occurs more than once"),
        (b"id|name\n1|a\n", {}, "separated by '|', not ','"),
        (b"id,name\n1,a\n", {"delimiter": ";"}, "separated by ',', not ';'"),
        (b"a,b\n1,2\n", {}, "none of the columns that the source names is here; got 'a', 'b'"),
        (b'id,"na\n', {}, "the header: expected well-formed quotes"),
        (b"id,na\xefme\n1,a\n", {}, "the header"),
    ],
    ids=repr,
)
def test_a_file_that_is_something_else_is_refused(
    tmp_path: Path, content: bytes, said: dict[str, Any], says: str
) -> None:
    path = written(tmp_path / "x.csv", content)
    with pytest.raises(InputError) as refused:
        rows(path, **said)
    assert says in str(refused.value)


def test_columns_that_nobody_asks_for_may_be_there_twice(tmp_path: Path) -> None:
    assert names(written(tmp_path / "x.csv", "id,name,note,note\n1,Ann,a,b\n")) == ["Ann"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2", "does not fit the header; 2 fields, got 1"),
        ("2,a,b", "does not fit the header; 2 fields, got 3"),
        ('2,"open', "well-formed quotes"),
        ("2," + "x" * 2_000_000, "too long"),
    ],
    ids=["short", "ragged", "open_quote", "huge"],
)
def test_a_broken_line_costs_nothing_but_itself(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path / "x.csv", f'id,name\n1,Ann\n{line}\n3,"Bob, B."\n4,"two\nlines"\n')
    number, column, said = fault(path)
    assert (number, column) == (3, "")
    assert why in said
    assert names(path) == ["Ann", "Bob, B.", "two\nlines"]


JSON_LINES = """{"id": -9223372036854775808, "name": "Ann"}
{"id": 17850.0, "name": "Zo\\u00eb"}
"""


def test_json_numbers_keep_every_digit(tmp_path: Path) -> None:
    read = rows(written(tmp_path / "x.jsonl", JSON_LINES))
    assert [str(row.values["id"]) for row in read] == ["-9223372036854775808", "17850.0"]
    whole = "[" + ",".join(JSON_LINES.splitlines()) + "]"
    assert [row.values for row in rows(written(tmp_path / "x.json", whole))] == [row.values for row in read]
    within = f'\ufeff{{"data": {{"list": {whole}}}}}'
    assert len(rows(written(tmp_path / "y.json", within), rows="data.list")) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"id": 1, "id": 2}', "the key 'id' is there twice"),
        ("{", "Expecting property name"),
        ("[1]", "a list; an object a row"),
        ("17", "an int; an object a row"),
        ("[" * 100_000, "recursion"),
        ('{"id": ' + "9" * 5_000 + "}", "digits"),
    ],
    ids=["key_twice", "cut", "list", "number", "deep", "endless_number"],
)
def test_a_broken_object_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path / "x.jsonl", f'{{"name": "Ann"}}\n\n{line}\n{{"name": "Bob", "id": NaN}}\n')
    number, _, said = fault(path)
    assert number == 3
    assert why in said.replace("a int", "an int")
    assert names(path) == ["Ann", "Bob"]


def test_numbers_that_are_bombs_stay_small(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path / "x.jsonl", '{"id": 1e999999999, "name": 1e-999999999}\n'))
    assert (row.values["id"], row.values["name"]) == (float("inf"), 0.0)


def test_parquet_is_read_in_its_types(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([2**63 - 1, -(2**63)]), "name": ["Ann", None], "other": [1, 2]})
    pq.write_table(table, tmp_path / "x.parquet")
    read = rows(tmp_path / "x.parquet")
    assert [(row.number, dict(row.values)) for row in read] == [
        (1, {"id": 2**63 - 1, "name": "Ann"}),
        (2, {"id": -(2**63), "name": None}),
    ]


def test_moments_that_python_has_none_for_are_text(tmp_path: Path) -> None:
    fine = pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns", "UTC"))
    far = pa.array([10**12, 0], pa.timestamp("s"))
    pq.write_table(pa.table({"id": fine, "name": far}), tmp_path / "x.parquet")
    first, second = rows(tmp_path / "x.parquet")
    assert first.values["id"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert str(first.values["name"]).startswith("out of range")
    assert (second.values["id"], second.values["name"].year) == (None, 1970)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("x.parquet", b"PAR1 no parquet", "unreadable Parquet"),
        ("x.parquet", b"", "an empty file"),
        ("x.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9], "a damaged gzip"),
        ("x.csv.gz", b"not gzip", "a damaged gzip"),
        ("x.json", b"{", "JSON"),
        ("x.json", b"  ", "an empty file"),
        ("x.jsonl", b"\n\n", "an empty file"),
        ("x.xlsx", b"PK", "expected csv, tsv, json, jsonl or parquet"),
    ],
    ids=repr,
)
def test_damaged_files_are_refused(tmp_path: Path, file: str, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        rows(written(tmp_path / file, content))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for file in ("none.csv", "none.parquet", "none.json"):
        with pytest.raises(InputError, match="no such file"):
            rows(tmp_path / file)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="a folder"):
        rows(tmp_path / "folder.csv")


def test_absent_columns_are_known_after_reading(tmp_path: Path) -> None:
    read = SourceRows(written(tmp_path / "x.csv", TEXT), document(RECEIPTS), {"id", "mail", "name.first"})
    list(read)
    assert read.absent() == ["mail"]


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w") as file:
        file.write("id,name\n1,")
        for _ in range(32):
            file.write("x" * 1_000_000)
        file.write("\n2,Bob\n")
    tracemalloc.start()
    try:
        assert names(tmp_path / "x.csv") == ["Bob"]
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_rows_faults_or_one_error(tmp_path: Path, content: bytes) -> None:
    for file in ("x.csv", "x.jsonl", "x.json"):
        path = written(tmp_path / file, content)
        try:
            read = rows(path)
        except InputError:
            continue
        assert all(row.fault is None or str(row.fault).isprintable() for row in read)
