"""What the agent knows of itself and the hub, gathered from its parts for run/agent.json."""

from __future__ import annotations

import os

from edge.log import Log
from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, Nacked, read_last_status, write_status
from edgewise.clock import Clock


class AgentState:
    """Belongs to the agent's event loop."""

    def __init__(
        self, paths: NodePaths, clock: Clock, *, site: str | None, root_fingerprint: str | None, hub: str, log: Log
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._site = site
        self._root_fingerprint = root_fingerprint
        self._hub = hub
        # An agent that was started again has not lost the hub: it goes on from what the last one wrote.
        before = read_last_status(paths.agent_status, AgentStatus)
        self.last_seen_ms = before.last_seen_ms if before else None
        self.last_nack: Nacked | None = before.last_nack if before else None
        self.connected = False
        self.metadata_expires_ms: int | None = None
        self.assigned_version: int | None = None
        self.spool_bytes = 0
        self.records_stored = 0
        self.stored_seqs: dict[str, int] = {}
        self.records_lost = before.records_lost if before else 0
        self.torn_bytes = 0
        self.profiles_synced = 0
        self.facts_nack: Nacked | None = before.facts_nack if before else None
        self._last_error = ""
        self._log = log
        self._is_told = True

    def heard(self) -> None:
        """The hub has said something."""
        self.last_seen_ms = self._clock.now_ms()
        self._last_error = ""

    def trouble(self, detail: str) -> None:
        """Something does not work, in a sentence."""
        self._last_error = detail

    def lost(self, records: int) -> None:
        """The hub was told that so many records are gone; written down at once, so that it is counted once."""
        self.records_lost += records
        self.write()

    def write(self) -> None:
        """Tell the other processes, as far as the disk lets us.

        A full disk is emptied by what the agent ships: it must not end the agent.
        """
        try:
            write_status(self._paths.agent_status, self._status())
        except OSError as failed:
            if self._is_told:  # once a trouble, not once an attempt
                self._log.error("the agent's status cannot be written, its work goes on", detail=str(failed))
            self._is_told = False
        else:
            self._is_told = True

    def _status(self) -> AgentStatus:
        return AgentStatus(
            pid=os.getpid(),
            written_ms=self._clock.now_ms(),
            site=self._site,
            root_fingerprint=self._root_fingerprint,
            hub=self._hub,
            connected=self.connected,
            last_seen_ms=self.last_seen_ms,
            metadata_expires_ms=self.metadata_expires_ms,
            last_nack=self.last_nack,
            assigned_version=self.assigned_version,
            last_error=self._last_error,
            spool_bytes=self.spool_bytes,
            records_stored=self.records_stored,
            stored_seqs=self.stored_seqs,
            records_lost=self.records_lost,
            torn_bytes=self.torn_bytes,
            profiles_synced=self.profiles_synced,
            facts_nack=self.facts_nack,
        )
