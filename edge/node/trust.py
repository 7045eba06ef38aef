"""What a node has pinned: the root of its site. Set once, at enrolment; nothing that arrives later replaces it.

Root rotations are followed by `tuf.ngclient` in trust/metadata, always from the pinned root on.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from edge.node.bundles import sha256
from edge.node.durable import replace_file
from edge.node.layout import NodePaths
from edgewise.errors import MALFORMED

UNFINISHED = ".fetch-"
"""How folders of downloads begin that are under way."""
ROLES = ("timestamp", "snapshot", "targets", "assignment")
"""Whose expiry makes a node STALE. Not `facts`: a sheet says itself until when its numbers hold."""


class _Signed(msgspec.Struct):
    expires: dt.datetime


class _Metadata(msgspec.Struct):
    signed: _Signed


def pinned_root(paths: NodePaths) -> bytes | None:
    """The root metadata that this node trusts, None before enrolment."""
    try:
        return paths.trusted_root.read_bytes()
    except FileNotFoundError:
        return None


def pin_root(paths: NodePaths, root: bytes) -> None:
    """Trust a root from now on."""
    replace_file(paths.trusted_root, root)


def fingerprint(root: bytes) -> str:
    """SHA-256 of a root's bytes, hex digits: what two people compare."""
    return sha256(root)


def metadata_expires_ms(paths: NodePaths) -> int | None:
    """When the first of the signatures ends that were verified last; None before any was."""
    expiries = []
    for role in ROLES:
        try:
            data = (paths.metadata / f"{role}.json").read_bytes()
            expiries.append(msgspec.json.decode(data, type=_Metadata).signed.expires)
        except (OSError, *MALFORMED):
            continue
    return int(min(expiries).timestamp() * 1_000) if expiries else None
