"""What is known of each node: kept in memory, written to the ledger in one transaction for all that changed.

What a person waits for (connected, accepted, refused) is written at once, heartbeats with the next second: five
thousand nodes would otherwise ask the ledger for a thousand commits a second.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from edgewise.ids import BundleVersion, NodeId
from edgewise.reasons import State
from hub.ledger.ledger import Ledger
from hub.ledger.rows import NodeRow
from hub.log import Log

HEARTBEAT_FLUSH_S: Final = 1.0
MOST_DETAIL_CHARACTERS: Final = 2_000
MOST_VERSION: Final = 2**62


class Condition(NamedTuple):
    """What a heartbeat says."""

    state: State
    bundle_version: BundleVersion
    bundle_digest: str
    spool_bytes: int
    decisions: int


class Fleet:
    """Nodes as they were last heard of. Belongs to one event loop; only `run` touches the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, writer: Executor, log: Log) -> None:
        self._ledger = ledger
        self._clock = clock
        self._writer = writer
        self._log = log
        self._rows: dict[NodeId, NodeRow] = {}
        self._open: dict[NodeId, int] = {}
        self._changed: set[NodeId] = set()
        self._urgent = asyncio.Event()

    async def load(self) -> None:
        """Take over what the ledger knows; nobody is connected yet."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._ledger.disconnect_all)
        self._rows = {row.node: row for row in self._ledger.nodes()}

    def connect(self, node: NodeId, version: int, digest: str, protocol_version: int) -> None:
        """A node opened its watch. It may hold several for a moment: an old one that has not been found dead yet."""
        self._open[node] = self._open.get(node, 0) + 1
        now_ms = self._clock.now_ms()
        known = self._rows.get(node)
        if known is None:
            known = NodeRow(node, State.READY, BundleVersion(version), digest, protocol_version, True, now_ms, now_ms)
            self._rows[node] = known
        self._set(
            node,
            bundle_version=version,
            bundle_digest=digest,
            protocol_version=protocol_version,
            connected=True,
            state=State.ERROR if version < 0 else known.state,
        )
        self._urgent.set()

    def disconnect(self, node: NodeId) -> None:
        """A watch ended."""
        self._open[node] -= 1
        if not self._open[node]:
            del self._open[node]
            self._rows[node] = msgspec.structs.replace(self._rows[node], connected=False)
            self._changed.add(node)
            self._urgent.set()

    def accepted(self, node: NodeId, version: int, digest: str) -> None:
        """The node serves what it was offered."""
        self._set(
            node,
            state=State.READY,
            bundle_version=version,
            bundle_digest=digest,
            acked_ms=self._clock.now_ms(),
            nack_code=None,
            nack_detail=None,
            nacked_ms=None,
        )
        self._urgent.set()

    def refused(self, node: NodeId, code: str, detail: str, still_version: int) -> None:
        """The node refused what it was offered, and why."""
        self._log.warning("offer refused", node=node, code=code, detail=detail, still=still_version)
        self._set(
            node,
            bundle_version=still_version,
            nack_code=code[:MOST_DETAIL_CHARACTERS],
            nack_detail=detail[:MOST_DETAIL_CHARACTERS],
            nacked_ms=self._clock.now_ms(),
        )
        self._urgent.set()

    def answered_facts(self, node: NodeId, version: int, code: str, detail: str) -> None:
        """Which live facts a node has, and why it refused newer ones; an empty code: it did not."""
        if code:
            self._log.warning("live facts refused", node=node, code=code, detail=detail, still=version)
        self._set(
            node,
            facts_version=min(max(0, version), MOST_VERSION),
            facts_code=code[:MOST_DETAIL_CHARACTERS] or None,
            facts_detail=detail[:MOST_DETAIL_CHARACTERS] or None,
        )
        # Prices may move every second: what a fleet says of them waits for the next second's commit.
        if code:
            self._urgent.set()

    def heard(self, node: NodeId, condition: Condition) -> None:
        """A heartbeat."""
        known = self._rows[node]
        if (known.state, known.bundle_version) != (condition.state, condition.bundle_version):
            self._urgent.set()
        self._set(node, **condition._asdict())

    def rows(self) -> list[NodeRow]:
        """Every node, sorted by name."""
        return [self._rows[node] for node in sorted(self._rows)]

    async def run(self) -> None:
        """Write changes down until cancelled."""
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_FLUSH_S):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            await self.flush()

    async def flush(self) -> None:
        """Write what changed since the last time. What cannot be written is kept for the next."""
        self._urgent.clear()
        if not self._changed:
            return
        # they stay marked until they are written: what a cancelled flush lets go, the last one takes
        rows = [self._rows[node] for node in self._changed]
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._ledger.save_nodes, rows)
        except EdgewiseError as refused:
            self._log.error("nodes not written", reason=str(refused))
        else:
            self._changed -= {row.node for row in rows if self._rows[row.node] is row}

    def _set(self, node: NodeId, **changes: Any) -> None:
        self._rows[node] = msgspec.structs.replace(self._rows[node], last_seen_ms=self._clock.now_ms(), **changes)
        self._changed.add(node)
