"""The live facts that a node has: one file, replaced whole by the agent, polled by the workers.

The first line is the SHA-256 of the rest, hex digits: what a disk has damaged is taken for nothing, and fetched
again. Signatures are verified before the file is written (`edge.agent.facts_feed`).
"""

from __future__ import annotations

from typing import Final

from edge.node.bundles import sha256
from edge.node.durable import replace_file
from edge.node.layout import NodePaths
from edgewise.bundle.facts import FACTS_MOST_BYTES, FactSheet, decode_facts
from edgewise.errors import BundleRefused

_HEAD_BYTES: Final = 65
"""64 digits and a newline."""


class FactsFile:
    """The file `trust/facts` of a node."""

    def __init__(self, paths: NodePaths) -> None:
        self._path = paths.facts

    def generation(self) -> object:
        """Equal as long as the file was not replaced; one stat, so it may be asked every few milliseconds."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns)

    def data(self) -> bytes | None:
        """The facts as they were signed; None where there are none, or what is there is damaged."""
        try:
            with self._path.open("rb") as file:
                held = file.read(_HEAD_BYTES + FACTS_MOST_BYTES)
        except OSError:
            return None
        head, data = held[:_HEAD_BYTES], held[_HEAD_BYTES:]
        return data if head == f"{sha256(data)}\n".encode() else None

    def sheet(self) -> FactSheet | None:
        """The facts; None where there are none that can be used."""
        data = self.data()
        try:
            return None if data is None else decode_facts(data)
        except BundleRefused:
            return None  # kept by another version of this program

    def keep(self, data: bytes) -> None:
        """Replace the facts, durably. Raises OSError when the disk does not take them."""
        replace_file(self._path, f"{sha256(data)}\n".encode() + data)
