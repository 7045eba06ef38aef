"""Files that people bring: CSV, Parquet and JSON lines, read into one Arrow table or refused with the place.

This reader is strict, because a model trained on half a file is worse than an error. An import, which keeps
the good rows and writes the bad ones aside, is `hub.imports`.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgewise.errors import InputError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS: Final = (",", ";", "\t")
_BLOCK_BYTES: Final = 16 << 20  # a quoted field with line breaks must fit into one block
_PROBLEMS_SHOWN: Final = 20


class FileFormat(StrEnum):
    """How the rows of a file are written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


_TAB_SEPARATED: Final = {".tsv", ".tab", ".txt", ".inter", ".item", ".user"}
_FORMATS: Final = {
    ".csv": FileFormat.CSV,
    **dict.fromkeys(_TAB_SEPARATED, FileFormat.CSV),
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
}


def file_format(path: Path) -> FileFormat | None:
    """The format that a file's name promises (`.gz` is looked through), or None for an unknown ending."""
    return _FORMATS.get(_suffix(path))


def read_table(path: Path, *, delimiter: str | None = None, text: Collection[str] = ()) -> pa.Table:
    """The rows of a CSV (also .gz), Parquet or JSON lines file, columns typed by their content.

    The delimiter of a `.csv` is the one of `,` `;` tab that its header has most of; `.tsv .txt .inter .item
    .user` are tab-separated; with `delimiter` any other ending is read as delimited text. An empty CSV field is
    null. `text` names columns that stay text digit for digit, so that `00123` or a 64-bit id survives; absent
    ones are ignored.

    Raises InputError for a file that is missing, empty, of unknown ending, not UTF-8, damaged, or has a row
    that does not fit its header.
    """
    form = file_format(path)
    if form is None:
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if delimiter is None:
            known = " ".join(sorted(_FORMATS))
            raise InputError(f"{path}: {path.suffix or 'no'} ending, expected one of {known}, or a delimiter")
        form = FileFormat.CSV
    if form is FileFormat.PARQUET:
        table = read_parquet(path)
    elif form is FileFormat.JSONL:
        table = _read_jsonl(path)
    else:
        table = _read_csv(path, delimiter, text)
    repeated = [name for name, times in Counter(table.column_names).items() if times > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} occurs more than once")
    return _as_text(table, text)


def require_columns(table: pa.Table, names: Iterable[str], *, where: str = "table") -> None:
    """Raise InputError naming each absent column, the nearest present one, and what there is."""
    present = table.column_names
    absent = [name for name in names if name not in present]
    if absent:
        there = ", ".join(repr(name) for name in present)
        problems = tuple(Problem(f"column {name}", _nearest(name, present)) for name in absent)
        missing = ", ".join(repr(name) for name in absent)
        raise InputError(f"{where}: no column {missing}; there are: {there}", problems)


def read_content(path: Path) -> bytes:
    """The bytes of a file, unpacked when it ends in `.gz`.

    Raises InputError when it is missing, a folder, unreadable, empty or a damaged gzip.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as refused:
        raise InputError(f"{path}: cannot be read: {refused.strerror}") from None
    if path.suffix.lower() == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as damaged:
            raise InputError(f"{path}: damaged gzip: {damaged}") from None
    if not content.strip():
        raise InputError(f"{path}: an empty file")
    return content


def read_utf8(path: Path) -> bytes:
    """Like `read_content`, for text: checked to be UTF-8, without a byte order mark.

    Raises InputError with the row, the byte and its offset where the text stops being UTF-8.
    """
    content = read_content(path)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: UTF-16 by its byte order mark, expected UTF-8")
    fault = utf8_fault(content)
    if fault is not None:
        row = content.count(b"\n", 0, fault) + 1
        raise InputError(
            f"{path}: not UTF-8: row {row}, byte 0x{content[fault]:02x} at offset {fault}",
            (Problem(f"row {row}", f"byte 0x{content[fault]:02x} at offset {fault}, expected UTF-8 text"),),
        )
    return content.removeprefix(codecs.BOM_UTF8)


def utf8_fault(content: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8, or None. Memory stays within one block."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    for start in range(0, len(content), _BLOCK_BYTES):
        pending = len(decoder.getstate()[0])
        block = view[start : start + _BLOCK_BYTES]
        try:
            decoder.decode(block, final=start + _BLOCK_BYTES >= len(content))
        except UnicodeDecodeError as fault:
            return start - pending + fault.start
    return None


def guess_delimiter(header: str) -> str:
    """The one of `,` `;` tab that a header line has most of outside quotes; a comma when it has none."""
    unquoted = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


def csv_delimiter(path: Path, header: str) -> str:
    """The delimiter of a delimited text file by its name's ending, else by its header."""
    if _suffix(path) in _TAB_SEPARATED:
        return "\t"
    return guess_delimiter(header)


def read_parquet(path: Path) -> pa.Table:
    """A Parquet file. Raises InputError when it is missing, empty or no sound Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file")
    try:
        # partitioning=None: a folder named a=1 in the path is no column of the file
        return pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as damaged:
        raise InputError(f"{path}: unreadable Parquet: {_first_line(damaged)}") from None


def _read_csv(path: Path, delimiter: str | None, text: Collection[str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    content = read_utf8(path)
    separator = delimiter or csv_delimiter(path, content.split(b"\n", 1)[0].decode())
    problems: list[Problem] = []

    def note(row: Any) -> str:
        if len(problems) < _PROBLEMS_SHOWN:
            expected = f"expected {row.expected_columns} fields, got {row.actual_columns}: {row.text[:80]!r}"
            problems.append(Problem(f"row {row.number}", expected))
        return "skip"

    try:
        table = csv.read_csv(
            io.BytesIO(content),
            # one thread: only then does Arrow number the rows that do not fit
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=note),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(text, pa.string())),
        )
    except pa.ArrowException as broken:
        raise InputError(f"{path}: {_first_line(broken)}") from None
    if problems:
        raise InputError(f"{path}: rows that do not fit the header", tuple(problems))
    if content.count(b'"') % 2 and _runs_to_the_end(table, content):
        raise InputError(f"{path}: row {table.num_rows + 1}: a quote is opened and never closed")
    return _empty_as_null(table)


def _runs_to_the_end(table: pa.Table, content: bytes) -> bool:
    """Whether the last field swallowed line breaks up to the end of the file; Arrow accepts an open quote."""
    last = table.slice(max(table.num_rows - 1, 0)).to_pylist()
    texts = [value for value in (last[0].values() if last else ()) if isinstance(value, str)]
    return any("\n" in value.rstrip() and content.endswith(value.encode()) for value in texts)


def _read_jsonl(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json

    content = read_utf8(path)
    try:
        return json.read_json(
            io.BytesIO(content), read_options=json.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
        )
    except pa.ArrowException as broken:
        # Arrow counts rows from 0, people from 1
        said = re.sub(r"in row (\d+)", lambda row: f"in row {int(row[1]) + 1}", _first_line(broken))
        raise InputError(f"{path}: {said}") from None


def _empty_as_null(table: pa.Table) -> pa.Table:
    """CSV cannot tell an empty text from a missing one; numbers already read it as missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for position, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(position)
            missing = pa.scalar(None, pa.string())
            table = table.set_column(position, field, pc.if_else(pc.equal(column, ""), missing, column))
    return table


def _as_text(table: pa.Table, names: Collection[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    for position, field in enumerate(table.schema):
        if field.name in names and not pa.types.is_string(field.type):
            column = table.column(position)
            if pa.types.is_dictionary(field.type):
                column = column.cast(field.type.value_type)
            if pa.types.is_floating(column.type):
                # ids beside missing ones are often numbers with NaN, which is nobody and not somebody called `nan`
                column = pc.if_else(pc.is_nan(column), None, column)
            table = table.set_column(position, pa.field(field.name, pa.string()), column.cast(pa.string()))
    return table


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _nearest(name: str, present: list[str]) -> str:
    near = difflib.get_close_matches(name, present, n=1)
    return f"absent; did you mean {near[0]!r}?" if near else "absent"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
