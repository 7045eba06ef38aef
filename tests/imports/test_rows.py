"""A broken row costs itself and no other."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.imports.rejects import Reject, Rejects
from hub.imports.rows import Rows, read_rows
from hub.tables import FileFormat, file_format


def read(path: Path, *names: str) -> tuple[Rows, tuple[Reject, ...]]:
    form = file_format(path)
    assert form is not None
    rejects = Rejects()
    return read_rows(path, form, names, rejects), rejects.first(1000)


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cells(rows: Rows) -> list[tuple[Any, ...]]:
    return list(zip(rows.row.tolist(), *(column.to_pylist() for column in rows.columns.values()), strict=True))


# A field as a CSV writer would quote it: it begins with a letter, so that the quote before it can only open.
FIELDS = st.builds(str.__add__, st.sampled_from("aé7"), st.text(alphabet="b, \n;", max_size=4))
RECORDS = st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=8)
BROKEN = st.sampled_from(["1,2", "1,2,3,4", '"open,2,3', '1,"open,3', '1,2,"open', '"a"b,2,3', "x"])


@given(st.lists(st.tuples(RECORDS, BROKEN), max_size=4), RECORDS)
def test_broken_rows_anywhere_lose_no_good_one(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[list[tuple[str, ...]], str]],
    last: list[tuple[str, ...]],
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["a", "b", "c"])
    good: list[tuple[str, ...]] = []
    for records, broken in parts:
        writer.writerows(records)
        good += records
        text.write(broken + "\n")
    writer.writerows(last)
    path = written(tmp_path_factory.mktemp("rows"), "t.csv", text.getvalue())
    rows, rejects = read(path, "a", "b", "c")
    assert [line[1:] for line in cells(rows)] == [*good, *last]
    assert [reject.value for reject in rejects] == [broken for _, broken in parts]


def test_rows_are_counted_as_an_editor_counts_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", 'a,b\n1,"two\nlines"\n\n2\n3,4\n')
    rows, rejects = read(path, "a")
    assert cells(rows) == [(2, "1"), (6, "3")]
    assert rejects == (Reject(5, "", "2", "2 fields, got 1"),)


def test_windows_line_ends_bom_and_a_quote_inside_a_field(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", b'\xef\xbb\xbfa;b\r\n5" nail;"say ""hi"""\r\n;x\r\n')
    rows, rejects = read(path, "a", "b")
    assert cells(rows) == [(2, '5" nail', 'say "hi"'), (3, None, "x")]
    assert rejects == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "row 1, byte 0x89 at offset 0"),
        ("\n\naction,né\na,1\n".encode("latin-1"), "row 3, byte 0xe9 at offset 8"),
        (b'a,"two\nlin\xe9s"\n1,2\n', "row 1, byte 0xe9 at offset 7"),
    ],
)
@pytest.mark.parametrize("delimiter", [None, ","])
def test_a_header_that_is_no_utf_8_refuses_the_file(
    tmp_path: Path, content: bytes, said: str, delimiter: str | None
) -> None:
    path = written(tmp_path, "t.csv", content)
    with pytest.raises(InputError, match=rf"the header is not UTF-8: {said}, expected UTF-8 text"):
        read_rows(path, FileFormat.CSV, ["a"], Rejects(), delimiter=delimiter)


def test_an_open_quote_is_given_up_after_256_lines(tmp_path: Path) -> None:
    lines = "".join(f"{number},x\n" for number in range(600))
    rows, rejects = read(written(tmp_path, "t.csv", 'a,b\n0,"open\n' + lines), "a")
    assert len(rows.row) == 600
    assert [reject.row for reject in rejects] == [2]


def test_bytes_that_are_not_utf8_cost_their_row_only_where_they_are_needed(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "a,b,c\nok,caf\u00e9,1\nok,plain,\u00e9\n".encode("latin-1"))
    rows, rejects = read(path, "a", "b")
    assert cells(rows) == [(3, "ok", "plain")]
    assert rejects == (Reject(2, "b", "caf\\xe9", "UTF-8 text"),)


def test_batches_keep_order_and_row_numbers(tmp_path: Path) -> None:
    count = 150_000
    lines = "".join(f"{number},{number % 7}\n" for number in range(count))
    rows, rejects = read(written(tmp_path, "t.csv.gz", gzip.compress(("a,b\n" + lines).encode(), 1)), "a")
    assert rejects == ()
    assert rows.row.tolist() == list(range(2, count + 2))
    assert rows.columns["a"].to_pylist() == [str(number) for number in range(count)]


def test_json_lines_by_key_and_by_path(tmp_path: Path) -> None:
    content = (
        '{"a": {"b": 9007199254740993}, "t": true}\nnot json\n[1]\n\n'
        '{"a.b": 0.1, "t": {"x": 1}}\n{"a": NaN, "t": "\\ud800"}\n{"a": {"b": null}}\n'
    )
    rows, rejects = read(written(tmp_path, "t.jsonl", content), "a.b", "t", "absent")
    assert cells(rows) == [(1, "9007199254740993", "true"), (5, "0.1", '{"x":1}'), (7, None, None)]
    assert [(reject.row, reject.column, reject.value) for reject in rejects] == [
        (2, "", "not json"),
        (3, "", "[1]"),
        (6, "t", "\\ud800"),
    ]
    assert set(rows.columns) == {"a.b", "t"}


def test_json_nested_without_end_is_a_bad_row(tmp_path: Path) -> None:
    rows, rejects = read(written(tmp_path, "t.jsonl", "[" * 100_000 + '\n{"a": 1}\n'), "a")
    assert cells(rows) == [(2, "1")]
    assert len(rejects[0].value) <= 200


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "b": [0.5, None], "c": ["x", "y"]}), tmp_path / "t.parquet")
    rows, _ = read(tmp_path / "t.parquet", "a", "b")
    assert rows.present == ["a", "b", "c"]
    assert cells(rows) == [(1, 1, 0.5), (2, 2, None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "an empty file"),
        ("t.csv", b"\n\n", "an empty file"),
        ("t.csv", "a,b\n".encode("utf-16"), "UTF-16"),
        ("t.csv", b"a,b,a\n", "column 'a' occurs more than once"),
        ("t.csv", b'"a,b\n1,2\n', "the header: expected well-formed quotes"),
        ("t.csv.gz", b"a,b\n", "damaged gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 9999)[:-20], "damaged gzip"),
        ("t.jsonl", b"\n", "an empty file"),
        ("t.parquet", b"PAR1", "unreadable Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, name, content), "a")


def test_absent_files_are_refused(tmp_path: Path) -> None:
    for form in FileFormat:
        with pytest.raises(InputError, match="no such file"):
            read_rows(tmp_path / "absent", form, ["a"], Rejects())
