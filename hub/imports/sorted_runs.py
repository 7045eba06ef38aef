"""Sorts more records than fit into memory: by time, then by their order in the file (external merge sort)."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Self

RUN_BYTES: Final = 64 << 20
"""Kept in memory before a sorted run is written aside."""
_OVERHEAD_BYTES: Final = 150
_header = struct.Struct("<QQI")

Key = tuple[int, int]
"""(time_ms, line)."""


class SortedRuns:
    """Add in any order, then iterate in the order of the keys, any number of times; closes its files at the end."""

    def __init__(self, folder: Path, run_bytes: int = RUN_BYTES) -> None:
        self._folder = folder
        self._run_bytes = run_bytes
        self._held: list[tuple[Key, bytes]] = []
        self._held_bytes = 0
        self._runs: list[IO[bytes]] = []
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            run.close()

    def add(self, key: Key, payload: bytes) -> None:
        """Keep one record; keys are unique."""
        self._held.append((key, payload))
        self._held_bytes += len(payload) + _OVERHEAD_BYTES
        self.count += 1
        if self._held_bytes >= self._run_bytes:
            self._spill()

    def __iter__(self) -> Iterator[tuple[Key, bytes]]:
        self._held.sort()
        return heapq.merge(iter(self._held), *map(_read, self._runs))

    def _spill(self) -> None:
        self._held.sort()
        run = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed in __exit__; has no name on disk
        for (time_ms, line), payload in self._held:
            run.write(_header.pack(time_ms, line, len(payload)) + payload)
        self._runs.append(run)
        self._held, self._held_bytes = [], 0


def _read(run: IO[bytes]) -> Iterator[tuple[Key, bytes]]:
    run.seek(0)
    while header := run.read(_header.size):
        time_ms, line, size = _header.unpack(header)
        yield (time_ms, line), run.read(size)
