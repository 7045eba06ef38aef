"""assignment.json: which node runs which approved release. Signed by an online role, apart from the approval.

So a canary is an assignment, and a rollback is a newer assignment that points to an older, still approved release.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgewise.bundle.manifest import MANIFEST
from edgewise.ids import BundleVersion, NodeId

ASSIGNMENT: Final = "assignment.json"
"""Path of the TUF target, delegated to the role `assignment`."""
FACTS: Final = "facts"
"""Name of the TUF role that may sign `facts/*`."""


class Assignment(msgspec.Struct, frozen=True):
    """`version` grows by one with every change; a node keeps the highest that it has seen."""

    version: Annotated[int, Meta(ge=1)]
    default: BundleVersion
    nodes: dict[NodeId, BundleVersion] = {}

    def of(self, node: NodeId) -> BundleVersion:
        """The release that `node` is to run."""
        return self.nodes.get(node, self.default)


def release_path(version: BundleVersion) -> str:
    """Path of the TUF target that is a release's manifest."""
    return f"releases/{version}/{MANIFEST}"


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Assignment)


def encode_assignment(assignment: Assignment) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(assignment)


def decode_assignment(data: bytes) -> Assignment:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)
