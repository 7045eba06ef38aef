"""Lines of a text file, plain or gzipped, none longer than a bound: a file of one endless line costs no memory."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from edgewise.errors import InputError


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    """Counted from 1, blank ones too."""
    content: bytes
    """Without its line break; only its beginning when it is too long."""
    too_long: bool


def read_lines(path: Path, most_bytes: int, progress: Callable[[int], None]) -> Iterator[Line]:
    """Every line that is not blank; `progress` is told how many bytes of the file on disk have been read.

    Raises InputError for a file that is not there, cannot be read, or is no whole gzip.
    """
    number = 0
    try:
        with path.open("rb") as raw, _unpacked(path, raw) as file:
            while read := file.readline(most_bytes + 2):
                number += 1
                content = read.rstrip(b"\r\n")
                too_long = len(content) > most_bytes
                while too_long and read and not read.endswith(b"\n"):
                    read = file.readline(most_bytes)
                if number == 1:
                    content = content.removeprefix(codecs.BOM_UTF8)
                if content.strip():
                    yield Line(number, content[:most_bytes], too_long)
                progress(raw.tell())
    except (EOFError, zlib.error, gzip.BadGzipFile) as damaged:
        raise InputError(f"{path}: a damaged gzip, behind line {number}: {damaged}") from None
    except OSError as refused:
        raise InputError(f"{path}: {refused.strerror or refused}") from None


@contextlib.contextmanager
def _unpacked(path: Path, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if path.suffix.lower() != ".gz":
        yield raw
        return
    with gzip.open(raw) as file:
        yield cast("IO[bytes]", file)
