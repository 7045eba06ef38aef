"""Reads a file row by row so that a broken row costs nothing but itself.

Arrow's own CSV reader gives up on the file, or lets an open quote swallow what follows; so records are cut line by
line (`hub.imports.delimited`).
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edgewise.errors import MALFORMED, InputError, Problem
from hub.imports.delimited import NumberedLines, records
from hub.imports.rejects import WHOLE_ROW, Rejects
from hub.tables import FileFormat, csv_delimiter, read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS: Final = 65_536
_SHOWN_CHARACTERS: Final = 500
_SURROGATEESCAPE_FROM: Final = 0xDC80  # PEP 383: byte 0x80 becomes U+DC80


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that could be cut out of a file, column by column."""

    columns: dict[str, pa.ChunkedArray]
    """Only those that were asked for and are there: text (CSV, JSON lines), or typed as Parquet has them."""
    row: npt.NDArray[np.int64]
    """Where each came from: the line (CSV, JSON lines), or the row counted from 1 (Parquet)."""
    present: list[str]
    """Every column of the file."""


def read_rows(
    path: Path, form: FileFormat, names: Collection[str], rejects: Rejects, *, delimiter: str | None = None
) -> Rows:
    """Read the columns `names`, as far as the file has them; rows that cannot be cut go to `rejects`.

    An empty text is null. Raises InputError when the file as a whole cannot be read: missing, empty, UTF-16, a
    damaged gzip or Parquet, a header that is not UTF-8 or has a name twice.
    """
    match form:
        case FileFormat.PARQUET:
            return _parquet(path, names)
        case FileFormat.CSV:
            return _csv(path, names, rejects, delimiter)
        case FileFormat.JSONL:
            return _jsonl(path, names, rejects)


def _parquet(path: Path, names: Collection[str]) -> Rows:
    table = read_parquet(path)
    columns = {name: table.column(name) for name in table.column_names if name in names}
    return Rows(columns, np.arange(1, table.num_rows + 1), table.column_names)


def _csv(path: Path, names: Collection[str], rejects: Rejects, delimiter: str | None) -> Rows:
    with _text(path) as file:
        lines = NumberedLines(enumerate(file, 1))
        first = next((line for line in lines if line[1].strip()), None)
        if first is None:
            raise InputError(f"{path}: an empty file")
        _demand_utf8(path, first[0], first[1])
        lines.push_back([first])
        separator = delimiter or csv_delimiter(path, first[1])
        row, header, fault = next(records(lines, separator, width=None))
        if header is None:
            raise InputError(f"{path}: the header: expected {fault}")
        for name in header:  # of several lines where a name holds a line break
            _demand_utf8(path, row, name)
        doubled = sorted({name for name in header if name and header.count(name) > 1})
        if doubled:
            raise InputError(f"{path}: the header: column {doubled[0]!r} occurs more than once")
        places = {name: place for place, name in enumerate(header) if name in names}
        columns = _Columns(list(places), rejects)
        for row, fields, expected in records(lines, separator, width=len(header)):
            if fields is None:
                rejects.add(row, WHOLE_ROW, _shown(lines.refused), expected)
            else:
                columns.add(row, [fields[place] or None for place in places.values()])
    return columns.rows(header)


def _jsonl(path: Path, names: Collection[str], rejects: Rejects) -> Rows:
    columns = _Columns(list(names), rejects)
    present: dict[str, None] = {}
    lines_seen = False
    with _text(path) as file:
        for row, line in NumberedLines(enumerate(file, 1)):
            if not line.strip():
                continue
            lines_seen = True
            try:
                value = parsed_json(line)
            except (ValueError, RecursionError) as wrong:
                rejects.add(row, WHOLE_ROW, _shown(line), f"one JSON object: {wrong}")
                continue
            if not isinstance(value, dict):
                rejects.add(row, WHOLE_ROW, _shown(line), f"a JSON object, got {type(value).__name__}")
                continue
            present.update(dict.fromkeys(value))
            columns.add(row, [_as_cell(_reach(value, name)) for name in names])
    if not lines_seen:
        raise InputError(f"{path}: an empty file")
    rows = columns.rows(list(present))
    filled = {name: column for name, column in rows.columns.items() if column.null_count < len(column)}
    return Rows(filled, rows.row, rows.present)


class _Columns:
    """Gathers cells into Arrow columns, a batch at a time: text in Arrow takes a fraction of Python's."""

    def __init__(self, names: list[str], rejects: Rejects) -> None:
        self._names = names
        self._rejects = rejects
        self._rows: list[int] = []
        self._batch: list[list[str | None]] = []
        self._kept: list[int] = []
        self._chunks: list[list[pa.Array]] = [[] for _ in names]

    def add(self, row: int, cells: list[str | None]) -> None:
        self._rows.append(row)
        self._batch.append(cells)
        if len(self._batch) == _BATCH_ROWS:
            self._flush()

    def rows(self, present: list[str]) -> Rows:
        import pyarrow as pa

        self._flush()
        columns = {
            name: pa.chunked_array(chunks, pa.string()) for name, chunks in zip(self._names, self._chunks, strict=True)
        }
        return Rows(columns, np.array(self._kept, np.int64), present)

    def _flush(self) -> None:
        try:
            chunks = self._arrow()
        except UnicodeEncodeError:  # rare, so looked for only now
            self._refuse_other_encodings()
            chunks = self._arrow()
        for column, chunk in zip(self._chunks, chunks, strict=True):
            column.append(chunk)
        self._kept += self._rows
        self._rows.clear()
        self._batch.clear()

    def _arrow(self) -> list[pa.Array]:
        import pyarrow as pa

        by_column = zip(*self._batch, strict=True) if self._batch else [()] * len(self._names)
        return [pa.array(cells, pa.string()) for cells in by_column]

    def _refuse_other_encodings(self) -> None:
        kept: list[tuple[int, list[str | None]]] = []
        for row, cells in zip(self._rows, self._batch, strict=True):
            broken = [
                (name, cell)
                for name, cell in zip(self._names, cells, strict=True)
                if cell and any("\ud800" <= character <= "\udfff" for character in cell)
            ]
            for name, cell in broken:
                self._rejects.add(row, name, _shown(cell), "UTF-8 text")
            if not broken:
                kept.append((row, cells))
        self._rows = [row for row, _ in kept]
        self._batch = [cells for _, cells in kept]


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    """The text of a file, unpacked; bytes that are not UTF-8 come as lone surrogates, to be refused by row."""
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a file")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as raw:
            if raw.peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
                raise InputError(f"{path}: UTF-16 by its byte order mark, expected UTF-8")
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as damaged:
        raise InputError(f"{path}: damaged gzip: {damaged}") from None
    except OSError as refused:
        raise InputError(f"{path}: cannot be read: {refused.strerror}") from None


def _demand_utf8(path: Path, row: int, text: str) -> None:
    other = next((character for character in text if "\ud800" <= character <= "\udfff"), None)
    if other is not None:
        byte = ord(other) - _SURROGATEESCAPE_FROM + 0x80
        offset = len(text.partition(other)[0].encode())
        problem = Problem(f"row {row}", f"byte 0x{byte:02x} at offset {offset}, expected UTF-8 text")
        raise InputError(f"{path}: the header is not UTF-8: {problem.path}, {problem.message}", (problem,))


def parsed_json(line: str) -> Any:
    """One JSON value; `NaN` and `Infinity` pass as numbers. Raises ValueError, or RecursionError when too deep."""
    try:
        return msgspec.json.decode(line.encode("utf-8", "surrogatepass"))
    except MALFORMED:
        # NaN and Infinity are no JSON but are written; read, they can be refused by their column
        return json.loads(line)


def _reach(value: dict[str, Any], name: str) -> Any:
    """A key, or a path of keys with dots between them."""
    if name in value:
        return value[name]
    found: Any = value
    for key in name.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def _as_cell(value: Any) -> str | None:
    """As a CSV would have it; `repr` of a float reads back to the same float."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool | dict | list):
        return msgspec.json.encode(value).decode()
    return repr(value)


def _shown(text: str) -> str:
    r"""Text that can be written: a byte that was not UTF-8 as `\xe9`, any other lone surrogate as `\ud800`."""
    return "".join(_escaped(character) for character in text.rstrip("\r\n")[:_SHOWN_CHARACTERS])


def _escaped(character: str) -> str:
    code = ord(character)
    if _SURROGATEESCAPE_FROM <= code < _SURROGATEESCAPE_FROM + 0x80:
        return f"\\x{code - _SURROGATEESCAPE_FROM + 0x80:02x}"
    return f"\\u{code:04x}" if "\ud800" <= character <= "\udfff" else character
