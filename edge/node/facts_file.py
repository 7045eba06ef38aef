"""The live facts that a node has: one file, replaced whole by the agent, polled by the workers.

    SHA-256 of the rest, hex digits
    {"sha256": of the signed bytes, "version": …, "issued_ms": …, "expires_ms": …, "halted": …}
    {"name": "stock", "numbers": {"item-3": 0.0, …}}          a few thousand numbers a line

In lines, because a worker decodes them between requests: a sheet of a hundred thousand numbers at one go would hold
its interpreter for 50 ms. Signatures and bounds were checked before the file was written (`edge.agent.facts_feed`);
what a disk has damaged since is taken for nothing, and fetched again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from edge.node.digested_file import DigestedFile
from edge.node.layout import NodePaths
from edgewise.bundle.facts import FACTS_MOST_BYTES, FactSheet
from edgewise.errors import MALFORMED
from edgewise.ids import ItemId

NUMBERS_A_LINE: Final = 2_000
_MOST_BYTES: Final = 2 * FACTS_MOST_BYTES


class KeptFacts(NamedTuple):
    """A sheet, and which signed bytes it was."""

    sheet: FactSheet
    sha256: str


class _Head(msgspec.Struct, frozen=True):
    sha256: str
    version: int
    issued_ms: int
    expires_ms: int
    halted: bool


class _Part(msgspec.Struct, frozen=True):
    name: str
    numbers: dict[ItemId, float]


_heads = msgspec.json.Decoder(_Head)
_parts = msgspec.json.Decoder(_Part)
_encode = msgspec.json.Encoder().encode


class FactsFile:
    """The file `trust/facts` of a node."""

    def __init__(self, paths: NodePaths) -> None:
        self._file = DigestedFile(paths.facts, _MOST_BYTES)

    def generation(self) -> object:
        """Equal as long as the file was not replaced; one stat, so it may be asked every few milliseconds."""
        return self._file.generation()

    def kept(self) -> KeptFacts | None:
        """The facts; None where there are none, or what is there is damaged or another program's."""
        data = self._file.read()
        if data is None:
            return None
        first, *lines = data.split(b"\n")
        columns: dict[str, dict[ItemId, float]] = {}
        try:
            head = _heads.decode(first)
            for line in lines:
                part = _parts.decode(line)
                columns.setdefault(part.name, {}).update(part.numbers)
        except MALFORMED:
            return None
        return KeptFacts(FactSheet(head.version, head.issued_ms, head.expires_ms, head.halted, columns), head.sha256)

    def sheet(self) -> FactSheet | None:
        """The facts alone."""
        kept = self.kept()
        return None if kept is None else kept.sheet

    def keep(self, sheet: FactSheet, signed_sha256: str) -> None:
        """Replace the facts, durably. Raises OSError when the disk does not take them."""
        head = _Head(signed_sha256, sheet.version, sheet.issued_ms, sheet.expires_ms, sheet.halted)
        lines = [_encode(head)]
        for name, column in sheet.columns.items():
            numbers = list(column.items())
            starts = range(0, len(numbers), NUMBERS_A_LINE)
            lines += [_encode(_Part(name, dict(numbers[start : start + NUMBERS_A_LINE]))) for start in starts]
        self._file.replace(b"\n".join(lines))
