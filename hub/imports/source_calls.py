"""From rows to calls: translated one by one, lines of one order brought together however far apart they stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from hub.imports.sorted_runs import SortedRuns
from hub.imports.source_rejects import SourceRejects
from hub.imports.source_rows import SourceRow
from hub.sources.document import SourceDocument
from hub.sources.fault import UNFORESEEN, Fault, as_fault
from hub.sources.moments import written
from hub.sources.rule import Head
from hub.sources.translate import Piece, Translator

MOST_LINES: Final = 10_000
"""Rows that may make one call."""
_RUN_BYTES: Final = 32 << 20
_REFUSED: Final = b""
"""Stands in a group for a row that was refused."""


class _Aside(msgspec.Struct, frozen=True, array_like=True):
    """A piece as it lies in a run. Heads of neighbours are mostly the same and are then read once."""

    rule: int
    group: tuple[str, ...]
    number: int
    time_ms: int | None
    products: list[dict[str, Any]]
    key: tuple[str, ...]
    head: bytes
    """The call, the vault's fields, and when consent was stated."""


class _Pieces:
    """Writes and reads pieces."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Aside).decode
        self._decode_head = msgspec.msgpack.Decoder(Head).decode
        self._written: tuple[object, bytes] = (None, b"")
        self._read: tuple[bytes, Head] = (b"", Head({}, None, None))

    def write(self, piece: Piece) -> bytes:
        """Of a piece with a group."""
        if self._written[0] is not piece.call:
            self._written = (piece.call, self._encode(Head(piece.call, piece.contact, piece.consent_ms)))
        head = self._written[1]
        return self._encode(
            _Aside(piece.rule, piece.group or (), piece.number, piece.time_ms, piece.products, piece.key, head)
        )

    def read(self, payload: bytes) -> Piece:
        """What was written."""
        aside = self._decode(payload)
        if self._read[0] != aside.head:
            self._read = (aside.head, self._decode_head(aside.head))
        head = self._read[1]
        return Piece(
            aside.rule, aside.group, aside.number, aside.time_ms, head.call, aside.products, aside.key, *head[1:]
        )


class RowCall(NamedTuple):
    """One call, and where it comes from."""

    rows: tuple[int, ...]
    call: dict[str, Any]
    contact: dict[str, Any] | None
    """Fields for the vault."""
    contact_key: str
    has_time: bool
    """Whether the source says when it happened."""
    consent_ms: int | None
    """When its consent was stated, where the source says so."""


@dataclass
class RowCounts:
    """What became of rows that make no call."""

    rows: int = 0
    passed_over: int = 0
    """No rule is for them."""
    robots: int = 0


class Calls:
    """The calls of a source's rows. A row of which anything is wrong makes none; nor does the rest of its group.

    Were the rest let in, the order would be known by its id when the mended file comes, and never become whole.
    """

    def __init__(self, translator: Translator, rejects: SourceRejects, now_ms: int, folder: Path) -> None:
        self._translator = translator
        self._rejects = rejects
        self._latest_ms = _latest_ms(translator.document, now_ms)
        self._folder = folder
        self._pieces = _Pieces()
        self.counts = RowCounts()

    def of(self, rows: Iterable[SourceRow]) -> Iterator[RowCall]:
        """Rows that make calls of their own as they come, then the groups."""
        with SortedRuns(self._folder, _RUN_BYTES) as groups:
            for row in rows:
                self.counts.rows += 1
                try:
                    yield from self._of(row, groups)
                except (Fault, *UNFORESEEN) as wrong:
                    self._refuse(row, as_fault(wrong), groups)
            yield from self._grouped(groups)

    def _refuse(self, row: SourceRow, fault: Fault, groups: SortedRuns) -> None:
        self._rejects.add(row.number, fault)
        for group in self._translator.group_of(row.values):
            groups.add((_place(*group), row.number), _REFUSED)

    def _of(self, row: SourceRow, groups: SortedRuns) -> Iterator[RowCall]:
        if row.fault is not None:
            raise row.fault
        if self._translator.is_robot(row.values):
            self.counts.robots += 1
            return
        pieces = self._translator.pieces(row.values, row.number)
        if not pieces:
            self.counts.passed_over += 1
        for piece in pieces:
            if self._latest_ms is not None and piece.time_ms is not None and piece.time_ms > self._latest_ms:
                column, moment = self._translator.time_column(piece), written(piece.time_ms)
                raise Fault(column, moment, "in the future", f"a time until now ({written(self._latest_ms)})")
            if piece.time_ms is not None and piece.time_ms < 0:
                column, moment = self._translator.time_column(piece), written(piece.time_ms)
                raise Fault(column, moment, "too early", "a time since 1970")
        alone = [self._call([piece]) for piece in pieces if piece.group is None]
        # written before the first is added: a row gives everything or nothing
        aside = [
            (_place(piece.rule, piece.group), self._pieces.write(piece)) for piece in pieces if piece.group is not None
        ]
        for place, payload in aside:
            groups.add((place, row.number), payload)
        yield from alone

    def _grouped(self, groups: SortedRuns) -> Iterator[RowCall]:
        for _, run in groupby(groups, key=lambda one: one[0][0]):
            rows: list[int] = []
            pieces: dict[tuple[int, tuple[str, ...]], list[Piece]] = {}
            fault = None
            for (_, number), payload in run:
                if payload == _REFUSED:
                    fault = Fault("", f"row {number}", "its group has a refused row", "a group without faults")
                    continue
                rows.append(number)
                if len(rows) <= MOST_LINES:
                    piece = self._pieces.read(payload)
                    pieces.setdefault((piece.rule, piece.group or ()), []).append(piece)
            if len(rows) > MOST_LINES:
                fault = Fault("", f"{len(rows):,} rows", "too many", f"at most {MOST_LINES:,} rows a group")
            calls: list[RowCall] = []
            if fault is None:
                try:
                    # more than one where 64 bits of the digest are equal
                    calls = [self._call(some) for some in pieces.values()]
                except (Fault, *UNFORESEEN) as wrong:
                    fault = as_fault(wrong)
            if fault is not None:
                for number in rows:
                    self._rejects.add(number, fault)
            yield from calls

    def _call(self, pieces: list[Piece]) -> RowCall:
        first = pieces[0]
        call = self._translator.join(pieces)
        rows = tuple(piece.number for piece in pieces)
        key = "" if first.contact is None else self._translator.contact_key(first)
        return RowCall(rows, call, first.contact, key, first.time_ms is not None, first.consent_ms)


def _latest_ms(document: SourceDocument, now_ms: int) -> int | None:
    if document.future == "clamp":
        return None  # intake takes what is later than receipt as of receipt
    return now_ms + document.future_tolerance_minutes * 60_000


def _place(rule: int, group: tuple[str, ...]) -> int:
    digest = hashlib.blake2b(repr((rule, group)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)
