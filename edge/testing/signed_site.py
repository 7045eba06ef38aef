"""A site that signs: real Ed25519 keys and exact TUF metadata, in memory. The roles are those of a hub.

`files` is what a hub would hand out, by the path that a node asks for. A test that plays an attacker edits it.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.testing.small_bundle import MadeBundle
from edgewise.bundle.assignment import ASSIGNMENT, FACTS, Assignment, encode_assignment, release_path
from edgewise.bundle.facts import FACTS_TARGET
from edgewise.bundle.manifest import decode_manifest
from edgewise.ids import BundleVersion, NodeId
from edgewise.v1.distribution_pb2 import EnrolResponse

ROLES: Final = ("root", "targets", "snapshot", "timestamp", "assignment", FACTS)
LIFE: Final = dt.timedelta(days=1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


class SignedSite:
    """A site's keys, its releases, and who is to run which.

    `entropy` gives the bytes of its keys, and `now` the moment (UTC, in whole seconds) at which it signs: with both of
    them fixed, everything that it signs is the same bytes each time.
    """

    def __init__(
        self, name: str, *, entropy: Callable[[int], bytes] = os.urandom, now: Callable[[], dt.datetime] = _now
    ) -> None:
        self.name: Final = name
        self.files: dict[str, bytes] = {}
        self.subject_key: Final = name.encode().ljust(32, b"s")
        self.visitor_key: Final = name.encode().ljust(32, b"v")
        self._entropy = entropy
        self._now = now
        self.signers: Final = {role: self._signer() for role in ROLES}
        self.life = LIFE
        """From now on until metadata expires that is signed next; negative: it has expired when it is signed."""
        root = Root(consistent_snapshot=True, expires=now() + dt.timedelta(days=365))
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.add_key(self.signers[role].public_key, role)
        paths = {"assignment": [ASSIGNMENT], FACTS: [f"{FACTS}/*"]}
        keys = {role: self.signers[role].public_key for role in paths}
        roles = {
            role: DelegatedRole(role, [key.keyid], threshold=1, terminating=True, paths=paths[role])
            for role, key in keys.items()
        }
        self.root = Metadata(root)
        self.targets = Metadata(Targets(delegations=Delegations({key.keyid: key for key in keys.values()}, roles)))
        self.assignment = Metadata(Targets())
        self.facts = Metadata(Targets())
        self.snapshot = Metadata(Snapshot(meta={}))
        self.timestamp = Metadata(Timestamp())
        self._assigned: Assignment | None = None
        self.root_bytes: Final = self._signed("root", self.root)
        self.files["metadata/1.root.json"] = self.root_bytes
        self.sign("targets", "assignment", FACTS)

    @property
    def enrolment(self) -> EnrolResponse:
        """What a node pins."""
        return EnrolResponse(
            site=self.name, root=self.root_bytes, subject_key=self.subject_key, visitor_key=self.visitor_key
        )

    def release(self, bundle: MadeBundle) -> None:
        """List a bundle for all nodes."""
        manifest = decode_manifest(bundle.manifest_bytes)
        for name, data in bundle.resources.items():
            self.files[f"blobs/{manifest.resources[name].sha256}"] = data
        self.list_manifest(manifest.version, bundle.manifest_bytes)

    def list_manifest(self, version: BundleVersion, manifest_bytes: bytes) -> None:
        """Vouch for bytes as the manifest of a release, whatever they are."""
        path = release_path(version)
        target = TargetFile.from_data(path, manifest_bytes, ["sha256"])
        self.targets.signed.targets[path] = target
        self.files[f"targets/{_prefixed(path, target)}"] = manifest_bytes
        self.sign("targets")

    def assign(self, default: int, nodes: dict[NodeId, BundleVersion] | None = None, *, version: int = 0) -> None:
        """Say which release nodes are to run; `version` of the assignment is one more than before, if not given."""
        following = self._assigned.version + 1 if self._assigned else 1
        self._assigned = Assignment(version or following, BundleVersion(default), nodes or {})
        data = encode_assignment(self._assigned)
        target = TargetFile.from_data(ASSIGNMENT, data, ["sha256"])
        self.assignment.signed.targets[ASSIGNMENT] = target
        self.files[f"targets/{_prefixed(ASSIGNMENT, target)}"] = data
        self.sign("assignment")

    def publish_facts(self, data: bytes) -> None:
        """Vouch for bytes as the live facts, whatever they are."""
        target = TargetFile.from_data(FACTS_TARGET, data, ["sha256"])
        self.facts.signed.targets[FACTS_TARGET] = target
        self.files[f"targets/{_prefixed(FACTS_TARGET, target)}"] = data
        self.sign(FACTS)

    def rotate_root(self) -> None:
        """Hand over to a root with a new key; the old key and the new one both sign it."""
        old = self.signers["root"]
        self.signers["root"] = new = self._signer()
        self.root.signed.revoke_key(old.public_key.keyid, "root")
        self.root.signed.add_key(new.public_key, "root")
        self.root.signed.version += 1
        self.root.sign(old)
        self.root.sign(new, append=True)
        self.files[f"metadata/{self.root.signed.version}.root.json"] = self.root.to_bytes()

    def sign(self, *changed: str) -> None:
        """Sign the next version of the changed roles, of the snapshot and of the timestamp."""
        for role in changed:
            metadata: Metadata[Targets] = getattr(self, role)
            data = self._next(role, metadata)
            self.files[f"metadata/{metadata.signed.version}.{role}.json"] = data
            self.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(metadata.signed.version, data, ["sha256"])
        snapshot = self._next("snapshot", self.snapshot)
        self.files[f"metadata/{self.snapshot.signed.version}.snapshot.json"] = snapshot
        self.timestamp.signed.snapshot_meta = MetaFile.from_data(self.snapshot.signed.version, snapshot, ["sha256"])
        self.files["metadata/timestamp.json"] = self._next("timestamp", self.timestamp)

    def _signer(self) -> CryptoSigner:
        return CryptoSigner(Ed25519PrivateKey.from_private_bytes(self._entropy(32)))

    def _next(self, role: str, metadata: Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]) -> bytes:
        if metadata.signatures:
            metadata.signed.version += 1
        metadata.signed.expires = self._now() + self.life
        return self._signed(role, metadata)

    def _signed(
        self, role: str, metadata: Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]
    ) -> bytes:
        metadata.sign(self.signers[role])
        return metadata.to_bytes()


def _prefixed(path: str, target: TargetFile) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{target.hashes['sha256']}.{name}"
