"""The text of a source's file: which encoding it is in, and its lines, none longer than a bound."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from edgewise.errors import InputError
from hub.sources.document import SourceDocument
from hub.sources.fault import Fault

MOST_LINE: Final = 1 << 20
"""Characters of one line; what is longer is refused without being held."""
_MARKS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PROBED_BYTES: Final = 4096
_SCANNED_BYTES: Final = 1 << 20
_NOT_DECODED: Final = re.compile("[\udc80-\udcff]")
_FIRST_ESCAPE: Final = 0xDC00
"""PEP 383: byte 0x80 becomes U+DC80."""


class Encoding(NamedTuple):
    """How a file is read."""

    name: str
    errors: str
    note: str = ""
    """What a person should know of the choice."""


def encoding_of(path: Path, document: SourceDocument) -> Encoding:
    """The encoding of a file: by its byte order mark, as declared, or what it proves to be.

    Raises:
        InputError: it is surely in another encoding than the declared one.
    """
    declared = document.encoding
    with unpacked(path) as file:
        head = file.read(_PROBED_BYTES)
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None and declared not in ("auto", marked):
        raise InputError(f"{path}: row 1: {marked} by its byte order mark, but the source declares {declared}")
    if marked is not None:
        return Encoding("utf-16", "surrogatepass") if marked == "utf-16" else Encoding("utf-8-sig", "surrogateescape")
    if declared == "utf-16":
        # without a mark: most of what is written has its zero bytes on one side
        is_big = head[::2].count(0) > head[1::2].count(0)
        return Encoding("utf-16-be" if is_big else "utf-16-le", "surrogatepass")
    if b"\0" in head[:64] and len(head) > 1 and head[:64].count(b"\0") * 3 >= len(head[:64]):
        raise InputError(f"{path}: row 1: looks like UTF-16 without a byte order mark; say `encoding: utf-16`")
    if declared in ("cp1252", "iso-8859-1"):
        wide, broken = _scan(path)
        if wide is not None and broken is None:
            message = f"the source declares {declared}, but the file is UTF-8; say `encoding: auto`"
            raise InputError(f"{path}: row {wide}: {message}")
        return Encoding(declared, "surrogateescape")
    if document.fallback_encoding is not None and declared == "auto":
        _, broken = _scan(path)
        if broken is not None:
            note = f"row {broken} is no UTF-8: the whole file was read as {document.fallback_encoding}"
            return Encoding(document.fallback_encoding, "surrogateescape", note)
    return Encoding("utf-8", "surrogateescape")


@contextmanager
def unpacked(path: Path, at: Callable[[IO[bytes]], None] = lambda _: None) -> Iterator[IO[bytes]]:
    """The bytes of a file, plain or gzipped; `at` is given the file on disk, whose position is how far one is.

    Raises InputError for a file that is not there, cannot be read, or is no whole gzip.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a file")
    try:
        with path.open("rb") as raw:
            at(raw)
            if path.suffix.lower() == ".gz":
                with gzip.open(raw) as file:
                    yield cast("IO[bytes]", file)
            else:
                yield raw
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as damaged:
        raise InputError(f"{path}: a damaged gzip: {damaged}") from None
    except UnicodeError as wrong:
        raise InputError(f"{path}: is not in the encoding of its first bytes: {wrong}") from None
    except OSError as refused:
        raise InputError(f"{path}: cannot be read: {refused.strerror or refused}") from None


class BoundedLines:
    """Numbered lines of a text; of one that is too long only the beginning."""

    def __init__(self, file: IO[bytes], encoding: Encoding) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding.name, errors=encoding.errors, newline="")
        self.too_long: set[int] = set()
        """Numbers of lines that were cut."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        number = 0
        while line := self._text.readline(MOST_LINE):
            number += 1
            if len(line) == MOST_LINE and not line.endswith("\n"):
                self.too_long.add(number)
                while (rest := self._text.readline(MOST_LINE)) and not rest.endswith("\n"):
                    pass
            yield number, line
        self._text.detach()


def refuse_undecoded(text: str, column: str, encoding: Encoding) -> None:
    """Raise Fault for text with a byte that the encoding does not know."""
    if text.isascii():
        return
    found = _NOT_DECODED.search(text)
    if found is not None:
        byte = ord(found[0]) - _FIRST_ESCAPE
        offset = len(text[: found.start()].encode(encoding.name.removesuffix("-sig"), "surrogatepass"))
        cure = "; say `encoding: cp1252`, or `fallback_encoding: cp1252`" if encoding.name.startswith("utf") else ""
        shown = text[max(found.start() - 20, 0) : found.start() + 20]
        raise Fault(column, shown, f"byte 0x{byte:02x} at offset {offset}", f"{encoding.name} text{cure}")


def _scan(path: Path) -> tuple[int | None, int | None]:
    """The first row that is not ASCII, and the first that is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    rows, wide = 1, None
    with unpacked(path) as file:
        while block := file.read(_SCANNED_BYTES):
            if wide is None and not block.isascii():
                first = next(place for place, byte in enumerate(block) if byte >= 0x80)  # noqa: PLR2004  # ASCII ends
                wide = rows + block.count(b"\n", 0, first)
            try:
                decoder.decode(block)
            except UnicodeDecodeError as wrong:
                return wide, rows + block.count(b"\n", 0, wrong.start)
            rows += block.count(b"\n")
    return wide, None
