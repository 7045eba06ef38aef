"""How current the node is: READY, STALE or ERROR, from what the agent last wrote down."""

from __future__ import annotations

from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, read_status
from edgewise.reasons import State


class Condition:
    """The node's condition, as far as this worker has looked."""

    def __init__(self, paths: NodePaths, *, has_hub: bool, stale_after_ms: int) -> None:
        self._paths = paths
        self._has_hub = has_hub
        self._stale_after_ms = stale_after_ms
        self._last_seen_ms: int | None = None
        self.agent: AgentStatus | None = None
        """None while no agent runs."""

    def look(self) -> None:
        """Read what the agent says now; to be called twice a second."""
        self.agent = read_status(self._paths.agent_status, AgentStatus)
        if self.agent is not None and self.agent.last_seen_ms is not None:
            self._last_seen_ms = self.agent.last_seen_ms

    def state(self, now_ms: int, *, serves: bool, facts_expire_ms: int | None = None) -> State:
        """`serves`: whether there is a bundle to answer with; live facts that are over are missed like a release."""
        if not serves:
            return State.ERROR
        seen_ms = self.last_seen_ms
        # Either way: after a clock has jumped back, what was heard lies in the future, and says as little.
        is_unheard = self._has_hub and (seen_ms is None or abs(now_ms - seen_ms) > self._stale_after_ms)
        expires_ms = self.agent.metadata_expires_ms if self.agent else None
        has_expired = any(end_ms is not None and now_ms >= end_ms for end_ms in (expires_ms, facts_expire_ms))
        return State.STALE if is_unheard or has_expired else State.READY

    @property
    def last_seen_ms(self) -> int | None:
        """When the hub was last heard; None: never."""
        return self._last_seen_ms

    @property
    def is_connected(self) -> bool:
        """Whether the agent has the hub's ear now."""
        return self.agent is not None and self.agent.connected
