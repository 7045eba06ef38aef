"""Reads a source's file row by row, whatever its format; a row that cannot be cut costs nothing but itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from edgewise.errors import InputError
from hub.imports.delimited import NumberedLines, records
from hub.imports.source_text import BoundedLines, Encoding, encoding_of, refuse_undecoded, unpacked
from hub.sources.document import SourceDocument
from hub.sources.fault import Fault
from hub.sources.money import json_number
from hub.sources.paths import first_column
from hub.sources.translate import rows_of
from hub.tables import FileFormat, csv_delimiter, file_format

if TYPE_CHECKING:
    import pyarrow as pa

MOST_JSON_BYTES: Final = 256 << 20
"""A JSON document is held as a whole; longer exports are JSON lines."""
_PARQUET_ROWS: Final = 4_096
_REPORTED_ROWS: Final = 1_000
_DELIMITER_HINT: Final = re.compile('"?sep=([^"\\r\\n])"?')
"""A first line that Excel reads and writes."""
_OTHER_DELIMITERS: Final = ",;\t|"

Progress = Callable[[int, int], None]
"""How much is read, and how much there is: bytes on disk, or rows of a Parquet file."""


class SourceRow(NamedTuple):
    """One row, or what is wrong with it."""

    number: int
    """Line of a text, entry of a JSON list, row of a Parquet file; counted from 1."""
    values: Mapping[str, Any]
    fault: Fault | None = None


class SourceRows:
    """The rows of one file. Raises InputError while iterating when the file as a whole cannot be read."""

    def __init__(
        self, path: Path, document: SourceDocument, columns: Collection[str], progress: Progress = lambda _, __: None
    ) -> None:
        self._path = path
        self._document = document
        self._wanted = columns
        self._progress = progress
        self.format = document.format or _format_of(path)
        self.encoding: Encoding | None = None
        """Of a text; known while iterating."""
        self.columns: list[str] | None = None
        """Those of the file; None for JSON, whose rows may differ."""

    def __iter__(self) -> Iterator[SourceRow]:
        if self.format == "parquet":
            return self._parquet()
        self.encoding = encoding_of(self._path, self._document)
        return {"csv": self._csv, "json": self._json, "jsonl": self._jsonl}[self.format]()

    def absent(self) -> list[str]:
        """Columns that the source names and the file lacks."""
        if self.columns is None:
            return []
        present = set(self.columns)
        return sorted(name for name in self._wanted if name not in present and first_or_whole(name) not in present)

    def _lines(self, file: IO[bytes]) -> BoundedLines:
        assert self.encoding is not None
        return BoundedLines(file, self.encoding)

    def _reported(self, rows: Iterable[SourceRow], raw: Callable[[], int]) -> Iterator[SourceRow]:
        size = self._path.stat().st_size
        for count, row in enumerate(rows):
            yield row
            if count % _REPORTED_ROWS == 0:
                self._progress(raw(), size)
        self._progress(size, size)

    def _csv(self) -> Iterator[SourceRow]:
        disk: list[IO[bytes]] = []
        with unpacked(self._path, disk.append) as file:
            bounded = self._lines(file)
            lines = NumberedLines(iter(bounded))
            yield from self._reported(self._cut(lines, bounded), disk[0].tell)

    def _cut(self, lines: NumberedLines, bounded: BoundedLines) -> Iterator[SourceRow]:
        assert self.encoding is not None
        first = next((line for line in lines if line[1].strip()), None)
        if first is None:
            raise InputError(f"{self._path}: an empty file")
        hint = _DELIMITER_HINT.fullmatch(first[1].strip("\r\n"))
        if hint is not None:
            delimiter = hint[1]
        else:
            lines.push_back([first])
            delimiter = self._document.delimiter or csv_delimiter(self._path, first[1])
        if self._document.header is None:
            row, header, expected = next(records(lines, delimiter, width=None))
            if header is None:
                raise InputError(f"{self._path}: row {row}, the header: expected {expected}")
            self._check_header(row, header, delimiter)
        else:
            header = self._document.header
        self.columns = header
        for number, fields, expected in records(lines, delimiter, width=len(header)):
            values = dict(zip(header, fields or (), strict=False))
            fault = None
            if number in bounded.too_long:
                fault = Fault("", lines.refused, "too long", "a shorter line")
            elif fields is None:
                fault = self._undecoded({"": lines.refused})
                fault = fault or Fault("", lines.refused, "does not fit the header", expected)
            else:
                fault = self._undecoded(values)
            yield SourceRow(number, values, fault)

    def _undecoded(self, values: Mapping[str, str]) -> Fault | None:
        assert self.encoding is not None
        try:
            for name, text in values.items():
                refuse_undecoded(text, name, self.encoding)
        except Fault as fault:
            return fault
        return None

    def _check_header(self, row: int, header: list[str], delimiter: str) -> None:
        header[:] = [name.strip() for name in header]
        fault = self._undecoded({name: name for name in header})
        if fault is not None:
            raise InputError(f"{self._path}: row {row}, the header: {fault}")
        wanted = {first_or_whole(name) for name in self._wanted} | set(self._wanted)
        doubled = [name for name, times in Counter(header).items() if times > 1 and name in wanted]
        if doubled:
            raise InputError(f"{self._path}: the header: column {doubled[0]!r} occurs more than once")
        if not wanted & set(header):
            others = [mark for mark in _OTHER_DELIMITERS if mark != delimiter and mark in "".join(header)]
            hint = f"; fields seem to be separated by {others[0]!r}, not {delimiter!r}" if others else ""
            shown = ", ".join(repr(name[:100]) for name in header[:8])
            raise InputError(f"{self._path}: none of the columns that the source names is here; got {shown}{hint}")

    def _jsonl(self) -> Iterator[SourceRow]:
        disk: list[IO[bytes]] = []
        with unpacked(self._path, disk.append) as file:
            yield from self._reported(self._objects(self._lines(file)), disk[0].tell)

    def _objects(self, lines: BoundedLines) -> Iterator[SourceRow]:
        is_empty = True
        for number, line in lines:
            if not line.strip():
                continue
            is_empty = False
            fault = Fault("", line, "too long", "a shorter line") if number in lines.too_long else None
            fault = fault or self._undecoded({"": line})
            if fault is None:
                try:
                    yield SourceRow(number, _object(_read_json(line)))
                    continue
                except Fault as found:
                    fault = found
            yield SourceRow(number, {}, fault)
        if is_empty:
            raise InputError(f"{self._path}: an empty file")

    def _json(self) -> Iterator[SourceRow]:
        assert self.encoding is not None
        with unpacked(self._path) as file:
            content = file.read(MOST_JSON_BYTES + 1)
        if len(content) > MOST_JSON_BYTES:
            raise InputError(f"{self._path}: more than {MOST_JSON_BYTES >> 20} MiB of JSON; export JSON lines instead")
        try:
            text = content.decode(self.encoding.name, self.encoding.errors).removeprefix("\ufeff")
        except UnicodeDecodeError as wrong:
            raise InputError(f"{self._path}: is no {self.encoding.name}: {wrong.reason}") from None
        if not text.strip():
            raise InputError(f"{self._path}: an empty file")
        try:
            refuse_undecoded(text, "", self.encoding)
            rows = list(rows_of(_read_json(text), self._document))
        except Fault as fault:
            raise InputError(f"{self._path}: {fault}") from None
        for number, value in enumerate(rows, 1):
            try:
                yield SourceRow(number, _object(value))
            except Fault as fault:
                yield SourceRow(number, {}, fault)
            self._progress(number, len(rows))

    def _parquet(self) -> Iterator[SourceRow]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._path.is_file():
            raise InputError(f"{self._path}: no such file")
        if not self._path.stat().st_size:
            raise InputError(f"{self._path}: an empty file")
        try:
            with pq.ParquetFile(self._path) as file:
                self.columns = file.schema_arrow.names
                wanted = {first_or_whole(name) for name in self._wanted} | set(self._wanted)
                doubled = [name for name, times in Counter(self.columns).items() if times > 1 and name in wanted]
                if doubled:
                    raise InputError(f"{self._path}: column {doubled[0]!r} occurs more than once")
                read = [name for name in self.columns if name in wanted]
                if not read:
                    shown = ", ".join(map(repr, self.columns[:8]))
                    raise InputError(f"{self._path}: none of the columns that the source names is here; got {shown}")
                number, total = 0, file.metadata.num_rows
                for batch in file.iter_batches(_PARQUET_ROWS, columns=read):
                    for values in zip(*map(_cells, batch.columns), strict=True):
                        number += 1
                        yield SourceRow(number, dict(zip(read, values, strict=True)))
                    self._progress(number, total)
        except (pa.ArrowException, OSError) as damaged:
            raise InputError(f"{self._path}: unreadable Parquet: {str(damaged).partition(chr(10))[0]}") from None


def _cells(column: pa.Array) -> list[Any]:
    """The values of a column; a moment that Python has none for (finer, or outside its years) as text."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return list(map(_cell, column))


def _cell(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return f"out of range: {scalar.value}"


def first_or_whole(name: str) -> str:
    """The column of a flat file that a path begins in; the name itself where it is no path."""
    try:
        return first_column(name)
    except ValueError:
        return name


def _format_of(path: Path) -> str:
    if path.name.lower().removesuffix(".gz").endswith(".json"):
        return "json"
    found = file_format(path)
    if found is None:
        expected = "csv, tsv, json, jsonl or parquet"
        raise InputError(f"{path}: {path.suffix or 'no'} ending; expected {expected}, or `format` in the source")
    return {FileFormat.CSV: "csv", FileFormat.JSONL: "jsonl", FileFormat.PARQUET: "parquet"}[found]


def _read_json(text: str) -> Any:
    """Strict where exports go wrong: no key twice; numbers keep every digit; NaN, which is no JSON, is nothing."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_float=json_number, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as wrong:
        raise Fault("", text, str(wrong)[:200], "JSON") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Fault("", value, f"a {type(value).__name__}", "an object a row")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice[:50]!r} is there twice")
    return found
