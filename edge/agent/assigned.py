"""What the signed metadata says that this node is to run: the TUF client workflow, then the assignment.

Blocking; runs in a thread of the agent.
"""

from __future__ import annotations

from typing import NamedTuple

from tuf.ngclient import FetcherInterface

from edge.agent.metadata import read_target, refreshed
from edge.node.bundles import manifest_of, sha256
from edge.node.durable import replace_file
from edge.node.layout import NodePaths
from edgewise.bundle.assignment import ASSIGNMENT, Assignment, decode_assignment, release_path
from edgewise.bundle.manifest import Manifest
from edgewise.errors import MALFORMED, BundleRefused
from edgewise.ids import NodeId

MANIFEST_MOST_BYTES = 1 << 20
ASSIGNMENT_MOST_BYTES = 8 << 20


class Assigned(NamedTuple):
    """The release that this node is to run."""

    assignment: Assignment
    manifest: Manifest
    manifest_bytes: bytes

    @property
    def digest(self) -> str:
        """Names the bundle."""
        return sha256(self.manifest_bytes)


def ask_assigned(paths: NodePaths, root: bytes, node: NodeId, fetcher: FetcherInterface) -> Assigned | None:
    """Refresh the metadata from the pinned root on, and read what it assigns; None: nothing is assigned yet.

    Raises:
        BundleRefused: `untrusted`, `rollback`, `expired`, `digest_mismatch`, `too_large`, `missing` or `malformed`.
        UnavailableError: the hub cannot be reached.
    """
    with refreshed(paths, root, fetcher) as updater:
        assignment_bytes = read_target(updater, ASSIGNMENT, ASSIGNMENT_MOST_BYTES)
        if assignment_bytes is None:
            return None
        assignment = _newer_assignment(paths, assignment_bytes)
        version = assignment.of(node)
        manifest_bytes = read_target(updater, release_path(version), MANIFEST_MOST_BYTES)
        if manifest_bytes is None:
            raise BundleRefused("missing", f"release {version} is assigned, but not among the signed releases")
        manifest = manifest_of(manifest_bytes)
        if manifest.version != version:
            raise BundleRefused("digest_mismatch", f"release {version} holds a manifest of version {manifest.version}")
        return Assigned(assignment, manifest, manifest_bytes)


def known_assignment(paths: NodePaths) -> Assignment | None:
    """The newest assignment that this node has verified, None before any."""
    try:
        return decode_assignment(paths.assignment.read_bytes())
    except (OSError, *MALFORMED):
        return None


def _newer_assignment(paths: NodePaths, data: bytes) -> Assignment:
    """Keep the assignment unless it is older than one that was seen: then a rollback is being played."""
    try:
        assignment = decode_assignment(data)
    except MALFORMED as wrong:
        raise BundleRefused("malformed", f"{ASSIGNMENT}: {wrong}") from wrong
    known = known_assignment(paths)
    if known is not None and (
        assignment.version < known.version or (assignment.version == known.version and assignment != known)
    ):
        raise BundleRefused(
            "rollback", f"assignment version {assignment.version}; this node has seen {known.version}, and none falls"
        )
    if assignment != known:
        replace_file(paths.assignment, data)
    return assignment
