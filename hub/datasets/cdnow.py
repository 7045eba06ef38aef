"""CDNOW's customers, read from the wheel of Lifetimes 0.11.3 that carries Bruce Hardie's files unchanged.

2,357 customers of an online shop for music, every tenth of those who bought first in the first quarter of 1997, with
all that they bought up to June 1998 (Fader, Hardie 2001, Forecasting Repeat Sales at CDNOW: A Case Study, Interfaces
31(3)). The wheel is under the MIT licence; the files are offered for research and teaching on brucehardie.com. They
are read where they are needed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from edgewise.errors import RefusedError
from hub.datasets.download import Download, PinnedFile, fetch, write_beside_and_rename

WHEEL: Final = PinnedFile(
    package="lifetimes",
    version="0.11.3",
    file_name="Lifetimes-0.11.3-py3-none-any.whl",
    sha256="261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8",
    size_bytes=584_221,
)
_MEMBER: Final = "lifetimes/datasets/CDNOW_sample.txt"
_COLUMNS: Final = 5


def sample_file(cache: Path, *, download: Download | None = None) -> Path:
    """The 1/10 sample as CSV with the columns `customer,date,cds,dollars`, one row per order, kept in the cache.

    Raises:
        UnavailableError: neither cached nor downloadable.
        RefusedError: the wheel is not the pinned one, or a row of it is not what it should be.
    """
    place = cache / f"lifetimes-{WHEEL.version}" / "cdnow_sample.csv"
    if not place.is_file():
        with zipfile.ZipFile(fetch(WHEEL, cache, download=download)) as members:
            rows = members.read(_MEMBER).decode("ascii").splitlines()
        write_beside_and_rename(place, "".join(["customer,date,cds,dollars\n", *map(_line, rows)]).encode())
    return place


def _line(row: str) -> str:
    """Columns of blanks: the number among all customers, the one in the sample, yyyymmdd, CDs, dollars."""
    cells = row.split()
    if len(cells) != _COLUMNS:
        raise RefusedError("wrong_file", f"{WHEEL.file_name}: {_MEMBER}: {row!r}, expected {_COLUMNS} columns")
    return ",".join(cells[1:]) + "\n"
