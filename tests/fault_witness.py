"""What visitors saw and were promised, and whether that can be: the invariants that hold at every single answer.

I4  a node's version never falls; the way back is a newer assignment of an older release
I5  an answer's policy, model, features and contents were published together
I6  what is served was released, every item in it approved
I7  after an opt-out was acknowledged by a node, that node's next answer knows nothing of the visitor
I10 what waits, and what is held, is bounded

Each raises AssertionError with its name.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
from fault_node import SEGMENT_BYTES, Node, Worker
from fault_releases import (
    UNAPPROVED,
    Publishing,
    feature,
    model_arm,
    plain_arm,
    score,
    steps,
    title,
)

from edge.profiles.readers import ReaderWatch
from edge.spool.contents import segments_bytes
from edge.spool.writer import PREFERENCE_RESERVE_BYTES
from edge.testing.small_bundle import HERO
from edge.worker.desk import MOST_UNFLUSHED
from edgewise.ids import NodeId
from edgewise.records import DecisionRecord

RECORD_BYTES = 4_000
"""More than any record here has."""


@dataclass
class Statement:
    """What a visitor stated about one thing, and what became of it."""

    kind: str
    is_out: bool
    node: NodeId
    begun: int
    acknowledged: int | None = None
    """None also where the answer was lost: it may hold, and may not."""
    stamp_ms: int = 0
    """By the clock of the node that took it."""


@dataclass
class Witness:
    """Everything of one history."""

    publishing: Publishing
    answers: int = 0
    closed: int = 0
    """Answers to visitors who had opted out on the node that answered."""
    conflicts: int = 0
    """Of those: where another node's clock, ahead, gives an older opt-in the later stamp. They prove nothing."""
    versions: set[int] = field(default_factory=set)
    _turn: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _steps: dict[tuple[NodeId, int], int] = field(default_factory=dict)
    _served: dict[tuple[NodeId, int], str] = field(default_factory=dict)
    _taken_back: list[tuple[Node, str, str]] = field(default_factory=list)
    _statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))

    # --- what visitors want -------------------------------------------------------------------------------------------
    def begins(self, visitor: str, kind: str, node: NodeId, *, is_out: bool) -> Statement:
        """A visitor states something; `kind` is what his next statement of it replaces."""
        statement = Statement(kind, is_out, node, next(self._turn))
        self._statements[visitor].append(statement)
        return statement

    def acknowledges(self, statement: Statement, stamp_ms: int) -> None:
        """The node has said yes."""
        statement.acknowledged = next(self._turn)
        statement.stamp_ms = stamp_ms

    def _opted_out(self, visitor: str, node: NodeId) -> bool:
        """Whether he must be known to nobody on this node now, whatever happened to it since."""
        said = self._statements[visitor]
        for out in said:
            if not out.is_out or out.node != node or out.acknowledged is None:
                continue
            others = [each for each in said if each.kind == out.kind and not each.is_out]
            if any(each.acknowledged is None or each.acknowledged > out.begun for each in others):
                continue
            if any(each.stamp_ms >= out.stamp_ms and each.node != node for each in others):
                self.conflicts += 1
                continue
            return True
        return False

    # --- what they get ------------------------------------------------------------------------------------------------
    def answered(self, worker: Worker, visitor: str, raw: msgspec.Raw, record: DecisionRecord | None) -> None:
        """A visitor got this answer; `record` is what was written down of it."""
        answer = msgspec.json.decode(raw)
        self.answers += 1
        digest = answer["bundle"]["digest"].removeprefix("sha256:")
        placed = answer["placements"][HERO]
        if digest:
            self._came_together(answer, placed, record)
            self._approved(digest, placed)
            self._never_falls(worker, digest)
        if self._opted_out(visitor, worker.node.id):
            self.closed += 1
            self._knows_nothing(worker, visitor, answer, record)

    def _came_together(self, answer: Any, placed: Any, record: DecisionRecord | None) -> None:
        version = answer["bundle"]["version"]
        self.versions.add(version)
        assert placed["policy"] in (model_arm(version), plain_arm(version)), f"I5: release {version}, {placed}"
        assert record is not None, "I5: nothing was written down"
        assert f"sha256:{record.bundle_digest}" == answer["bundle"]["digest"], "I5"
        for item in placed["items"]:
            assert item["content"]["title"] == title(version), f"I5: release {version}, {placed}"
            if placed["policy"] == model_arm(version):
                assert item["score"] == score(version), f"I5: release {version}, {placed}"
                assert record.shown[HERO].names == (feature(version),), f"I5: release {version}, {record.shown}"

    def _approved(self, digest: str, placed: Any) -> None:
        assert digest in steps()[self.publishing.newest].approved, f"I6: {digest[:12]} was never released"
        assert UNAPPROVED not in {item["id"] for item in placed["items"]}, "I6: an item that nobody approved"

    def _never_falls(self, worker: Worker, digest: str) -> None:
        """Steps are taken as early as they can be, so that nothing is called a fall that need not be one.

        A node takes a release back that its workers refuse, and says so a moment later: that is looked at in the end.
        """
        seat = (worker.node.id, worker.index)
        before = self._served.get(seat)
        if before == digest:
            return
        first = self._steps.get(seat, 0)
        if before is not None and worker.node.store.quarantined(before) is not None:
            first = 0  # it has crashed workers: the node took it back by itself
        self._served[seat] = digest
        for number in range(first, self.publishing.newest + 1):
            if steps()[number].digest == digest:
                self._steps[seat] = number
                return
        version = [step.assignment.default for step in steps() if step.digest == digest]
        fall = f"I4: release {version[0]} after step {first}; the hub was at {self.publishing.newest}"
        assert before is not None, fall
        assert worker.node.store.current() == digest or before in worker.node.flipped, fall
        self._taken_back.append((worker.node, before, fall))

    def explained(self) -> None:
        """Every release that a node took back by itself was damaged on its disk, or not taken over by its workers."""
        for node, digest, fall in self._taken_back:
            refused = node.agent.last_nack
            is_late = refused is not None and refused.code == "worker_timeout"
            is_damaged = digest in node.flipped
            assert is_late or is_damaged or node.store.quarantined(digest) is not None, fall

    def _knows_nothing(self, worker: Worker, visitor: str, answer: Any, record: DecisionRecord | None) -> None:
        placed = answer["placements"][HERO]
        where = f"I7: {visitor} has opted out on {worker.node.id}, whose worker {worker.index} answers"
        assert not placed["policy"].startswith("model-"), f"{where} by {placed['policy']}"
        if record is not None:
            assert not record.grants.personalisation, f"{where} with {record.grants}"
            assert not record.applied, f"{where} out of his profile"

    # --- what it takes ------------------------------------------------------------------------------------------------
    @staticmethod
    def bounded(node: Node) -> None:
        """At any moment between two steps of a node."""
        workers = len(node.workers)
        for worker in node.workers:
            assert len(worker.desk.unflushed) <= MOST_UNFLUSHED, "I10: decisions to be remembered"
            assert len(worker.desk.wanted) <= MOST_UNFLUSHED, "I10: profiles to be asked for"
        spooled = segments_bytes(node.paths.spool)
        # Each worker knows of the others' what was there a second ago.
        most = workers * (node.settings.spool_most_bytes + RECORD_BYTES + SEGMENT_BYTES) + PREFERENCE_RESERVE_BYTES
        assert spooled <= most, f"I10: {spooled} bytes spooled, at most {most}"
        pinned = ReaderWatch(node.cache.file).look(0.0)
        assert not pinned, f"I10: a reader keeps old pages: {pinned}"
