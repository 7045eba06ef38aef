"""The moments of a web server's log: one a line, as seconds, as ISO 8601, or inside a Common Log Format line."""

from __future__ import annotations

import datetime as dt
import gzip
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from edgewise.errors import InputError

_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_COMMON: Final = re.compile(r"\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
_MILLISECONDS: Final = 1e11
"""Epoch seconds reach this in the year 5138, epoch milliseconds did in 1973."""


def read_weblog(file: Path, draw: np.random.Generator) -> list[float]:
    """Moments of arrival in seconds, ascending.

    Raises:
        InputError: the file cannot be read, a line holds no moment, or there is none.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8", errors="replace") as lines:
            return moments_of(lines, draw, name=str(file))
    except (OSError, EOFError, zlib.error) as failed:
        raise InputError(f"{file}: {getattr(failed, 'strerror', None) or failed}") from failed


def moments_of(lines: Iterable[str], draw: np.random.Generator, *, name: str) -> list[float]:
    """The moments of a log's lines. Blank lines and lines that begin with # are passed over.

    Logs that know whole seconds only would make one burst a second, which nobody sent: their arrivals are spread over
    the second, drawn from `draw`.

    Raises:
        InputError: with the line's number.
    """
    moments: list[float] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            moments.append(_moment(text, f"{name}:{number}"))
    if not moments:
        raise InputError(f"{name}: no arrivals; expected one moment a line")
    if len(moments) > 1 and all(moment == int(moment) for moment in moments):
        moments = [moment + part for moment, part in zip(moments, draw.random(len(moments)).tolist(), strict=True)]
    return sorted(moments)


def _moment(text: str, where: str) -> float:
    first = text.split(",", 1)[0].split("\t", 1)[0].strip().strip('"')
    if _NUMBER.fullmatch(first):
        seconds = float(first)
        return seconds / 1_000 if seconds >= _MILLISECONDS else seconds
    try:
        if found := _COMMON.search(text):
            return dt.datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        moment = dt.datetime.fromisoformat(first)
    except ValueError:
        expected = "epoch seconds, ISO 8601, or a line of the Common Log Format"
        raise InputError(f"{where}: {text[:60]!r}; expected {expected}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
