"""What each process of a node says of itself in `run/`, every 500 ms and at each change; read by all others.

Files, because the writers must never wait for a reader, and a dead process leaves its last word behind. Whoever
reads checks that the writer still lives. Fields may be added; readers pass over what they do not know.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edge.node.durable import replace_file
from edge.node.layout import SEATS, NodePaths
from edgewise.errors import MALFORMED

INTERVAL_MS = 500


_NOT_WHOLE: Final = frozenset({"damaged", "missing"})
"""What `edge.node.bundles` refuses to read."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """run/worker-I.json. What the supervisor and the agent rely on; a worker may write more under `detail`."""

    index: int
    """The process's seat (`edge.node.layout`)."""
    pid: int
    epoch: int
    """Under which this process numbers its records."""
    written_ms: int
    listening: bool
    """True once requests are answered."""
    bundle_digest: str | None = None
    """The bundle that answers requests now."""
    bundle_version: int | None = None
    refused_digest: str | None = None
    """A bundle that the worker could not load; `refused_code` says what is wrong, `refused_detail` both in words."""
    refused_code: str = ""
    refused_detail: str = ""
    decisions: int = 0
    """Since the process started."""
    shedding: str = "nothing"
    """The most harmful stage of shedding (`edge.worker.admission`) that is in force."""
    detail: dict[str, Any] = {}

    def lacks(self, digest: str) -> bool:
        """Whether it could not load this bundle because it was not whole on this disk."""
        return self.refused_digest == digest and self.refused_code in _NOT_WHOLE


class Nacked(msgspec.Struct, frozen=True):
    """The last refusal that was sent to the hub."""

    at_ms: int
    code: str
    detail: str
    version: int | None = None


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """run/agent.json."""

    pid: int
    written_ms: int
    site: str | None = None
    root_fingerprint: str | None = None
    """SHA-256 of the pinned root."""
    hub: str = ""
    """Its address; empty: none is configured, so none is missed."""
    connected: bool = False
    last_seen_ms: int | None = None
    """When the hub was last heard; None: never."""
    metadata_expires_ms: int | None = None
    """When the signed metadata ends: STALE from then on."""
    last_nack: Nacked | None = None
    assigned_version: int | None = None
    last_error: str = ""
    """Why the hub cannot be reached or used, in a sentence; empty while all is well."""
    spool_bytes: int = 0
    """What waits on disk."""
    records_stored: int = 0
    """Records that the hub acknowledged to this process."""
    stored_seqs: dict[str, int] = {}
    """Spool folder -> the hub has stored it up to and including this sequence; absent while it has not said."""
    records_lost: int = 0
    """Records that the hub was told are lost, because their frames were damaged or gone; since there is this file."""
    torn_bytes: int = 0
    """Bytes behind the last whole frame of dead producers: never acknowledged to anybody, skipped."""
    profiles_synced: int = 0
    """Snapshots taken over."""
    facts_nack: Nacked | None = None
    """The last refusal of live facts; None once some were accepted."""


Status = TypeVar("Status", WorkerStatus, AgentStatus)


def write_status(path: Path, status: WorkerStatus | AgentStatus) -> None:
    """Replace a status file. Not made durable: it is worth nothing after a restart."""
    replace_file(path, msgspec.json.encode(status), durable=False)


def read_last_status(path: Path, kind: type[Status]) -> Status | None:
    """What the file says, whoever wrote it; None while there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, *MALFORMED):
        return None


def read_status(path: Path, kind: type[Status]) -> Status | None:
    """What the file says, None while there is none, or nobody lives who wrote it."""
    status = read_last_status(path, kind)
    return status if status is not None and is_running(status.pid) else None


def worker_statuses(paths: NodePaths, workers: int) -> list[WorkerStatus | None]:
    """One entry a worker, None for those that are not running; of two processes the one that answers, or the newer."""
    return [_of_worker(paths, worker) for worker in range(workers)]


def _of_worker(paths: NodePaths, worker: int) -> WorkerStatus | None:
    found = [read_status(paths.worker_status(seat), WorkerStatus) for seat in (worker, worker + SEATS)]
    return max(filter(None, found), key=lambda status: (status.listening, status.epoch), default=None)


def is_running(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
