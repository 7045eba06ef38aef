"""Erasures reach every node, also one that does not cache the person: it may remember his decisions.

They are told in the order of the suppression list, from where a node says that it has got to, and the node confirms by
saying how far it has got. So a node that was away is told when it comes back, and a certificate knows who has followed.
"""

from __future__ import annotations

from typing import Final

from edgewise.clock import Clock
from edgewise.ids import NodeId
from edgewise.seal import sealed
from edgewise.v1 import profiles_pb2 as pb
from hub.ledger.ledger import Ledger
from hub.ledger.suppression import Listed, SuppressionList
from hub.rpc.interest import Confirmation, Follower

ENTRIES_AT_ONCE: Final = 64


class ErasureFeed:
    """What is to be told to whom. All but `is_due` read files, and `confirm` writes: they are for threads."""

    def __init__(self, ledger: Ledger, suppressions: SuppressionList | None, clock: Clock) -> None:
        """Without a list nothing is told; erasures still go to the nodes that cache somebody."""
        self._ledger = ledger
        self._suppressions = suppressions
        self._clock = clock
        self._length = 0

    def has_grown(self) -> bool:
        """Whether there are erasures that there were not at the last look."""
        length = len(self._listed().entries)
        grown, self._length = length > self._length, length
        return grown

    def is_due(self, follower: Follower) -> bool:
        """Whether there is something to tell, as of the last look."""
        return follower.erased_through is not None and follower.erased_through < self._length

    def heard(self, follower: Follower, request: pb.SyncRequest) -> Confirmation | None:
        """A node says how far it has got: what is to be written down of it, which is a writer's to do.

        On another list, or on none, it begins at the first erasure. None where it says nothing new on this stream.
        """
        listed = self._listed()
        self._length = max(self._length, len(listed.entries))
        through = min(request.erased_through, len(listed.entries)) if request.erasure_list == listed.name else 0
        if follower.erased_through is None:
            follower.erased_through = through
        said = Confirmation(listed.name, through)
        if not listed.name or request.erasure_list != listed.name or said == follower.confirmed:
            return None
        follower.confirmed = said
        return said

    def is_written(self, node: NodeId, said: Confirmation) -> bool:
        """Whether the ledger knows it already, as after most reconnects."""
        return any((row.node, row.list, row.through) == (node, *said) for row in self._ledger.node_erasures())

    def confirm(self, node: NodeId, said: Confirmation) -> None:
        """Write down how far a node has got."""
        self._ledger.confirm_erasures(node, said.list, said.through, self._clock.now_ms())

    def due(self, follower: Follower) -> list[pb.SyncResponse]:
        """The next erasures that a node is to be told of; they count as told."""
        if follower.erased_through is None:
            return []
        listed = self._listed()
        told: list[pb.SyncResponse] = []
        for entry in listed.entries[follower.erased_through :][:ENTRIES_AT_ONCE]:
            *others, last = entry.subjects
            for subject, number in (*((each, 0) for each in others), (last, entry.number)):
                erasure = pb.Erasure(list=listed.name, number=number, time_ms=entry.time_ms)
                told.append(sealed(pb.SyncResponse(subject=subject, erasure=erasure)))
            follower.erased_through = entry.number
        return told

    def _listed(self) -> Listed:
        return Listed("", ()) if self._suppressions is None else self._suppressions.listed()
