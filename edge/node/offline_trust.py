"""Whether signed metadata in a folder vouches for a bundle, without a hub and without a clock.

`tuf.ngclient` refuses expired metadata, as it must while it updates. What already lies on this disk is another
matter: a starter bundle, or a folder that somebody carried here, outlives its timestamp. Here everything is verified
as in the TUF specification (1.0.34, section 5, without 5.3.10, 5.4.4 and the like, which are about expiry), and the
expiry is told instead: the node serves, and says STALE.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edgewise.errors import BundleRefused
from edgewise.ids import BundleVersion


class Vouched(NamedTuple):
    """What was verified."""

    version: BundleVersion
    expires_ms: int
    """When the first of the signatures ends."""


def verify_offline(metadata: Path, root: bytes, manifest: bytes, version: BundleVersion) -> Vouched:
    """Verify that the root's chain in the folder `metadata` lists this manifest as release `version`.

    Raises:
        BundleRefused: `untrusted`: a signature, digest, version or file of the chain is wrong.
    """
    path = f"releases/{version}/manifest.json"
    try:
        anchor = Metadata[Root].from_bytes(root)
        anchor.verify_delegate(Root.type, anchor)
        timestamp = Metadata[Timestamp].from_bytes((metadata / "timestamp.json").read_bytes())
        anchor.verify_delegate(Timestamp.type, timestamp)
        pinned_snapshot = timestamp.signed.snapshot_meta
        snapshot_bytes = _read(metadata, Snapshot.type, pinned_snapshot.version)
        pinned_snapshot.verify_length_and_hashes(snapshot_bytes)
        snapshot = Metadata[Snapshot].from_bytes(snapshot_bytes)
        anchor.verify_delegate(Snapshot.type, snapshot)
        pinned_targets = snapshot.signed.meta[f"{Targets.type}.json"]
        targets_bytes = _read(metadata, Targets.type, pinned_targets.version)
        pinned_targets.verify_length_and_hashes(targets_bytes)
        targets = Metadata[Targets].from_bytes(targets_bytes)
        anchor.verify_delegate(Targets.type, targets)
        if (snapshot.signed.version, targets.signed.version) != (pinned_snapshot.version, pinned_targets.version):
            raise BundleRefused("untrusted", f"{metadata}: versions of snapshot and targets are not the pinned ones")
        listed = targets.signed.targets.get(path)
        if listed is None:
            raise BundleRefused("untrusted", f"{metadata}: {path} is not among the signed releases")
        listed.verify_length_and_hashes(manifest)
    except (RepositoryError, DeserializationError, KeyError, ValueError) as wrong:
        raise BundleRefused("untrusted", f"{metadata}: {type(wrong).__name__} {wrong}") from wrong
    except OSError as missing:
        raise BundleRefused("untrusted", f"{missing.filename}: {missing.strerror}") from missing
    expiries = [signed.expires for signed in (anchor.signed, timestamp.signed, snapshot.signed, targets.signed)]
    return Vouched(version, int(min(expiries).timestamp() * 1_000))


def _read(metadata: Path, role: str, version: int) -> bytes:
    """A role's file, with its version in the name (consistent snapshots) or without."""
    versioned = metadata / f"{version}.{role}.json"
    return (versioned if versioned.exists() else metadata / f"{role}.json").read_bytes()
