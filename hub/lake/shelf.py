"""The files of a lake, with those at hand that a scan in the order of positions comes back to.

Files are sorted by subject and a scan goes by position, so each page of it touches every file of its time: reading
them again for every page would cost a hundred times what one reading does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edgewise.errors import UnavailableError
from hub.lake.partition import all_records, records_of

MOST_BYTES: Final = 128 << 20
"""Of records at hand; the file that is being read is kept whatever its size."""


class Shelf:
    """Safe to use from several threads."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is the lake; None: this process was not told where it is."""
        self._folder = folder
        self._held: OrderedDict[str, dict[int, bytes]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether anybody said where the files are."""
        return self._folder is not None

    @property
    def folder(self) -> Path:
        """Where the files are. Raises UnavailableError when nobody said."""
        if self._folder is None:
            raise UnavailableError("the ledger has old records in its lake, and this program was given no data folder")
        return self._folder

    def at(self, name: str, positions: Iterable[int]) -> dict[int, bytes]:
        """Position -> record, of a file. Raises UnavailableError when it is damaged or lacks one of them."""
        held = self._read(name)
        try:
            return {position: held[position] for position in positions}
        except KeyError as missing:
            raise UnavailableError(f"{self.folder / name}: lacks the record at position {missing}") from None

    def of(self, name: str, subject: str, positions: Iterable[int]) -> dict[int, bytes]:
        """The same for positions of one subject, read without the rest of the file."""
        found = records_of(self.folder / name, subject)
        try:
            return {position: found[position] for position in positions}
        except KeyError as missing:
            raise UnavailableError(f"{self.folder / name}: lacks the record at position {missing}") from None

    def forget(self, name: str) -> None:
        """A file is no more."""
        with self._lock:
            self._held.pop(name, None)
            self._sizes.pop(name, None)

    def _read(self, name: str) -> dict[int, bytes]:
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        positions, records = all_records(self.folder / name)
        held = dict(zip(positions, records, strict=True))
        with self._lock:
            self._held[name] = held
            self._sizes[name] = sum(map(len, records))
            while len(self._held) > 1 and sum(self._sizes[one] for one in self._held) > MOST_BYTES:
                gone, _ = self._held.popitem(last=False)
                del self._sizes[gone]
        return held
